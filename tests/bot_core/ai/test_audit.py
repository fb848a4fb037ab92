import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.audit import (
    ensure_audit_structure,
    list_audit_reports,
    load_audit_report,
    load_latest_data_quality_report,
    load_latest_drift_report,
    load_latest_walk_forward_report,
    load_recent_walk_forward_reports,
    load_scheduler_state,
    save_data_quality_report,
    save_drift_report,
    save_scheduler_state,
    summarize_walk_forward_reports,
)
from bot_core.foundation.errors import BotCoreError, FileFormatError

FIXTURES = Path(__file__).parents[2] / "fixtures"
PUBLIC = FIXTURES / "ws_public"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected_public.json").read_bytes())
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PUBLIC, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def test_the_state_of_the_scheduler_is_read_from_the_working_folder(workspace: Path) -> None:
    assert load_scheduler_state() == EXPECTED["scheduler_state_before"]


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert load_scheduler_state(audit_root=tmp_path) is None


def test_a_corrupt_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scheduler.json").write_text('{"version": 5')

    with pytest.raises(FileFormatError, match=r"scheduler\.json"):
        load_scheduler_state(audit_root=tmp_path)


def test_a_saved_state_has_the_bytes_of_the_engine(workspace: Path) -> None:
    state = load_scheduler_state()
    assert state is not None

    path = save_scheduler_state(state, audit_root="elsewhere/audit")

    assert path.read_bytes() == (PUBLIC / "audit/ai_decision/scheduler.json").read_bytes()


def test_the_folders_are_made_once_and_again(tmp_path: Path) -> None:
    ensure_audit_structure(tmp_path / "a/b")
    root = ensure_audit_structure(tmp_path / "a/b")

    assert sorted(path.name for path in root.iterdir()) == ["data_quality", "drift", "walk_forward"]


def test_a_report_of_the_pipeline_is_written_as_the_engine_writes_it(workspace: Path) -> None:
    original = PUBLIC / "audit/ai_decision/drift/20251118T010000Z.json"
    raw = json.loads(original.read_bytes())

    path = save_drift_report(
        raw["metrics"],
        job_name=raw["job_name"],
        audit_root="new",
        generated_at=datetime.fromisoformat(raw["generated_at"]),
        baseline_window=raw["baseline_window"],
        production_window=raw["production_window"],
        detector=raw["detector"],
        threshold=raw["threshold"],
    )

    assert path == Path("new/drift/20251118T010000Z.json")
    assert path.read_bytes() == original.read_bytes()


def test_a_quality_report_of_the_pipeline_is_written_as_the_engine_writes_it(workspace: Path) -> None:
    original = PUBLIC / "audit/ai_decision/data_quality/20251117T221500Z.json"
    raw = json.loads(original.read_bytes())

    path = save_data_quality_report(
        raw["issues"],
        job_name=raw["job_name"],
        audit_root="new",
        generated_at=datetime.fromisoformat(raw["generated_at"]),
        source=raw["source"],
        summary=raw["summary"],
        tags=raw["tags"],
    )

    assert path.read_bytes() == original.read_bytes()


def test_two_reports_of_one_second_are_two_files(tmp_path: Path) -> None:
    paths = [save_data_quality_report([], audit_root=tmp_path, generated_at=NOW) for _ in range(3)]

    assert [path.name for path in paths] == [
        "20251118T080000Z.json",
        "20251118T080000Z_1.json",
        "20251118T080000Z_2.json",
    ]


def test_reports_are_listed_by_their_own_time(workspace: Path) -> None:
    paths = list_audit_reports("drift", limit=2)

    assert [str(path) for path in paths] == [
        "audit/ai_decision/drift/20251118T010000Z.json",
        "audit/ai_decision/drift/20251117T224530Z_drift_alert.json",
    ]
    assert list_audit_reports("walk_forward", newest_first=False)[0].name == "20250918T041000Z.json"
    assert load_audit_report(paths[0])["detector"] == "ai_manager.detect_drift"


def test_an_unknown_folder_is_refused(workspace: Path) -> None:
    with pytest.raises(BotCoreError, match="models"):
        list_audit_reports("models")


def test_the_latest_report_says_where_it_is(workspace: Path, tmp_path: Path) -> None:
    latest = [load_latest_drift_report(), load_latest_data_quality_report(), load_latest_walk_forward_report()]

    assert [report and report["report_path"] for report in latest] == [
        "audit/ai_decision/drift/20251118T010000Z.json",
        "audit/ai_decision/data_quality/20251118T020000Z_bounds.json",
        "audit/ai_decision/walk_forward/20251108T041020Z.json",
    ]
    assert load_latest_drift_report(audit_root=tmp_path / "none") is None


def test_the_walk_forward_reports_are_summarised_with_the_figures_of_the_engine(workspace: Path) -> None:
    summary = dict(summarize_walk_forward_reports(load_recent_walk_forward_reports()))

    assert summary.pop("unreadable") == 0
    assert json.loads(json.dumps(summary)) == EXPECTED["summarize_walk_forward_reports"]


def test_no_reports_are_summarised_without_figures() -> None:
    summary = summarize_walk_forward_reports(None)

    assert summary["total"] == 0
    assert summary["average_mae"] == {"mean": None, "min": None, "max": None}


def test_an_unreadable_walk_forward_report_is_an_entry_with_its_error(workspace: Path) -> None:
    (workspace / "audit/ai_decision/walk_forward/20251117T000000Z.json").write_text("{")

    reports = load_recent_walk_forward_reports(limit=2)
    summary = summarize_walk_forward_reports(reports)

    assert set(reports[0]) == {"report_path", "error"}
    assert summary["unreadable"] == 1
    assert summary["latest_generated_at"] == "2025-11-08T04:10:20+00:00"
