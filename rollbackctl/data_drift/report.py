"""A drift report of one version, in the form of the running engine's own."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from bot_core.ai.audit import save_drift_report
from bot_core.ai.drift.report import report_metrics
from rollbackctl.data_drift.measure import Measured

DETECTOR = "rollbackctl.drift"


def write_report(root: Path, version: str, measured: Measured, limits: Mapping[str, float], now: datetime) -> str:
    """Write the report as a new file below `audit/ai_decision/drift`; after a crash it is there whole or not at all.

    Returns:
        Its path below the workspace.
    """
    window = measured.window
    path = save_drift_report(
        report_metrics(measured.features, limits),
        job_name=f"rollbackctl:{version}",
        audit_root=root / "audit" / "ai_decision",
        generated_at=now,
        baseline_window={"rows": measured.rows, "start": None, "end": None, "source": measured.source},
        production_window={"rows": window.rows, "start": window.first, "end": window.last, "source": window.path},
        detector=DETECTOR,
        threshold=limits.get("psi"),
    )
    return path.relative_to(root).as_posix()
