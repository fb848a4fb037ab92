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
    from rollbackctl.engine.status import read_status
    from rollbackctl.render.status import render
    from rollbackctl.spec.document import Serving

    session = app.session()
    model_dir = app.spec(plan, session.workspace).spec.serving.model_dir if plan else Serving().model_dir
    app.out(render(read_status(session, model_dir)))
    return 0
