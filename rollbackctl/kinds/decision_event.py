"""The run's events in the decision journal, each written once under the run's own key."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from bot_core.foundation.atomic_file import append_durable, make_folder
from bot_core.foundation.errors import BotCoreError
from bot_core.runtime.journal_scan import scan_journal
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import RUN_ACTOR, RUN_ENGINE, RUN_ID, RUN_SIGNERS, RUN_TIME, State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec

KEY = "rollback_key"
_LABELS = ("event", "timestamp", "environment", "portfolio", "risk_profile")


class EventState(State):
    """One event as the journal holds it."""

    event: str
    timestamp: str
    environment: str
    portfolio: str
    risk_profile: str
    metadata: dict[str, str]


class DecisionEvent:
    """`decision_event/<event>`; outside a run nothing of it exists, within one it is known by its key."""

    name: ClassVar[str] = "decision_event"
    requires: ClassVar[tuple[str, ...]] = ("incident_entry", "signoff_checklist")
    state: ClassVar[type[State]] = EventState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Record the request before anything moves, and the completion after everything has."""
        common = {
            "reason": spec.metadata.reason,
            "incident": facts.incident,
            "run": RUN_ID,
            "actor": RUN_ACTOR,
            "model_previous_version": facts.withdrawn.version,
            "model_version": facts.target.version,
        }
        requested = common | ({"report_path": facts.trigger} if facts.trigger else {})
        completed = common | {
            "model_artifact": facts.target.source,
            "model_artifact_sha256": facts.target.sha256,
            "signed_by": RUN_SIGNERS,
            "engine": RUN_ENGINE,
        }
        yield event_desired(spec, "ai_model_rollback_requested", Phase.SECURE, requested)
        yield event_desired(spec, "ai_model_rollback_completed", Phase.RECORD, completed)

    def observe(self, name: str) -> State | None:
        """Look for this run's event; the newest whole line with its key counts."""
        if "id" not in self._binding.run:
            return None
        key = f"{self._binding.run['id']}/{name}"
        found = scan_journal(self._binding.root, self._binding.spec.spec.journal.write, needles=[key.encode()])
        # Without its newline a line is not whole: the next writer would glue its own to it, and both would be lost.
        records = [
            record
            for file, number, record in found.records
            if record.get(KEY) == key and found.unended.get(file) != number
        ]
        return _state({name: str(value) for name, value in records[-1].items()}) if records else None

    def move(self, name: str, before: State | None, after: State | None) -> None:  # noqa: ARG002
        """Append the event; nothing in the journal is ever cut or written twice."""
        if not isinstance(after, EventState) or self.observe(name) == after:
            return
        from bot_core.runtime.journal import TradingDecisionEvent, encode_event  # a plan only looks

        event = TradingDecisionEvent(
            event_type=after.event,
            timestamp=datetime.fromisoformat(after.timestamp),
            environment=after.environment,
            portfolio=after.portfolio,
            risk_profile=after.risk_profile,
            metadata=after.metadata,
        )
        path = self._path(datetime.fromisoformat(after.timestamp))
        make_folder(path.parent, root=self._binding.root, mode=None)
        append_durable(path, encode_event(event), root=self._binding.root)

    def files(self, name: str) -> tuple[str, ...]:
        """The journal's file: in a folder that of the event's own day, today's where there is no event yet."""
        found = None
        with suppress(BotCoreError):  # a journal that cannot be read has a name all the same
            found = self.observe(name)
        moment = datetime.fromisoformat(found.timestamp) if isinstance(found, EventState) else self._binding.now()
        return (str(self._path(moment).relative_to(self._binding.root)),)

    def _path(self, moment: datetime) -> Path:
        """Where an event is written: the file named, or the day's file of an existing folder."""
        path = self._binding.root / self._binding.spec.spec.journal.write
        is_file = bool(path.suffix) and not path.is_dir()
        return path if is_file else path / moment.astimezone(UTC).strftime("decisions-%Y%m%d.jsonl")


def event_desired(spec: Spec, event: str, phase: Phase, metadata: Mapping[str, str]) -> Desired:
    """Ask for one event of the run; a one-shot effect that no undo takes back."""
    journal = spec.spec.journal
    after = EventState(
        event=event,
        timestamp=RUN_TIME,
        environment=journal.environment,
        portfolio=journal.portfolio,
        risk_profile=journal.risk_profile,
        metadata=dict(sorted({**metadata, KEY: f"{RUN_ID}/{event}"}.items())),
    )
    return Desired(event, phase, lambda _: after, lasting=False, reversible=False)


def _state(record: Mapping[str, str]) -> EventState:
    labels = {name: record.get(name, "") for name in _LABELS}
    return EventState(**labels, metadata={key: value for key, value in record.items() if key not in _LABELS})
