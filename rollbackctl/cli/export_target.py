"""`rollbackctl export-target`."""

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common, measuring
from rollbackctl.core.commands import quote


@click.command("export-target")
@click.argument("plan", type=click.Path(dir_okay=False))
@common
@measuring
def command(app: App, plan: str) -> int:
    """Write rollback_target.json, a byte copy of the plan's target, for those who go on by hand.

    Example: rollbackctl export-target plans/inc-2025-1117.yaml
    """
    from rollbackctl.core.plain import plain
    from rollbackctl.engine.export import export_target, refusal_by_hand

    session = app.session()
    path, target = export_target(session, app.spec(plan, session.workspace))
    app.out(f"{plain(path)} is {plain(target.version)} (sha256 {target.sha256})")
    if refusal := refusal_by_hand(session.workspace.root):
        app.say(f"note: ensure_compliance_sign_offs, which the runbook calls by hand, refuses as yet: {refusal}")
    lead_on(app, f"go on with step 4 of the runbook, or: rollbackctl apply {quote(plan)}")
    return 0
