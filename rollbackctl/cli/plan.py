"""`rollbackctl plan`."""

from pathlib import Path

import click

from rollbackctl.cli.app import App, shown_path
from rollbackctl.cli.options import common
from rollbackctl.cli.show_plan import exit_code, show_document, with_formats


@click.command("plan")
@click.argument("plan", type=click.Path(dir_okay=False))
@click.option("--world", metavar="FILE", help="Plan from an observation instead of the workspace (see `observe`).")
@click.option("--out", metavar="FILE", help="Save the plan, to be reviewed and applied as it is.")
@with_formats
@common
def command(
    app: App, plan: str, world: str | None, out: str | None, form: str, detailed_exitcode: bool, check: bool
) -> int:
    """Show what a rollback plan would do, and what it waits for. Writes nothing in the workspace.

    Example: rollbackctl plan plans/inc-2025-1117.yaml --out plan.json
    """
    from rollbackctl.engine.saved import plan_from_world, save_document

    if world is not None:
        document = plan_from_world(Path(plan), Path(world), app.clock, shown_path(plan))
    else:
        session = app.session()
        document = session.plan(app.spec(plan, session.workspace))
    if out is not None:
        save_document(Path(out), document)
    show_document(app, document, form, shown_path(out or plan))
    if out is not None:
        app.say(f"saved as {out}; apply it as it is: rollbackctl apply {out}")
    return exit_code(document, check=check, detailed=detailed_exitcode)
