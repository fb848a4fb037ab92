import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.manager import AIManager
from bot_core.ai.serving import change_serving, read_serving
from bot_core.decision.inputs import MAX_BYTES
from bot_core.decision.smoke_command import main
from tests.bot_core.decision.examples import EXPECTED
from tests.conftest import NOW

SCRIPT = Path(__file__).parents[2] / "scripts" / "run_decision_engine_smoke.py"
PAGE = Path(__file__).parents[2] / "docs" / "decisions.md"
V9 = "290247a89f8a4e8157d6ad927ca9c985309e58ee6c911f98f28e4b1e3fb9d66c"
TIGHT = {
    "max_cost_bps": 12.0,
    "min_net_edge_bps": 3.5,
    "max_daily_loss_pct": 0.02,
    "max_drawdown_pct": 0.09,
    "max_position_ratio": 0.32,
    "max_open_positions": 6,
}


@pytest.fixture
def served(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace, as working folder, with v9 served as the runbook's step 4 leaves it."""
    monkeypatch.chdir(workspace)
    AIManager(model_dir="var/models").load_decision_artifact(
        "rollback", "models/decision_engine/model-v9.json", set_default=True
    )
    return workspace


def smoke(*options: str, mode: str = "paper") -> int:
    return main(["--mode", mode, "--output", "out/smoke.json", *options], now=NOW)


def output(root: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((root / "out/smoke.json").read_bytes())
    return value


def rewrite(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))


def test_the_served_model_scores_the_paper_inputs_under_the_runbooks_limits(served: Path) -> None:
    before = (served / "var/models/serving.json").read_bytes()

    assert smoke() == 0

    found = output(served)
    assert (found["accepted"], found["rejected"], found["stress_failures"], found["failures"]) == (1, 2, 0, [])
    assert (found["mode"], found["config"], found["generated_at"]) == ("paper", None, NOW.isoformat())
    assert found["model"] == {"name": "rollback", "version": "v9", "sha256": V9, "generation": 1}
    assert [e["model_digest"] for e in found["evaluations"]] == [V9, V9, V9]
    recorded = EXPECTED["evaluate_target_model_runbook_config"]
    assert [e["accepted"] for e in found["evaluations"]] == [e["accepted"] for e in recorded]
    assert [e["net_edge_bps"] for e in found["evaluations"]] == pytest.approx([e["net_edge_bps"] for e in recorded])
    assert (served / "var/models/serving.json").read_bytes() == before


def test_the_output_names_every_input_with_its_digest(served: Path) -> None:
    smoke()

    found = output(served)
    for name, recorded in found["inputs"].items():
        assert found[name] == recorded["path"] == f"data/decision_engine/paper/{name}.json"
        assert recorded["sha256"] == hashlib.sha256((served / recorded["path"]).read_bytes()).hexdigest()
    assert sorted(found["inputs"]) == ["candidates", "risk_snapshot", "tco_report"]


def test_tighter_limits_accept_nothing_which_is_1_unless_that_is_allowed(served: Path) -> None:
    (served / "tight.yaml").write_text(json.dumps(TIGHT))

    assert smoke("--config", "tight.yaml") == 1
    assert output(served)["evaluations"][0]["reasons"] == ["net edge 3.25 bps is below the limit 3.50 bps"]
    assert output(served)["inputs"]["config"]["path"] == "tight.yaml"
    assert smoke("--config", "tight.yaml", "--allow-empty") == 0


def test_the_engines_own_configuration_is_the_default_where_it_is_there(served: Path) -> None:
    (served / "config/core.yaml").write_text(json.dumps({"decision_engine": {"orchestrator": TIGHT}}))

    assert smoke() == 1
    assert output(served)["config"] == "config/core.yaml"


def test_live_inputs_are_those_that_are_named(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [f"--{n}=data/decision_engine/paper/{n.replace('-', '_')}.json" for n in ("risk-snapshot", "tco-report")]

    assert smoke(*paths, mode="live") == 2
    assert "--mode live needs --candidates" in capsys.readouterr().err
    assert not (served / "out").exists()
    assert smoke(*paths, "--candidates=data/decision_engine/paper/candidates.json", mode="live") == 0


def test_without_a_served_model_the_smoke_fails_whatever_is_allowed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)

    assert smoke("--allow-empty") == 1
    assert "var/models: no default model is loaded" in capsys.readouterr().err
    assert output(workspace)["failures"] == ["var/models: no default model is loaded"]
    assert not (workspace / "var/models/serving.json").exists()


def test_while_serving_is_detached_the_smoke_fails_and_leaves_it_detached(
    served: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_serving(served / "var/models", lambda serving: serving.next(attached=False, held_by="run 7"))

    assert smoke("--allow-empty") == 1
    assert "serving is detached: run 7" in capsys.readouterr().err
    assert not read_serving(served / "var/models").attached


def test_a_stored_copy_of_other_bytes_is_not_scored(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = served / f"var/models/artifacts/{V9}.json"
    copy.write_bytes((served / "models/decision_engine/model-v10.json").read_bytes())

    assert smoke("--allow-empty") == 1
    assert output(served)["accepted"] == 0
    assert "does not have the digest in its name" in capsys.readouterr().err


def test_a_candidate_without_features_fails_the_smoke(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = served / "data/decision_engine/paper/candidates.json"
    candidates = json.loads(path.read_bytes())
    candidates[1]["metadata"] = {}
    path.write_text(json.dumps(candidates))

    assert smoke("--allow-empty") == 1
    assert "candidate 2 (trend_follow BTCUSDT): model rollback cannot score" in capsys.readouterr().err
    assert output(served)["accepted"] == 1


def test_a_net_edge_beyond_all_numbers_fails_the_smoke_and_is_null_in_the_output(served: Path) -> None:
    rewrite(served / "data/decision_engine/paper/tco_report.json", total={"cost_bps": -1.7e308})
    path = served / "data/decision_engine/paper/candidates.json"
    candidates = json.loads(path.read_bytes())
    candidates[2]["strategy"] = "unknown"
    path.write_text(json.dumps(candidates))
    metadata = json.loads((served / f"var/models/artifacts/{V9}.json").read_bytes())["metadata"]
    metadata["calibration"] = {"slope": 0.0, "intercept": 1.7e308}
    rewrite(served / "models/decision_engine/model-v9.json", metadata=metadata)
    AIManager(model_dir="var/models").load_decision_artifact(
        "rollback", "models/decision_engine/model-v9.json", set_default=True
    )

    assert smoke("--allow-empty") == 1
    assert output(served)["failures"] == ["candidate 3 (unknown SOLUSDT): the net edge is inf"]
    assert output(served)["evaluations"][2]["net_edge_bps"] is None


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("candidates", "[{}]", "candidates.json: candidates[0].strategy is missing"),
        ("candidates", '[{"strategy": NaN}]', "candidates.json, line 1: NaN is not a finite number"),
        ("risk_snapshot", '{"balanced": []}', "risk_snapshot.json: balanced is [], not a mapping"),
        ("tco_report", '{"total": 4}', "tco_report.json: total is 4, not a mapping"),
        ("tco_report", " " * (MAX_BYTES + 1), f"tco_report.json: larger than {MAX_BYTES} bytes"),
    ],
)
def test_an_input_that_is_wrong_is_2_and_named_with_its_place(
    served: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, fault: str
) -> None:
    (served / f"data/decision_engine/paper/{name}.json").write_text(text)

    assert smoke() == 2
    assert fault in capsys.readouterr().err
    assert not (served / "out").exists()


def test_an_input_that_is_missing_is_2(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke("--candidates", "none.json") == 2
    assert "none.json does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [("--mode", "fast"), ("--signing-key", "a", "--signing-key-env", "B"), ("--unknown",)],
)
def test_an_option_that_is_wrong_is_2(served: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        smoke(*options)

    assert caught.value.code == 2


@pytest.mark.parametrize("source", ["--signing-key", "--signing-key-env", "--signing-key-file"])
def test_a_signature_holds_for_the_output_and_for_no_other(
    served: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("SMOKE_KEY", "secret")
    (served / "key").write_text("secret\n")
    given = {"--signing-key": "secret", "--signing-key-env": "SMOKE_KEY", "--signing-key-file": "key"}

    assert smoke(source, given[source], "--signing-key-id", "demo-2025") == 0

    signed = json.loads((served / "out/smoke.json.sig").read_bytes())
    message = json.dumps(signed["payload"], sort_keys=True, separators=(",", ":")).encode()
    expected = base64.b64encode(hmac.new(b"secret", message, hashlib.sha256).digest()).decode()
    assert signed["signature"] == {"algorithm": "HMAC-SHA256", "value": expected, "key_id": "demo-2025"}
    assert signed["payload"] == {
        "schema": "runtime.decision_engine.smoke",
        "schema_version": "1.0",
        "generated_at": NOW.isoformat(),
        "result": "smoke.json",
        "result_sha256": hashlib.sha256((served / "out/smoke.json").read_bytes()).hexdigest(),
        "accepted": 1,
        "rejected": 2,
        "stress_failures": 0,
    }


@pytest.mark.parametrize("options", [("--signing-key", ""), ("--signing-key-env", "NOT_SET")])
def test_a_key_that_is_empty_or_not_set_is_2(
    served: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    assert smoke(*options) == 2
    assert "the signing key is empty or not set" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_1(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (served / "out").write_text("a file")

    assert smoke() == 1
    assert "out" in capsys.readouterr().err


def test_the_script_runs_as_the_runbook_calls_it(served: Path) -> None:
    paper = "data/decision_engine/paper"
    command = [sys.executable, SCRIPT, "--mode", "live", "--risk-snapshot", f"{paper}/risk_snapshot.json"]
    command += ["--candidates", f"{paper}/candidates.json", "--tco-report", f"{paper}/tco_report.json"]

    done = subprocess.run(
        [*command, "--output", "smoke.json"], cwd=served, env=os.environ, capture_output=True, text=True, check=False
    )

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "rollback v9: 1 accepted, 2 rejected; see smoke.json\n"
    assert json.loads((served / "smoke.json").read_bytes())["mode"] == "live"


def test_every_option_is_on_the_page_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}

    rows = [line.split(" | ")[0] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `--")]
    assert set(re.findall(r"--[a-z-]+", "".join(rows))) == options
