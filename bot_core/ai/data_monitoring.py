"""Data-quality and drift alerts as callers use them: load, summarise, export.

The decisions on them are in `bot_core.ai.signoff`; its names are importable from here too, since existing callers do.
"""

import math
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bot_core.ai.audit import load_audit_report, load_recent, write_new_report
from bot_core.ai.feature_checks import check_bounds, check_completeness, is_finite, known_features, known_ranges
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
from bot_core.foundation.frozen import frozen

__all__ = [
    "ComplianceSignOffError",
    "DataCompletenessWatcher",
    "DataQualityException",
    "DriftAlertPayload",
    "FeatureBoundsValidator",
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
_SCALER_SPAN = 5.0  # standard deviations around the mean that count as seen in training


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


@frozen
class DriftAlertPayload:
    """What a monitor says of a model that drifts.

    Attributes:
        drift_score: In the unit of `threshold`; the alert counts from the threshold on.
        window: How many scores were looked at.
        backend: What measured it.
        extra: Further figures by name.
        model_version: None: not said.
    """

    model_name: str
    drift_score: float
    threshold: float
    window: int
    backend: str = "decision_engine"
    extra: Mapping[str, float] | None = None
    model_version: str | None = None

    def to_mapping(self) -> dict[str, object]:
        """The fields of the report; a version that is not said is left out."""
        version = {} if self.model_version is None else {"model_version": self.model_version}
        return {
            "model_name": self.model_name,
            "drift_score": self.drift_score,
            "threshold": self.threshold,
            "window": self.window,
            "backend": self.backend,
            "extra": dict(self.extra or {}),
            **version,
        }


@dataclass
class DataCompletenessWatcher:
    """Looks for features that are absent or empty, and writes a report of each look.

    Attributes:
        expected_features: The features that must be there.
        enforce: Whether an alert counts (`policy.enforce` of its report), so that roles must settle it.
        last_report_path: The last report; None before the first.
    """

    expected_features: tuple[str, ...] = ()
    enforce: bool = field(default=True, init=False)
    last_report_path: Path | None = field(default=None, init=False)

    @property
    def is_configured(self) -> bool:
        """Whether any feature is expected."""
        return bool(self.expected_features)

    def configure(self, expected_features: Sequence[str] | None) -> None:
        """Expect these features from now on; None or none: nothing."""
        self.expected_features = tuple(sorted({name.strip() for name in expected_features or () if name.strip()}))

    def configure_from_metadata(self, metadata: Mapping[str, object]) -> None:
        """Expect the features of an artifact; its `data_quality.enforce`, where stated, says whether alerts count."""
        self.configure(known_features(metadata))
        self.enforce = _counts(metadata, default=self.enforce)

    def observe(
        self,
        features: Mapping[str, object],
        *,
        context: Mapping[str, object] | None = None,
        audit_root: str | Path | None = None,
    ) -> Mapping[str, object]:
        """Look at one set of features; the report as written, with its `report_path`.

        Args:
            features: By name.
            context: What they belong to, for example model and symbol.
            audit_root: Where reports are; None: the default audit folder.
        """
        finding = check_completeness(self.expected_features, features, context)
        report = _report(finding, enforce=self.enforce, audit_root=audit_root)
        self.last_report_path = Path(str(report["report_path"]))
        return report


@dataclass
class FeatureBoundsValidator:
    """Looks for values beyond what training saw, and writes a report of each look.

    Attributes:
        bounds: Least and greatest allowed value by feature; an infinite one is no limit.
        enforce: As in `DataCompletenessWatcher`.
        last_report_path: The last report; None before the first.
    """

    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    enforce: bool = field(default=True, init=False)
    last_report_path: Path | None = field(default=None, init=False)

    @property
    def is_configured(self) -> bool:
        """Whether any feature has bounds."""
        return bool(self.bounds)

    def configure(self, bounds: Mapping[str, Mapping[str, object]] | None) -> None:
        """Allow from `min` to `max` of each feature from now on; one that is absent or no number is no limit."""
        self.bounds = {
            name: (_limit(entry, "min", -math.inf), _limit(entry, "max", math.inf))
            for name, entry in (bounds or {}).items()
        }

    def configure_from_metadata(self, metadata: Mapping[str, object]) -> None:
        """Allow what training saw: the range in `feature_stats`, else five standard deviations around the mean.

        `data_quality.enforce`, where stated, says whether alerts count.
        """
        self.bounds = known_ranges(metadata) or _spans(metadata.get("feature_scalers"))
        self.enforce = _counts(metadata, default=self.enforce)

    def observe(
        self,
        features: Mapping[str, object],
        *,
        context: Mapping[str, object] | None = None,
        audit_root: str | Path | None = None,
    ) -> Mapping[str, object]:
        """Look at one set of features; see `DataCompletenessWatcher.observe`."""
        finding = check_bounds(self.bounds, features, context)
        report = _report(finding, enforce=self.enforce, audit_root=audit_root)
        self.last_report_path = Path(str(report["report_path"]))
        return report


def export_data_quality_report(
    payload: Mapping[str, object], *, category: str = "completeness", audit_root: str | Path | None = None
) -> Path:
    """Write a data-quality alert as a new file, with every decision pending.

    After a crash the report is there whole or not at all.

    Args:
        payload: What it says itself stands.
        category: What sort it is; part of the file's name.
        audit_root: The audit folder; None: the default one below the working folder.
    """
    content = {"category": category, "policy": {"enforce": True}, **payload}
    return _export("data_quality", content, category, audit_root)


def export_drift_alert_report(
    payload: DriftAlertPayload | Mapping[str, object],
    *,
    category: str = "drift_alert",
    audit_root: str | Path | None = None,
) -> Path:
    """Write a drift alert as a new file, with every decision pending; see `export_data_quality_report`."""
    content = payload.to_mapping() if isinstance(payload, DriftAlertPayload) else payload
    return _export("drift", content, category, audit_root)


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


def _export(subdirectory: str, payload: Mapping[str, object], category: str, audit_root: str | Path | None) -> Path:
    moment = parse_instant(payload.get("timestamp")) or utc_now()
    content = {"sign_off": default_sign_off(), **payload, "timestamp": format_instant(moment)}
    slug = re.sub(r"[^a-z0-9]+", "_", category.lower()).strip("_")
    return write_new_report(subdirectory, content, moment=moment, slug=slug, audit_root=audit_root)


def _report(finding: Mapping[str, object], *, enforce: bool, audit_root: str | Path | None) -> Mapping[str, object]:
    report = apply_policy_to_report({**finding, "timestamp": format_instant(utc_now())}, enforce=enforce)
    path = export_data_quality_report(report, category=str(finding["category"]), audit_root=audit_root)
    return {**load_audit_report(path), "report_path": path.as_posix()}


def _counts(metadata: Mapping[str, object], *, default: bool) -> bool:
    policy = metadata.get("data_quality")
    stated = normalize_policy_enforcement(policy.get("enforce")) if isinstance(policy, Mapping) else None
    return default if stated is None else stated


def _limit(entry: Mapping[str, object], key: str, default: float) -> float:
    value = entry.get(key)
    return float(value) if is_finite(value) else default


def _spans(scalers: object) -> dict[str, tuple[float, float]]:
    spans = {}
    for name, entry in scalers.items() if isinstance(scalers, Mapping) else ():
        mean, stdev = (entry.get("mean"), entry.get("stdev")) if isinstance(entry, Mapping) else (None, None)
        if is_finite(mean) and is_finite(stdev):
            spans[name] = (mean - _SCALER_SPAN * abs(stdev), mean + _SCALER_SPAN * abs(stdev))
    return spans
