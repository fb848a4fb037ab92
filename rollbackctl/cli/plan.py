"""`rollbackctl plan`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackctl.cli.app import App, shown_path
from rollbackctl.cli.options import common, measuring
from rollbackctl.cli.show_plan import exit_code, show_document, with_formats
from rollbackctl.core.commands import quote

if TYPE_CHECKING:
    from rollbackctl.engine.workspace import Workspace


@click.command("plan")
@click.argument("plan", type=click.Path(dir_okay=False))
@click.option("--world", metavar="FILE", help="Plan from an observation instead of the workspace (see `observe`).")
@click.option("--out", metavar="FILE", help="Save the plan, to be reviewed and applied as it is.")
@with_formats
@common
@measuring
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
        spec = app.spec(plan, session.workspace)
        document = session.plan(spec)
    if out is not None:
        save_document(Path(out), document)
    show_document(app, document, form, out or plan)
    if world is None:
        _tell_engines(app, session.workspace, spec.spec.serving.model_dir)
    if out is not None:
        is_new = document.continues is None and not document.obstacles
        app.say(f"saved as {out}" + (f"; apply it as it is: rollbackctl apply {quote(out)}" if is_new else ""))
    return exit_code(document, out or plan, check=check, detailed=detailed_exitcode)


def _tell_engines(app: App, workspace: "Workspace", model_dir: str) -> None:
    """Say who obeys the hold that the plan would place; it is of this moment, and so no part of the plan."""
    from rollbackctl.engine.engines import engines
    from rollbackctl.engine.events import Event
    from rollbackctl.render.run import NO_ENGINES

    seen = engines(workspace.root, model_dir, workspace.actor.host)
    for line in map(str, seen) if seen else (NO_ENGINES,):
        app.listen(Event("diagnostic", f"engines: {line}"))
