"""The section `gates.replay`: which rows are decided again, and how much may change."""

import json

from pydantic import Field, field_validator

from rollbackctl.core.replay import LIMITS
from rollbackctl.spec.data_drift import WindowSettings
from rollbackctl.spec.document import Document, Finite, Line, Spec

SECTION = "replay"


class ReplaySettings(Document):
    """The section of the gate.

    `rows` is how many rows are decided about at most, evenly spread over the window; `parts` are columns of text, such
    as symbol and side, whose values are told apart; without limits the replay is shown and always passes.
    """

    window: WindowSettings
    rows: int = Field(default=20_000, ge=1, le=10_000_000)
    min_rows: int = Field(default=100, ge=1)
    parts: tuple[Line, ...] = ("symbol", "side")
    cost_bps: Finite = Field(default=0.0, ge=0)
    limits: dict[str, Finite] = {}

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: dict[str, float]) -> dict[str, float]:
        for name, limit in limits.items():
            if name not in LIMITS:
                raise ValueError(f"there is no limit {name}; the limits: {', '.join(LIMITS)}")
            if limit < 0:
                raise ValueError(f"the limit {name} must not be below 0")
        return limits


def replay_settings(spec: Spec) -> ReplaySettings | None:
    """The gate's section of a rollback plan; None where it has none."""
    section = spec.spec.gates.get(SECTION)
    return None if section is None else ReplaySettings.model_validate_json(json.dumps(section))
