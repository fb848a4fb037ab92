"""`rollbackctl baseline`."""

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common, measuring

_FORMATS = ("parquet", "csv", "journal")


@click.command("baseline")
@click.argument("version")
@click.option(
    "--from", "data", metavar="DATA", required=True, help="Its training rows: a file, a folder, a glob, a URL."
)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="Default: by the suffix; a folder holds Parquet.")
@click.option("--repository", metavar="DIR", default="models/decision_engine", show_default=True)
@common
@measuring
def command(app: App, version: str, data: str, form: str | None, repository: str) -> int:
    """Make the baseline of a VERSION whose training wrote none, from the rows that it was trained on.

    It is kept in files beside the artifact that name the artifact's digest; the artifact and its signatures stay as
    they are.

    Example: rollbackctl baseline v9 --from data/training/2025-10.parquet
    """
    from rollbackctl.core.plain import plain
    from rollbackctl.data_drift.baseline import make_afterwards
    from rollbackctl.data_drift.measure import window_of
    from rollbackctl.engine.subjects import subject_of
    from rollbackctl.spec.data_drift import window_at

    workspace = app.workspace()
    subject = subject_of(workspace.root, repository, version)
    baseline, path = make_afterwards(workspace.root, subject, window_of(window_at(data, form)), workspace.pool)
    app.out(f"{plain(version)}: {len(baseline.features)} features in {baseline.rows:,} rows, named in {plain(path)}")
    lead_on(app, "rollbackctl targets PLAN")
    return 0
