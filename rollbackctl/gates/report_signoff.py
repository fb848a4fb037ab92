"""Every report that counts is settled by each role that must settle it."""

from collections import Counter
from typing import ClassVar

from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import Observation, ReportFact
from rollbackctl.core.plan import Phase
from rollbackctl.core.target import undecided
from rollbackctl.gates import Case
from rollbackctl.spec.resolve import required_roles

SETTLED = ("approved", "waived", "rejected")
_ROOT = "audit/ai_decision/"


class ReportSignoff:
    """Guards the release. A rejected alert is settled: it is Risk's order to roll back."""

    name: ClassVar[str] = "report_signoff"
    guards: ClassVar[Phase] = Phase.RELEASE
    always: ClassVar[bool] = True

    def judge(self, case: Case) -> Verdict:
        """Answer; every report with a decision owed is named with its roles."""
        roles = required_roles(case.spec, case.policy)
        reports = {report.path: report for report in case.observation.reports}
        owed: Counter[str] = Counter()
        waiting, broken = [], []
        for path in sorted(case.facts.pinned, reverse=True):
            report = reports.get(path)
            name = path.removeprefix(_ROOT)
            if report is None:
                broken.append(f"{path} is gone: put it back")
            elif report.error:
                broken.append(f"{path} cannot be read, mend it: {report.error}")
            elif open_roles := undecided(report.sign_off, roles, settled=SETTLED):
                owed.update(role for role, _ in open_roles)
                waiting.append(f"{name}   {', '.join(f'{role} {status}' for role, status in open_roles)}")
        summary = self._summary(case, owed, len(waiting), len(broken))
        answer = Answer.BLOCK if broken else Answer.WAITS if waiting else Answer.PASS
        reasons = (*broken, *waiting)
        return Verdict(self.name, self.guards, answer, summary, reasons, dict(sorted(owed.items())))

    @staticmethod
    def _summary(case: Case, owed: Counter[str], waiting: int, broken: int) -> str:
        later = later_reports(case.observation, case.facts.cutoff)
        new = f"; {len(later)} new since the plan" if later else ""
        if broken:
            return f"{broken} report{'s' * (broken != 1)} cannot be read{new}"
        if not waiting:
            return f"{len(case.facts.pinned)} reports settled{new}"
        order = sorted(owed.items(), key=lambda item: (-item[1], item[0]))
        return f"{owed.total()} decisions in {waiting} reports: {', '.join(f'{role} {n}' for role, n in order)}{new}"


def later_reports(observation: Observation, cutoff: str | None) -> tuple[ReportFact, ...]:
    """Return the alerts that came after the plan's cut-off; they are shown, not waited for."""
    return tuple(
        report
        for report in observation.reports
        if report.is_alert and cutoff is not None and report.time is not None and report.time > cutoff
    )
