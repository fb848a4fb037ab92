"""Writing the plan's target beside the artifacts, outside any run."""

from pathlib import Path

from bot_core.ai.data_monitoring import (
    ensure_compliance_sign_offs,
    load_recent_data_quality_reports,
    load_recent_drift_reports,
)
from bot_core.ai.reports import AUDIT_ROOT
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import read_inside
from rollbackctl.core.errors import GateBlockedError, Problem
from rollbackctl.core.facts import Pinned
from rollbackctl.core.gate import Answer
from rollbackctl.engine.session import Session
from rollbackctl.engine.unfinished import unfinished_error
from rollbackctl.kinds import Binding
from rollbackctl.kinds.target_file import TargetFile, TargetFileState
from rollbackctl.spec.document import Spec


def export_target(session: Session, spec: Spec) -> tuple[str, Pinned]:
    """Write `rollback_target.json`; return its path and the version that it holds.

    After a crash it is the old file or the new one.

    Raises:
        GateBlockedError: The target's artifact is not in order.
        LockedError: A run is unfinished, or somebody else is at work.
    """
    with session.store.lock(session.holder("export-target"), session.lock_timeout_s):
        unfinished = session.history().unfinished
        if unfinished is not None:
            raise unfinished_error(unfinished)
        document = session.plan(spec)
        refused = [v for v in document.verdicts if v.gate == "artifact_integrity" and v.answer is not Answer.PASS]
        if refused:
            raise GateBlockedError("the target is not in order", problems=tuple(map(Problem, refused[0].reasons)))
        target = Pinned(**document.plan.facts["target"])  # type: ignore[arg-type]
        root = session.workspace.root
        binding = Binding(root, spec, lambda _: read_inside(root, target.source), session.workspace.clock)
        kind, name = TargetFile(binding), f"{spec.spec.model.repository}/rollback_target.json"
        kind.move(name, kind.observe(name), TargetFileState(sha256=target.sha256))
        return name, target


def refusal_by_hand(root: Path) -> str | None:
    """Say why the library's own check of the sign-offs refuses; None where it passes.

    It asks for approved or waived, where a plan is content with Risk's *rejected*, the order to roll back.
    """
    audit = root / AUDIT_ROOT
    try:
        ensure_compliance_sign_offs(
            data_quality_reports=load_recent_data_quality_reports(limit=5, audit_root=audit),
            drift_reports=load_recent_drift_reports(limit=5, audit_root=audit),
        )
    except BotCoreError as error:
        return error.problem.replace(f"{root}/", "")
    return None
