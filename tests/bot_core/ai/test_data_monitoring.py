import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai import data_monitoring
from bot_core.ai.data_monitoring import (
    ComplianceSignOffError,
    DataQualityException,
    apply_policy_to_report,
    export_data_quality_report,
    export_drift_alert_report,
    filter_audit_reports_since,
    load_recent_data_quality_reports,
    load_recent_drift_reports,
    normalize_policy_enforcement,
    normalize_report_status,
    summarize_data_quality_reports,
    summarize_drift_reports,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
PUBLIC = FIXTURES / "ws_public"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected_public.json").read_bytes())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PUBLIC, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def test_the_newest_reports_are_loaded_with_their_paths(workspace: Path) -> None:
    reports = load_recent_drift_reports(limit=2)

    assert [report["report_path"] for report in reports] == [
        "audit/ai_decision/drift/20251118T010000Z.json",
        "audit/ai_decision/drift/20251117T224530Z_drift_alert.json",
    ]
    assert reports[1]["drift_score"] == 5.12


def test_reports_of_one_category_are_loaded_and_unreadable_ones_are_never_left_out(workspace: Path) -> None:
    (workspace / "audit/ai_decision/data_quality/torn.json").write_text("{")

    reports = load_recent_data_quality_reports(category="bounds")

    assert "torn.json" in str(reports[0]["error"])
    assert {report.get("category") for report in reports[1:]} == {"bounds"}
    assert len(reports) == 4


def test_the_drift_summary_keeps_its_shape_and_adds_what_was_missing(workspace: Path) -> None:
    summary = summarize_drift_reports(load_recent_drift_reports())

    expected = EXPECTED["summarize_drift_reports[all]"]
    assert set(expected) < set(summary)
    assert (summary["total"], summary["exceeds_threshold"]) == (expected["total"], expected["exceeds_threshold"])
    assert summary["latest_report_path"] == "audit/ai_decision/drift/20251118T010000Z.json"
    assert summary["latest_exceeding_report_path"] == expected["latest_exceeding_report_path"]
    assert (summary["critical"], summary["must_be_settled"], summary["unreadable"]) == (1, 6, 0)
    assert summary["latest_critical_report_path"] == "audit/ai_decision/drift/20251117T223000Z_drift_alert.json"
    pending: Any = summary["pending_sign_off"]
    assert {role: len(entries) for role, entries in pending.items()} == {
        "compliance": 4,
        "risk": 4,
        "data_governance": 1,
    }
    for role, entries in expected["pending_sign_off"].items():
        assert all(entry in pending[role] for entry in entries)


def test_the_quality_summary_keeps_its_shape_and_adds_what_was_missing(workspace: Path) -> None:
    summary = summarize_data_quality_reports(load_recent_data_quality_reports())

    expected = EXPECTED["summarize_data_quality_reports[all]"]
    assert {key: summary[key] for key in ("total", "alerts", "enforced_alerts")} == {
        "total": 8,
        "alerts": 4,
        "enforced_alerts": 3,
    }
    categories: Any = summary["by_category"]
    for category, figures in expected["by_category"].items():
        assert set(categories[category]) == set(figures)
        assert {key: categories[category][key] for key in ("total", "alerts", "enforced_alerts")} == {
            key: figures[key] for key in ("total", "alerts", "enforced_alerts")
        }
    assert summary["critical"] == 1
    assert summary["latest_critical_report_path"] == "audit/ai_decision/data_quality/20251117T221500Z.json"
    pending: Any = summary["pending_sign_off"]
    for role, entries in expected["pending_sign_off"].items():
        assert all(entry in pending[role] for entry in entries)


def test_a_summary_can_demand_that_nothing_is_pending(workspace: Path) -> None:
    with pytest.raises(ComplianceSignOffError):
        summarize_drift_reports(load_recent_drift_reports(), require_sign_off=True)

    assert summarize_drift_reports(None, require_sign_off=True)["total"] == 0


def test_an_exported_alert_has_the_bytes_of_the_engine(workspace: Path) -> None:
    original = PUBLIC / "audit/ai_decision/data_quality/20251110T073000Z_bounds.json"
    payload = json.loads(original.read_bytes())
    for key in ("sign_off", "category", "policy"):
        payload.pop(key)

    path = export_data_quality_report(payload, category="bounds")

    assert path == Path("audit/ai_decision/data_quality/20251110T073000Z_bounds_1.json")
    assert path.read_bytes() == original.read_bytes()


def test_an_exported_drift_alert_has_the_bytes_of_the_engine(workspace: Path) -> None:
    original = PUBLIC / "audit/ai_decision/drift/20251112T130510Z_drift_alert.json"
    payload = json.loads(original.read_bytes())
    payload.pop("sign_off")

    path = export_drift_alert_report(payload)

    assert path.name == "20251112T130510Z_drift_alert_1.json"
    assert path.read_bytes() == original.read_bytes()


def test_a_category_becomes_a_safe_file_name(workspace: Path) -> None:
    payload = {"timestamp": "2025-11-18T08:00:00+00:00"}

    assert export_drift_alert_report(payload, category="../Feature drift/PSI").name == (
        "20251118T080000Z_feature_drift_psi.json"
    )


def test_reports_before_an_instant_are_left_out_but_never_unreadable_ones() -> None:
    reports = [
        {"timestamp": "2025-11-18T08:00:00+00:00"},
        {"timestamp": "2025-11-18T07:59:59+00:00"},
        {"report_path": "drift/20250101T000000Z.json", "error": "torn"},
        {},
    ]

    kept = filter_audit_reports_since(reports, since=datetime(2025, 11, 18, 8, tzinfo=UTC))

    assert kept == (reports[0], reports[2], reports[3])


def test_a_policy_is_written_into_the_report() -> None:
    report: dict[str, object] = {"policy": {"note": "x", "enforce": True}}

    assert apply_policy_to_report(report, enforce=False)["policy"] == {"note": "x", "enforce": False}


def test_words_are_normalised() -> None:
    words = (True, 0, "Yes", "off", "perhaps", None, 2, 1.0)
    assert [normalize_policy_enforcement(word) for word in words] == [True, False, True, False, None, None, None, None]
    assert [normalize_report_status(word) for word in (" Critical ", "", None, 3)] == ["critical", None, None, None]


def test_a_failed_check_names_its_categories() -> None:
    error = DataQualityException({"completeness": {"status": "alert"}})

    assert str(error) == "data quality checks failed: completeness"
    assert error.reports == {"completeness": {"status": "alert"}}


def test_every_public_name_can_be_imported_from_here() -> None:
    assert all(hasattr(data_monitoring, name) for name in data_monitoring.__all__)
