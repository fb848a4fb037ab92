"""The rules: what speaks against a candidate, each with the value found and the limit that it breaks.

Every comparison is written so that a value that is not a number breaks its limit.
"""

from collections.abc import Iterator

from bot_core.config.models import DecisionEngineConfig, DecisionOrchestratorThresholds
from bot_core.decision.models import DecisionCandidate, RiskSnapshot


def probability_reasons(probability: float, config: DecisionEngineConfig) -> Iterator[str]:
    """What speaks against a probability of success, 0 to 1."""
    if not probability >= config.min_probability:
        yield f"probability {probability:.3f} is below the limit {config.min_probability:.3f}"


def cost_reasons(cost_bps: float | None, limits: DecisionOrchestratorThresholds) -> Iterator[str]:
    """What speaks against a cost; None is not known, which speaks against nothing here."""
    if cost_bps is not None and not cost_bps <= limits.max_cost_bps:
        yield f"cost {cost_bps:.2f} bps is above the limit {limits.max_cost_bps:.2f} bps"


def edge_reasons(net_edge_bps: float, limits: DecisionOrchestratorThresholds) -> Iterator[str]:
    """What speaks against an expected value less cost."""
    if not net_edge_bps >= limits.min_net_edge_bps:
        yield f"net edge {net_edge_bps:.2f} bps is below the limit {limits.min_net_edge_bps:.2f} bps"


def latency_reasons(latency_ms: float | None, limits: DecisionOrchestratorThresholds) -> Iterator[str]:
    """What speaks against a latency; None was not measured."""
    if latency_ms is not None and limits.max_latency_ms is not None and not latency_ms <= limits.max_latency_ms:
        yield f"latency {latency_ms:.1f} ms is above the limit {limits.max_latency_ms:.1f} ms"


def risk_reasons(
    candidate: DecisionCandidate, snapshot: RiskSnapshot, limits: DecisionOrchestratorThresholds
) -> Iterator[tuple[str, str]]:
    """The name of each risk limit that is broken, or would be by the candidate, and what is wrong."""
    if snapshot.force_liquidation:
        yield "force_liquidation_active", f"profile {snapshot.profile} is in forced liquidation"
    loss, drawdown = snapshot.daily_loss_pct, snapshot.drawdown_pct
    if not loss <= limits.max_daily_loss_pct:
        yield "daily_loss_limit", f"daily loss {loss:.4f} is above the limit {limits.max_daily_loss_pct:.4f}"
    if not drawdown <= limits.max_drawdown_pct:
        yield "drawdown_limit", f"drawdown {drawdown:.4f} is above the limit {limits.max_drawdown_pct:.4f}"
    ratio = snapshot.position_ratio(candidate.notional)
    if not ratio <= limits.max_position_ratio:
        yield "gross_notional_limit", f"exposure {ratio:.4f} is above the limit {limits.max_position_ratio:.4f}"
    positions = snapshot.active_positions + (not snapshot.contains_symbol(candidate.symbol))
    if not positions <= limits.max_open_positions:
        yield "open_positions_limit", f"{positions} open positions are above the limit {limits.max_open_positions}"
    most = limits.max_trade_notional
    if most is not None and not candidate.notional <= most:
        yield "trade_notional_limit", f"notional {candidate.notional:.2f} is above the limit {most:.2f}"


def stress_failures(
    candidate: DecisionCandidate,
    cost_bps: float | None,
    limits: DecisionOrchestratorThresholds,
    config: DecisionEngineConfig,
) -> Iterator[str]:
    """The stress tests that a candidate fails: it must still pay at a higher cost, and be fast enough when all is slow.

    What pays here is the candidate's own expected value, as in the running engine; the model's has to pass the limit
    on the net edge without a shock.
    """
    stress = config.stress_tests
    if stress is None:
        return
    cost = ((cost_bps or 0.0) + stress.cost_shock_bps) * max(stress.slippage_multiplier, 0.0)
    latency = None if candidate.latency_ms is None else candidate.latency_ms + stress.latency_spike_ms
    for reason in (*edge_reasons(candidate.expected_value_bps - cost, limits), *latency_reasons(latency, limits)):
        yield f"under stress: {reason}"
