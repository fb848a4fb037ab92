"""`rollbackctl hold`."""

from pathlib import Path

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common
from rollbackctl.cli.signals import stopping_on_signals
from rollbackctl.core.commands import release_command
from rollbackctl.core.errors import InterruptedRunError


@click.command("hold")
@click.argument("plan", required=False, type=click.Path(dir_okay=False))
@click.option("--incident", metavar="ID", help="The incident; a later plan of it takes the hold over.")
@click.option("--reason", metavar="TEXT", default="operator's hold", show_default=True, help="Why; it is recorded.")
@click.option("--risk-snapshot", metavar="FILE", help="Show the open exposure that this file tells of.")
@click.option("--release", is_flag=True, help="Put back what was before the hold.")
@common
def command(
    app: App, plan: str | None, incident: str | None, reason: str, risk_snapshot: str | None, release: bool
) -> int:
    """Stop a bad model now: detach, maintenance on, retraining paused.

    No plan is needed and no gate asked; a live run is stopped after its current step. A PLAN only says where things
    are, if they are not in their usual places.

    Example: rollbackctl hold --incident INC-2025-1117 --reason "drift alert 5.12"
    """
    from rollbackctl.engine.engines import engines, require_acknowledged
    from rollbackctl.engine.exposure import read_exposure
    from rollbackctl.engine.history import read_history
    from rollbackctl.engine.hold import place
    from rollbackctl.engine.leads import leads
    from rollbackctl.engine.release import release as put_back
    from rollbackctl.render.hold import render_hold, render_release
    from rollbackctl.spec.document import Spec

    workspace, policy_problem = app.workspace().leniently()
    session = app.session(workspace)
    if plan is not None:
        spec = app.spec(plan, session.workspace)
        incident = incident or spec.metadata.incident
    else:
        spec = Spec.default(name="hold", incident=incident or "unnamed")
    try:
        with stopping_on_signals(app):
            if release:
                released = put_back(session, spec if plan else None, incident)
                app.out(render_release(released.report, released.problems))
                return 0
            held = place(session, spec, incident, reason)
    except InterruptedRunError as error:
        error.hint = f"continue: {release_command(incident) if release else 'rollbackctl hold'}"
        raise
    exposure = read_exposure(Path(risk_snapshot)) if risk_snapshot else ()
    problems = (*held.problems, *filter(None, (policy_problem,)))
    place_of = (session.workspace.root, spec.spec.serving.model_dir, session.workspace.actor.host)
    try:
        require_acknowledged(*place_of)
    finally:
        known = [str(engine) for engine in engines(*place_of)]
        following = leads(session, read_history(session.store, []))  # a damaged run keeps nobody from reading on
        if held.problems and held.code == 6:
            following = ("end the process that keeps the lock (kill -KILL PID), then:", *following)
        app.out(render_hold(held.report, held.holds, problems, exposure, known, map(str, held.absent), following))
    return (held.code if held.problems else 8) if problems else 0
