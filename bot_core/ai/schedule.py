"""The retraining schedule as a value: what `scheduler.json` says, and what each event makes of it."""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta

from bot_core.ai.instant import format_instant, parse_instant
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen, replace
from bot_core.foundation.strict_json import encode_json, parse_object

SCHEDULE_VERSION = 5
_LONGEST_STREAK = 6
_LONGEST_INTERVAL_S = 100 * 366 * 86_400
_KEYS = (
    "version",
    "last_run",
    "next_run",
    "interval",
    "updated_at",
    "last_failure",
    "failure_streak",
    "last_failure_reason",
    "cooldown_until",
    "paused_until",
    "paused_reason",
)


@frozen
class ScheduleState:
    """The content of `scheduler.json`.

    Attributes:
        interval_s: Seconds between two retrainings, above zero.
        updated_at: When the file was last written; None for a state that never was.
        next_run: As read from the file; what holds at an instant is `next_run(state, now)`.
        extra: Keys this version does not know, kept as they are.
    """

    interval_s: float
    version: int = SCHEDULE_VERSION
    last_run: datetime | None = None
    last_failure: datetime | None = None
    failure_streak: int = 0
    last_failure_reason: str | None = None
    cooldown_until: datetime | None = None
    paused_until: datetime | None = None
    paused_reason: str | None = None
    updated_at: datetime | None = None
    next_run: datetime | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes, source: str) -> "ScheduleState":
        """The state in the bytes of `scheduler.json`.

        Raises:
            FileFormatError: Not strict JSON, or fields that are not what they must be; every such field is named.
        """
        return _Fields(parse_object(data, source), source).state()

    def to_mapping(self, *, now: datetime) -> dict[str, object]:
        """The file's keys in the engine's order, with `next_run` as it is at `now` and `updated_at` as it stands."""
        return {
            "version": self.version,
            "last_run": _text(self.last_run),
            "next_run": format_instant(next_run(self, now)),
            "interval": self.interval_s,
            "updated_at": _text(self.updated_at),
            "last_failure": _text(self.last_failure),
            "failure_streak": self.failure_streak,
            "last_failure_reason": self.last_failure_reason,
            "cooldown_until": _text(self.cooldown_until),
            "paused_until": _text(self.paused_until),
            "paused_reason": self.paused_reason,
            **self.extra,
        }

    def encode(self, *, now: datetime) -> bytes:
        """The bytes the engine would write at `now`: `next_run` computed again, `updated_at` set to `now`."""
        return encode_json(replace(self, updated_at=now).to_mapping(now=now), newline=True)


def next_run(state: ScheduleState, now: datetime) -> datetime:
    """When the next retraining may start: the latest of last run plus interval, cooldown, and a pause still in force.

    Without a last run it may start now, unless a cooldown or a pause says later. An expired pause says nothing.
    """
    due = now if state.last_run is None else _later(state.last_run, state.interval_s)
    if state.cooldown_until is not None:
        due = max(due, state.cooldown_until)
    if state.paused_until is not None and is_paused(state, now):
        due = max(due, state.paused_until)
    return due


def is_paused(state: ScheduleState, now: datetime) -> bool:
    """Whether a pause is in force at `now`."""
    return state.paused_until is not None and now < state.paused_until


def mark_executed(state: ScheduleState, now: datetime) -> ScheduleState:
    """After a successful retraining at `now`: streak, cooldown and pause end; the last failure stays on record."""
    return replace(state, last_run=now, failure_streak=0, cooldown_until=None, paused_until=None, paused_reason=None)


def mark_failure(state: ScheduleState, now: datetime, reason: str | None) -> ScheduleState:
    """After a failed retraining at `now`: the streak grows, and the cooldown with it, by at most six intervals a time.

    cooldown = max(max(previous cooldown, failure) + interval * min(streak, 6), last_run + interval)
    """
    streak = state.failure_streak + 1
    start = now if state.cooldown_until is None else max(state.cooldown_until, now)
    cooldown = _later(start, state.interval_s * min(streak, _LONGEST_STREAK))
    if state.last_run is not None:
        cooldown = max(cooldown, _later(state.last_run, state.interval_s))
    return replace(state, last_failure=now, failure_streak=streak, last_failure_reason=reason, cooldown_until=cooldown)


def pause(state: ScheduleState, until: datetime, reason: str | None) -> ScheduleState:
    """With no retraining before `until`; an earlier pause is replaced."""
    return replace(state, paused_until=until, paused_reason=reason)


def resume(state: ScheduleState) -> ScheduleState:
    """Without a pause; a cooldown stays in force."""
    return replace(state, paused_until=None, paused_reason=None)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else format_instant(moment)


def _later(moment: datetime, seconds: float) -> datetime:
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:  # a last run far in the future must not break `hold`
        return datetime.max.replace(tzinfo=UTC)


class _Fields:
    """The raw object, read field by field; problems are collected and raised once."""

    def __init__(self, raw: Mapping[str, object], source: str) -> None:
        self._raw = raw
        self._source = source
        self._problems: list[str] = []

    def state(self) -> ScheduleState:
        state = ScheduleState(
            interval_s=self._interval(),
            version=self._whole("version", SCHEDULE_VERSION),
            last_run=self._instant("last_run"),
            last_failure=self._instant("last_failure"),
            failure_streak=self._whole("failure_streak", 0),
            last_failure_reason=self._string("last_failure_reason"),
            cooldown_until=self._instant("cooldown_until"),
            paused_until=self._instant("paused_until"),
            paused_reason=self._string("paused_reason"),
            updated_at=self._instant("updated_at"),
            next_run=self._instant("next_run"),
            extra={key: value for key, value in self._raw.items() if key not in _KEYS},
        )
        if state.version > SCHEDULE_VERSION:
            self._problems.append(f"version is {state.version}, newer than {SCHEDULE_VERSION}")
        if self._problems:
            raise FileFormatError(f"{self._source}: {'; '.join(self._problems)}", path=self._source)
        return state

    def _interval(self) -> float:
        value = self._raw.get("interval")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST_INTERVAL_S:
            return float(value)
        self._problems.append(f"interval is {value!r}, not a number of seconds above 0 and below 100 years")
        return 1.0

    def _whole(self, key: str, default: int) -> int:
        value = self._raw.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self._problems.append(f"{key} is {value!r}, not a whole number")
        return default

    def _instant(self, key: str) -> datetime | None:
        value = self._raw.get(key)
        moment = parse_instant(value)
        if value is not None and moment is None:
            self._problems.append(f"{key} is {value!r}, not an instant")
        return moment

    def _string(self, key: str) -> str | None:
        value = self._raw.get(key)
        if value is None or isinstance(value, str):
            return value
        self._problems.append(f"{key} is {value!r}, not a text")
        return None
