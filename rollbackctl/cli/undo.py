"""`rollbackctl undo`."""

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common
from rollbackctl.cli.signals import stopping_on_signals
from rollbackctl.core.errors import InterruptedRunError, UsageError


@click.command("undo")
@click.argument("run")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def command(app: App, run: str, yes: bool) -> int:
    """Lead a run back as far as that does not bring the withdrawn model back, and stay held.

    Example: rollbackctl undo 20251118T080000Z --yes
    """
    from rollbackctl.engine.undo import carry_out_undo, plan_undo
    from rollbackctl.render.hold import render_undo
    from rollbackctl.render.run import render_end

    session = app.session()
    document, spec = plan_undo(session, run)
    app.out(render_undo(document))
    if not yes:
        if not app.may_ask:
            raise UsageError("undo would ask, and there is nobody to answer", hint=f"rollbackctl undo {run} --yes")
        app.say("Lead it back? Only 'yes' is accepted:")
        if input().strip() != "yes":
            raise UsageError("not undone; nothing was changed", hint="rollbackctl status")
    try:
        with stopping_on_signals(app):
            report = carry_out_undo(session, document, spec)
    except InterruptedRunError as error:
        error.hint = f"continue: rollbackctl undo {run} --yes"
        raise
    app.out(render_end(report))
    return 0
