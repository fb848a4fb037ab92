"""`rollbackctl report`."""

import json

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common


@click.command("report")
@click.argument("run")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@common
def command(app: App, run: str, form: str) -> int:
    """Show what a run did, from its own journal: gates, steps, checks, and who started and continued it.

    RUN is an id from `rollbackctl runs`, or its beginning.

    Example: rollbackctl report 20251118T080000Z
    """
    from rollbackctl.core.report import make_report
    from rollbackctl.engine.history import read_run
    from rollbackctl.render.run import render_report

    session = app.session(app.workspace().leniently()[0])
    fact = session.history().run(run)
    document, checkpoint = read_run(session.store, fact.run, session.workspace.registry.states)
    report = make_report(document.plan, fact.run, checkpoint)
    app.document(
        json.dumps(report.to_json(), sort_keys=True, indent=2, ensure_ascii=True)
        if form == "json"
        else render_report(report)
    )
    return 0
