"""Models of the decision engine: artifacts, repository, serving, audit reports, retraining schedule.

The names below are loaded when they are first used; importing this package loads none of their modules.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot_core.ai.artifact import ModelArtifact as ModelArtifact
    from bot_core.ai.artifact import ModelMetrics as ModelMetrics
    from bot_core.ai.artifact import ModelScore as ModelScore
    from bot_core.ai.audit import load_audit_report as load_audit_report
    from bot_core.ai.audit import load_recent_walk_forward_reports as load_recent_walk_forward_reports
    from bot_core.ai.audit import load_scheduler_state as load_scheduler_state
    from bot_core.ai.audit import save_scheduler_state as save_scheduler_state
    from bot_core.ai.audit import summarize_walk_forward_reports as summarize_walk_forward_reports
    from bot_core.ai.bundle import generate_model_artifact_bundle as generate_model_artifact_bundle
    from bot_core.ai.bundle import load_model_artifact_bundle as load_model_artifact_bundle
    from bot_core.ai.data_monitoring import ComplianceSignOffError as ComplianceSignOffError
    from bot_core.ai.data_monitoring import DataQualityException as DataQualityException
    from bot_core.ai.data_monitoring import (
        collect_pending_compliance_sign_offs as collect_pending_compliance_sign_offs,
    )
    from bot_core.ai.data_monitoring import ensure_compliance_sign_offs as ensure_compliance_sign_offs
    from bot_core.ai.data_monitoring import export_data_quality_report as export_data_quality_report
    from bot_core.ai.data_monitoring import export_drift_alert_report as export_drift_alert_report
    from bot_core.ai.data_monitoring import filter_audit_reports_since as filter_audit_reports_since
    from bot_core.ai.data_monitoring import get_supported_sign_off_statuses as get_supported_sign_off_statuses
    from bot_core.ai.data_monitoring import load_recent_data_quality_reports as load_recent_data_quality_reports
    from bot_core.ai.data_monitoring import load_recent_drift_reports as load_recent_drift_reports
    from bot_core.ai.data_monitoring import summarize_data_quality_reports as summarize_data_quality_reports
    from bot_core.ai.data_monitoring import summarize_drift_reports as summarize_drift_reports
    from bot_core.ai.data_monitoring import update_sign_off as update_sign_off
    from bot_core.ai.inference import DecisionModelInference as DecisionModelInference
    from bot_core.ai.manager import AIManager as AIManager
    from bot_core.ai.repository import FilesystemModelRepository as FilesystemModelRepository
    from bot_core.ai.repository import ModelRepository as ModelRepository
    from bot_core.ai.scheduler import RetrainingScheduler as RetrainingScheduler
    from bot_core.ai.validation import ModelArtifactValidationError as ModelArtifactValidationError
    from bot_core.ai.validation import validate_model_artifact_schema as validate_model_artifact_schema

_NAMES = {
    "artifact": ("ModelArtifact", "ModelMetrics", "ModelScore"),
    "audit": (
        "load_audit_report",
        "load_recent_walk_forward_reports",
        "load_scheduler_state",
        "save_scheduler_state",
        "summarize_walk_forward_reports",
    ),
    "bundle": ("generate_model_artifact_bundle", "load_model_artifact_bundle"),
    "data_monitoring": (
        "ComplianceSignOffError",
        "DataQualityException",
        "collect_pending_compliance_sign_offs",
        "ensure_compliance_sign_offs",
        "export_data_quality_report",
        "export_drift_alert_report",
        "filter_audit_reports_since",
        "get_supported_sign_off_statuses",
        "load_recent_data_quality_reports",
        "load_recent_drift_reports",
        "summarize_data_quality_reports",
        "summarize_drift_reports",
        "update_sign_off",
    ),
    "inference": ("DecisionModelInference",),
    "manager": ("AIManager",),
    "repository": ("FilesystemModelRepository", "ModelRepository"),
    "scheduler": ("RetrainingScheduler",),
    "validation": ("ModelArtifactValidationError", "validate_model_artifact_schema"),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(name for names in _NAMES.values() for name in names)
