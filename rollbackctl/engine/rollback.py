"""Applying a rollback plan: find the unfinished run, else plan, and carry it out under the lock."""

import json
from typing import Any

from bot_core.foundation.frozen import frozen, replace
from rollbackctl.core.commands import abandon_command, continue_command, release_command
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import InvalidInputError, LockedError, Problem, StalePlanError
from rollbackctl.core.gate import Answer
from rollbackctl.core.observation import Observation, RunFact
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import Phase, Plan
from rollbackctl.core.report import Report
from rollbackctl.core.state import content_id
from rollbackctl.core.target import undecided
from rollbackctl.engine.apply import Context, blocked, carry_out
from rollbackctl.engine.history import History, read_run
from rollbackctl.engine.observe import observe, observe_evidence, plan_binding, replayed
from rollbackctl.engine.planning import facts_of
from rollbackctl.engine.session import Session, new_run, next_order
from rollbackctl.engine.staleness import require_fresh, require_same
from rollbackctl.engine.steps import Run
from rollbackctl.engine.unfinished import unfinished_error
from rollbackctl.gates.report_signoff import SETTLED, later_reports
from rollbackctl.spec.document import Spec
from rollbackctl.spec.resolve import earlier_run, required_roles


@frozen
class Applied:
    """What an apply came to: the plan, and the run's report; None when there was nothing to do."""

    document: PlanDocument
    report: Report | None


def find_run(session: Session, spec: Spec, plan_id: str | None = None) -> RunFact | None:
    """Return the unfinished run that applying this plan would continue; None when there is no unfinished run.

    Raises:
        LockedError: The unfinished run is another plan's, or was begun on another host.
    """
    fact = _settled_history(session).unfinished
    if fact is None:
        return None
    same = fact.operation == "rollback" and (
        fact.plan == plan_id
        if plan_id is not None
        else (fact.name, fact.incident, fact.spec_digest)
        == (spec.metadata.name, spec.metadata.incident, content_id(spec.to_json()))
    )
    host = session.workspace.actor.host
    if same and fact.host != host:
        raise LockedError(
            f"run {fact.run} was begun on host {fact.host}; this is {host}",
            hint=f"on {plain(fact.host)}: {continue_command(fact.run)}"
            + ("" if fact.has_moved_all else f"\nor close it: {abandon_command(fact.run)}"),
        )
    if not same:
        raise unfinished_error(fact)
    return fact


def _settled_history(session: Session) -> History:
    """Read all earlier runs; the end of the latest must last before anything rests on it, for it may be seen only."""
    history = session.history()
    if history.facts and history.unfinished is None:
        session.store.settle(history.facts[-1].run)
    return history


def start(session: Session, spec: Spec, shown: PlanDocument, *, saved: bool, all_or_nothing: bool = False) -> Applied:
    """Begin a run of a plan that somebody has seen.

    Args:
        session: The session.
        spec: The rollback plan.
        shown: The plan as it was shown or saved.
        saved: Whether it comes from a file, so that its expiry counts.
        all_or_nothing: Refuse to begin while any gate blocks.

    Raises:
        StalePlanError: The world is not the one that the plan starts from.
        LockedError: Somebody else works on the workspace, or holds a resource for another incident.
        GateBlockedError: A gate blocks; see `carry_out`.
    """
    request = _Request(spec, shown, saved=saved, all_or_nothing=all_or_nothing)
    if not session.store.exists():
        # Refuse before the store is made: what is refused leaves nothing behind.
        now = _checked(session, request)[0]
        if not now.has_changes:
            return Applied(now, None)
    with session.store.lock(session.holder("apply"), session.lock_timeout_s) as name_holder:
        session.stop.clear()
        now, observation = _checked(session, request)
        if not now.has_changes:
            return Applied(now, None)
        run = new_run(session, now)
        context = Context(
            run=Run.open(session.workspace, session.store, now, spec, run),
            spec=spec,
            facts=facts_of(now.plan, observation),
            observation=observation,
            order=next_order(session),
            listener=session.listener,
            asked_to_stop=session.should_stop,
            name_holder=name_holder,
        )
        return Applied(now, carry_out(context))


@frozen
class _Request:
    """What somebody asked to be carried out; see `start`."""

    spec: Spec
    shown: PlanDocument
    saved: bool
    all_or_nothing: bool


def _checked(session: Session, request: _Request) -> tuple[PlanDocument, Observation]:
    """Plan again and compare with what was shown; nothing is written."""
    spec, shown = request.spec, request.shown
    history = _settled_history(session)
    if history.unfinished is not None:
        raise unfinished_error(history.unfinished)
    observation = observe(session.workspace, spec, history)
    now = session.planner.make(spec, observation, session.workspace.now(), shown.plan.facts)
    if now.has_changes:
        kinds = session.workspace.registry.bind(plan_binding(session.workspace, spec))
        if request.saved:
            require_fresh(shown, now, session.workspace.clock(), kinds)
            _require_same_verdict(session, spec, shown, observation)
            now = replace(now, timestamp=shown.timestamp)
        else:
            again = "look at it again: rollbackctl plan PLAN"
            require_same(shown.plan, now.plan, kinds, "the world changed while the plan was shown", again)
        refuse_foreign_holds(history, spec.metadata.incident)
        # A plan that was carried out before begins again only if it can restore: its target may be quarantined now.
        needed = (Phase.SECURE, Phase.RESTORE) if earlier_run(spec, observation) else (Phase.SECURE,)
        _require_gates(now, tuple(Phase) if request.all_or_nothing else needed, spec)
    return now, observation


def resume(session: Session, fact: RunFact) -> Applied:
    """Continue an unfinished run of its stored plan.

    Raises:
        LockedError: Somebody else is at it.
        GateBlockedError: A gate blocks; see `carry_out`.
    """
    with session.store.lock(session.holder("apply"), session.lock_timeout_s) as name_holder:
        session.stop.clear()
        history = session.history()
        if history.unfinished is None or history.unfinished.run != fact.run:
            raise LockedError(f"run {fact.run} was ended meanwhile", hint="look: rollbackctl status")
        document, _ = read_run(session.store, fact.run, session.workspace.registry.states)
        stored = stored_spec(document.plan)
        if not fact.has_moved_all:  # nothing is left that the policy could forbid
            _require_policy(session, document.plan, fact.run)
        refuse_foreign_holds(history, stored.metadata.incident)
        observation = observe_evidence(session.workspace, stored, history)
        facts = facts_of(document.plan, observation)
        replay = replayed(session.workspace, stored, observation, facts)
        context = Context(
            run=Run.open(session.workspace, session.store, document, stored, fact.run),
            spec=stored,
            facts=facts,
            observation=observation.model_copy(update={"replay": replay}),
            order=next_order(session),
            listener=session.listener,
            asked_to_stop=session.should_stop,
            name_holder=name_holder,
        )
        return Applied(document, carry_out(context))


def stored_spec(plan: Plan) -> Spec:
    """Return the rollback plan that a stored plan was made from."""
    return Spec.model_validate_json(json.dumps(dict(plan.spec)))


def _require_policy(session: Session, plan: Plan, run: str) -> None:
    if plan.policy != session.workspace.policy_digest:
        raise InvalidInputError(
            "the firm's policy has changed since the run began",
            hint=f"put config/rollbackctl.yaml back, then: {continue_command(run)}\n"
            f"or close the run, then plan again: rollbackctl abandon {run} --reason TEXT",
        )


def _require_gates(document: PlanDocument, phases: tuple[Phase, ...], spec: Spec) -> None:
    blocking = [
        verdict for verdict in document.verdicts if verdict.guards in phases and verdict.answer is not Answer.PASS
    ]
    if blocking:
        error = blocked(blocking[0].guards, blocking, held_by=None)
        error.hint = (
            f"nothing was changed; to stop the bad model now: rollbackctl hold --incident {spec.metadata.incident}"
        )
        raise error


def refuse_foreign_holds(history: History, incident: str | None) -> None:
    """See that nothing is held for another incident.

    Raises:
        LockedError: Something is; it names the resource and who holds it.
    """
    for hold in history.holds:
        for holder in hold.holders:
            if holder.incident not in (None, incident):
                raise LockedError(
                    f"{hold.address} is held for {holder.incident} by {holder.by} since {holder.since} "
                    f"(run {holder.run})",
                    hint=f"if {plain(str(holder.incident))} is over, let go of it: {release_command(holder.incident)}\n"
                    "else it comes first: rollbackctl status",
                )


def _require_same_verdict(session: Session, spec: Spec, shown: PlanDocument, observation: Observation) -> None:
    """Reports that came since do not count, unless they would turn a pass into waiting."""
    passed = any(v.gate == "report_signoff" and v.answer is Answer.PASS for v in shown.verdicts)
    cutoff: Any = shown.plan.facts["cutoff"]
    roles = required_roles(spec, session.workspace.policy)
    late = [r for r in later_reports(observation, cutoff) if undecided(r.sign_off, roles, settled=SETTLED)]
    if passed and late:
        raise StalePlanError(
            f"{len(late)} new report(s) must be settled that the plan does not know",
            problems=tuple(Problem(report.path) for report in late),
            hint="make the plan again: rollbackctl plan PLAN --out FILE",
        )
