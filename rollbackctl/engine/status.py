"""Looking at a workspace without changing it."""

from bot_core.ai.serving import Serving, read_serving
from bot_core.foundation.errors import BotCoreError
from rollbackctl.core.errors import RollbackError
from rollbackctl.core.report import make_report
from rollbackctl.core.status import Status
from rollbackctl.engine.engines import engines
from rollbackctl.engine.history import read_run
from rollbackctl.engine.search import find_manifests
from rollbackctl.engine.session import Session


def read_status(session: Session, model_dir: str) -> Status:
    """Look at the workspace; writes nothing. What cannot be read is named, and the rest is there."""
    root = session.workspace.root
    history = session.history()
    unfinished = None
    if history.unfinished is not None:
        document, checkpoint = read_run(session.store, history.unfinished.run, session.workspace.registry.states)
        unfinished = history.unfinished, make_report(document.plan, history.unfinished.run, checkpoint)
    problems: list[str] = []
    active: dict[str, str | None] = {}
    try:
        active = {path: manifest.active for path, manifest in find_manifests(root).items()}
    except (BotCoreError, RollbackError) as error:
        problems.append(str(error))
    try:
        serving = read_serving(root / model_dir)
    except BotCoreError as error:
        serving = Serving.initial()
        problems.append(error.problem)
    ended = [fact for fact in history.facts if fact.status != "unfinished"]
    return Status(
        attached=serving.attached,
        default_model=serving.default_model,
        models={name: (str(model.version), model.sha256) for name, model in serving.models.items()},
        active=active,
        holds=history.holds,
        engines=tuple(map(str, engines(root, model_dir, session.workspace.actor.host))),
        unfinished=unfinished,
        last=ended[-1] if ended else None,
        holder=session.store.holder(),
        problems=tuple(problems),
    )
