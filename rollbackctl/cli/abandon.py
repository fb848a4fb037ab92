"""`rollbackctl abandon`."""

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common


@click.command("abandon")
@click.argument("run")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is recorded in the run.")
@common
def command(app: App, run: str, reason: str) -> int:
    """Close an unfinished run; its holds stay, and the next plan of the incident takes them over.

    Example: rollbackctl abandon 20251118T080000Z --reason "v9 failed its probe"
    """
    from rollbackctl.engine.leads import leads
    from rollbackctl.engine.undo import abandon
    from rollbackctl.render.hold import render_abandoned

    session = app.session()
    fact, holds = abandon(session, run, reason)
    app.out(render_abandoned(fact, holds, leads(session, session.history())))
    return 0
