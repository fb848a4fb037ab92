"""Putting back what was beneath the holds of an incident."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from bot_core.foundation.frozen import replace
from rollbackctl.core.address import Address
from rollbackctl.core.commands import release_command
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import LockedError, PartlyHeldError, UsageError
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.plan import Desired, Phase, constant
from rollbackctl.core.state import RUN_ACTOR, RUN_ID, State
from rollbackctl.engine.history import History, read_run
from rollbackctl.engine.hold import Held, anew, carry_out_operation, continue_operation, operation_document
from rollbackctl.engine.observe import plan_binding
from rollbackctl.engine.quarantined import refuse_quarantined
from rollbackctl.engine.rollback import stored_spec
from rollbackctl.engine.session import Session
from rollbackctl.engine.steps import Run
from rollbackctl.engine.unfinished import settle, unfinished_error
from rollbackctl.spec.document import Spec

_ANEW = "somebody changed a resource meanwhile; released anew"


def release(session: Session, spec: Spec | None, incident: str | None = None) -> Held:
    """Put back what was beneath every hold, and record it. What somebody changed while it was held stays.

    What another incident holds as well stays held for that one. After a crash the same call goes on. Where somebody
    changes a resource at the very moment, or has done so since a crash, what is still held is released anew.

    Args:
        session: The session.
        spec: Says where things are; None: what the hold itself was told.
        incident: Whose holds; None: the only one's.

    Raises:
        LockedError: Every hold belongs to a run that is not finished; those that others laid on it can be released.
        GateBlockedError: It would put a quarantined version back to work.
        DriftError: Somebody changed a resource again and again.
    """
    with session.store.lock(session.holder("hold --release"), session.lock_timeout_s) as name_holder:
        session.stop.clear()
        fact = session.history().unfinished
        if fact is not None and fact.operation == "release":
            if incident not in (None, fact.incident):
                raise unfinished_error(fact)
            incident = fact.incident
        return anew(session, "release", _ANEW, lambda: _put_back(session, spec, incident, name_holder))


def _put_back(session: Session, spec: Spec | None, incident: str | None, name_holder: Callable[[], None]) -> Held:
    history = session.history()
    fact = history.unfinished
    if fact is not None and fact.operation == "release":
        return Held(continue_operation(session, history, name_holder), session.history().holds)
    if fact is not None and fact.operation == "hold":
        with suppress(PartlyHeldError):  # its own record first; what it could not hold need not be released
            continue_operation(session, history, name_holder)
    elif fact is not None:
        settle(session, fact.run)
    return _release(session, spec, incident, name_holder)


def _release(session: Session, spec: Spec | None, incident: str | None, name_holder: Callable[[], None]) -> Held:
    history = session.history()
    fact = history.unfinished
    if incident is None and len(incidents := {name for hold in history.holds for name in hold.incidents}) > 1:
        names = ", ".join(sorted(map(str, incidents)))
        commands = (release_command(name) for name in sorted(filter(None, incidents)))
        raise UsageError(f"several incidents hold: {names}", hint="\n".join(commands))
    ended = {hold.address: _ended(hold, incident, fact) for hold in history.holds}
    history = replace(history, holds=tuple(hold for hold in history.holds if ended[hold.address]))
    if fact is not None and not history.holds:
        raise LockedError(
            f"the holds belong to run {fact.run}, which is not finished",
            hint=unfinished_error(fact).hint,
        )
    if not history.holds:
        return Held(None, ())
    spec = spec or _spec_of(session, history.holds[0].run)
    document, left = _release_document(session, spec, history, ended, incident)
    report = carry_out_operation(session, spec, document, history, name_holder)
    run = Run.open(session.workspace, session.store, document, spec, report.run)
    for address in left:
        for holder in ended[address]:
            run.record("released", {"address": address, "hold": holder})
    return Held(report, session.history().holds, tuple(f"{address} {why}" for address, why in left.items()))


def _ended(hold: HoldFact, incident: str | None, unfinished: RunFact | None) -> tuple[str, ...]:
    """The runs that let go of a resource when an incident's holds end; never one that is still at work."""
    at_work = None if unfinished is None else unfinished.run
    own = (None, incident)
    return tuple(h.run for h in hold.holders if h.run != at_work and (incident is None or h.incident in own))


def _spec_of(session: Session, run: str) -> Spec:
    """What a hold was told of where things are."""
    return stored_spec(read_run(session.store, run, session.workspace.registry.states)[0].plan)


def _release_document(
    session: Session, spec: Spec, history: History, ended: Mapping[str, tuple[str, ...]], incident: str | None
) -> tuple[PlanDocument, dict[str, str]]:
    """Make the plan of a release; also what stays as it is, by address, with the reason."""
    kinds = session.workspace.registry.bind(plan_binding(session.workspace, spec))
    base: dict[Address, State | None] = {}
    desired: dict[Address, tuple[Desired, ...]] = {}
    left: dict[str, str] = {}
    for hold in history.holds:
        address = Address.parse(hold.address)
        staying = sorted(str(name) for name in hold.incidents - {None, incident})
        if len(ended[hold.address]) <= len(hold.others):
            left[hold.address] = f"stays held for {', '.join(staying) or 'a run that is not finished'}"
            continue
        now = kinds[address.kind].observe(address.name)
        beneath = session.planner.beneath(hold, now)
        if beneath == now:
            left[hold.address] = "was changed while it was held; it stays as it is"
            continue
        if address.kind == "serving":
            refuse_quarantined(session.workspace.root, address, beneath)
        base[address] = now
        desired[address] = (Desired(address.name, Phase.RELEASE, constant(beneath), lasting=False),)
    holds = ", ".join(sorted({run for hold in history.holds for run in ended[hold.address]}))
    incident = incident or history.holds[0].incident
    metadata = {"holds": holds, "run": RUN_ID, "actor": RUN_ACTOR} | ({"incident": incident} if incident else {})
    event = "ai_model_hold_released"
    return operation_document(session, spec, "release", incident, base, desired, event, metadata, {}), left
