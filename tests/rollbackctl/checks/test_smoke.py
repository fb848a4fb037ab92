import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot_core.foundation.digest import sha256_hex
from rollbackctl.checks import Bench
from rollbackctl.checks.smoke import Smoke
from rollbackctl.core.gate import Outcome, Result
from tests.examples import make_facts, make_spec, pin

V9 = pin("v9")
PAPER = "data/decision_engine/paper"
# What the running engine recorded of v9 and these candidates, in `expected_public.json`.
BY_V9 = (
    "v9 scored 3: 1 accepted, 2 rejected: "
    "trend_follow BTCUSDT (net edge -0.75 bps is below the limit 1.50 bps); "
    "grid_core SOLUSDT (net edge -20.40 bps is below the limit 1.50 bps)"
)
TIGHT = {
    "max_cost_bps": 5.0,
    "min_net_edge_bps": 3.5,
    "max_daily_loss_pct": 0.02,
    "max_drawdown_pct": 0.09,
    "max_position_ratio": 0.32,
    "max_open_positions": 6,
}


def run(
    workspace: Path,
    *,
    serving: dict[str, Any] | None = None,
    limits: dict[str, float] | None = None,
    inputs: dict[str, str] | None = None,
    **settings: Any,
) -> Outcome:
    """Try v9, of which the workspace's repository holds the very bytes."""
    spec = make_spec(checks={"smoke": settings}, serving=serving or {})
    return Smoke().run(Bench(workspace, spec, make_facts(), V9.source, limits or {}, inputs or {}))


def change(workspace: Path, name: str, value: Any) -> None:
    (workspace / PAPER / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))


def candidates(workspace: Path) -> list[dict[str, Any]]:
    value: list[dict[str, Any]] = json.loads((workspace / PAPER / "candidates.json").read_bytes())
    return value


def test_the_target_scores_the_paper_candidates_and_who_is_rejected_is_said_with_the_reason(workspace: Path) -> None:
    assert run(workspace) == Outcome("smoke", Result.PASS, BY_V9)


def test_a_target_that_accepts_nothing_passes_unless_some_must_be_accepted(workspace: Path) -> None:
    (workspace / "tight.yaml").write_text(json.dumps(TIGHT))
    tight = {"thresholds": "tight.yaml"}

    found = run(workspace, serving=tight)

    assert found.result is Result.PASS
    assert found.summary.startswith("v9 scored 3: 0 accepted, 3 rejected: mean_reversion_alpha ADAUSDT (net edge 3.25")
    assert "cost 5.80 bps is above the limit 5.00 bps" in found.summary

    demanded = run(workspace, serving=tight, min_accepted=1)

    assert demanded.result is Result.FAIL
    assert demanded.summary.endswith("; at least 1 must be accepted")
    assert run(workspace, min_accepted=1).result is Result.PASS


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"min_net_edge_bps": 3.5}, "net edge 3.25 bps is below the limit 3.50 bps"),
        ({"max_cost_bps": 4.0}, "cost 4.20 bps is above the limit 4.00 bps"),
        ({"max_trade_notional": 3000.0}, "notional 3500.00 is above the limit 3000.00"),
        ({"min_probability": 0.7}, "probability 0.661 is below the limit 0.700"),
    ],
)
def test_the_policys_limit_counts_where_it_is_tighter(workspace: Path, limits: dict[str, float], reason: str) -> None:
    assert f"mean_reversion_alpha ADAUSDT ({reason})" in run(workspace, limits=limits).summary


@pytest.mark.parametrize("limits", [{"min_net_edge_bps": 0.1}, {"max_cost_bps": 99.0}, {"unknown": 1.0}])
def test_the_policys_limit_does_not_loosen_the_plans(workspace: Path, limits: dict[str, float]) -> None:
    assert run(workspace, limits=limits).summary == BY_V9


def test_a_limit_that_the_plan_does_not_set_is_the_policys(workspace: Path) -> None:
    (workspace / "open.yaml").write_text(json.dumps({**TIGHT, "min_net_edge_bps": 0.0}))
    serving = {"thresholds": "open.yaml"}

    assert "latency" not in run(workspace, serving=serving).summary
    assert "latency 115.0 ms is above" in run(workspace, serving=serving, limits={"max_latency_ms": 100.0}).summary


def test_the_policy_may_demand_that_some_are_accepted(workspace: Path) -> None:
    assert run(workspace, limits={"min_accepted": 1.0}).result is Result.PASS
    assert run(workspace, limits={"min_accepted": 2.0}, min_accepted=1).summary.endswith("at least 2 must be accepted")


def test_a_copy_of_another_artifact_fails_whatever_it_scores(workspace: Path) -> None:
    facts = make_facts(target=replace(V9, sha256="f" * 64))

    outcome = Smoke().run(Bench(workspace, make_spec(checks={"smoke": {}}), facts, V9.source))

    assert outcome.result is Result.FAIL
    assert f"scored by the artifact {V9.sha256}, not by {'f' * 64}" in outcome.summary


def test_a_score_that_is_not_finite_fails(workspace: Path) -> None:
    path = workspace / V9.source
    linear = {"backend": "linear", "model_state": {"weights": [1e308] * 5, "bias": 0.0}}
    path.write_text(json.dumps(json.loads(path.read_bytes()) | linear))
    facts = make_facts(target=replace(V9, sha256=sha256_hex(path.read_bytes())))

    outcome = Smoke().run(Bench(workspace, make_spec(checks={"smoke": {}}), facts, V9.source))

    assert outcome.result is Result.FAIL
    assert "candidate 1 (mean_reversion_alpha ADAUSDT): model v9 gave no score: the score is not finite" in (
        outcome.summary
    )


def test_a_candidate_that_the_target_cannot_score_fails(workspace: Path) -> None:
    change(workspace, "candidates", [{**item, "metadata": {}} for item in candidates(workspace)])

    outcome = run(workspace)

    assert outcome.result is Result.FAIL
    assert "candidate 3 (grid_core SOLUSDT): model v9 cannot score: the metadata hold no features" in outcome.summary


def test_without_a_candidate_nothing_is_proven(workspace: Path) -> None:
    change(workspace, "candidates", [])

    assert run(workspace) == Outcome("smoke", Result.FAIL, "there is no candidate to score")


def test_of_many_rejections_some_are_named(workspace: Path) -> None:
    change(workspace, "candidates", candidates(workspace)[2:] * 8)

    outcome = run(workspace)

    assert outcome.summary.count("SOLUSDT") == 5
    assert outcome.summary.endswith("; and 3 more")


@pytest.mark.parametrize("text", ["not json", "{}"])
def test_a_copy_that_does_not_load_fails(workspace: Path, text: str) -> None:
    (workspace / V9.source).write_text(text)

    assert run(workspace).result is Result.FAIL


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("candidates", "[3]", f"{PAPER}/candidates.json: candidates[0] is 3, not an object"),
        ("risk_snapshot", '{"a": NaN}', f"{PAPER}/risk_snapshot.json, line 1: NaN is not a finite number"),
        ("tco_report", '{"total": 3}', f"{PAPER}/tco_report.json: total is 3, not a mapping"),
    ],
)
def test_an_input_that_is_wrong_is_no_fault_of_the_target(workspace: Path, name: str, text: str, fault: str) -> None:
    change(workspace, name, text)

    outcome = run(workspace)

    assert outcome.result is Result.INCONCLUSIVE
    assert fault in outcome.summary


def test_an_input_that_is_gone_is_inconclusive(workspace: Path) -> None:
    (workspace / PAPER / "tco_report.json").unlink()

    assert run(workspace).result is Result.INCONCLUSIVE


@pytest.mark.parametrize("path", [f"{PAPER}/candidates.json", f"{PAPER}/risk_snapshot.json", "tight.yaml"])
def test_an_input_that_changed_since_the_plan_is_inconclusive(workspace: Path, path: str) -> None:
    (workspace / "tight.yaml").write_text(json.dumps(TIGHT))
    digest = sha256_hex((workspace / path).read_bytes())

    outcome = run(workspace, serving={"thresholds": "tight.yaml"}, inputs={path: "0" * 64})

    assert outcome.result is Result.INCONCLUSIVE
    assert outcome.summary == f"{path} has sha256 {digest[:12]}, not 000000000000 as in the plan"


def test_other_inputs_are_those_that_the_plan_names(workspace: Path) -> None:
    (workspace / "one.json").write_text(json.dumps(candidates(workspace)[:1]))
    live = {name: f"{PAPER}/{name}.json" for name in ("risk_snapshot", "tco_report")}

    assert run(workspace, mode="live", candidates="one.json", **live).summary == "v9 scored 1: 1 accepted, 0 rejected"
    assert sorted(Smoke().files(make_spec(checks={"smoke": {"candidates": "one.json"}}))) == [
        f"{PAPER}/risk_snapshot.json",
        f"{PAPER}/tco_report.json",
        "one.json",
    ]
