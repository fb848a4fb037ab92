"""A move looks again under the lock of its file: what somebody has changed since it was seen is not overwritten."""

from pathlib import Path

import pytest

from bot_core.ai.repository import ModelRepository
from bot_core.ai.serving import change_serving
from rollbackctl.kinds import Kind
from rollbackctl.kinds.deployed_copy import DeployedCopy
from rollbackctl.kinds.maintenance import Maintenance
from rollbackctl.kinds.model_alias import ModelAlias
from rollbackctl.kinds.retraining_schedule import RetrainingSchedule
from rollbackctl.kinds.serving import ServingKind, ServingState
from tests.examples import bind
from tests.harness import edited

SCHEDULE, TRADER, DEPLOYED = "audit/ai_decision/scheduler.json", "config/auto_trader.yaml", "var/models/decision_engine"


def change(kind: str, root: Path) -> None:
    """What a stranger does to a resource of that kind."""
    match kind:
        case "retraining_schedule":
            edited(root / SCHEDULE, lambda found: {**found, "interval": 1.0})
        case "serving":
            change_serving(root / "var/models", lambda now: now.next(attached=False))
        case "maintenance":
            (root / TRADER).write_bytes((root / TRADER).read_bytes().replace(b"maintenance: false", b"maintenance: on"))
        case "model_alias":
            ModelRepository(root / "models/decision_engine").assign_alias("champion", "v7")
        case _:
            edited(root / DEPLOYED / "manifest.json", lambda found: {**found, "aliases": {}})


@pytest.mark.parametrize(
    ("made", "name", "fields"),
    [
        (RetrainingSchedule, SCHEDULE, {"paused_reason": "held"}),
        (ServingKind, "var/models", None),
        (Maintenance, TRADER, {"maintenance": True, "token": "true"}),
        (ModelAlias, "champion", {"version": "v9", "listed_by": ("v9",)}),
        (DeployedCopy, DEPLOYED, {"active": None}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_somebody_has_just_changed_stays(
    made: type[Kind], name: str, fields: dict[str, object] | None, workspace: Path
) -> None:
    kind = made(bind(workspace))
    before = kind.observe(name)
    after = ServingState(attached=False, held_by="held") if before is None else before.model_copy(update=fields)

    change(made.name, workspace)
    changed = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    kind.move(name, before, after)

    assert kind.observe(name) not in (before, after)
    assert {path: path.read_bytes() for path in changed} == changed
