import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.compliance import collect_pipeline_compliance_summary
from bot_core.ai.scheduler import RetrainingScheduler

FIXTURES = Path(__file__).parents[2] / "fixtures"
PUBLIC = FIXTURES / "ws_public"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected_public.json").read_bytes())
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(PUBLIC / "audit/ai_decision", tmp_path / "audit")
    return tmp_path / "audit"


def names(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_summary_says_what_the_engines_says_and_what_it_left_out(root: Path) -> None:
    before = names(root)

    summary: Any = collect_pipeline_compliance_summary(audit_root=root, now=NOW)

    expected = EXPECTED["collect_pipeline_compliance_summary"]
    assert {key: summary[key] for key in expected} == expected
    assert set(summary) == {*expected, "data_quality", "drift", "walk_forward", "pending_sign_off"}
    assert summary["drift"]["total"] == summary["data_quality"]["total"] == 5
    assert set(summary["pending_sign_off"]) == {"compliance", "risk", "data_governance", "model_validation"}
    assert names(root) == before


def test_a_workspace_without_reports_and_with_a_schedule_ahead_is_ready(tmp_path: Path) -> None:
    scheduler = RetrainingScheduler(timedelta(hours=6), persistence_path=tmp_path / "scheduler.json")
    scheduler.mark_executed(NOW)

    later = collect_pipeline_compliance_summary(audit_root=tmp_path, now=NOW + timedelta(hours=7))
    summary = collect_pipeline_compliance_summary(audit_root=tmp_path, now=NOW + timedelta(hours=2))

    assert (summary["ready"], summary["issues"]) == (True, [])
    assert summary["scheduler"]["seconds_until_next_run"] == 4 * 3600.0  # type: ignore[index]
    assert later["issues"] == ["scheduler_overdue"]


def test_no_schedule_is_no_issue_and_can_be_left_out(tmp_path: Path) -> None:
    summary: Any = collect_pipeline_compliance_summary(audit_root=tmp_path, now=NOW)

    assert summary["ready"] is True
    assert summary["scheduler"]["state"] is None
    assert "scheduler" not in collect_pipeline_compliance_summary(audit_root=tmp_path, include_scheduler=False)


def test_an_unreadable_report_is_an_issue_of_its_own(root: Path) -> None:
    (root / "walk_forward/20251117T000000Z.json").write_text("{")

    assert "unreadable_reports" in collect_pipeline_compliance_summary(audit_root=root, now=NOW)["issues"]  # type: ignore[operator]
