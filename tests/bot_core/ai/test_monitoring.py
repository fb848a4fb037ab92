"""What the manager says and writes of features: nothing beside a score, and the pipeline's reports when asked."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.artifact import ModelScore
from bot_core.ai.data_monitoring import DataQualityException, export_data_quality_report
from bot_core.ai.manager import AIManager
from bot_core.ai.reports import parse_report
from bot_core.decision.models import DecisionCandidate

PUBLIC = Path(__file__).parents[2] / "fixtures" / "ws_public"
PROBE = {"momentum": 0.0, "volume_ratio": 1.0}
V9: dict[str, Any] = json.loads((PUBLIC / "models/decision_engine/model-v9.json").read_bytes())
MEANS = {name: scaler["mean"] for name, scaler in V9["feature_scalers"].items()}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PUBLIC, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def serving(metadata: dict[str, Any]) -> AIManager:
    """A manager that serves v9 with other metadata."""
    Path("model.json").write_text(json.dumps({**V9, "metadata": {**V9["metadata"], **metadata}}))
    manager = AIManager(model_dir="var/models")
    manager.load_decision_artifact("rollback", "model.json", set_default=True)
    return manager


def reports() -> set[Path]:
    return set(Path("audit").rglob("*"))


@pytest.mark.parametrize(
    "metadata", [{}, {"data_quality": {"enforce": False}}, {"data_quality": {"enforce": None}}, {"policy": True}]
)
def test_the_probe_is_answered_where_the_metadata_do_not_ask_for_enforcement(metadata: dict[str, Any]) -> None:
    manager, before = serving(metadata), reports()

    score = manager.score_decision_features(PROBE, model_name="rollback")

    assert score == manager.score_decision_features({**MEANS, **PROBE})
    assert isinstance(score, ModelScore)
    assert reports() == before


def test_an_enforced_alert_of_the_workspace_keeps_no_score_back() -> None:
    manager = serving({})
    export_data_quality_report({"status": "alert", "missing_features": ["rsi_norm"]})

    assert manager.score_decision_features(PROBE).success_probability > 0.0


def test_a_score_is_kept_back_where_the_metadata_ask_for_enforcement_and_only_then() -> None:
    manager, before = serving({"data_quality": {"enforce": True}}), reports()

    with pytest.raises(DataQualityException) as caught:
        manager.score_decision_features(PROBE)
    with pytest.raises(DataQualityException, match="bounds"):
        manager.score_decision_features({**MEANS, "momentum": 99.0})

    assert caught.value.reports["completeness"]["missing_features"] == ["atr_pct", "rsi_norm", "spread_bps"]
    assert manager.score_decision_features(MEANS).success_probability > 0.0
    assert reports() == before


def test_what_was_filled_in_is_named_by_the_inference_that_scored() -> None:
    manager = AIManager(model_dir="var/models")
    inference = manager.load_decision_artifact("rollback", "models/decision_engine/model-v9.json", set_default=True)

    manager.score_decision_features(PROBE, model_name="rollback")

    assert inference.last_imputed_features == ("atr_pct", "rsi_norm", "spread_bps")


def test_a_payload_is_a_candidate_that_the_orchestrator_can_score_again() -> None:
    manager = serving({})

    payload = manager.build_decision_engine_payload(
        strategy="trend", action="enter", risk_profile="balanced", symbol="BTCUSDT", notional=1000.0, features=PROBE
    )

    candidate = DecisionCandidate(**payload)  # type: ignore[arg-type]
    score = manager.score_decision_features(candidate.model_features())
    assert (candidate.expected_return_bps, candidate.expected_probability) == (
        score.expected_return_bps,
        score.success_probability,
    )


def test_the_pipelines_issues_are_written_and_nothing_where_there_are_none() -> None:
    manager = AIManager(audit_root="elsewhere")
    issue = {"code": "missing_bars", "message": "2 bars", "severity": "critical", "details": {}}

    path = manager.record_data_quality_issues([issue], job_name="pipeline:btcusdt", source="ai_manager")

    assert path is not None
    assert path.parent == Path("elsewhere/data_quality")
    assert parse_report(path.read_bytes(), path=str(path), kind="data_quality").severity == "critical"
    assert manager.record_data_quality_issues([]) is None
    assert manager.load_last_data_quality_report() == {
        **json.loads(path.read_bytes()),
        "report_path": path.as_posix(),
    }


def test_drift_is_measured_and_reported_of_the_features_asked_for() -> None:
    manager = AIManager(audit_root="elsewhere")
    rows = [float(i % 7) for i in range(70)]

    report = manager.detect_drift({"a": rows, "b": rows}, {"a": [9.0] * 70, "b": rows}, ["a"])
    calm: Any = manager.detect_drift({"a": rows, "b": rows}, {"a": [9.0] * 70, "b": rows}, ["b"])

    assert report["metrics"]["triggered"] == {"value": True}  # type: ignore[index]
    assert (report["detector"], report["threshold"]) == ("ai_manager.detect_drift", 0.35)
    assert calm["metrics"]["triggered"] == {"value": False}
    assert list(calm["metrics"]["features"]) == ["b"]
    assert len(manager.list_drift_report_paths()) == 2
