"""The target's training rows look like the production rows of now: a target that has drifted too is worse than none."""

from typing import ClassVar

from rollbackctl.core.data_drift import WILL_NOT_HELP, Finding, find
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Phase
from rollbackctl.gates import Case
from rollbackctl.spec.data_drift import DataDriftSettings, data_drift_settings, limits_of
from rollbackctl.spec.document import Document
from rollbackctl.spec.resolve import demands

_SUMMARY = {"within": "within its limits", "beyond": "has drifted too", "no data": "no data"}


class DataDrift:
    """Guards the release; no answer is no pass."""

    name: ClassVar[str] = "data_drift"
    guards: ClassVar[Phase] = Phase.RELEASE
    always: ClassVar[bool] = False
    settings: ClassVar[type[Document]] = DataDriftSettings

    def judge(self, case: Case) -> Verdict:
        """Answer from what was measured when the evidence was read."""
        settings, fact = data_drift_settings(case.spec), case.observation.data_drift
        version = case.facts.target.version
        if settings is None or fact is None:
            finding = Finding("no data", ("the window was not measured",))
        else:
            finding = find(fact, version, limits_of(settings, case.policy.limits))
        if finding.answer == "within":
            said = f"{version} {_SUMMARY['within']}{finding.note}: {finding.reasons[0]}"
            return Verdict(self.name, self.guards, Answer.PASS, said)
        helpless = finding.answer == "beyond" and self._is_everywhere(case)
        return Verdict(
            self.name,
            self.guards,
            Answer.BLOCK,
            f"{version}: {_SUMMARY[finding.answer]}{finding.note}{f'; {WILL_NOT_HELP}' if helpless else ''}",
            finding.reasons,
        )

    @staticmethod
    def _is_everywhere(case: Case) -> bool:
        """Whether every version but the withdrawn one is beyond its limits."""
        versions = [fact for fact in case.observation.versions if fact.version != case.facts.withdrawn.version]
        found = demands(case.spec, case.policy, case.observation).drift
        return all(version.version in found and found[version.version].answer == "beyond" for version in versions)
