"""The rollback plan and the firm's policy as documents: every field, its default and its type."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic.types import StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_ -]{0,63}$", to_lower=True)]
Version = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_DAYTIME = "T(#H(#M)?(#S)?|#M(#S)?|#S)"
_DURATION = f"^P(#D({_DAYTIME})?|{_DAYTIME})$".replace("#", "[0-9]{1,6}")
Duration = Annotated[str, StringConstraints(pattern=_DURATION)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u{2028}\u{2029}]{1,200}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def seconds(duration: str) -> float:
    """Return the length of an ISO 8601 duration of days, hours, minutes and seconds."""
    parts = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", duration)
    if parts is None:
        raise ValueError(f"{duration!r} is no duration such as PT6H")
    return sum(int(part or 0) * unit for part, unit in zip(parts.groups(), (86400, 3600, 60, 1), strict=True))


def _check_path(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or not path or any(part in ("", ".", "..") for part in parts) or "\0" in path:
        raise ValueError("must be a path below the workspace: relative, with no '..', '.' or empty part")
    return path


def check_optional_path(path: str | None) -> str | None:
    """Give the path back; ValueError where it does not lie below the workspace."""
    return None if path is None else _check_path(path)


def _check_paths(paths: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Check each of several paths; a word, such as `all`, is none."""
    return paths if isinstance(paths, str) else tuple(map(_check_path, paths))


class Document(BaseModel):
    """Base of every section: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


class Metadata(Document):
    """Who this plan is for."""

    name: Name
    incident: Name
    reason: Line = "data_drift_alert"


class Trigger(Document):
    """The report that triggers the rollback: `latest`, or a path."""

    report: str = "latest"


class Withdraw(Document):
    """The version to withdraw."""

    version: Version


class TargetChoice(Document):
    """The version to go back to; exactly one of the four ways to name it."""

    select: Literal["last-stable"] | None = None
    version: Version | None = None
    sha256: Sha256 | None = None
    alias: Version | None = None
    exclude: tuple[Version, ...] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = [name for name in ("select", "version", "sha256", "alias") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError("name the target in exactly one way: select, version, sha256 or alias")
        if self.exclude and self.select is None:
            raise ValueError("exclude goes with select only")
        return self


class Model(Document):
    """Which model is rolled back, and under which names."""

    repository: str = "models/decision_engine"
    withdraw: Withdraw | None = None
    target: TargetChoice = TargetChoice(select="last-stable")
    serve_as: tuple[Name, ...] | None = Field(default=None, min_length=1)
    aliases: Literal["all"] | tuple[str, ...] = "all"
    deployed: Literal["all"] | tuple[str, ...] = "all"
    quarantine: bool = True

    _repository = field_validator("repository")(_check_path)
    _deployed = field_validator("deployed")(_check_paths)


class Serving(Document):
    """Where the serving state lives; `thresholds` is a YAML file with the orchestrator's thresholds."""

    model_dir: str = "var/models"
    thresholds: str | None = None

    _model_dir = field_validator("model_dir")(_check_path)
    _thresholds = field_validator("thresholds")(check_optional_path)


class Autotrader(Document):
    """The trader's maintenance flag; on during the run, then as before."""

    config: str = "config/auto_trader.yaml"
    maintenance: bool = True

    _config = field_validator("config")(_check_path)


class Scheduler(Document):
    """The retraining schedule; `interval` is kept unless stated."""

    state: str = "audit/ai_decision/scheduler.json"
    mark_executed: bool = True
    interval: Duration | None = None

    _state = field_validator("state")(_check_path)

    @field_validator("interval")
    @classmethod
    def _above_zero(cls, interval: str | None) -> str | None:
        if interval is not None and seconds(interval) <= 0:
            raise ValueError("must be longer than nothing")
        return interval


class Journal(Document):
    """The decision journal: where events are written, where evidence is read, and the events' labels."""

    write: str = "logs/decision_journal/rollback.log"
    read: str = "logs/decision_journal"
    environment: str = "ai-monitoring"
    portfolio: str = "ai-manager"
    risk_profile: str = "ai-monitoring"

    _write = field_validator("write", "read")(_check_path)


class Compliance(Document):
    """Who must sign what; a plan may add to the firm's policy, never take away."""

    roles: tuple[Role, ...] = ("risk", "compliance")
    reports: int = Field(default=5, ge=1, le=1000)
    checklist: str = "docs/compliance/ai_pipeline_signoff.md"
    incident_journal: str = "audit/ai_decision/incident_journal.md"

    _paths = field_validator("checklist", "incident_journal")(_check_path)


class Escalation(Document):
    """Whom to call when the rollback does not help."""

    to: str = "Platform Ops"
    runbook: str = "docs/runbooks/rollback_multi_strategy.md"


class Body(Document):
    """The section `spec`."""

    trigger: Trigger = Trigger()
    model: Model
    serving: Serving = Serving()
    autotrader: Autotrader = Autotrader()
    scheduler: Scheduler = Scheduler()
    journal: Journal = Journal()
    compliance: Compliance = Compliance()
    gates: dict[Name, dict[str, JsonValue]] = {}
    checks: dict[Name, dict[str, JsonValue]] = {}
    escalation: Escalation = Escalation()
    resources: dict[Name, JsonValue] = {}

    @model_validator(mode="after")
    def _apart(self) -> Self:
        named = {
            "serving.model_dir": self.serving.model_dir,
            "autotrader.config": self.autotrader.config,
            "scheduler.state": self.scheduler.state,
            "journal.write": self.journal.write,
            "compliance.checklist": self.compliance.checklist,
            "compliance.incident_journal": self.compliance.incident_journal,
            "model.repository": self.model.repository,
        }
        for place, path in named.items():
            if f"{path}/".startswith("var/rollbackctl/"):
                raise ValueError(f"{place} lies in the run store var/rollbackctl")
        same = sorted(place for place, path in named.items() if list(named.values()).count(path) > 1)
        if same:
            raise ValueError(f"{' and '.join(same)} name the same file")
        return self


class Spec(Document):
    """A rollback plan, as its author wrote it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", title="RollbackPlan")

    apiVersion: Literal["rollbackctl/v1alpha1"]  # noqa: N815 - the field's own spelling
    kind: Literal["RollbackPlan"]
    metadata: Metadata
    spec: Body

    def to_json(self) -> dict[str, Any]:
        """Return the plan with defaults left out: what its author decided."""
        return self.model_dump(mode="json", exclude_defaults=True) | {"apiVersion": self.apiVersion, "kind": self.kind}

    @classmethod
    def default(cls, *, name: str, incident: str) -> "Spec":
        """Return a plan with every default; used where there is no plan yet (`hold`, `observe`)."""
        return cls(
            apiVersion="rollbackctl/v1alpha1",
            kind="RollbackPlan",
            metadata=Metadata(name=name, incident=incident),
            spec=Body(model=Model()),
        )


class HmacKey(Document):
    """Where the key of a key_id lies: an environment variable or a file."""

    env: str | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give exactly one of env and file")
        return self


class Policy(Document):
    """The firm's own rules, `config/rollbackctl.yaml`; a plan may only tighten them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", title="RollbackPolicy")

    roles: tuple[Role, ...] = Field(default=("risk", "compliance"), min_length=1)
    reports: int = Field(default=5, ge=1, le=1000)
    bundle: Literal["optional", "required"] = "optional"
    hmac_keys: dict[str, HmacKey] = {}
    expires_after: Duration = "PT24H"
    limits: dict[str, Finite] = {}
    plugins: tuple[str, ...] = ()
    operators_group: str | None = None
