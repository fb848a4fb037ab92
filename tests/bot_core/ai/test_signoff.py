import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.data_monitoring import load_recent_data_quality_reports, load_recent_drift_reports
from bot_core.ai.signoff import (
    ComplianceSignOffError,
    SignOffError,
    collect_pending_compliance_sign_offs,
    ensure_compliance_sign_offs,
    get_supported_sign_off_statuses,
    normalize_compliance_sign_off_roles,
    normalize_sign_off_status,
    update_sign_off,
    update_sign_off_file,
)
from bot_core.foundation.errors import BotCoreError, FileFormatError, MissingFileError, UnsafePathError

PUBLIC = Path(__file__).parents[2] / "fixtures" / "ws_public"
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
ALERT = "audit/ai_decision/drift/20251117T223000Z_drift_alert.json"
PIPELINE = "audit/ai_decision/data_quality/20251117T221500Z.json"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PUBLIC, tmp_path / "ws"))


def content(workspace: Path, report: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workspace / report).read_bytes())
    return found


def sign(workspace: Path, report: str, role: str = "risk", status: str = "approved", **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "signed_by": "j.kowal",
        "notes": None,
        "roles": ("risk", "compliance"),
        "now": NOW,
        "recorded_by": {"user": "ops", "host": "h1"},
    }
    update_sign_off_file(workspace, report, role=role, status=status, **{**arguments, **changes})


def files(workspace: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workspace)): path.read_bytes() for path in workspace.rglob("*") if path.is_file()}


def test_a_decision_is_recorded_and_the_earlier_one_kept(workspace: Path) -> None:
    sign(workspace, ALERT, "Risk", "rejected", notes="roll back")

    report = content(workspace, ALERT)
    assert report["sign_off"]["risk"] == {
        "status": "rejected",
        "signed_by": "j.kowal",
        "timestamp": "2025-11-18T08:00:00+00:00",
        "notes": "roll back",
        "recorded_by": {"user": "ops", "host": "h1"},
    }
    assert report["sign_off_history"] == [
        {
            "role": "risk",
            "status": "pending",
            "signed_by": None,
            "timestamp": None,
            "notes": "Awaiting Risk review",
            "superseded_at": "2025-11-18T08:00:00+00:00",
        }
    ]


def test_everything_but_the_decision_keeps_its_bytes(workspace: Path) -> None:
    before = content(workspace, ALERT)
    mode = (workspace / ALERT).stat().st_mode

    sign(workspace, ALERT)
    after = content(workspace, ALERT)
    after.pop("sign_off_history")
    after["sign_off"]["risk"] = before["sign_off"]["risk"]

    assert json.dumps(after, indent=2, sort_keys=True).encode() == (PUBLIC / ALERT).read_bytes()
    assert (workspace / ALERT).stat().st_mode == mode


@pytest.mark.parametrize("suffix", [b"", b"\n"])
def test_the_format_found_is_the_format_left(workspace: Path, suffix: bytes) -> None:
    (workspace / PIPELINE).write_bytes((PUBLIC / PIPELINE).read_bytes() + suffix)

    sign(workspace, PIPELINE)

    data = (workspace / PIPELINE).read_bytes()
    assert "pomiędzy".encode() in data
    assert data.endswith(b"}" + suffix)
    assert data == json.dumps(json.loads(data), indent=2, sort_keys=True, ensure_ascii=False).encode() + suffix


def test_escapes_found_are_escapes_left(workspace: Path) -> None:
    (workspace / PIPELINE).write_text(json.dumps(content(workspace, PIPELINE), indent=2, sort_keys=True))

    sign(workspace, PIPELINE, notes="pominięto")

    assert (workspace / PIPELINE).read_bytes().isascii()
    assert content(workspace, PIPELINE)["sign_off"]["risk"]["notes"] == "pominięto"


def test_a_report_without_a_block_gets_an_entry_for_every_role(workspace: Path) -> None:
    sign(workspace, PIPELINE, "compliance", roles=("risk", "compliance", "data_governance"))

    report = content(workspace, PIPELINE)
    assert {role: entry["status"] for role, entry in report["sign_off"].items()} == {
        "compliance": "approved",
        "data_governance": "pending",
        "risk": "pending",
    }
    assert report["sign_off"]["data_governance"]["notes"] == "Awaiting Data Governance sign-off"
    assert "sign_off_history" not in report


def test_a_role_written_in_capitals_is_signed_where_it_stands(workspace: Path) -> None:
    raw = content(workspace, ALERT)
    raw["sign_off"] = {"Risk": raw["sign_off"]["risk"], "RISK": "later"}
    (workspace / ALERT).write_text(json.dumps(raw))

    sign(workspace, ALERT)

    report = content(workspace, ALERT)
    assert {role: entry["status"] for role, entry in report["sign_off"].items()} == {
        "Risk": "approved",
        "RISK": "approved",
    }
    assert report["sign_off_history"][1]["value"] == "later"


@pytest.mark.parametrize(
    ("report", "changes", "error"),
    [
        (ALERT, {"status": "waived"}, SignOffError),
        (ALERT, {"status": "waived", "notes": " "}, SignOffError),
        (ALERT, {"status": "fine"}, SignOffError),
        (ALERT, {"role": " "}, SignOffError),
        (ALERT, {"signed_by": " "}, SignOffError),
        ("audit/ai_decision/drift/none.json", {}, MissingFileError),
        ("../ws/" + ALERT, {}, UnsafePathError),
        ("audit/ai_decision/drift/link.json", {}, UnsafePathError),
        ("audit/ai_decision/drift/torn.json", {}, FileFormatError),
        ("audit/ai_decision/drift/list.json", {}, FileFormatError),
        ("audit/ai_decision/drift/history.json", {}, SignOffError),
    ],
)
def test_what_is_refused_changes_nothing(
    workspace: Path, report: str, changes: dict[str, Any], error: type[BotCoreError]
) -> None:
    drift = workspace / "audit/ai_decision/drift"
    (drift / "link.json").symlink_to(workspace / ALERT)
    (drift / "torn.json").write_text("{")
    (drift / "list.json").write_text('{"sign_off": []}')
    (drift / "history.json").write_text('{"sign_off_history": "x"}')
    before = files(workspace)

    with pytest.raises(error):
        sign(workspace, report, **changes)

    assert files(workspace) == before


def test_an_error_to_write_is_raised_and_the_old_report_stands(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    monkeypatch.setattr(os, "replace", full)

    with pytest.raises(OSError, match="No space left"):
        sign(workspace, ALERT)

    assert (workspace / ALERT).read_bytes() == (PUBLIC / ALERT).read_bytes()
    assert not list((workspace / ALERT).parent.glob(".*.tmp"))


def test_decisions_made_at_once_are_all_kept(workspace: Path) -> None:
    roles = [f"role{number}" for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda role: sign(workspace, ALERT, role), roles))

    assert set(roles) < set(content(workspace, ALERT)["sign_off"])


def test_a_loaded_report_is_signed_in_its_file_too(workspace: Path) -> None:
    (report,) = load_recent_drift_reports(limit=1, audit_root=workspace / "audit/ai_decision")
    path = Path(str(report["report_path"]))
    sign(workspace, str(path.relative_to(workspace)), "compliance")
    mapping = {**report, "detector": "edited in memory"}

    update_sign_off(mapping, role="risk", status="Approved", signed_by="j.kowal", now=NOW)

    stored = json.loads(path.read_bytes())
    assert {role: entry["status"] for role, entry in stored["sign_off"].items()} == {
        "compliance": "approved",
        "risk": "approved",
    }
    assert mapping["sign_off"] == stored["sign_off"]
    assert stored["detector"] == "ai_manager.detect_drift"
    assert "report_path" not in stored


def test_a_report_in_memory_is_signed_in_place() -> None:
    report: dict[str, object] = {"drift_score": 5.0}

    same = update_sign_off(report, role="legal", status="waived", notes="n/a", now=NOW)

    assert same is report
    assert list(report["sign_off"]) == ["compliance", "risk", "legal"]  # type: ignore[call-overload]


def test_the_library_gate_counts_every_alert_and_every_role() -> None:
    root = PUBLIC / "audit/ai_decision"

    pending = collect_pending_compliance_sign_offs(
        data_quality_reports=load_recent_data_quality_reports(limit=5, audit_root=root),
        drift_reports=load_recent_drift_reports(limit=5, audit_root=root),
    )

    # As the settle set, and Risk's rejection of 20251117T224530Z, which is no approval.
    assert {role: len(entries) for role, entries in pending.items()} == {
        "compliance": 6,
        "risk": 5,
        "data_governance": 2,
    }
    assert pending["compliance"][-1] == {
        "category": "drift_alert",
        "status": "pending",
        "report_path": str(PUBLIC / ALERT),
        "timestamp": "2025-11-17T22:30:00+00:00",
    }


def test_only_the_roles_asked_for_are_counted() -> None:
    reports = load_recent_drift_reports(audit_root=PUBLIC / "audit/ai_decision")

    pending = collect_pending_compliance_sign_offs(drift_reports=reports, roles=["Data_Governance"])

    assert list(pending) == ["data_governance"]


def test_the_gate_raises_with_what_is_pending() -> None:
    reports = load_recent_drift_reports(limit=5, audit_root=PUBLIC / "audit/ai_decision")

    with pytest.raises(ComplianceSignOffError, match=r"compliance: 3, data_governance: 1, risk: 3") as caught:
        ensure_compliance_sign_offs(drift_reports=reports)

    assert len(caught.value.pending["compliance"]) == 3


def test_an_unreadable_report_blocks_the_gate() -> None:
    with pytest.raises(ComplianceSignOffError) as caught:
        ensure_compliance_sign_offs(drift_reports=[{"report_path": "drift/x.json", "error": "torn"}], roles=["risk"])

    assert caught.value.pending["risk"][0]["error"] == "torn"


def test_the_gate_passes_where_everything_is_approved_or_waived() -> None:
    report = {"drift_score": 5.0, "threshold": 3.0, "sign_off": {"Risk": {"status": "approved"}}}
    update_sign_off(report, role="compliance", status="waived", notes="n/a", now=NOW)

    assert ensure_compliance_sign_offs(drift_reports=[report]) == {"compliance": (), "risk": ()}


def test_names_are_normalised() -> None:
    assert normalize_sign_off_status(" Approved ") == "approved"
    assert normalize_sign_off_status("fine") is None
    assert normalize_sign_off_status(None) is None
    assert normalize_compliance_sign_off_roles([" Risk", "risk", ""]) == ("risk",)
    assert normalize_compliance_sign_off_roles(None) == ("compliance", "risk")
    assert normalize_compliance_sign_off_roles("risk") == ("risk",)
    assert set(get_supported_sign_off_statuses()) == {
        "approved",
        "escalated",
        "investigating",
        "pending",
        "rejected",
        "waived",
    }
