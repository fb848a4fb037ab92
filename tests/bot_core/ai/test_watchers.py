import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.data_monitoring import (
    DataCompletenessWatcher,
    DriftAlertPayload,
    FeatureBoundsValidator,
    collect_pending_compliance_sign_offs,
    export_drift_alert_report,
    load_recent_data_quality_reports,
)
from bot_core.ai.reports import parse_report

PUBLIC = Path(__file__).parents[2] / "fixtures" / "ws_public"
QUALITY = PUBLIC / "audit/ai_decision/data_quality"
V9: dict[str, Any] = json.loads((PUBLIC / "models/decision_engine/model-v9.json").read_bytes())
MEANS = {name: scaler["mean"] for name, scaler in V9["feature_scalers"].items()}
CONTEXT = {"model": "decision-core", "symbol": "BTCUSDT"}


def written(path: Path | None) -> dict[str, Any]:
    assert path is not None
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


@pytest.fixture(autouse=True)
def in_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def completeness() -> DataCompletenessWatcher:
    watcher = DataCompletenessWatcher()
    watcher.configure_from_metadata(V9["metadata"])
    return watcher


def bounds() -> FeatureBoundsValidator:
    validator = FeatureBoundsValidator()
    validator.configure_from_metadata(V9["metadata"])
    return validator


def test_a_completeness_alert_has_the_engines_own_shape() -> None:
    original = written(QUALITY / "20251117T221000Z_completeness.json")
    watcher = completeness()

    watcher.observe({"momentum": 0.0, "atr_pct": 1.0, "rsi_norm": 0.0}, context=CONTEXT)

    found = written(watcher.last_report_path)
    volatile = {"timestamp": original["timestamp"], "sign_off": original["sign_off"]}
    assert {**found, **volatile} == original
    assert set(found["sign_off"]) == {"risk", "compliance"}


def test_a_bounds_alert_has_the_engines_own_shape() -> None:
    original = written(QUALITY / "20251116T210000Z_bounds.json")
    validator = FeatureBoundsValidator({**bounds().bounds, "spread_bps": (0.4, 5.1)})

    validator.observe({**MEANS, "spread_bps": 9.7}, context=original["context"])

    found = written(validator.last_report_path)
    volatile = {"timestamp": original["timestamp"], "sign_off": original["sign_off"]}
    assert {**found, **volatile} == original


def test_a_report_is_named_after_its_time_and_category_and_says_where_it_is() -> None:
    report: Any = completeness().observe(MEANS, audit_root="elsewhere")

    stamp = datetime.fromisoformat(report["timestamp"]).strftime("%Y%m%dT%H%M%SZ")
    assert report["report_path"] == f"elsewhere/data_quality/{stamp}_completeness.json"
    assert report["status"] == "ok"


@pytest.mark.parametrize("enforce", [True, False])
def test_an_alert_must_be_settled_unless_the_metadata_say_that_it_does_not_count(enforce: bool) -> None:
    watcher, validator = completeness(), bounds()
    for each in (watcher, validator):
        each.configure_from_metadata({**V9["metadata"], "data_quality": {"enforce": enforce}})
    watcher.observe({})
    validator.observe({**MEANS, "momentum": 99.0})

    pending = collect_pending_compliance_sign_offs(data_quality_reports=load_recent_data_quality_reports())

    assert {role: len(entries) for role, entries in pending.items()} == dict.fromkeys(
        ("compliance", "risk"), 2 if enforce else 0
    )


def test_without_stats_the_bounds_are_five_deviations_around_the_mean() -> None:
    validator = FeatureBoundsValidator()

    validator.configure_from_metadata({"feature_scalers": {"a": {"mean": 1.0, "stdev": 2.0}, "b": {"mean": 1.0}}})

    assert validator.bounds == {"a": (-9.0, 11.0)}


def test_a_bound_that_is_not_given_is_no_limit() -> None:
    validator = FeatureBoundsValidator()
    validator.configure({"a": {"max": 1.0}})

    report: Any = validator.observe({"a": 2.0})

    assert report["violations"] == [{"feature": "a", "value": 2.0, "min": None, "max": 1.0, "reason": "out_of_bounds"}]
    assert validator.observe({"a": -1e300})["status"] == "ok"


def test_who_expects_nothing_is_not_configured() -> None:
    watcher, validator = DataCompletenessWatcher(("a",)), FeatureBoundsValidator({"a": (0.0, 1.0)})
    assert (watcher.is_configured, validator.is_configured) == (True, True)

    watcher.configure(None)
    validator.configure(None)

    assert (watcher.is_configured, validator.is_configured) == (False, False)
    assert watcher.observe({"a": None})["status"] == validator.observe({"a": 7.0})["status"] == "ok"


@pytest.mark.parametrize("name", ["20251112T130510Z_drift_alert.json", "20251117T224530Z_drift_alert.json"])
def test_a_drift_alert_has_the_engines_own_shape_and_counts_from_its_threshold_on(name: str) -> None:
    original = written(PUBLIC / "audit/ai_decision/drift" / name)
    payload = DriftAlertPayload(
        model_name=original["model_name"],
        drift_score=original["drift_score"],
        threshold=original["threshold"],
        window=original["window"],
        extra=original["extra"],
        model_version=original.get("model_version"),
    )

    path = export_drift_alert_report(payload)

    found = written(path)
    volatile = {"timestamp": original["timestamp"], "sign_off": original["sign_off"]}
    assert {**found, **volatile} == original
    report = parse_report(path.read_bytes(), path=str(path), kind="drift")
    assert report.is_alert is (payload.drift_score >= payload.threshold)
