"""The decision engine's configuration file, read into `DecisionEngineConfig`; and the runbook's own values."""

from collections.abc import Mapping
from dataclasses import MISSING, fields

from bot_core.config.models import (
    DecisionEngineConfig,
    DecisionOrchestratorThresholds,
    DecisionStressTestConfig,
)
from bot_core.foundation.bounded_yaml import bounded_yaml
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.fields import Fields

MAX_BYTES = 256 * 1024
_MAX_DEPTH = 64
RUNBOOK_THRESHOLDS = DecisionOrchestratorThresholds(
    max_cost_bps=20.0,
    min_net_edge_bps=1.5,
    max_daily_loss_pct=0.05,
    max_drawdown_pct=0.2,
    max_position_ratio=0.8,
    max_open_positions=8,
    max_latency_ms=500.0,
    max_trade_notional=50_000.0,
)
_REQUIRED = {field.name: field.default is MISSING for field in fields(DecisionOrchestratorThresholds)}
_STRESS = tuple(field.name for field in fields(DecisionStressTestConfig))


def runbook_config(thresholds: DecisionOrchestratorThresholds = RUNBOOK_THRESHOLDS) -> DecisionEngineConfig:
    """What the runbook configures for a rollback, with other thresholds where some are given."""
    return DecisionEngineConfig(orchestrator=thresholds, min_probability=0.4)


def parse_decision_engine(data: bytes, source: str) -> DecisionEngineConfig:
    """Read a YAML file in one of three forms.

    The engine's whole configuration, of which only the section `decision_engine` counts; that section alone, known by
    its `orchestrator`; or thresholds alone, for which `runbook_config` holds the rest. A profile's override takes what
    it leaves out from `orchestrator`. Keys of the section that are not about decisions are passed over.

    Raises:
        FileFormatError: Larger than 256 KiB, not YAML, or a value is missing, unknown or of the wrong sort; names the
            place.
    """
    whole = _load(data, source)
    section = whole.inner("decision_engine") if "decision_engine" in whole.values else whole
    if "orchestrator" not in section.values and section is whole:
        return runbook_config(_thresholds(whole, {}))
    base = _thresholds(section.inner("orchestrator"), {})
    overrides = section.inner("profile_overrides").each()
    return DecisionEngineConfig(
        orchestrator=base,
        profile_overrides={profile: _thresholds(values, vars(base)) for profile, values in overrides},
        stress_tests=_stress_tests(section.inner("stress_tests")),
        min_probability=section.number("min_probability", 0.0),
        require_cost_data=section.flag("require_cost_data"),
        penalty_cost_bps=section.number("penalty_cost_bps", 0.0, at_least=0.0),
    )


def _thresholds(found: Fields, base: Mapping[str, object]) -> DecisionOrchestratorThresholds:
    """The thresholds of a mapping; what it leaves out comes from `base`."""
    _refuse_unknown(found, _REQUIRED, "a threshold")
    whole = Fields({**base, **found.values}, found.source, found.place)
    count = whole.number("max_open_positions")
    if not count.is_integer():
        raise whole.fault(f"{whole.at('max_open_positions')} is {count:g}, not a whole number")
    others = {
        name: whole.number(name) if is_required else whole.optional_number(name)
        for name, is_required in _REQUIRED.items()
    }
    return DecisionOrchestratorThresholds(**{**others, "max_open_positions": int(count)})  # type: ignore[arg-type]


def _stress_tests(found: Fields) -> DecisionStressTestConfig | None:
    """The stress tests; None where the section is empty or missing."""
    _refuse_unknown(found, _STRESS, "a stress test")
    if not found.values:
        return None
    return DecisionStressTestConfig(
        cost_shock_bps=found.number("cost_shock_bps", 0.0),
        latency_spike_ms=found.number("latency_spike_ms", 0.0),
        slippage_multiplier=found.number("slippage_multiplier", 1.0, at_least=0.0),
    )


def _refuse_unknown(found: Fields, known: Mapping[str, bool] | tuple[str, ...], what: str) -> None:
    for name in found.values:
        if name not in known:
            raise found.fault(f"{found.at(name)} is not {what}")


def _load(data: bytes, source: str) -> Fields:
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(data) > MAX_BYTES:
        raise FileFormatError(f"{source}: larger than {MAX_BYTES} bytes", path=source)
    try:
        value = bounded_yaml(_MAX_DEPTH).load(data.decode())
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{source}: not UTF-8", path=source) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise FileFormatError(f"{source}, line {line}: not YAML: {error.problem}", path=source, line=line) from error
    except (YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{source}: not YAML: {error}", path=source) from error
    if not isinstance(value, Mapping):
        raise FileFormatError(f"{source}: the top level is not a mapping", path=source)
    return Fields(value, source)
