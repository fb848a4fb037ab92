"""`rollbackctl init`."""

import os
from pathlib import Path

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common
from rollbackctl.core.commands import quote
from rollbackctl.core.errors import UsageError
from rollbackctl.core.plain import plain

_STARTER = """\
# What is not written here has its default; see them all: rollbackctl schema rollback-plan
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata:
  name: {name}
  incident: {incident}
  reason: data_drift_alert
spec:
  model:
    target: {{select: last-stable}}   # or {{version: "v9"}}
"""


@click.command("init")
@click.option("--incident", metavar="ID", help="The incident; else that of the checklist's last post-incident review.")
@click.option("--out", metavar="FILE", help="Where to; else plans/<incident>.yaml in the workspace.")
@common
def command(app: App, incident: str | None, out: str | None) -> int:
    """Write a starter rollback plan for this workspace; an existing file is never overwritten.

    Example: rollbackctl init --incident INC-2025-1117
    """
    from bot_core.foundation.atomic_file import make_folder, write_atomic
    from rollbackctl.engine.observe import guess_incident
    from rollbackctl.spec.document import Compliance

    workspace = app.workspace()
    incident = incident or guess_incident(workspace, Compliance().checklist)
    name = f"{incident.lower()}-drift"
    path = Path(out) if out else workspace.root / "plans" / f"{incident.lower()}.yaml"
    shown = os.path.relpath(path)
    if path.exists():
        raise UsageError(f"{shown} exists already", hint=f"look at it: rollbackctl plan {quote(shown)}")
    make_folder(path.absolute().parent)
    write_atomic(path.absolute(), _STARTER.format(name=name, incident=incident).encode())
    app.out(f"wrote {plain(shown)}")
    lead_on(app, f"rollbackctl plan {quote(shown)}")
    return 0
