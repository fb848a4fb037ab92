"""Leading a run back, and closing one that will not be continued."""

from pydantic import JsonValue

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import replace
from rollbackctl.core.address import Address
from rollbackctl.core.checkpoint import Checkpoint
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import InvalidInputError, RollbackError
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.plan import Change, Plan
from rollbackctl.core.planner import undo_desired
from rollbackctl.core.report import Report
from rollbackctl.core.state import RUN_ACTOR, RUN_ID, State, state_json
from rollbackctl.engine.history import History, read_run
from rollbackctl.engine.hold import carry_out_operation, continue_operation, hold_targets, operation_document
from rollbackctl.engine.observe import plan_binding
from rollbackctl.engine.rollback import refuse_foreign_holds, stored_spec
from rollbackctl.engine.session import Session
from rollbackctl.engine.steps import Run, StepRunner
from rollbackctl.engine.unfinished import close, settle, unfinished_error
from rollbackctl.spec.document import Spec


def plan_undo(session: Session, name: str) -> tuple[PlanDocument, Spec]:
    """Make the plan that leads a rollback's run back; writes nothing.

    It sets the holds and keeps them, leads back each lasting state, and ends with serving detached. A quarantine, and
    whatever would name a withdrawn version again, stays; both are listed.

    Raises:
        InvalidInputError: There is no such run, or it is none that can be led back.
    """
    history = session.history()
    fact = _undoable(session, history, name)
    document, checkpoint = read_run(session.store, fact.run, session.workspace.registry.states)
    spec = stored_spec(document.plan)
    kinds = session.workspace.registry.bind(plan_binding(session.workspace, spec))
    holds = hold_targets(kinds, spec)
    in_force = {hold.address: hold for hold in history.holds}
    changes = tuple(_made(session, document.plan, checkpoint, in_force, fact))
    now = {a: kinds[a.kind].observe(a.name) for a in {*holds, *(change.address for change in changes)}}
    beneath = {address: _beneath(session, address, state, in_force) for address, state in now.items()}
    withdrawn: dict[str, str] = document.plan.facts["withdrawn"]  # type: ignore[assignment]
    names = frozenset({*withdrawn.values()} - {""})
    desired, put_back, stays = undo_desired(changes, beneath, holds, names)
    facts: dict[str, JsonValue] = {
        "undoes": fact.run,
        "put_back": {str(address): state_json(state) for address, state in sorted(put_back.items())},
        "stays": {str(address): reason for address, reason in sorted(stays.items())},
    }
    metadata = {"undoes": fact.run, "incident": fact.incident or "", "run": RUN_ID, "actor": RUN_ACTOR}
    made = operation_document(
        session,
        spec,
        "undo",
        fact.incident,
        {a: now[a] for a in desired},
        desired,
        "ai_model_rollback_undone",
        metadata,
        facts,
    )
    led = {*(a for a in desired if a not in holds), *(a for a in put_back if put_back[a] != beneath[a])}
    back = tuple((str(address), "") for address in sorted(led))
    undo = (*back, *((str(address), reason) for address, reason in sorted(stays.items())))
    return replace(made, undo=undo), spec


def carry_out_undo(session: Session, document: PlanDocument, spec: Spec) -> Report:
    """Carry an undo out; the run that it leads back is closed first, so that nobody continues it meanwhile.

    Raises:
        LockedError: Somebody else is at work, or another run is unfinished.
    """
    undone = str(document.plan.facts["undoes"])
    with session.store.lock(session.holder("undo"), session.lock_timeout_s) as name_holder:
        session.stop.clear()
        history = session.history()
        unfinished = history.unfinished
        if unfinished is not None and unfinished.operation == "undo":
            return continue_operation(session, history, name_holder)
        if unfinished is not None and unfinished.run != undone:
            raise unfinished_error(unfinished)
        refuse_foreign_holds(history, document.plan.incident)
        if unfinished is not None:
            settle(session, undone)
        close(session, history.run(undone), "undone", {"by": "undo"})
        return carry_out_operation(session, spec, document, session.history(), name_holder)


def abandon(session: Session, name: str, reason: str) -> tuple[RunFact, tuple[HoldFact, ...]]:
    """Close an unfinished run; its holds stay and are handed to the next plan of the incident.

    Returns:
        The run, and the holds that stay in force.

    Raises:
        InvalidInputError: There is no such run, or it is not unfinished.
        LockedError: It is being continued at this moment.
    """
    with session.store.lock(session.holder("abandon"), session.lock_timeout_s):
        session.stop.clear()
        history = session.history()
        fact = history.run(name)
        if fact.status != "unfinished":
            back = f"lead it back: rollbackctl undo {fact.run}\n"
            can_be_undone = fact.operation == "rollback" and fact.status == "finished"
            raise InvalidInputError(
                f"run {fact.run} is {fact.status}; only an unfinished run can be abandoned",
                hint=back * can_be_undone + "see all: rollbackctl runs",
            )
        settle(session, fact.run)
        _require_unrecordable(session, fact, history.holds)
        close(session, fact, "abandoned", {"reason": reason})
        return fact, session.history().holds


def _require_unrecordable(session: Session, fact: RunFact, holds: tuple[HoldFact, ...]) -> None:
    """A run that has moved everything must not be closed while `apply` can record it: that would be missing for ever.

    Where somebody has changed what the record rests on, and it cannot be put back, closing is the only way out.
    """
    if not fact.has_moved_all:
        return
    document, _ = read_run(session.store, fact.run, session.workspace.registry.states)
    run = Run.open(session.workspace, session.store, document, stored_spec(document.plan), fact.run)
    adopted = run.adopted(holds)
    try:
        StepRunner(run, None, adopted, lambda name: name).require_undisturbed()
        is_recordable = not run.misplaced(adopted)
    except (RollbackError, BotCoreError, OSError):
        return
    if is_recordable:
        problem = f"run {fact.run} has made every move; only its record is missing"
        raise InvalidInputError(problem, hint=unfinished_error(fact).hint)


def _undoable(session: Session, history: History, name: str) -> RunFact:
    fact = history.run(name)
    if history.unfinished is not None and history.unfinished.operation == "undo":
        return history.run(session.store.plan(history.unfinished.run)["facts"]["undoes"])
    if fact.status == "undone" and not _undo_has_begun(session, history, fact.run):
        return fact  # a crash came between closing the run and the undo's first entry
    if fact.operation != "rollback" or fact.status in ("abandoned", "undone"):
        what = f"is {fact.status}" if fact.operation == "rollback" else f"is a run of {fact.operation}"
        raise InvalidInputError(
            f"run {fact.run} {what}", hint="only a rollback's run can be led back: rollbackctl runs"
        )
    return fact


def _undo_has_begun(session: Session, history: History, run: str) -> bool:
    undos = (fact.run for fact in history.facts if fact.operation == "undo")
    return any(session.store.plan(undo)["facts"].get("undoes") == run for undo in undos)


def _made(
    session: Session, plan: Plan, checkpoint: Checkpoint, in_force: dict[str, HoldFact], fact: RunFact
) -> list[Change]:
    """The changes that the run has really made; what it only holds is not one of them."""
    last = {checkpoint.begun[step].address: checkpoint.begun[step] for step in checkpoint.done}
    made = []
    for change in plan.changes:
        begun, hold = last.get(str(change.address)), in_force.get(str(change.address))
        if begun is not None and (hold is None or hold.run != fact.run):
            after = session.planner.parse(change.address, begun.after)
            made.append(replace(change, after=after))
    return made


def _beneath(session: Session, address: Address, now: State | None, in_force: dict[str, HoldFact]) -> State | None:
    hold = in_force.get(str(address))
    return now if hold is None else session.planner.beneath(hold, now)
