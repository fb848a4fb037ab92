"""Stopping a bad model at once, and putting back what was: no plan, no gate, no model load."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack

from pydantic import JsonValue

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import DriftError, InvalidInputError, LockedError, PartlyHeldError, RollbackError
from rollbackctl.core.observation import ChecklistFact, HoldFact, JournalFact, Observation
from rollbackctl.core.plan import Change, Desired, Phase, Plan, Target
from rollbackctl.core.planner import make_steps
from rollbackctl.core.report import Report
from rollbackctl.core.state import RUN_ACTOR, RUN_ID, RUN_NOT_HELD, State
from rollbackctl.engine.apply import Context, carry_out
from rollbackctl.engine.history import History, read_history, read_run
from rollbackctl.engine.observe import plan_binding
from rollbackctl.engine.rollback import stored_spec
from rollbackctl.engine.session import Session, new_run, next_order
from rollbackctl.engine.steps import Run
from rollbackctl.engine.unfinished import close, settle
from rollbackctl.kinds import Kind
from rollbackctl.kinds.decision_event import event_desired
from rollbackctl.spec.document import Spec

_STOP_WAIT_S = 30.0
_ASK_AGAIN_S = 0.1
_ATTEMPTS = 5
_ANEW = "somebody changed a resource meanwhile; placed anew"


@frozen
class Held:
    """What a hold came to.

    Attributes:
        report: The run that placed it, or completed it; None when everything was held already.
        holds: Every hold in force afterwards.
        problems: What could not be held, with the reason; the rest is held all the same.
        absent: Resources that do not exist here, so that there is nothing to hold.
        code: The exit code where there are problems.
    """

    report: Report | None
    holds: tuple[HoldFact, ...]
    problems: tuple[str, ...] = ()
    absent: tuple[Address, ...] = ()
    code: int = PartlyHeldError.exit_code


def hold_targets(kinds: Mapping[str, Kind], spec: Spec) -> dict[Address, Target]:
    """Return how each resource that can be held is held."""
    return {
        Address(name, wish.name): wish.hold
        for name, kind in kinds.items()
        for wish in _holds_of(kind, spec)
        if wish.hold is not None
    }


def _holds_of(kind: Kind, spec: Spec) -> Iterable[Desired]:
    hold = getattr(kind, "hold", None)
    return () if hold is None else hold(spec)


def place(session: Session, spec: Spec, incident: str | None, reason: str) -> Held:
    """Hold everything that can be held; a live run is asked to stop after its current step first.

    It is never refused: what cannot be read is named, and the rest is held. What another incident holds already is held
    for this one too, and stays held when the other lets go. After a crash the same call goes on. Where somebody changes
    a resource at the very moment, what is not held yet is held anew.

    Raises:
        LockedError: Somebody holds the workspace and did not stop in time.
        DriftError: Somebody changed a resource again and again.
    """
    with ExitStack() as stack:
        name_holder = _lock_after_stop(session, stack)
        session.stop.clear()
        return anew(session, "hold", _ANEW, lambda: _place(session, spec, incident, reason, name_holder))


def anew(session: Session, operation: str, reason: str, act: Callable[[], Held]) -> Held:
    """Act; where somebody changes a resource at the very moment, the operation's run is closed and it acts once more.

    Raises:
        DriftError: Somebody changed a resource again and again, or what has been moved cannot be recorded.
    """
    for _ in range(_ATTEMPTS):
        try:
            return act()
        except DriftError:
            fact = _history(session)[0].unfinished
            if fact is None or fact.operation != operation:
                raise
            settle(session, fact.run)
            close(session, fact, "abandoned", {"reason": reason})
    return act()


def _place(session: Session, spec: Spec, incident: str | None, reason: str, name_holder: Callable[[], None]) -> Held:
    report: Report | None = None
    history, problems = _interrupted(session)
    if history.unfinished is not None and history.unfinished.operation == "hold":
        try:
            report = continue_operation(session, history, name_holder)
        except PartlyHeldError as error:
            texts = tuple(problem.text for problem in error.problems)
            return Held(None, _history(session)[0].holds, texts, code=error.exit_code)
        history, problems = _history(session)
    document, absent, broken = _hold_document(session, spec, incident, reason, history)
    problems += broken
    is_needed = "joins" in document.plan.facts or any(step.phase is Phase.HOLD for step in document.plan.steps)
    if not is_needed and not _lacks_its_event(session, history):
        return Held(report, history.holds, tuple(problems), absent)
    code = PartlyHeldError.exit_code
    try:
        report = carry_out_operation(session, spec, document, history, name_holder)
    except PartlyHeldError as error:
        report, code = None, code if problems else error.exit_code
        problems += [problem.text for problem in error.problems]
    return Held(report, _history(session)[0].holds, tuple(problems), absent, code)


def _lacks_its_event(session: Session, history: History) -> bool:
    """Whether the latest run is a hold that was closed to be placed anew: what it held has not been recorded yet."""
    last = history.facts[-1] if history.facts else None
    return last is not None and session.store.entries(last.run)[-1].body.get("reason") == _ANEW


def _lock_after_stop(session: Session, stack: ExitStack) -> Callable[[], None]:
    """Take the workspace. Whoever holds it is asked to stop, again and again: who has just begun forgets requests."""
    actor = session.workspace.actor
    end = time.monotonic() + max(session.lock_timeout_s, _STOP_WAIT_S)
    while True:
        try:
            name_holder: Callable[[], None] = stack.enter_context(
                session.store.lock(session.holder("hold"), _ASK_AGAIN_S)
            )
        except LockedError as error:
            if time.monotonic() >= end:
                error.hint = (
                    "it was asked to stop and does not answer; end that process (kill -KILL PID: a run can always be "
                    "continued), then: rollbackctl hold"
                )
                raise
            session.stop.ask(f"{actor.user}@{actor.host}")
        else:
            return name_holder


def _interrupted(session: Session) -> tuple[History, list[str]]:
    """Put what is unfinished in order before anything is held over it; an unfinished release is called off."""
    history, problems = _history(session)
    fact = history.unfinished
    if fact is None or fact.operation == "hold":
        return history, problems
    try:
        settle(session, fact.run)
        if fact.operation == "release":
            close(session, fact, "abandoned", {"reason": "called off by a hold"})
    except (RollbackError, BotCoreError, OSError) as error:
        problems.append(session.workspace.local(f"run {fact.run} is not in order: {error}"))
        return history, problems
    return _history(session)[0], problems


def _history(session: Session) -> tuple[History, list[str]]:
    """The earlier runs; a damaged one must not keep anybody from holding."""
    damaged: list[str] = []
    history = read_history(session.store, damaged)
    return history, [f"an earlier run is not known: {problem}" for problem in damaged]


def _hold_document(
    session: Session, spec: Spec, incident: str | None, reason: str, history: History
) -> tuple[PlanDocument, tuple[Address, ...], list[str]]:
    kinds = session.workspace.registry.bind(plan_binding(session.workspace, spec))
    in_force = {hold.address: hold for hold in history.holds}
    base: dict[Address, State | None] = {}
    desired: dict[Address, tuple[Desired, ...]] = {}
    joins, absent, problems = [], [], []
    for address, target in hold_targets(kinds, spec).items():
        kind = kinds[address.kind]
        try:
            now = kind.observe(address.name)
        except (RollbackError, BotCoreError, OSError) as error:
            problems.append(session.workspace.local(f"{address} could not be held: {error}"))
            continue
        hold = in_force.get(str(address))
        if hold is None or session.planner.beneath(hold, now) == now:
            base[address] = now
            desired[address] = (Desired(address.name, Phase.HOLD, target),)
            absent += [address] if target(now) is None else []
        elif incident is not None and incident not in hold.incidents:
            joins.append(str(address))
    metadata = {"reason": reason, "run": RUN_ID, "actor": RUN_ACTOR, "not_held": RUN_NOT_HELD}
    metadata |= {"incident": incident} if incident else {}
    made = operation_document(
        session,
        spec,
        "hold",
        incident,
        base,
        desired,
        "ai_model_hold_placed",
        metadata,
        {"joins": [*joins]} if joins else {},
    )
    return made, tuple(absent), problems


def operation_document(
    session: Session,
    spec: Spec,
    operation: str,
    incident: str | None,
    base: Mapping[Address, State | None],
    desired: Mapping[Address, tuple[Desired, ...]],
    event: str,
    metadata: Mapping[str, str],
    facts: Mapping[str, JsonValue],
) -> PlanDocument:
    """Make the plan of an operation that needs no rollback plan; its event is recorded last."""
    wish = event_desired(spec, event, Phase.RECORD, metadata)
    address = Address("decision_event", event)
    all_base = {**base, address: None}
    all_desired = {**desired, address: (wish,)}
    changes = tuple(
        Change(key, all_base[key], wishes[-1].after(all_base[key]), lasting=wishes[-1].lasting)
        for key, wishes in sorted(all_desired.items())
    )
    plan = Plan(
        name=operation,
        incident=incident,
        spec=spec.to_json(),
        policy=session.workspace.policy_digest,
        facts=facts,
        base=all_base,
        inputs={},
        changes=changes,
        steps=make_steps(all_desired, all_base, session.workspace.registry.order),
        operation=operation,
    )
    return PlanDocument(plan=plan, timestamp=session.workspace.now())


def carry_out_operation(
    session: Session, spec: Spec, document: PlanDocument, history: History, name_holder: Callable[[], None]
) -> Report:
    """Begin a run of an operation that needs no gates."""
    run = new_run(session, document)
    return carry_out(_context(session, spec, document, run, history, name_holder))


def _context(
    session: Session, spec: Spec, document: PlanDocument, run: str, history: History, name_holder: Callable[[], None]
) -> Context:
    return Context(
        run=Run.open(session.workspace, session.store, document, spec, run),
        spec=spec,
        facts=None,
        observation=no_evidence(session, history),
        order=next_order(session),
        listener=session.listener,
        asked_to_stop=session.asked_to_stop,
        name_holder=name_holder,
    )


def no_evidence(session: Session, history: History) -> Observation:
    """An operation without gates asks for no evidence but what is held."""
    return Observation(
        scope={},
        policy={},
        policy_digest=session.workspace.policy_digest,
        repository="",
        versions=(),
        repositories=(),
        reports=(),
        journal=JournalFact(),
        checklist=ChecklistFact(path=""),
        quality_records={},
        holds=history.holds,
    )


def continue_operation(session: Session, history: History, name_holder: Callable[[], None]) -> Report:
    """Go on with an operation that was killed half-way."""
    fact = history.unfinished
    if fact is None:
        raise InvalidInputError("no run is unfinished", hint="see: rollbackctl runs")
    document, _ = read_run(session.store, fact.run, session.workspace.registry.states)
    spec = stored_spec(document.plan)
    return carry_out(_context(session, spec, document, fact.run, history, name_holder))
