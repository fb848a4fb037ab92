"""The decision journal: the engine's append-only log of decisions, one JSON object a line, every value a string."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bot_core.foundation.atomic_file import append_durable, make_folder
from bot_core.foundation.frozen import frozen
from bot_core.runtime.journal_scan import journal_files, journal_records

_OPTIONAL = (
    "symbol",
    "side",
    "quantity",
    "price",
    "status",
    "schedule",
    "strategy",
    "schedule_run_id",
    "strategy_instance_id",
    "signal_id",
    "primary_exchange",
    "secondary_exchange",
    "base_asset",
    "quote_asset",
    "instrument_type",
    "data_feed",
    "risk_budget_bucket",
    "confidence",
    "latency_ms",
    "telemetry_namespace",
)


@frozen
class TradingDecisionEvent:
    """One event; what is None or empty is left out of the journal. A naive timestamp is taken as UTC."""

    event_type: str
    timestamp: datetime
    environment: str
    portfolio: str
    risk_profile: str
    symbol: str | None = None
    side: str | None = None
    quantity: float | None = None
    price: float | None = None
    status: str | None = None
    schedule: str | None = None
    strategy: str | None = None
    schedule_run_id: str | None = None
    strategy_instance_id: str | None = None
    signal_id: str | None = None
    primary_exchange: str | None = None
    secondary_exchange: str | None = None
    base_asset: str | None = None
    quote_asset: str | None = None
    instrument_type: str | None = None
    data_feed: str | None = None
    risk_budget_bucket: str | None = None
    confidence: float | None = None
    latency_ms: float | None = None
    telemetry_namespace: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def as_dict(self) -> dict[str, str]:
        """The event as the journal has it; a metadata key that is taken already gets `meta_` in front."""
        record = {
            "event": self.event_type,
            "timestamp": _utc(self.timestamp).isoformat(),
            "environment": self.environment,
            "portfolio": self.portfolio,
            "risk_profile": self.risk_profile,
        }
        record.update(_filled({name: getattr(self, name) for name in _OPTIONAL}))
        for key, value in _filled(self.metadata).items():
            free = key
            while free in record:
                free = f"meta_{free}"
            record[free] = value
        return record


class TradingDecisionJournal(Protocol):
    """Something that keeps events."""

    def record(self, event: TradingDecisionEvent) -> None:
        """Keep one event."""

    def export(self) -> Iterable[Mapping[str, str]]:
        """All events, oldest first."""


@dataclass
class InMemoryTradingDecisionJournal:
    """A journal that lives as long as its process."""

    _events: list[Mapping[str, str]] = field(default_factory=list)

    def record(self, event: TradingDecisionEvent) -> None:
        """Keep one event."""
        self._events.append(event.as_dict())

    def export(self) -> Iterable[Mapping[str, str]]:
        """All events, in the order of their recording."""
        return tuple(self._events)


@dataclass
class JsonlTradingDecisionJournal:
    """A journal on disk.

    Attributes:
        directory: A folder with one file a day; or, where the path has a file suffix and is not an existing folder,
            the one file itself.
        filename_pattern: Name of a day's file, as `strftime` fills it with the event's time in UTC.
        retention_days: Kept for existing callers. Nothing on record is ever removed.
        fsync: Kept for existing callers. Every append is durable.
        encoding: Kept for existing callers; the journal is UTF-8.
        newline: Kept for existing callers; a line ends with a newline.
        malformed: File and line number of each unreadable line that `export` has met in its last pass.
    """

    directory: str | Path
    filename_pattern: str = "decisions-%Y%m%d.jsonl"
    retention_days: int | None = 730
    fsync: bool = False
    encoding: str = "utf-8"
    newline: str = "\n"
    malformed: tuple[tuple[str, int], ...] = field(default=(), init=False)

    def record(self, event: TradingDecisionEvent) -> None:
        """Append one event, durably.

        After a crash the file ends with any prefix of the event's line; the same call again completes it, another one
        ends it first. When this returns, the event survives a power loss.
        """
        path = self._single_file() or Path(self.directory) / _utc(event.timestamp).strftime(self.filename_pattern)
        make_folder(path.parent, mode=None)
        append_durable(path, encode_event(event))

    def export(self) -> Iterator[Mapping[str, str]]:
        """Every readable event, in the order of file names and lines; `malformed` grows with the lines passed over.

        A journal that nobody has begun has none.
        """
        self.malformed = ()
        single = self._single_file()
        root = Path(self.directory) if single is None else single.parent
        if not root.is_dir():
            return
        for name in journal_files(root, "." if single is None else single.name):
            for number, record in journal_records(root, name):
                if record is None:
                    self.malformed = (*self.malformed, (name, number))
                else:
                    yield {key: value if isinstance(value, str) else _text(value) for key, value in record.items()}

    def _single_file(self) -> Path | None:
        path = Path(self.directory)
        return path if path.suffix and not path.is_dir() else None


def encode_event(event: TradingDecisionEvent) -> bytes:
    """The event's line in the journal, without its newline.

    Raises:
        ValueError: A text holds a lone surrogate.
    """
    return json.dumps(event.as_dict(), separators=(",", ":"), ensure_ascii=False).encode()


def log_decision_event(
    journal: TradingDecisionJournal | None,
    *,
    event: str,
    environment: str,
    portfolio: str,
    risk_profile: str,
    timestamp: datetime | None = None,
    symbol: str | None = None,
    side: str | None = None,
    quantity: float | None = None,
    price: float | None = None,
    status: str | None = None,
    schedule: str | None = None,
    strategy: str | None = None,
    metadata: Mapping[str, object] | None = None,
    latency_ms: float | None = None,
    confidence: float | None = None,
) -> None:
    """Record one event, now where no time is given; nothing happens where there is no journal."""
    if journal is None:
        return
    journal.record(
        TradingDecisionEvent(
            event_type=event,
            timestamp=timestamp or datetime.now(UTC),
            environment=environment,
            portfolio=portfolio,
            risk_profile=risk_profile,
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=price,
            status=status,
            schedule=schedule,
            strategy=strategy,
            confidence=confidence,
            latency_ms=latency_ms,
            metadata=metadata or {},
        )
    )


def log_model_change_event(
    journal: TradingDecisionJournal | None,
    *,
    environment: str,
    portfolio: str,
    risk_profile: str,
    model_name: str,
    new_version: str,
    previous_version: str | None = None,
    source: str | None = None,
    fallback: bool | None = None,
    fallback_reason: str | None = None,
    decided_at: object | None = None,
    retraining_id: str | None = None,
    metrics_current: Mapping[str, float] | None = None,
    metrics_previous: Mapping[str, float] | None = None,
    metrics_delta: Mapping[str, float] | None = None,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """Record that another version serves, decided at a datetime or an ISO text (now where that is None)."""
    groups = (("current", metrics_current), ("previous", metrics_previous), ("delta", metrics_delta))
    log_decision_event(
        journal,
        event="model_change",
        environment=environment,
        portfolio=portfolio,
        risk_profile=risk_profile,
        timestamp=None if decided_at is None else _instant(decided_at),
        strategy=model_name,
        metadata={
            "model_name": model_name,
            "model_version": new_version,
            "model_previous_version": previous_version,
            "model_source": source,
            "model_fallback": fallback,
            "model_fallback_reason": fallback_reason,
            "model_retraining_id": retraining_id,
            **{f"metric_{name}_{group}": value for group, metrics in groups for name, value in (metrics or {}).items()},
            **{f"metrics_{group}_json": metrics for group, metrics in groups},
            **(metadata or {}),
        },
    )


def aggregate_decision_statistics(
    journal_or_records: TradingDecisionJournal | Iterable[Mapping[str, object]],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> dict[str, object]:
    """How many events there are, by status and symbol, and their latency and confidence.

    Args:
        journal_or_records: A journal, or what one exported.
        start: Only events at or after it.
        end: Only events at or before it.

    Returns:
        `total`, `by_status`, `by_symbol`, and `avg_latency_ms`, `p95_latency_ms`, `avg_confidence`, each None where
        no event has the value. The percentile is interpolated linearly between its neighbours.
    """
    records = journal_or_records if isinstance(journal_or_records, Iterable) else journal_or_records.export()
    chosen = [record for record in records if _is_within(record, start, end)]
    latencies = sorted(_numbers(chosen, "latency_ms"))
    confidences = _numbers(chosen, "confidence")
    return {
        "total": len(chosen),
        "by_status": _counts(chosen, "status"),
        "by_symbol": _counts(chosen, "symbol"),
        "avg_latency_ms": sum(latencies) / len(latencies) if latencies else None,
        "p95_latency_ms": _percentile(latencies, 0.95) if latencies else None,
        "avg_confidence": sum(confidences) / len(confidences) if confidences else None,
    }


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _instant(value: object) -> datetime:
    return _utc(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def _filled(values: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(value) for key, value in values.items() if value is not None and value != ""}


def _text(value: object) -> str:
    """A value as the engine writes it: at most 10 decimals, `true` and `false`, collections as compact JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def _is_within(record: Mapping[str, object], start: datetime | None, end: datetime | None) -> bool:
    if start is None and end is None:
        return True
    try:
        moment = _instant(record.get("timestamp"))
    except ValueError:
        return False
    return (start is None or moment >= _utc(start)) and (end is None or moment <= _utc(end))


def _counts(records: Iterable[Mapping[str, object]], key: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        if value := record.get(key):
            counts[str(value)] = counts.get(str(value), 0) + 1
    return counts


def _numbers(records: Iterable[Mapping[str, object]], key: str) -> list[float]:
    numbers = []
    for record in records:
        try:
            number = float(str(record.get(key)))
        except ValueError:
            continue
        if math.isfinite(number):
            numbers.append(number)
    return numbers


def _percentile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
