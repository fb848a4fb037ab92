"""The retraining schedule: paused while a run holds it, then marked as executed with a person's pause back in force."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from bot_core.ai.schedule import ScheduleState
from bot_core.foundation.atomic_file import remove_durable
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.frozen import replace
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import HELD_BY, RUN_TIME, State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec, seconds

HELD_UNTIL = "2999-12-31T00:00:00+00:00"
_DEFAULT_INTERVAL_S = 6 * 3600.0


class ScheduleFields(State):
    """`scheduler.json` without what the engine refreshes by itself: `updated_at` and `next_run`. Times are ISO 8601."""

    interval_s: float
    last_run: str | None = None
    last_failure: str | None = None
    failure_streak: int = 0
    last_failure_reason: str | None = None
    cooldown_until: str | None = None
    paused_until: str | None = None
    paused_reason: str | None = None
    other: str | None = None


class RetrainingSchedule:
    """`retraining_schedule/<state file>`."""

    name: ClassVar[str] = "retraining_schedule"
    requires: ClassVar[tuple[str, ...]] = ("serving",)
    state: ClassVar[type[State]] = ScheduleFields

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def hold(self, spec: Spec) -> Iterable[Desired]:
        """Pause; nobody trains or promotes while the incident is open."""
        yield Desired(spec.spec.scheduler.state, Phase.RELEASE, lambda base: base, hold=_paused, lasting=False)

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:  # noqa: ARG002
        """Pause during the run; then mark the schedule as executed, with the pause that was there before."""
        section = spec.spec.scheduler
        if not section.mark_executed and section.interval is None:
            yield from self.hold(spec)
            return
        interval_s = seconds(section.interval) if section.interval else None

        def released(base: State | None) -> State | None:
            found = base if isinstance(base, ScheduleFields) else ScheduleFields(interval_s=_DEFAULT_INTERVAL_S)
            changed: dict[str, object] = {"interval_s": interval_s} if interval_s else {}
            if section.mark_executed:
                changed |= {"last_run": RUN_TIME, "failure_streak": 0, "cooldown_until": None}
            return found.model_copy(update=changed)

        note = "marked as executed: cooldown and failure streak end; what was paused before is paused again"
        yield Desired(section.state, Phase.RELEASE, released, hold=_paused, lasting=False, note=note)

    def observe(self, name: str) -> State | None:
        """Read the state file."""
        data = self._binding.read(name)
        return None if data is None else _fields(ScheduleState.parse(data, name))

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Replace the state file unless somebody has just changed it; keys that this tool does not know stay."""
        if self.observe(name) == after:
            return
        if not isinstance(after, ScheduleFields):
            remove_durable(self._binding.root / name, root=self._binding.root)
            return
        wanted = _schedule(after)
        from bot_core.ai.scheduler import change_schedule  # a plan only looks

        def changed(found: ScheduleState | None) -> ScheduleState:
            if found is None:
                return wanted
            return replace(wanted, extra=found.extra) if _fields(found) == before else found

        change_schedule(self._binding.root / name, changed, now=self._binding.now(), root=self._binding.root)

    def files(self, name: str) -> tuple[str, ...]:
        """The state file."""
        return (name,)


def _paused(base: State | None) -> ScheduleFields:
    found = base if isinstance(base, ScheduleFields) else ScheduleFields(interval_s=_DEFAULT_INTERVAL_S)
    return found.model_copy(update={"paused_until": HELD_UNTIL, "paused_reason": HELD_BY})


def _fields(found: ScheduleState) -> ScheduleFields:
    return ScheduleFields(
        interval_s=found.interval_s,
        last_run=_text(found.last_run),
        last_failure=_text(found.last_failure),
        failure_streak=found.failure_streak,
        last_failure_reason=found.last_failure_reason,
        cooldown_until=_text(found.cooldown_until),
        paused_until=_text(found.paused_until),
        paused_reason=found.paused_reason,
        other=canonical_digest(dict(found.extra)) if found.extra else None,
    )


def _schedule(fields: ScheduleFields) -> ScheduleState:
    return ScheduleState(
        interval_s=fields.interval_s,
        last_run=_instant(fields.last_run),
        last_failure=_instant(fields.last_failure),
        failure_streak=fields.failure_streak,
        last_failure_reason=fields.last_failure_reason,
        cooldown_until=_instant(fields.cooldown_until),
        paused_until=_instant(fields.paused_until),
        paused_reason=fields.paused_reason,
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
