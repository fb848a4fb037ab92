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
    from rollbackctl.engine.events import Event
    from rollbackctl.render.run import render_runs

    workspace, policy_problem = app.workspace().leniently()
    facts = app.session(workspace).history().facts
    if policy_problem:
        app.say(policy_problem)
    app.out(render_runs(facts))
    for fact in facts if app.as_json else ():
        app.listen(Event("run", f"{fact.run}: {fact.status}", fields=fact.model_dump(mode="json")))
    return 0
