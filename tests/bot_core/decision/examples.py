"""What tests of decisions start from: the paper inputs of the public workspace, and plain values."""

import json
from pathlib import Path
from typing import Any

from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.repository import ModelRepository
from bot_core.config.decision_engine import runbook_config
from bot_core.config.models import DecisionEngineConfig
from bot_core.decision.inputs import parse_candidates, parse_risk_snapshots, parse_tco_report
from bot_core.decision.models import DecisionCandidate, RiskSnapshot
from bot_core.decision.smoke import SmokeInputs

FIXTURES = Path(__file__).parents[2] / "fixtures"
FIXTURE = FIXTURES / "ws_public"
PAPER = FIXTURE / "data/decision_engine/paper"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected_public.json").read_bytes())


def paper_inputs(config: DecisionEngineConfig | None = None) -> SmokeInputs:
    """The workspace's paper inputs, under the runbook's limits unless others are given."""
    read = {path.name: path.read_bytes() for path in PAPER.iterdir()}
    return SmokeInputs(
        config or runbook_config(),
        parse_candidates(read["candidates.json"], "candidates.json"),
        parse_risk_snapshots(read["risk_snapshot.json"], "risk_snapshot.json"),
        parse_tco_report(read["tco_report.json"], "tco_report.json"),
    )


def model(version: str) -> DecisionModelInference:
    """A version of the workspace, loaded."""
    inference = DecisionModelInference(ModelRepository(FIXTURE / "models/decision_engine"))
    inference.load_weights(version)
    return inference


def make_candidate(**changes: Any) -> DecisionCandidate:
    """A candidate that breaks no limit of the runbook where its own expectation counts."""
    values = {
        "strategy": "trend_follow",
        "action": "enter",
        "risk_profile": "balanced",
        "symbol": "BTCUSDT",
        "notional": 1000.0,
        "expected_return_bps": 10.0,
        "expected_probability": 0.9,
        **changes,
    }
    return DecisionCandidate(**values)


def make_snapshot(**changes: Any) -> RiskSnapshot:
    """An account that breaks no limit of the runbook."""
    values = {
        "profile": "balanced",
        "start_of_day_equity": 100_000.0,
        "daily_realized_pnl": 0.0,
        "peak_equity": 100_000.0,
        "last_equity": 100_000.0,
        "gross_notional": 0.0,
        "active_positions": 0,
        **changes,
    }
    return RiskSnapshot(**values)
