from pathlib import Path

import pytest

from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.repository import ModelRepository
from bot_core.config.decision_engine import RUNBOOK_THRESHOLDS
from bot_core.config.models import DecisionEngineConfig, DecisionOrchestratorThresholds
from bot_core.decision.orchestrator import DecisionOrchestrator

RUNBOOK = RUNBOOK_THRESHOLDS
CAREFUL = DecisionOrchestratorThresholds(10.0, 3.0, 0.01, 0.1, 0.4, 2)


@pytest.fixture
def orchestrator() -> DecisionOrchestrator:
    return DecisionOrchestrator(
        DecisionEngineConfig(
            orchestrator=RUNBOOK,
            profile_overrides={"conservative": CAREFUL},
            stress_tests=None,
            min_probability=0.4,
            require_cost_data=False,
            penalty_cost_bps=0.0,
        )
    )


@pytest.fixture
def model(tmp_path: Path) -> DecisionModelInference:
    return DecisionModelInference(ModelRepository(tmp_path))


def test_nothing_is_attached_at_first(orchestrator: DecisionOrchestrator) -> None:
    assert orchestrator.inference() is None
    assert orchestrator.inference("rollback") is None


def test_a_model_is_the_default_only_where_that_is_asked_for(
    orchestrator: DecisionOrchestrator, tmp_path: Path
) -> None:
    first, second = (DecisionModelInference(ModelRepository(tmp_path)) for _ in range(2))

    orchestrator.attach_named_inference("first", first)

    assert orchestrator.inference() is None
    assert orchestrator.inference("first") is first

    orchestrator.attach_named_inference("second", second, set_default=True)
    orchestrator.attach_named_inference("first", first)

    assert orchestrator.inference() is second


def test_with_the_default_model_goes_the_default(
    orchestrator: DecisionOrchestrator, model: DecisionModelInference
) -> None:
    orchestrator.attach_named_inference("rollback", model, set_default=True)
    orchestrator.detach_named_inference("unknown")

    orchestrator.detach_named_inference("rollback")

    assert orchestrator.inference() is None
    assert orchestrator.inference("rollback") is None


def test_an_unnamed_model_is_the_default_and_can_be_taken_away(model: DecisionModelInference) -> None:
    orchestrator = DecisionOrchestrator(DecisionEngineConfig(orchestrator=RUNBOOK), inference=model)

    assert orchestrator.inference() is model

    orchestrator.attach_inference_service(None)

    assert orchestrator.inference() is None


def test_a_profile_has_its_own_thresholds_or_everybodys(orchestrator: DecisionOrchestrator) -> None:
    assert orchestrator.thresholds_for_profile("conservative") == CAREFUL
    assert orchestrator.thresholds_for_profile("balanced") == RUNBOOK


def test_a_snapshot_names_each_threshold(orchestrator: DecisionOrchestrator) -> None:
    assert orchestrator.threshold_snapshot(CAREFUL) == {
        "max_cost_bps": 10.0,
        "min_net_edge_bps": 3.0,
        "max_daily_loss_pct": 0.01,
        "max_drawdown_pct": 0.1,
        "max_position_ratio": 0.4,
        "max_open_positions": 2,
        "max_latency_ms": None,
        "max_trade_notional": None,
        "min_probability": 0.4,
        "penalty_cost_bps": 0.0,
    }
