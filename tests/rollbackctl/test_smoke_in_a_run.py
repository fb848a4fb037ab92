"""The check `smoke` in a rollback: what the plan pins, what is refused before anything moves, what a failure leaves."""

import json
from pathlib import Path

import pytest

from bot_core.ai.serving import read_serving
from bot_core.foundation.digest import sha256_hex
from tests.on_call import PLAN, Operator

PAPER = "data/decision_engine/paper"
INPUTS = [f"{PAPER}/{name}.json" for name in ("candidates", "risk_snapshot", "tco_report")]


def operator(tmp_path: Path, smoke: str = "{mode: paper}", **files: str) -> Operator:
    made = Operator.at(tmp_path / "ws", f"{PLAN}  checks: {{smoke: {smoke}}}\n")
    for path, text in files.items():
        (made.root / PAPER / f"{path}.json").write_text(text)
    return made


def test_a_plan_pins_every_file_that_the_smoke_reads(tmp_path: Path) -> None:
    someone = operator(tmp_path)

    plan = json.loads(someone.call("plan", "plans/inc.yaml", "--format", "json").out)

    assert plan["checks"] == ["inference_ready", "probe_score", "smoke"]
    assert {path: plan["inputs"][path] for path in INPUTS} == {
        path: sha256_hex((someone.root / path).read_bytes()) for path in INPUTS
    }


def test_a_rollback_smokes_the_target_while_it_is_detached_and_reports_it(tmp_path: Path) -> None:
    someone = operator(tmp_path)
    before = someone.tree()

    answer = someone.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 3  # the release waits for the sign-offs
    assert "check smoke: pass, v9 scored 3: 1 accepted, 2 rejected" in answer.out + answer.err
    assert not read_serving(someone.root / "var/models").attached
    assert not any(path.startswith(("data/", "var/models/engines")) for path in someone.changed(before))


def test_a_smoke_that_fails_leaves_the_holds_in_place(tmp_path: Path) -> None:
    someone = operator(tmp_path, "{min_accepted: 2}")

    answer = someone.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 6
    assert "smoke: fail, v9 scored 3: 1 accepted" in answer.err
    assert "at least 2 must be accepted" in answer.err
    assert not read_serving(someone.root / "var/models").attached


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"candidates": "[3]"}, f"{PAPER}/candidates.json: candidates[0] is 3, not an object"),
        ({"tco_report": "{"}, f"{PAPER}/tco_report.json, line 1"),
    ],
)
def test_an_input_that_is_wrong_is_refused_before_anything_moves(
    tmp_path: Path, files: dict[str, str], fault: str
) -> None:
    someone = operator(tmp_path, **files)
    before = someone.tree(times=True)

    answer = someone.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 8
    assert fault in answer.err
    assert someone.tree(times=True) == before


def test_an_input_that_is_missing_is_refused_before_anything_moves(tmp_path: Path) -> None:
    someone = operator(tmp_path)
    (someone.root / INPUTS[0]).unlink()

    answer = someone.call("plan", "plans/inc.yaml")

    assert answer.code == 8
    assert f"{INPUTS[0]} does not exist" in answer.err


def test_a_saved_plan_is_stale_once_an_input_has_changed(tmp_path: Path) -> None:
    someone = operator(tmp_path)
    assert someone.call("plan", "plans/inc.yaml", "--out", "plan.json").code == 0
    path = someone.root / INPUTS[0]
    path.write_bytes(path.read_bytes() + b"\n")

    answer = someone.call("apply", "plan.json")

    assert answer.code == 4
    assert INPUTS[0] in answer.err


def test_a_plan_made_elsewhere_needs_an_observation_that_looked_at_the_inputs(tmp_path: Path) -> None:
    someone = operator(tmp_path)
    assert someone.call("observe", "plans/inc.yaml", "--out", "with.json").code == 0
    (someone.root / "plans/plain.yaml").write_text(PLAN)
    assert someone.call("observe", "plans/plain.yaml", "--out", "without.json").code == 0

    assert someone.call("plan", "plans/inc.yaml", "--world", "with.json").code == 0
    answer = someone.call("plan", "plans/inc.yaml", "--world", "without.json")

    assert answer.code == 8
    assert f"the observation does not hold {', '.join(INPUTS)}" in answer.err


@pytest.mark.parametrize(
    ("smoke", "fault"),
    [
        ("{mode: fast}", "plans/inc.yaml:7:20: spec.checks.smoke.mode: 'fast': Input should be 'demo', 'live'"),
        ("{moed: paper}", "plans/inc.yaml:7:20: spec.checks.smoke.moed is not a known field"),
        ("{min_accepted: -1}", "plans/inc.yaml:7:20: spec.checks.smoke.min_accepted"),
        ("{candidates: ../c.json}", "must be a path below the workspace"),
        ("{mode: live}", "mode live needs candidates, risk_snapshot and tco_report"),
    ],
)
def test_settings_that_are_wrong_are_refused_with_line_and_column(tmp_path: Path, smoke: str, fault: str) -> None:
    answer = operator(tmp_path, smoke).call("validate", "plans/inc.yaml")

    assert answer.code == 8
    assert fault in answer.err


def test_thresholds_that_the_smoke_could_not_read_are_refused_with_the_plan(tmp_path: Path) -> None:
    someone = Operator.at(tmp_path / "ws", f"{PLAN}  serving: {{thresholds: limits.yaml}}\n  checks: {{smoke: {{}}}}\n")
    limits = {"max_cost_bps": 20, "min_net_edge_bps": 1.5, "max_daily_loss_pct": 0.05, "max_drawdown_pct": 0.2}
    (someone.root / "limits.yaml").write_text(
        json.dumps({**limits, "max_position_ratio": 1, "max_open_positions": 2.5})
    )

    answer = someone.call("plan", "plans/inc.yaml")

    assert answer.code == 8
    assert "limits.yaml: max_open_positions is 2.5, not a whole number" in answer.err


def test_the_plans_thresholds_and_the_firms_limits_decide_in_a_run(tmp_path: Path) -> None:
    someone = Operator.at(tmp_path / "ws", f"{PLAN}  serving: {{thresholds: limits.yaml}}\n  checks: {{smoke: {{}}}}\n")
    limits = {"max_cost_bps": 5, "min_net_edge_bps": 0.5, "max_daily_loss_pct": 0.05, "max_drawdown_pct": 0.2}
    (someone.root / "limits.yaml").write_text(json.dumps({**limits, "max_position_ratio": 1, "max_open_positions": 9}))
    (someone.root / "config/rollbackctl.yaml").write_text("limits: {min_net_edge_bps: 3.3}\n")

    answer = someone.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 3
    assert "mean_reversion_alpha ADAUSDT (net edge 3.25 bps is below the limit 3.30 bps)" in answer.out + answer.err
    assert "cost 5.40 bps is above the limit 5.00 bps" in answer.out + answer.err
