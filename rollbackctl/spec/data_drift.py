"""The section `gates.data_drift`: which rows are now, and how far they may lie from a target's training rows."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from bot_core.ai.drift.window import has_login
from rollbackctl.core.data_drift import MEASURES, Limits
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.spec.document import Document, Duration, Finite, Line, Spec, check_optional_path, seconds

SECTION = "data_drift"
# PSI: "major" by the usual convention (Siddiqi, 2006). The mean, in standard deviations: a medium effect (Cohen, 1988),
# which is what a PSI of 0.25 comes to for normal values. The rest: a spread doubled or halved, a tenth or a twentieth
# of the rows.
_LIMITS: Mapping[str, float] = {
    "psi": 0.25,
    "mean_shift": 0.5,
    "stdev_ratio": 2.0,
    "outside": 0.1,
    "missing": 0.1,
    "new_categories": 0.05,
}
_BY_SUFFIX = {".parquet": "parquet", ".csv": "csv", ".jsonl": "journal"}
_POLICY = f"{SECTION}."


class WindowSettings(Document):
    """The rows of now: a file, a folder, a glob below the workspace, or the URL of an object store.

    `last` is counted back from the newest row of the window, never from the clock.
    """

    path: Line
    format: Literal["parquet", "csv", "journal"] | None = None
    time_column: Line | None = None
    since: Line | None = None
    last: Duration | None = None

    @field_validator("path")
    @classmethod
    def _below(cls, path: str) -> str:
        if "://" not in path:
            check_optional_path(path)
        elif has_login(path):
            raise ValueError("must hold no user and no password; the configuration of its store names them")
        return path

    @field_validator("since")
    @classmethod
    def _aware(cls, since: str | None) -> str | None:
        if since is not None:
            try:
                instant = datetime.fromisoformat(since)
            except ValueError as error:
                raise ValueError("must be an instant such as 2025-11-17T00:00:00Z") from error
            if instant.tzinfo is None:
                raise ValueError("must name its zone, such as 2025-11-17T00:00:00Z")
        return since

    @field_validator("last")
    @classmethod
    def _above_zero(cls, last: str | None) -> str | None:
        if last is not None and seconds(last) <= 0:
            raise ValueError("must be longer than nothing")
        return last

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.time_column is None and (self.since or self.last) and self.read_as != "journal":
            raise ValueError("since and last need a time_column")
        return self

    @property
    def read_as(self) -> str:
        """The format, told by the suffix where it is not stated; a folder holds Parquet."""
        suffix = next((suffix for suffix in _BY_SUFFIX if self.path.lower().endswith(suffix)), ".parquet")
        return self.format or _BY_SUFFIX[suffix]


class Tolerance(Document):
    """How far the window may grow (a share of its rows) and the target's measures may move before a plan is stale."""

    rows: Finite = Field(default=0.25, ge=0)
    measure: Finite = Field(default=0.05, ge=0)


class DataDriftSettings(Document):
    """The section of the gate; the check measures the same."""

    window: WindowSettings
    segments: tuple[Line, ...] = ()
    limits: dict[str, Finite] = {}
    min_rows: int = Field(default=1000, ge=1)
    tolerance: Tolerance = Tolerance()

    @field_validator("limits")
    @classmethod
    def _known(cls, limits: dict[str, float]) -> dict[str, float]:
        for name, limit in limits.items():
            if problem := _problem(name, limit):
                raise ValueError(problem)
        return limits

    @property
    def measured(self) -> dict[str, Any]:
        """What has to be measured; settings that differ in limits only have it in common."""
        return {"window": self.window.model_dump(mode="json", exclude_defaults=True), "segments": list(self.segments)}


def data_drift_settings(spec: Spec) -> DataDriftSettings | None:
    """The gate's section of a rollback plan; None where it has none."""
    return settings_in(spec.spec.gates)


def settings_in(gates: Mapping[str, Any]) -> DataDriftSettings | None:
    """The gate's section among those of a rollback plan; None where it is not there."""
    section = gates.get(SECTION)
    return None if section is None else DataDriftSettings.model_validate_json(json.dumps(section))


def limits_of(settings: DataDriftSettings, firm_limits: Mapping[str, float]) -> Limits:
    """The limits of the rollback plan, else the defaults; where the policy names one as well, the tighter counts.

    The policy's are called `data_drift.psi` and so on, and `data_drift.min_rows`.

    Raises:
        InvalidInputError: The policy names a measure that does not exist, or a limit that cannot be meant.
    """
    measures = {**_LIMITS, **settings.limits}
    firm = {name.removeprefix(_POLICY): limit for name, limit in firm_limits.items() if name.startswith(_POLICY)}
    least = max(settings.min_rows, int(firm.pop("min_rows", 0)))
    for name, limit in firm.items():
        if problem := _problem(name, limit):
            raise InvalidInputError(f"the firm's policy: limits.{_POLICY}{name}: {problem}", hint="mend the policy")
        measures[name] = min(limit, measures.get(name, limit))
    return Limits(measures, least)


def _problem(name: str, limit: float) -> str | None:
    """What is wrong with a limit; None where nothing is."""
    if name not in MEASURES:
        return f"there is no measure {name}; the measures: {', '.join(MEASURES)}"
    least = 1 if name == "stdev_ratio" else 0
    return f"the limit of {name} must be above {least}" if limit <= least else None


def window_at(path: str, form: str | None) -> WindowSettings:
    """A window that a command names.

    Raises:
        InvalidInputError: The path does not lie below the workspace.
    """
    try:
        return WindowSettings.model_validate({"path": path, "format": form})
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidInputError(
            f"{'the URL' if has_login(path) else path}: {message}",
            hint="name a file, a folder or a glob relative to the workspace, or a URL",
        ) from error
