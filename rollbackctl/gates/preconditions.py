"""The runbook's preconditions: an alert that counts, its event in the decision journal, Risk's approval."""

from typing import ClassVar

from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Phase
from rollbackctl.gates import Case

_ROOT = "audit/ai_decision/"


class Preconditions:
    """Guards the first phase: without it nothing is touched but by `hold`."""

    name: ClassVar[str] = "preconditions"
    guards: ClassVar[Phase] = Phase.SECURE
    always: ClassVar[bool] = True

    def judge(self, case: Case) -> Verdict:
        """Answer; every missing condition is named."""
        alerts = [report for report in case.observation.reports if report.is_alert]
        reasons = []
        if not alerts:
            reasons.append("no drift or data-quality report counts as an alert")
        known = {_below_audit(path) for _, path, _ in case.observation.journal.events}
        confirmed = [report for report in alerts if _below_audit(report.path) in known]
        read = case.spec.spec.journal.read
        if alerts and not confirmed:
            reasons.append(
                f"{read}: no ai_drift_report or ai_data_quality_report event has the report_path of an alert, "
                f"such as {alerts[0].path}"
            )
        reasons += self._checklist_reasons(case)
        if reasons:
            return Verdict(
                self.name, self.guards, Answer.BLOCK, "the runbook's preconditions do not hold", tuple(reasons)
            )
        summary = f"{len(confirmed)} of {len(alerts)} alerts in the decision journal; Risk approved the rollback"
        return Verdict(self.name, self.guards, Answer.PASS, summary)

    @staticmethod
    def _checklist_reasons(case: Case) -> list[str]:
        checklist = case.observation.checklist
        if checklist.line is None:
            return [f"{checklist.path}: no 'Post-incident review' section names {case.facts.incident}"]
        if not checklist.risk_approved:
            return [f"{checklist.path}:{checklist.line}: the box 'Risk approved the rollback decision' is not ticked"]
        return []


def _below_audit(path: str) -> str:
    """The part of a report's path below `audit/ai_decision`; other hosts write absolute paths."""
    return path.replace("\\", "/").rpartition(_ROOT)[2]
