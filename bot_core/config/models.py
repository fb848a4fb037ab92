"""The values that configure the decision engine."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from bot_core.foundation.frozen import frozen


@frozen
class DecisionOrchestratorThresholds:
    """Limits that a candidate must keep; None means that there is no such limit."""

    max_cost_bps: float
    min_net_edge_bps: float
    max_daily_loss_pct: float
    max_drawdown_pct: float
    max_position_ratio: float
    max_open_positions: int
    max_latency_ms: float | None = None
    max_trade_notional: float | None = None


@frozen
class DecisionStressTestConfig:
    """Shocks under which a candidate must still pay; the defaults are no shock."""

    cost_shock_bps: float = 0.0
    latency_spike_ms: float = 0.0
    slippage_multiplier: float = 1.0


@frozen
class DecisionEngineTCOConfig:
    """Where the reports on total cost of ownership come from and how old they may be."""

    report_paths: Sequence[str] = ()
    reports: Sequence[str] | None = None
    require_at_startup: bool = False
    runtime_enabled: bool = False
    runtime_report_directory: str | None = None
    runtime_report_basename: str | None = None
    runtime_export_formats: Sequence[str] = ("json",)
    runtime_flush_events: int | None = None
    runtime_clear_after_export: bool = False
    runtime_signing_key_env: str | None = None
    runtime_signing_key_id: str | None = None
    runtime_metadata: Mapping[str, object] = field(default_factory=dict)
    runtime_cost_limit_bps: float | None = None
    warn_report_age_hours: float | None = 24.0
    max_report_age_hours: float | None = 72.0


@frozen
class DecisionEngineConfig:
    """Thresholds for everybody, overrides by risk profile, and how models and costs are used."""

    orchestrator: DecisionOrchestratorThresholds
    profile_overrides: Mapping[str, DecisionOrchestratorThresholds] = field(default_factory=dict)
    stress_tests: DecisionStressTestConfig | None = None
    min_probability: float = 0.0
    require_cost_data: bool = False
    penalty_cost_bps: float = 0.0
    evaluation_history_limit: int = 256
    max_autonomous_open_winners_per_batch: int | None = None
    opportunity_policy_mode: str = "shadow"
    opportunity_ai_enabled: bool = True
    tco: DecisionEngineTCOConfig | None = None
