import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.config.decision_engine import runbook_config
from bot_core.config.models import DecisionEngineConfig, DecisionOrchestratorThresholds, DecisionStressTestConfig
from bot_core.decision.models import DecisionContext, DecisionEvaluation
from bot_core.decision.orchestrator import DecisionOrchestrator
from tests.bot_core.decision.examples import EXPECTED, make_candidate, make_snapshot, model, paper_inputs

# The engine's own limits for the profile `balanced`, as its smoke output names them.
CORE = DecisionEngineConfig(
    orchestrator=DecisionOrchestratorThresholds(12.0, 3.5, 0.02, 0.09, 0.32, 6, 220.0, 25_000.0),
    stress_tests=DecisionStressTestConfig(cost_shock_bps=2.5),
    min_probability=0.55,
    penalty_cost_bps=1.0,
)
NUMBERS = ("cost_bps", "net_edge_bps", "model_expected_return_bps", "model_success_probability")
STRESSED = replace(runbook_config(), stress_tests=DecisionStressTestConfig(2.0, 100.0, 1.5))


def decide(
    config: DecisionEngineConfig | None = None, snapshot: dict[str, Any] | None = None, **candidate: Any
) -> DecisionEvaluation:
    """Decide about a candidate on the strategy's own expectation."""
    context = DecisionContext(make_snapshot(**(snapshot or {})))
    return DecisionOrchestrator(config or runbook_config()).evaluate_candidate(make_candidate(**candidate), context)


def limits(**changes: Any) -> DecisionEngineConfig:
    return runbook_config(replace(runbook_config().orchestrator, **changes))


@pytest.mark.parametrize(
    ("recorded", "config", "version"),
    [
        ("evaluate_no_model_runbook_config", runbook_config(), None),
        ("evaluate_target_model_runbook_config", runbook_config(), "v9"),
        ("evaluate_no_model_core_yaml(smoke script)", CORE, None),
        ("evaluate_target_model_core_yaml", CORE, "v9"),
    ],
)
def test_decisions_are_those_that_the_running_engine_made(
    recorded: str, config: DecisionEngineConfig, version: str | None
) -> None:
    inputs = paper_inputs(config)
    orchestrator = DecisionOrchestrator(config)
    if version is not None:
        orchestrator.attach_named_inference("rollback", model(version), set_default=True)
    orchestrator.update_costs_from_report(inputs.tco_report)
    contexts = {profile: DecisionContext(snapshot) for profile, snapshot in inputs.snapshots.items()}

    found = orchestrator.evaluate_candidates(inputs.candidates, contexts)

    assert len(found) == len(EXPECTED[recorded])
    for evaluation, engine in zip(found, EXPECTED[recorded], strict=True):
        assert (evaluation.accepted, evaluation.model_name) == (engine["accepted"], engine["model_name"])
        assert len(evaluation.reasons) == len(engine["reasons"])
        assert len(evaluation.stress_failures) == len(engine["stress_failures"])
        assert list(evaluation.risk_flags) == engine["risk_flags"]
        # The recorded scores hold to 1e-9: the order of a sum is the implementation's own.
        assert [getattr(evaluation, name) for name in NUMBERS] == pytest.approx([engine[n] for n in NUMBERS], abs=1e-9)


def test_a_candidate_that_breaks_nothing_is_accepted_without_a_reason() -> None:
    evaluation = decide()

    assert evaluation.accepted
    assert (evaluation.reasons, evaluation.risk_flags, evaluation.stress_failures) == ((), (), ())
    assert (evaluation.expected_value_bps, evaluation.cost_bps, evaluation.net_edge_bps) == (9.0, None, 9.0)


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        ({"expected_probability": 0.39}, "probability 0.390 is below the limit 0.400"),
        ({"cost_bps_override": 20.5, "expected_return_bps": 99.0}, "cost 20.50 bps is above the limit 20.00 bps"),
        ({"cost_bps_override": 8.0}, "net edge 1.00 bps is below the limit 1.50 bps"),
        ({"latency_ms": 500.1}, "latency 500.1 ms is above the limit 500.0 ms"),
    ],
)
def test_each_limit_on_gain_names_its_value_and_its_limit(candidate: dict[str, Any], reason: str) -> None:
    evaluation = decide(**candidate)

    assert not evaluation.accepted
    assert (evaluation.reasons, evaluation.risk_flags) == ((reason,), ())


@pytest.mark.parametrize(
    ("snapshot", "candidate", "flag", "reason"),
    [
        ({"force_liquidation": True}, {}, "force_liquidation_active", "profile balanced is in forced liquidation"),
        ({"daily_realized_pnl": -5001.0}, {}, "daily_loss_limit", "daily loss 0.0500 is above the limit 0.0500"),
        ({"last_equity": 79_000.0}, {}, "drawdown_limit", "drawdown 0.2100 is above the limit 0.2000"),
        ({"gross_notional": 79_500.0}, {}, "gross_notional_limit", "exposure 0.8050 is above the limit 0.8000"),
        ({"active_positions": 8}, {}, "open_positions_limit", "9 open positions are above the limit 8"),
        (
            {"start_of_day_equity": 1e6},
            {"notional": 50_000.5},
            "trade_notional_limit",
            "notional 50000.50 is above the limit 50000.00",
        ),
    ],
)
def test_each_risk_limit_is_flagged_with_its_value_and_its_limit(
    snapshot: dict[str, Any], candidate: dict[str, Any], flag: str, reason: str
) -> None:
    evaluation = decide(snapshot=snapshot, **candidate)

    assert not evaluation.accepted
    assert (evaluation.risk_flags, evaluation.reasons) == ((flag,), (reason,))


def test_every_limit_that_is_broken_is_named() -> None:
    snapshot = {"daily_realized_pnl": -10_000.0, "last_equity": 50_000.0, "gross_notional": 90_000.0}

    evaluation = decide(snapshot=snapshot, expected_probability=0.1, cost_bps_override=30.0, latency_ms=900.0)

    assert len(evaluation.reasons) == 7
    assert len(evaluation.risk_flags) == 3


@pytest.mark.parametrize(
    ("config", "snapshot", "candidate"),
    [
        (limits(max_cost_bps=5.0), {}, {"cost_bps_override": 5.0}),
        (limits(min_net_edge_bps=4.0), {}, {"cost_bps_override": 5.0}),
        (limits(max_latency_ms=50.0), {}, {"latency_ms": 50.0}),
        (limits(max_trade_notional=1000.0), {}, {}),
        (limits(max_open_positions=3), {"active_positions": 2}, {}),
        (limits(max_position_ratio=0.51), {"gross_notional": 50_000.0}, {}),
    ],
)
def test_a_value_at_its_limit_breaks_nothing(
    config: DecisionEngineConfig, snapshot: dict[str, Any], candidate: dict[str, Any]
) -> None:
    assert decide(config, snapshot, **candidate).reasons == ()


def test_a_limit_that_is_not_set_does_not_hold_and_a_latency_that_was_not_measured_breaks_none() -> None:
    without = limits(max_latency_ms=None, max_trade_notional=None, max_position_ratio=1e9)

    assert decide(without, latency_ms=1e9, notional=1e9).reasons == ()
    assert decide(limits(max_latency_ms=1.0), latency_ms=None).reasons == ()


def test_an_instrument_that_is_held_opens_no_further_position() -> None:
    full = {"active_positions": 8, "symbols": ("BTCUSDT",)}

    assert decide(snapshot=full).accepted
    assert decide(snapshot=full, symbol="ETHUSDT").risk_flags == ("open_positions_limit",)
    assert decide(snapshot=full, symbol=None).risk_flags == ("open_positions_limit",)


def test_stress_raises_cost_and_latency_together() -> None:
    # (3 + 2) * 1.5 = 7.5 bps of cost leave 1.5 of 9: exactly the limit. 401 + 100 ms is above 500.
    assert decide(STRESSED, cost_bps_override=3.0, latency_ms=400.0).accepted

    evaluation = decide(STRESSED, cost_bps_override=3.1, latency_ms=401.0)

    assert not evaluation.accepted
    assert evaluation.reasons == ()
    assert evaluation.stress_failures == (
        "under stress: net edge 1.35 bps is below the limit 1.50 bps",
        "under stress: latency 501.0 ms is above the limit 500.0 ms",
    )


@pytest.mark.parametrize("name", ["notional", "expected_return_bps", "expected_probability", "latency_ms"])
def test_what_is_not_a_number_is_never_accepted(name: str) -> None:
    assert not decide(**{name: math.nan}).accepted


@pytest.mark.parametrize("equity", [0.0, -1.0, math.nan])
def test_an_account_without_equity_accepts_nothing(equity: float) -> None:
    assert not decide(snapshot={"start_of_day_equity": equity}).accepted


amounts = st.floats(0.0, 1e6)


@given(amounts, amounts, amounts, st.floats(0.0, 1.0), st.floats(0.0, 50.0), st.floats(0.0, 50.0))
def test_a_larger_position_a_higher_cost_and_a_tighter_limit_never_turn_a_no_into_a_yes(
    notional: float, more: float, gross: float, ratio: float, cost: float, edge: float
) -> None:
    config = limits(max_position_ratio=ratio, min_net_edge_bps=edge)
    held = {"gross_notional": gross}
    strict = decide(config, held, notional=notional + more, cost_bps_override=cost + 1.0)

    assert not strict.accepted or decide(config, held, notional=notional, cost_bps_override=cost).accepted


@given(amounts, st.floats(-1e6, 1e6), amounts, st.integers(0, 20), st.floats(0.0, 1.0))
def test_a_candidate_is_accepted_exactly_where_nothing_speaks_against_it(
    notional: float, pnl: float, gross: float, positions: int, probability: float
) -> None:
    snapshot = {"daily_realized_pnl": pnl, "gross_notional": gross, "active_positions": positions}

    evaluation = decide(STRESSED, snapshot, notional=notional, expected_probability=probability)

    assert evaluation.accepted is not bool(evaluation.reasons or evaluation.stress_failures)
    assert len(evaluation.risk_flags) <= len(evaluation.reasons)
