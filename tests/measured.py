"""The small incident workspace with production rows in it, and a plan that holds its versions against them."""

from pathlib import Path

from tests.harness import INCIDENT, PLAN, Site, new_site
from tests.windows import STORM, write_window

LIVE = "data/live.csv"
TRAINING = "data/training.csv"
STORMY = "data/storm.csv"
REPOSITORY = "models/decision_engine"
V7, V9, V10 = (f"{REPOSITORY}/model-{version}.json" for version in ("v7", "v9", "v10"))


def measured_site(root: Path) -> Site:
    """The workspace: rows of now that look like what every version was trained on, and others that do not."""
    site = new_site(root)
    write_window(root / LIVE)
    write_window(root / TRAINING)
    write_window(root / STORMY, STORM)
    write_plan(site)
    return site


def write_plan(
    site: Site,
    *,
    window: str = LIVE,
    target: str = "{select: last-stable}",
    section: str = "",
    gates: str = "",
    checks: str = "{data_drift: {}}",
    name: str = "inc-2025-1117-drift",
) -> None:
    """Write the rollback plan; `section` goes on within the gate's section, `gates` beside it."""
    (site.root / PLAN).write_text(
        f"""\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {{name: {name}, incident: {INCIDENT}}}
spec:
  model: {{target: {target}}}
  gates:
    data_drift: {{window: {{path: '{window}', time_column: time}}{section}}}
    {gates}
  checks: {checks}
"""
    )


def with_baselines(site: Site) -> Site:
    """Make the baselines of two versions: v7 was trained on rows like those of now, v9 on stormy ones."""
    site.ok("baseline", "v7", "--from", TRAINING)
    site.ok("baseline", "v9", "--from", STORMY)
    return site
