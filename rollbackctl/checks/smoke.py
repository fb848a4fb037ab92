"""The decision loop takes the target: candidates are scored by it, and decided about under the plan's limits."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError, IntegrityError
from bot_core.foundation.frozen import replace
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import parse_object
from rollbackctl.checks import Bench
from rollbackctl.core.gate import Outcome, Result
from rollbackctl.spec.document import Document, Spec, check_optional_path

if TYPE_CHECKING:
    from bot_core.config.models import DecisionEngineConfig
    from bot_core.decision.smoke import SmokeInputs, SmokeResult

_SHOWN = 5


class SmokeSettings(Document):
    """What is decided about; `demo` and `paper` have their inputs in `data/decision_engine/<mode>`."""

    mode: Literal["demo", "live", "paper"] = "paper"
    candidates: str | None = None
    risk_snapshot: str | None = None
    tco_report: str | None = None
    min_accepted: int = Field(default=0, ge=0)

    _paths = field_validator("candidates", "risk_snapshot", "tco_report")(check_optional_path)

    @model_validator(mode="after")
    def _live_is_named(self) -> Self:
        if self.mode == "live" and None in (self.candidates, self.risk_snapshot, self.tco_report):
            raise ValueError("mode live needs candidates, risk_snapshot and tco_report")
        return self

    def path(self, name: str) -> str:
        """Return where an input lies: `candidates`, `risk_snapshot` or `tco_report`."""
        return getattr(self, name) or f"data/decision_engine/{self.mode}/{name}.json"


class Smoke:
    """Scores each candidate with the stored copy; who is rejected, and why, is said, and is no fault of the target."""

    name: ClassVar[str] = "smoke"
    section: ClassVar[str] = "smoke"
    always: ClassVar[bool] = False
    settings: ClassVar[type[Document]] = SmokeSettings

    def files(self, spec: Spec) -> Mapping[str, Callable[[bytes, str], object]]:
        """Name the three inputs and what reads them."""
        from bot_core.decision.inputs import parse_candidates, parse_risk_snapshots, parse_tco_report

        settings = SmokeSettings.model_validate(spec.spec.checks.get(self.section, {}))
        return {
            settings.path("candidates"): parse_candidates,
            settings.path("risk_snapshot"): parse_risk_snapshots,
            settings.path("tco_report"): parse_tco_report,
        }

    def run(self, bench: Bench) -> Outcome:
        """Decide about every candidate once."""
        settings = SmokeSettings.model_validate(bench.section(self.section))
        least = max(settings.min_accepted, bench.limits.get("min_accepted", 0))
        try:
            inputs = _inputs(bench, settings)
        except BotCoreError as error:
            return Outcome(self.name, Result.INCONCLUSIVE, error.problem)
        try:
            result = _score(bench, inputs)
        except BotCoreError as error:
            return Outcome(self.name, Result.FAIL, error.problem)
        if result.failures:
            return Outcome(self.name, Result.FAIL, _cut(result.failures))
        summary = _summary(bench.facts.target.version, result)
        if result.accepted < least:
            return Outcome(self.name, Result.FAIL, f"{summary}; at least {least:g} must be accepted")
        return Outcome(self.name, Result.PASS, summary)


def _inputs(bench: Bench, settings: SmokeSettings) -> "SmokeInputs":
    """Read the candidates and what they are held against, each with the digest that the plan names."""
    from bot_core.decision.inputs import parse_candidates, parse_risk_snapshots, parse_tco_report
    from bot_core.decision.smoke import SmokeInputs

    candidates, snapshot, report = (settings.path(name) for name in ("candidates", "risk_snapshot", "tco_report"))
    return SmokeInputs(
        _config(bench),
        parse_candidates(_read(bench, candidates), candidates),
        parse_risk_snapshots(_read(bench, snapshot), snapshot),
        parse_tco_report(_read(bench, report), report),
    )


def _config(bench: Bench) -> "DecisionEngineConfig":
    """Return the limits of the plan, else the runbook's; where the policy names one as well, the tighter counts."""
    from bot_core.config.decision_engine import parse_decision_engine, runbook_config

    path = bench.spec.spec.serving.thresholds
    config = runbook_config() if path is None else parse_decision_engine(_read(bench, path), path)
    limits = {name: _tighter(name, value, bench.limits) for name, value in asdict(config.orchestrator).items()}
    return replace(
        config,
        orchestrator=replace(config.orchestrator, **limits),
        min_probability=_tighter("min_probability", config.min_probability, bench.limits),
    )


def _tighter(name: str, value: float | None, limits: Mapping[str, float]) -> float | None:
    limit = limits.get(name)
    if value is None or limit is None:
        return limit if value is None else value
    return max(value, limit) if name.startswith("min_") else min(value, limit)


def _read(bench: Bench, path: str) -> bytes:
    data = read_inside(bench.root, path)
    found = sha256_hex(data)
    if (planned := bench.inputs.get(path, found)) != found:
        raise IntegrityError(f"{path} has sha256 {found[:12]}, not {planned[:12]} as in the plan")
    return data


def _score(bench: Bench, inputs: "SmokeInputs") -> "SmokeResult":
    """Decide with the stored copy; what is hashed is what scores."""
    from bot_core.ai.inference import DecisionModelInference
    from bot_core.ai.repository import ModelRepository
    from bot_core.decision.smoke import run_smoke

    target, data = bench.facts.target, read_inside(bench.root, bench.artifact)
    inference = DecisionModelInference(ModelRepository(bench.root / bench.facts.repository))
    inference.load_weights(parse_object(data, bench.artifact), sha256=sha256_hex(data))
    return run_smoke(inputs, target.version, inference, target.sha256)


def _summary(version: str, result: "SmokeResult") -> str:
    rejected = [
        f"{evaluation.candidate.strategy} {evaluation.candidate.symbol} ({'; '.join(against)})"
        for evaluation in result.evaluations
        if (against := (*evaluation.reasons, *evaluation.stress_failures))
    ]
    counts = f"{version} scored {len(result.evaluations)}: {result.accepted} accepted, {result.rejected} rejected"
    return f"{counts}: {_cut(rejected)}" if rejected else counts


def _cut(lines: list[str] | tuple[str, ...]) -> str:
    more = len(lines) - _SHOWN
    return "; ".join(lines[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
