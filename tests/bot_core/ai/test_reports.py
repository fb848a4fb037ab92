import json
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.reports import AuditReport, parse_report, read_reports, undecided_roles
from bot_core.foundation.errors import UnsafePathError

PUBLIC = Path(__file__).parents[2] / "fixtures" / "ws_public"
V10_TRAINED = datetime(2025, 11, 8, 4, 10, 20, tzinfo=UTC)
ROLES = ("risk", "compliance")
DRIFT = "audit/ai_decision/drift/"
QUALITY = "audit/ai_decision/data_quality/"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PUBLIC, tmp_path / "ws"))


def drift(**fields: object) -> AuditReport:
    return parse_report(json.dumps(fields).encode(), path="drift/x.json", kind="drift")


def quality(**fields: object) -> AuditReport:
    return parse_report(json.dumps(fields).encode(), path="data_quality/x.json", kind="data_quality")


def undecided(reports: tuple[AuditReport, ...]) -> dict[str, tuple[tuple[str, str], ...]]:
    return {report.path: found for report in reports if (found := undecided_roles(report, roles=ROLES))}


def test_the_alerts_since_v10_was_trained_wait_for_twelve_decisions_on_seven_reports() -> None:
    alerts = tuple(report for report in read_reports(PUBLIC) if report.is_alert)

    waiting = undecided(tuple(report for report in alerts if report.time and report.time >= V10_TRAINED))

    assert waiting == {
        DRIFT + "20251118T010000Z.json": (("compliance", "missing"), ("risk", "missing")),
        DRIFT + "20251117T224530Z_drift_alert.json": (("compliance", "escalated"),),
        DRIFT + "20251117T223000Z_drift_alert.json": (("compliance", "pending"), ("risk", "pending")),
        QUALITY + "20251117T221500Z.json": (("compliance", "missing"), ("risk", "missing")),
        QUALITY + "20251117T221000Z_completeness.json": (
            ("compliance", "pending"),
            ("data_governance", "pending"),
            ("risk", "pending"),
        ),
        QUALITY + "20251116T210000Z_bounds.json": (("compliance", "investigating"),),
        DRIFT + "20251116T203000Z_feature_drift_psi.json": (("data_governance", "pending"),),
    }
    roles = Counter(role for found in waiting.values() for role, _ in found)
    assert roles == {"compliance": 6, "risk": 4, "data_governance": 2}


def test_reports_are_ordered_by_their_own_time_whatever_the_files_say(workspace: Path) -> None:
    os.utime(workspace / DRIFT / "20251021T101500Z_drift_alert.json", (4e9, 4e9))

    paths = [report.path for report in read_reports(workspace) if report.kind == "drift"]

    assert paths[0] == DRIFT + "20251118T010000Z.json"
    assert paths[-1] == DRIFT + "20251021T101500Z_drift_alert.json"


def test_reports_of_one_instant_are_ordered_by_path() -> None:
    paths = [report.path for report in read_reports(PUBLIC)]

    first = paths.index(QUALITY + "20251117T221000Z_completeness.json")
    assert paths[first + 1] == QUALITY + "20251117T221000Z_completeness_1.json"


def test_an_unreadable_report_comes_before_all_others_and_needs_every_role(workspace: Path) -> None:
    (workspace / DRIFT / "20240101T000000Z_drift_alert.json").write_text('{"drift_score": 5.0')

    reports = read_reports(workspace)

    assert reports[0].error is not None
    assert "20240101T000000Z_drift_alert.json" in reports[0].error
    assert reports[0].time == datetime(2024, 1, 1, tzinfo=UTC)
    assert undecided_roles(reports[0], roles=ROLES) == (("compliance", "unreadable"), ("risk", "unreadable"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"drift_score": NaN}',
        b'{"drift_score": 1, "drift_score": 2}',
        b'{"drift_score": "5"}',
        b'{"metrics": []}',
        b'{"metrics": {"triggered": {"value": "maybe"}}}',
        b'{"summary": 3}',
        b'{"issues": ["x"]}',
        b'{"sign_off": ["risk"]}',
    ],
)
def test_a_report_that_cannot_be_judged_says_why(content: bytes) -> None:
    report = parse_report(content, path="drift/x.json", kind="drift")

    assert report.error is not None
    assert "drift/x.json" in report.error
    assert undecided_roles(report, roles=ROLES) == (("compliance", "unreadable"), ("risk", "unreadable"))


def test_a_link_in_place_of_a_report_is_an_unreadable_report(workspace: Path) -> None:
    (workspace / DRIFT / "20251118T020000Z.json").symlink_to(workspace / DRIFT / "20251118T010000Z.json")

    assert [report.path for report in read_reports(workspace) if report.error] == [DRIFT + "20251118T020000Z.json"]


def test_a_fifo_in_place_of_a_report_does_not_block(workspace: Path) -> None:
    os.mkfifo(workspace / DRIFT / "20251118T020000Z.json")

    assert [report.path for report in read_reports(workspace) if report.error] == [DRIFT + "20251118T020000Z.json"]


def test_a_link_in_place_of_the_folder_is_refused(workspace: Path) -> None:
    (workspace / DRIFT).rename(workspace / "elsewhere")
    (workspace / "audit/ai_decision/drift").symlink_to(workspace / "elsewhere")

    with pytest.raises(UnsafePathError):
        read_reports(workspace)


def test_a_workspace_without_reports_has_none(tmp_path: Path) -> None:
    assert read_reports(tmp_path) == ()


@pytest.mark.parametrize(
    "report",
    [drift(), drift(metrics={}), drift(drift_score=None, threshold=3.0), quality(), quality(status=None, policy={})],
)
def test_a_report_without_the_fields_that_make_it_an_alert_or_none_is_unreadable(report: AuditReport) -> None:
    assert "it says neither drift_score" in (report.error or "")


@pytest.mark.parametrize(
    ("report", "severity"),
    [
        (drift(drift_score=3.0, threshold=3.0), "alert"),
        (drift(drift_score=2.9, threshold=3.0), "ok"),
        (drift(drift_score=1), "alert"),
        (drift(drift_score=2.9, threshold=3.0, status="Critical"), "critical"),
        (drift(metrics={"triggered": {"value": True}}), "alert"),
        (drift(metrics={"triggered": True}), "alert"),
        (drift(metrics={"triggered": {"value": False}, "feature_drift": {"score": 9, "threshold": 1}}), "ok"),
        (quality(status="alert"), "alert"),
        (quality(status=" Alert ", policy={"enforce": True}), "alert"),
        (quality(status="alert", policy={"enforce": None}), "alert"),
        (quality(status="alert", policy={"enforce": False}), "ok"),
        (quality(status="alert", policy={"enforce": "no"}), "ok"),
        (quality(status="ok"), "ok"),
        (quality(status="critical", policy={"enforce": False}), "critical"),
        (quality(summary={"status": "critical"}), "critical"),
        (quality(issues=[{"severity": "warning"}, {"severity": "critical"}]), "critical"),
        (quality(issues={"severity": "critical"}), "critical"),
        (quality(issues=[]), "ok"),
    ],
)
def test_a_report_counts_when_its_content_is_an_alert(report: AuditReport, severity: str) -> None:
    assert report.error is None
    assert report.severity == severity
    assert report.is_alert == (severity != "ok")


def test_the_facts_of_an_alert_and_of_a_pipeline_report_are_read() -> None:
    found = {report.path: report for report in read_reports(PUBLIC)}

    alert, pipeline = found[DRIFT + "20251117T224530Z_drift_alert.json"], found[DRIFT + "20251118T010000Z.json"]
    assert (alert.model_name, alert.model_version, alert.score, alert.threshold) == ("decision-core", "v10", 5.12, 3.0)
    assert alert.summary == "drift score 5.12, limit 3.00"
    assert (alert.category, alert.time) == ("drift_alert", datetime(2025, 11, 17, 22, 45, 30, tzinfo=UTC))
    assert pipeline.summary == "drift score 1.44, limit 0.35, triggered"
    assert pipeline.sign_off is None
    assert found[QUALITY + "20251117T221000Z_completeness.json"].summary == "2 features missing"
    assert found[QUALITY + "20251116T210000Z_bounds.json"].summary == "1 value out of bounds"
    assert found[QUALITY + "20251117T221500Z.json"].summary == "summary critical"
    assert found[QUALITY + "20251118T020000Z_bounds.json"].summary == "status ok"


def test_the_file_name_dates_a_report_that_does_not_date_itself() -> None:
    dated = parse_report(b"{}", path="drift/20251117T224530Z_x.json", kind="drift")
    undated = parse_report(b'{"timestamp": "soon"}', path="drift/99999999T999999Z.json", kind="drift")

    assert dated.time == datetime(2025, 11, 17, 22, 45, 30, tzinfo=UTC)
    assert undated.time is None


def test_signing_a_report_does_not_change_its_digest() -> None:
    before = drift(drift_score=5, threshold=3)
    after = drift(threshold=3, drift_score=5, sign_off={"risk": {"status": "approved"}}, sign_off_history=[1])

    assert after.digest == before.digest
    assert drift(drift_score=6, threshold=3).digest != before.digest


def test_roles_are_compared_without_regard_to_case_and_the_less_settled_entry_stands() -> None:
    report = drift(
        drift_score=1,
        sign_off={"Risk": {"status": "Approved"}, "risk": {"status": "pending"}, " LEGAL ": {"status": "waived"}},
    )

    assert undecided_roles(report, roles=("RISK", "Legal")) == (("risk", "pending"),)


def test_an_order_to_roll_back_settles_an_alert_but_an_unknown_status_does_not() -> None:
    report = drift(
        drift_score=1, sign_off={"risk": {"status": "rejected"}, "compliance": {"status": "fine"}, "legal": "approved"}
    )

    assert undecided_roles(report, roles=()) == (("compliance", "fine"), ("legal", "unreadable"))


def test_an_empty_block_settles_nothing() -> None:
    assert undecided_roles(drift(drift_score=1, sign_off={}), roles=ROLES) == (
        ("compliance", "missing"),
        ("risk", "missing"),
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("drift_score", "threshold", "metrics", "status", "summary", "issues"),
        *("policy", "sign_off", "timestamp", "generated_at", "context", "category"),
    ]
)


@given(raw=st.dictionaries(KEYS, JSON), kind=st.sampled_from(["drift", "data_quality"]))
def test_any_object_is_judged_without_an_exception_and_fails_closed(raw: dict[str, object], kind: str) -> None:
    report = parse_report(json.dumps(raw).encode(), path="x.json", kind=kind)  # type: ignore[arg-type]

    assert report.is_alert == (report.severity != "ok" and report.error is None)
    if report.error is not None or report.sign_off is None:
        assert len(undecided_roles(report, roles=ROLES)) == 2


@given(data=st.binary())
def test_any_bytes_are_judged_without_an_exception(data: bytes) -> None:
    assert parse_report(data, path="x.json", kind="drift").path == "x.json"
