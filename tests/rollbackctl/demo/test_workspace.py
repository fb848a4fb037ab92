"""The demo's incident is a real one: models trained, decisions made, drift measured, and it can be rolled back."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot_core.ai.baseline import load_baseline
from bot_core.ai.data_monitoring import load_recent_drift_reports, update_sign_off
from bot_core.ai.repository import ModelRepository
from rollbackctl.demo.market import FEATURES, simulate, to_csv
from tests.on_call import Operator
from tests.runbook import Workspace, blocks

NOW = datetime(2025, 11, 18, 8, 30, tzinfo=UTC)
PLAN, MEASURED = "plans/inc-demo-1.yaml", "plans/inc-demo-1-measured.yaml"
NINE = blocks(Path(__file__).parents[2] / "fixtures" / "runbook_blocks.md")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's workspace, made once."""
    folder = tmp_path_factory.mktemp("demo")
    operator = Operator(folder, NOW)
    answer = operator.call("demo", "ws")
    assert answer.code == 0, answer.err
    assert answer.err.endswith(
        f"next: cd ws && rollbackctl plan {PLAN}\n"
        f"      rollbackctl targets {MEASURED}   (would a rollback help at all?)\n"
    )
    return folder / "ws"


@pytest.fixture
def operator(made: Path, tmp_path: Path) -> Operator:
    """Somebody in a copy of it."""
    shutil.copytree(made, tmp_path / "ws")
    return Operator(tmp_path / "ws", NOW)


def events(root: Path) -> list[dict[str, str]]:
    folder = root / "logs/decision_journal"
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_five_versions_are_trained_each_with_its_baseline(made: Path) -> None:
    repository = ModelRepository(made / "models/decision_engine")

    assert repository.list_versions() == ("v1", "v2", "v3", "v4", "v5")
    assert repository.get_active_version() == "v5"
    for version in repository.list_versions():
        artifact = repository.load_model(version)
        digest = artifact.metadata["feature_baseline"]["sha256"]
        baseline = load_baseline(made / "models/decision_engine/baselines" / f"{digest}.json", digest)
        assert set(FEATURES) <= set(baseline.features)
        assert artifact.metrics["test_directional_accuracy"] > 0.6


def test_the_newest_version_has_decided_about_every_candidate(made: Path) -> None:
    candidates = (made / "data/decision_engine/candidates.jsonl").read_bytes().splitlines()
    served = json.loads((made / "var/models/serving.json").read_bytes())["models"]["decision-core"]

    decisions = [event for event in events(made) if event["event"] == "decision_evaluation"]

    assert len(decisions) == len(candidates) > 50
    assert {event["model_sha256"] for event in decisions} == {served["sha256"]}
    assert {event["model_version"] for event in decisions} == {"v5"}


def test_a_plan_passes_over_the_version_that_compliance_has_not_signed(operator: Operator) -> None:
    out = operator.call("plan", PLAN).out

    assert "v5 -> v3" in out
    assert "v4  rejected" in out
    assert "HMAC ok" in out
    assert "7 decisions in 4 reports: compliance 4, risk 3" in out


def test_the_incident_can_be_rolled_back(operator: Operator) -> None:
    for role in ("risk", "compliance"):
        operator.call("sign-off", "--plan", PLAN, "--role", role, "--status", "approved", "--by", "X")

    answer = operator.call("apply", PLAN, "--yes")

    assert (answer.code, "verified" in answer.out) == (0, True), answer.err
    serving = json.loads((operator.root / "var/models/serving.json").read_bytes())
    assert {name: model["version"] for name, model in serving["models"].items()} == {
        "decision-core": "v3",
        "rollback": "v3",
    }
    assert operator.call("apply", PLAN, "--yes").out.startswith("No changes.")


def test_the_new_market_is_strange_to_every_version_so_that_a_rollback_will_not_help(operator: Operator) -> None:
    before = operator.tree()

    ranked, applied = operator.call("targets", MEASURED), operator.call("apply", MEASURED, "--yes")

    assert (ranked.code, applied.code, operator.tree()) == (3, 3, before)
    lines = ranked.out.splitlines()
    assert lines[0] == "Targets   INC-DEMO-1   rollback will not help"
    assert lines[1].startswith("Window    data/market/live.csv   72 rows in 1 file, 2025-11-17 14:00Z to ")
    assert sorted(line.split()[0] for line in lines if " beyond " in line) == ["v1", "v2", "v3", "v4", "v5"]
    assert "furthest by segment: symbol " in ranked.out
    assert "against all of training" not in ranked.out


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_the_runbooks_library_calls_run_on_it(operator: Operator, is_rolled_back: bool) -> None:
    for role in ("risk", "compliance"):
        operator.call("sign-off", "--plan", PLAN, "--role", role, "--status", "approved", "--by", "X")
    if is_rolled_back:
        assert operator.call("apply", PLAN, "--yes").code == 0
    for report in load_recent_drift_reports(audit_root=operator.root / "audit/ai_decision"):
        update_sign_off(dict(report), role="risk", status="waived", notes="the order is being carried out")
    assert operator.call("export-target", PLAN).code == 0
    workspace = Workspace(operator.root)

    for block in NINE:
        workspace.do(block)

    assert workspace.json("var/models/serving.json")["models"]["rollback"]["version"] == "v3"
    assert workspace.json("var/models/serving.json")["attached"] is True


def test_what_no_demo_has_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("three years of work")
    (tmp_path / "link").symlink_to("mine")

    for name in ("mine", "link"):
        answer = Operator(tmp_path, NOW).call("demo", name)
        assert (answer.code, f"{name} holds something that no demo has made" in answer.err) == (64, True)

    assert (tmp_path / "mine/thesis.txt").read_text() == "three years of work"


def test_the_same_seed_makes_the_same_market() -> None:
    def market(seed: int, stress_from: datetime | None = None) -> bytes:
        return to_csv(simulate(NOW, 2, seed=seed, stress_from=stress_from))

    assert market(1) == market(1)
    assert market(1) != market(2)
    assert market(1) != market(1, NOW)


def test_stress_is_what_no_calm_hour_is() -> None:
    calm = [bar.features["spread_bps"] for bar in simulate(NOW, 20, seed=1)]
    stress = [bar.features["spread_bps"] for bar in simulate(NOW, 20, seed=1, stress_from=NOW)]

    assert sum(stress) / len(stress) > 2 * sum(calm) / len(calm)
