"""`rollbackctl rehearse`."""

import click

from rollbackctl.cli.app import App, lead_on, located, shown_path
from rollbackctl.cli.options import common
from rollbackctl.cli.signals import stopping_on_signals
from rollbackctl.core.commands import quote
from rollbackctl.core.errors import CheckFailedError, InterruptedRunError, RollbackError, UsageError


@click.command("rehearse")
@click.argument("plan", type=click.Path(dir_okay=False))
@common
def command(app: App, plan: str) -> int:
    """Try a plan on a copy of the workspace, with a crash at every step, and say whether it comes to the same end.

    Nothing in the workspace is changed or locked. What the plan waits for is taken as given, on the copy only.

    Example: rollbackctl rehearse plans/inc-2025-1117.yaml
    """
    from rollbackctl.engine.events import Event
    from rollbackctl.engine.rehearsal import rehearse
    from rollbackctl.render.rehearsal import render_rehearsal

    quoted = quote(plan)
    look = f"look at the plan: rollbackctl plan {quoted}"
    try:
        with stopping_on_signals(app):
            workspace = app.workspace()
            path = located(plan, workspace)
            rehearsal = rehearse(workspace, path, shown_path(plan), app.listen, lambda: app.stop_reason)
    except InterruptedRunError as error:
        raise InterruptedRunError(
            "the rehearsal was ended; nothing in the workspace was changed", hint=f"rollbackctl rehearse {quoted}"
        ) from error
    except UsageError:
        raise
    except RollbackError as error:
        error.problem = f"in the rehearsal, on a copy: {error.problem}"
        error.hint = f"nothing in the workspace was changed; after such an apply:\n{error.hint or look}"
        raise
    word = "survived" if rehearsal.has_survived else "did not survive"
    if app.as_json:
        app.listen(Event("rehearsal_summary", f"the plan {word} its rehearsal", fields=rehearsal.to_json()))
    app.out(render_rehearsal(rehearsal))
    if not rehearsal.has_survived:
        raise CheckFailedError(
            f"the plan did not survive its rehearsal: {len(rehearsal.differing)} files and "
            f"{len(rehearsal.repeated)} steps are not those of an undisturbed run",
            hint="nothing in the workspace was changed; do not apply it before that is understood\n"
            f"to stop a bad model meanwhile: rollbackctl hold\n{look}",
        )
    if rehearsal.document.has_changes:
        lead_on(app, f"rollbackctl apply {quoted}")
    return 0
