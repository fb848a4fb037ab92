"""`rollbackctl status`."""

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common


@click.command("status")
@click.argument("plan", required=False, type=click.Path(dir_okay=False))
@common
def command(app: App, plan: str | None) -> int:
    """Show what serves now, what is held by whom, the unfinished run and its step, and the next command.

    A PLAN only says where things are, if they are not in their usual places.

    Example: rollbackctl status
    """
    from bot_core.foundation.frozen import replace
    from rollbackctl.engine.events import Event
    from rollbackctl.engine.status import read_status
    from rollbackctl.render.status import render
    from rollbackctl.spec.document import Serving

    workspace, policy_problem = app.workspace().leniently()
    session = app.session(workspace)
    model_dir = app.spec(plan, session.workspace).spec.serving.model_dir if plan else Serving().model_dir
    status = read_status(session, model_dir)
    status = replace(status, problems=(*status.problems, *filter(None, (policy_problem,))))
    app.out(render(status))
    if app.as_json:
        app.listen(Event("status", f"next: {status.leads[0]}", fields=status.to_json()))
    return 0
