"""The incident's workspace, copied, with valid artifacts only."""

import json
import shutil
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "tests" / "fixtures" / "ws_public"
PLAN = "plans/inc-2025-1117.yaml"
ROLES = ("compliance", "data_governance", "risk")
_TEXT = """\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {name: inc-2025-1117-drift, incident: INC-2025-1117}
spec:
  model:
    target: {version: "v9"}
"""


def make_workspace(root: Path) -> Path:
    """Copy the workspace and give it a plan with a named target; v8, which breaks the schema, is left out."""
    shutil.copytree(FIXTURE, root)
    repository = root / "models" / "decision_engine"
    manifest = json.loads((repository / "manifest.json").read_text())
    (repository / manifest["versions"].pop("v8")["file"]).unlink()
    (repository / "manifest.json").write_text(json.dumps(manifest, indent=2))
    (root / PLAN).parent.mkdir(exist_ok=True)
    (root / PLAN).write_text(_TEXT)
    return root
