"""Data-quality and drift alerts as callers use them: load, summarise, export.

The decisions on them are in `bot_core.ai.signoff`; its names are importable from here too, since existing callers do.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from pathlib import Path

from bot_core.ai.audit import load_recent, write_new_report
from bot_core.ai.instant import as_utc, format_instant, parse_instant, utc_now
from bot_core.ai.report_content import is_enforced, is_exceeding, normalize_policy_enforcement, normalize_report_status
from bot_core.ai.report_content import own_time as _own_time
from bot_core.ai.reports import AuditReport, ReportKind, judge_mapping, newest_first
from bot_core.ai.signoff import (
    ComplianceSignOffError,
    collect_pending_compliance_sign_offs,
    default_sign_off,
    ensure_compliance_sign_offs,
    get_supported_sign_off_statuses,
    normalize_compliance_sign_off_roles,
    normalize_sign_off_status,
    pending_sign_offs,
    update_sign_off,
)
from bot_core.foundation.errors import BotCoreError

__all__ = [
    "ComplianceSignOffError",
    "DataQualityException",
    "apply_policy_to_report",
    "collect_pending_compliance_sign_offs",
    "ensure_compliance_sign_offs",
    "export_data_quality_report",
    "export_drift_alert_report",
    "filter_audit_reports_since",
    "get_supported_sign_off_statuses",
    "load_recent_data_quality_reports",
    "load_recent_drift_reports",
    "normalize_compliance_sign_off_roles",
    "normalize_policy_enforcement",
    "normalize_report_status",
    "normalize_sign_off_status",
    "summarize_data_quality_reports",
    "summarize_drift_reports",
    "update_sign_off",
]

Reports = Sequence[Mapping[str, object]]


class DataQualityException(BotCoreError):  # noqa: N818 - the name existing callers catch
    """Features fail a data-quality check whose policy is enforced.

    Attributes:
        reports: What each check found, by its category.
    """

    def __init__(self, reports: Mapping[str, Mapping[str, object]], message: str | None = None) -> None:
        super().__init__(message or f"data quality checks failed: {', '.join(sorted(reports))}")
        self.reports = dict(reports)


def load_recent_data_quality_reports(
    *, category: str | None = None, limit: int = 20, audit_root: str | Path | None = None
) -> tuple[Mapping[str, object], ...]:
    """The newest data-quality reports by their own time; see `load_recent` in `bot_core.ai.audit`."""
    return load_recent(
        "data_quality",
        limit=limit,
        audit_root=audit_root,
        wanted=lambda report: category is None or report.category == category,
    )


def load_recent_drift_reports(
    *, limit: int = 20, audit_root: str | Path | None = None
) -> tuple[Mapping[str, object], ...]:
    """The newest drift reports by their own time; see `load_recent` in `bot_core.ai.audit`."""
    return load_recent("drift", limit=limit, audit_root=audit_root)


def filter_audit_reports_since(reports: Reports | None, *, since: datetime) -> tuple[Mapping[str, object], ...]:
    """The reports whose own time is not before `since`, and those that are undated or unreadable."""
    return tuple(report for report in reports or () if (time := _time(report)) is None or time >= as_utc(since))


def summarize_drift_reports(
    reports: Reports | None, *, roles: Sequence[str] | None = None, require_sign_off: bool = False
) -> Mapping[str, object]:
    """What the drift reports say together; "latest" is by their own time.

    Args:
        reports: As `load_recent_drift_reports` returns them.
        roles: As in `collect_pending_compliance_sign_offs`.
        require_sign_off: Raise ComplianceSignOffError where a sign-off is pending.
    """
    judged = _judge(reports, "drift")
    exceeding = [report for report in judged if report.error is None and is_exceeding(report.raw, report.path)]
    return {
        "total": len(judged),
        "exceeds_threshold": len(exceeding),
        "latest_report_path": _latest(judged),
        "latest_exceeding_report_path": _latest(exceeding),
        **_settlement(judged, roles, require_sign_off=require_sign_off),
    }


def summarize_data_quality_reports(
    reports: Reports | None, *, roles: Sequence[str] | None = None, require_sign_off: bool = False
) -> Mapping[str, object]:
    """What the data-quality reports say together; see `summarize_drift_reports`.

    `alerts` counts those whose status says so; critical ones of the pipeline are under `critical`.
    """
    judged = _judge(reports, "data_quality")
    categories = dict.fromkeys(report.category for report in judged)
    return {
        "total": len(judged),
        **_alerts(judged),
        "by_category": {
            category: _category([report for report in judged if report.category == category]) for category in categories
        },
        **_settlement(judged, roles, require_sign_off=require_sign_off),
    }


def export_data_quality_report(payload: Mapping[str, object], *, category: str = "completeness") -> Path:
    """Write a data-quality alert as a new file of the default audit folder, with every decision pending.

    What the payload says itself stands. After a crash the report is there whole or not at all.
    """
    content = {"category": category, "policy": {"enforce": True}, **payload}
    return _export("data_quality", content, category)


def export_drift_alert_report(payload: Mapping[str, object], *, category: str = "drift_alert") -> Path:
    """Write a drift alert as a new file of the default audit folder, with every decision pending.

    What the payload says itself stands. After a crash the report is there whole or not at all.
    """
    return _export("drift", payload, category)


def apply_policy_to_report(report: MutableMapping[str, object], *, enforce: bool) -> MutableMapping[str, object]:
    """Say in the report, which is changed in place, whether its alert counts."""
    policy = report.get("policy")
    report["policy"] = {**(policy if isinstance(policy, Mapping) else {}), "enforce": enforce}
    return report


def _judge(reports: Reports | None, kind: ReportKind) -> tuple[AuditReport, ...]:
    return newest_first(judge_mapping(raw, kind) for raw in reports or ())


def _settlement(
    judged: Sequence[AuditReport], roles: Sequence[str] | None, *, require_sign_off: bool
) -> Mapping[str, object]:
    critical = [report for report in judged if report.severity == "critical"]
    pending = pending_sign_offs(
        [report for report in judged if report.is_alert or report.error is not None], roles=roles
    )
    if require_sign_off and any(pending.values()):
        raise ComplianceSignOffError(pending)
    return {
        "critical": len(critical),
        "latest_critical_report_path": _latest(critical),
        "must_be_settled": sum(report.is_alert for report in judged),
        "unreadable": sum(report.error is not None for report in judged),
        "pending_sign_off": pending,
    }


def _category(judged: Sequence[AuditReport]) -> Mapping[str, object]:
    return {
        "total": len(judged),
        **_alerts(judged),
        "latest_status": normalize_report_status(judged[0].raw.get("status")),
        "latest_report_path": _latest(judged),
    }


def _alerts(judged: Iterable[AuditReport]) -> Mapping[str, int]:
    alerts = [report for report in judged if normalize_report_status(report.raw.get("status")) == "alert"]
    return {"alerts": len(alerts), "enforced_alerts": sum(is_enforced(report.raw) for report in alerts)}


def _latest(judged: Sequence[AuditReport]) -> str | None:
    return judged[0].path or None if judged else None


def _time(report: Mapping[str, object]) -> datetime | None:
    return _own_time(report, str(report.get("report_path") or "")) if "error" not in report else None


def _export(subdirectory: str, payload: Mapping[str, object], category: str) -> Path:
    moment = parse_instant(payload.get("timestamp")) or utc_now()
    content = {"sign_off": default_sign_off(), **payload, "timestamp": format_instant(moment)}
    slug = re.sub(r"[^a-z0-9]+", "_", category.lower()).strip("_")
    return write_new_report(subdirectory, content, moment=moment, slug=slug)
