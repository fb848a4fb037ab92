"""Why a saved plan may not be applied any more; every difference is named."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pydantic import JsonValue

from rollbackctl.core.checkpoint import Entry
from rollbackctl.core.commands import abandon_command, continue_command
from rollbackctl.core.data_drift import moved
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import Problem, StalePlanError
from rollbackctl.core.plan import Plan
from rollbackctl.engine.steps import describe
from rollbackctl.kinds import Kind
from rollbackctl.spec.data_drift import settings_in
from rollbackctl.spec.document import seconds

_AGAIN = "make the plan again: rollbackctl plan PLAN --out FILE"


def require_fresh(saved: PlanDocument, now: PlanDocument, clock: datetime, kinds: Mapping[str, Kind]) -> None:
    """Refuse a saved plan that has expired, or that the same rollback plan does not give any more.

    Raises:
        StalePlanError: It has expired, or the world, an input or a decision has changed; all differences are named.
    """
    require_unexpired(saved.plan, saved.timestamp, clock)
    require_same(saved.plan, now.plan, kinds, "the world has changed since the plan was made", _AGAIN)


def require_same(shown: Plan, now: Plan, kinds: Mapping[str, Kind], problem: str, hint: str) -> None:
    """Refuse a plan that the same rollback plan does not give any more; everything that differs is named.

    Raises:
        StalePlanError: It does not.
    """
    if shown.id != now.id:
        lines = list(differences(shown, now, kinds)) or ["the steps differ"]
        raise StalePlanError(problem, hint=hint, problems=tuple(map(Problem, lines)))


def require_unexpired(plan: Plan, timestamp: str, clock: datetime) -> None:
    """Refuse a plan that is too old; a clock that runs backwards counts as too old.

    Raises:
        StalePlanError: The plan has expired, or was made in the future.
    """
    made, lifetime_s = datetime.fromisoformat(timestamp), seconds(plan.expires_after)
    if clock.replace(microsecond=0) < made:
        raise StalePlanError(
            f"the plan was made at {timestamp}, which has not come yet: it is {clock.astimezone(UTC).isoformat()} "
            "by the clock of this host",
            hint="mend the clock, then: rollbackctl apply PLAN\n"
            "or, if it is right now, make the plan again: rollbackctl plan PLAN --out FILE",
        )
    if (clock - made).total_seconds() >= lifetime_s:
        expired = made + timedelta(seconds=lifetime_s)
        raise StalePlanError(f"the plan expired at {expired.isoformat()}", hint=_AGAIN)


def require_forward(run: str, entries: Iterable[Entry], clock: datetime) -> None:
    """Refuse to judge how old a run is by a clock that stands before what the run has on record.

    Raises:
        StalePlanError: It does; both times are named.
    """
    latest = max(datetime.fromisoformat(entry.at) for entry in entries)
    if clock.replace(microsecond=0) < latest:
        raise StalePlanError(
            f"the clock has run backwards: the latest entry of run {run} is of {latest.isoformat()}, "
            f"and it is {clock.astimezone(UTC).isoformat()} by the clock of this host",
            hint=f"mend the clock, then: {continue_command(run)}\n"
            f"or, if it is right now, close the run and plan again: {abandon_command(run)}",
        )


def differences(saved: Plan, now: Plan, kinds: Mapping[str, Kind]) -> Iterator[str]:
    """Name everything that differs between two plans of the same rollback plan, line by line."""
    for address in sorted({*saved.base, *now.base}):
        kind = kinds[address.kind]
        # What the plan would not touch any more has no state in it: look.
        found = now.base[address] if address in now.base else kind.observe(address.name)
        if address not in saved.base or saved.base[address] != found:
            planned = describe(saved.base[address]) if address in saved.base else "(not touched)"
            files = ", ".join(kind.files(address.name))
            yield from (f"{address} ({files})", f"  planned {planned}", f"  found   {describe(found)}")
    for path in sorted({*saved.inputs, *now.inputs}):
        if saved.inputs.get(path) != now.inputs.get(path):
            yield f"{path}: sha256 {_short(saved.inputs.get(path))}, now {_short(now.inputs.get(path))}"
    if saved.policy != now.policy:
        yield f"the firm's policy: digest {_short(saved.policy)}, now {_short(now.policy)}"
    yield from _drift_differences(saved, now)
    for name in ("trigger", "withdrawn", "target", "pinned", "serve_as"):
        if saved.facts.get(name) != now.facts.get(name):
            yield f"{name}: {_named(saved.facts, name)}, now {_named(now.facts, name)}"


def _drift_differences(saved: Plan, now: Plan) -> Iterator[str]:
    before, after = (cast("Mapping[str, Any] | None", plan.facts.get("data_drift")) for plan in (saved, now))
    settings = settings_in(cast("Mapping[str, Any]", saved.spec["spec"]).get("gates", {}))
    if before and after and before != after and settings is not None:
        yield from moved(before, after, (settings.tolerance.rows, settings.tolerance.measure))


def _short(digest: str | None) -> str:
    return "absent" if digest is None else digest[:12]


def _named(facts: Mapping[str, JsonValue], name: str) -> str:
    value: Any = facts.get(name)
    if isinstance(value, dict):
        return str(value.get("version"))
    if isinstance(value, list):
        return f"{len(value)} ({', '.join(map(str, value))})"
    return str(value)
