"""Models of the decision engine: artifacts, repository, serving, audit reports, retraining schedule.

The names below are loaded when they are first used; importing this package loads none of their modules.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot_core.ai.artifact import ModelArtifact as ModelArtifact
    from bot_core.ai.artifact import ModelMetrics as ModelMetrics
    from bot_core.ai.artifact import ModelScore as ModelScore
    from bot_core.ai.audit import ensure_audit_structure as ensure_audit_structure
    from bot_core.ai.audit import list_audit_reports as list_audit_reports
    from bot_core.ai.audit import load_audit_report as load_audit_report
    from bot_core.ai.audit import load_latest_data_quality_report as load_latest_data_quality_report
    from bot_core.ai.audit import load_latest_drift_report as load_latest_drift_report
    from bot_core.ai.audit import load_latest_walk_forward_report as load_latest_walk_forward_report
    from bot_core.ai.audit import load_recent_walk_forward_reports as load_recent_walk_forward_reports
    from bot_core.ai.audit import load_scheduler_state as load_scheduler_state
    from bot_core.ai.audit import save_data_quality_report as save_data_quality_report
    from bot_core.ai.audit import save_drift_report as save_drift_report
    from bot_core.ai.audit import save_scheduler_state as save_scheduler_state
    from bot_core.ai.audit import save_walk_forward_report as save_walk_forward_report
    from bot_core.ai.audit import scheduler_state_path as scheduler_state_path
    from bot_core.ai.audit import summarize_walk_forward_reports as summarize_walk_forward_reports
    from bot_core.ai.baseline import Baseline as Baseline
    from bot_core.ai.baseline import load_baseline as load_baseline
    from bot_core.ai.baseline import make_baseline as make_baseline
    from bot_core.ai.baseline import save_baseline as save_baseline
    from bot_core.ai.bundle import generate_model_artifact_bundle as generate_model_artifact_bundle
    from bot_core.ai.bundle import load_model_artifact_bundle as load_model_artifact_bundle
    from bot_core.ai.compliance import collect_pipeline_compliance_summary as collect_pipeline_compliance_summary
    from bot_core.ai.data_monitoring import ComplianceSignOffError as ComplianceSignOffError
    from bot_core.ai.data_monitoring import DataCompletenessWatcher as DataCompletenessWatcher
    from bot_core.ai.data_monitoring import DataQualityException as DataQualityException
    from bot_core.ai.data_monitoring import DriftAlertPayload as DriftAlertPayload
    from bot_core.ai.data_monitoring import FeatureBoundsValidator as FeatureBoundsValidator
    from bot_core.ai.data_monitoring import apply_policy_to_report as apply_policy_to_report
    from bot_core.ai.data_monitoring import collect_pending_compliance_sign_offs as collect_pending_compliance_sign_offs
    from bot_core.ai.data_monitoring import ensure_compliance_sign_offs as ensure_compliance_sign_offs
    from bot_core.ai.data_monitoring import export_data_quality_report as export_data_quality_report
    from bot_core.ai.data_monitoring import export_drift_alert_report as export_drift_alert_report
    from bot_core.ai.data_monitoring import filter_audit_reports_since as filter_audit_reports_since
    from bot_core.ai.data_monitoring import get_supported_sign_off_statuses as get_supported_sign_off_statuses
    from bot_core.ai.data_monitoring import load_recent_data_quality_reports as load_recent_data_quality_reports
    from bot_core.ai.data_monitoring import load_recent_drift_reports as load_recent_drift_reports
    from bot_core.ai.data_monitoring import normalize_compliance_sign_off_roles as normalize_compliance_sign_off_roles
    from bot_core.ai.data_monitoring import normalize_policy_enforcement as normalize_policy_enforcement
    from bot_core.ai.data_monitoring import normalize_report_status as normalize_report_status
    from bot_core.ai.data_monitoring import normalize_sign_off_status as normalize_sign_off_status
    from bot_core.ai.data_monitoring import summarize_data_quality_reports as summarize_data_quality_reports
    from bot_core.ai.data_monitoring import summarize_drift_reports as summarize_drift_reports
    from bot_core.ai.data_monitoring import update_sign_off as update_sign_off
    from bot_core.ai.dataset import FeatureTable as FeatureTable
    from bot_core.ai.dataset import load_dataset as load_dataset
    from bot_core.ai.feature_drift import measure_feature_drift as measure_feature_drift
    from bot_core.ai.inference import DecisionModelInference as DecisionModelInference
    from bot_core.ai.manager import AIManager as AIManager
    from bot_core.ai.repository import FilesystemModelRepository as FilesystemModelRepository
    from bot_core.ai.repository import ModelRepository as ModelRepository
    from bot_core.ai.scheduler import PromotionBlockedError as PromotionBlockedError
    from bot_core.ai.scheduler import RetrainingScheduler as RetrainingScheduler
    from bot_core.ai.scheduler import ScheduledTrainingJob as ScheduledTrainingJob
    from bot_core.ai.scheduler import TrainingRunRecord as TrainingRunRecord
    from bot_core.ai.scheduler import TrainingScheduler as TrainingScheduler
    from bot_core.ai.scheduler import WalkForwardPlan as WalkForwardPlan
    from bot_core.ai.scheduler import WalkForwardResult as WalkForwardResult
    from bot_core.ai.scheduler import WalkForwardValidator as WalkForwardValidator
    from bot_core.ai.training import EstimatorTrainer as EstimatorTrainer
    from bot_core.ai.training import TrainedModel as TrainedModel
    from bot_core.ai.training import TrainingSpec as TrainingSpec
    from bot_core.ai.training import publish_trained_model as publish_trained_model
    from bot_core.ai.training import train_model as train_model
    from bot_core.ai.validation import ModelArtifactValidationError as ModelArtifactValidationError
    from bot_core.ai.validation import validate_model_artifact_schema as validate_model_artifact_schema

_NAMES = {
    "artifact": (
        "ModelArtifact",
        "ModelMetrics",
        "ModelScore",
    ),
    "audit": (
        "ensure_audit_structure",
        "list_audit_reports",
        "load_audit_report",
        "load_latest_data_quality_report",
        "load_latest_drift_report",
        "load_latest_walk_forward_report",
        "load_recent_walk_forward_reports",
        "load_scheduler_state",
        "save_data_quality_report",
        "save_drift_report",
        "save_scheduler_state",
        "save_walk_forward_report",
        "scheduler_state_path",
        "summarize_walk_forward_reports",
    ),
    "baseline": (
        "Baseline",
        "load_baseline",
        "make_baseline",
        "save_baseline",
    ),
    "bundle": (
        "generate_model_artifact_bundle",
        "load_model_artifact_bundle",
    ),
    "compliance": ("collect_pipeline_compliance_summary",),
    "data_monitoring": (
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
    ),
    "feature_drift": ("measure_feature_drift",),
    "dataset": ("FeatureTable", "load_dataset"),
    "inference": ("DecisionModelInference",),
    "manager": ("AIManager",),
    "repository": (
        "FilesystemModelRepository",
        "ModelRepository",
    ),
    "scheduler": (
        "PromotionBlockedError",
        "RetrainingScheduler",
        "ScheduledTrainingJob",
        "TrainingRunRecord",
        "TrainingScheduler",
        "WalkForwardPlan",
        "WalkForwardResult",
        "WalkForwardValidator",
    ),
    "training": ("EstimatorTrainer", "TrainedModel", "TrainingSpec", "publish_trained_model", "train_model"),
    "validation": (
        "ModelArtifactValidationError",
        "validate_model_artifact_schema",
    ),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = sorted(name for names in _NAMES.values() for name in names)


def __dir__() -> list[str]:
    return __all__
