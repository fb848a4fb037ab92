"""Looking at a workspace without changing it."""

from pathlib import Path

from bot_core.ai.serving import read_serving
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import replace
from rollbackctl.core.checkpoint import Checkpoint
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import RollbackError
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.planner import simulate
from rollbackctl.core.report import Report, make_report
from rollbackctl.core.status import Status
from rollbackctl.engine.engines import engines
from rollbackctl.engine.evidence import observe_reports
from rollbackctl.engine.history import History, read_run
from rollbackctl.engine.hold import no_evidence
from rollbackctl.engine.leads import leads
from rollbackctl.engine.planning import facts_of
from rollbackctl.engine.quarantined import quarantined_repositories
from rollbackctl.engine.rollback import stored_spec
from rollbackctl.engine.search import find_manifests
from rollbackctl.engine.session import Session
from rollbackctl.gates import Case
from rollbackctl.gates.report_signoff import ReportSignoff


def read_status(session: Session, model_dir: str) -> Status:
    """Look at the workspace; writes nothing. What cannot be read is named, and the rest is there."""
    history = session.history()
    report, waiting = _unfinished(session, history)
    active, quarantined, problems = _active(session.workspace.root)
    status = Status(
        attached=None,
        default_model=None,
        models={},
        active=active,
        quarantined=quarantined,
        holds=history.holds,
        engines=tuple(map(str, engines(session.workspace.root, model_dir, session.workspace.actor.host))),
        unfinished=None if history.unfinished is None or report is None else (history.unfinished, report),
        waiting=waiting,
        last=next((fact for fact in reversed(history.facts) if fact.status != "unfinished"), None),
        holder=session.store.holder(),
        leads=leads(session, history, _owing(waiting)),
        problems=problems,
    )
    try:
        serving = read_serving(session.workspace.root / model_dir)
    except (BotCoreError, OSError) as error:
        return replace(status, problems=(*problems, session.workspace.local(str(error))))
    models = {name: (str(model.version), model.sha256) for name, model in serving.models.items()}
    return replace(status, attached=serving.attached, default_model=serving.default_model, models=models)


def _unfinished(session: Session, history: History) -> tuple[Report | None, tuple[Verdict, ...]]:
    """The unfinished run's report so far, and what it waits for now."""
    fact = history.unfinished
    if fact is None:
        return None, ()
    document, checkpoint = read_run(session.store, fact.run, session.workspace.registry.states)
    return make_report(document.plan, fact.run, checkpoint), tuple(_waiting(session, history, document, checkpoint))


def _waiting(session: Session, history: History, document: PlanDocument, checkpoint: Checkpoint) -> list[Verdict]:
    """What a run waits for: sign-offs are judged again, since nobody else tells that they have been given."""
    verdicts = []
    for verdict in checkpoint.waiting:
        if verdict.gate == ReportSignoff.name:
            reports = observe_reports(session.workspace.root)
            observation = no_evidence(session, history).model_copy(update={"reports": reports})
            case = Case(
                stored_spec(document.plan),
                session.workspace.policy,
                facts_of(document.plan, observation),
                observation,
                simulate(document.plan.steps, document.plan.base),
            )
            verdict = ReportSignoff().judge(case)
        verdicts += [verdict] if verdict.answer is not Answer.PASS else []
    return verdicts


def _owing(waiting: tuple[Verdict, ...]) -> set[str]:
    """The roles that can sign now: where something blocks, that is mended first."""
    if any(verdict.answer is Answer.BLOCK for verdict in waiting):
        return set()
    return {role for verdict in waiting for role in verdict.waits_for}


def _active(root: Path) -> tuple[dict[str, str | None], tuple[str, ...], tuple[str, ...]]:
    """The active version of each repository, where it is quarantined, and what cannot be read."""
    try:
        manifests = find_manifests(root)
        active = {path: manifest.active for path, manifest in manifests.items()}
        return active, quarantined_repositories(root, manifests), ()
    except (BotCoreError, RollbackError) as error:
        return {}, (), (str(error),)
