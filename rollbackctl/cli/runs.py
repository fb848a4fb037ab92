"""`rollbackctl runs`."""

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common


@click.command("runs")
@common
def command(app: App) -> int:
    """List all runs, the newest first.

    Example: rollbackctl runs
    """
    from rollbackctl.render.run import render_runs

    app.out(render_runs(app.session().history().facts))
    return 0
