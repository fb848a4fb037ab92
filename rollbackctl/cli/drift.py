"""`rollbackctl drift`."""

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common, measuring
from rollbackctl.core.commands import quote


@click.command("drift")
@click.argument("plan", type=click.Path(dir_okay=False))
@click.option("--version", metavar="VERSION", help="Which version; default: the repository's active one.")
@click.option("--dry-run", is_flag=True, help="Show it, and write no report.")
@common
@measuring
def command(app: App, plan: str, version: str | None, dry_run: bool) -> int:
    """Measure one version against the window of PLAN, and write a drift report in the engine's own format.

    A feature triggers the report at its limit in gates.data_drift; a report that has triggered counts as an alert, and
    must be signed like any other.

    Example: rollbackctl drift plans/inc-2025-1117.yaml --version v10
    """
    from bot_core.foundation.errors import BotCoreError
    from rollbackctl.core.plain import plain
    from rollbackctl.data_drift.measure import measure_one
    from rollbackctl.data_drift.report import write_report
    from rollbackctl.engine.subjects import drift_settings, subject_of
    from rollbackctl.render.data_drift import render_features
    from rollbackctl.spec.data_drift import limits_of

    workspace = app.workspace()
    spec = app.spec(plan, workspace)
    settings = drift_settings(spec)
    subject = subject_of(workspace.root, spec.spec.model.repository, version)
    progress = app.progress("counting")
    measured = measure_one(
        workspace.root, settings, subject, pool=workspace.pool, cache=workspace.cache, progress=progress
    )
    limits, rows = limits_of(settings, workspace.policy.limits), measured.window.rows
    app.out(render_features(subject.version, measured, limits.measures))
    if not dry_run:
        if rows < limits.min_rows:
            raise BotCoreError(
                f"the window {measured.window.path} has {rows:,} rows, at least {limits.min_rows:,} make a report",
                hint="name a longer window, or another gates.data_drift.min_rows; --dry-run writes no report",
            )
        path = write_report(workspace.root, subject.version, measured, limits.measures, workspace.clock())
        app.out(f"written to {plain(path)}")
    lead_on(app, f"rollbackctl targets {quote(plan)}")
    return 0
