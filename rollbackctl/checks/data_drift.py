"""The restored target is measured again: its own training rows against the production rows of this moment."""

from typing import ClassVar

from bot_core.foundation.errors import BotCoreError
from rollbackctl.checks import Bench
from rollbackctl.core.data_drift import find, listed
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.gate import Outcome, Result
from rollbackctl.core.observation import VersionFact
from rollbackctl.spec.data_drift import SECTION, data_drift_settings, limits_of
from rollbackctl.spec.document import Document, Spec

_RESULTS = {"within": Result.PASS, "beyond": Result.FAIL, "no data": Result.NO_DATA}


class DataDriftCheck(Document):
    """The section of the check: what is measured stands in `gates.data_drift`."""


class DataDrift:
    """Reads the window anew; what has come since the plan counts."""

    name: ClassVar[str] = SECTION
    section: ClassVar[str] = SECTION
    always: ClassVar[bool] = False
    settings: ClassVar[type[Document]] = DataDriftCheck

    def refuse(self, spec: Spec, target: VersionFact) -> None:  # noqa: ARG002 - any target can be measured
        """Refuse a plan that does not say what to measure.

        Raises:
            InvalidInputError: There is no gates.data_drift.
        """
        if data_drift_settings(spec) is None:
            raise InvalidInputError(
                "spec.checks.data_drift measures what spec.gates.data_drift names, and there is no such section",
                hint="add spec.gates.data_drift with its window",
            )

    def run(self, bench: Bench) -> Outcome:
        """Measure the stored copy of the target."""
        from bot_core.ai.drift.scan import this_machine
        from rollbackctl.data_drift.measure import Subject, measure  # it brings numpy

        settings = data_drift_settings(bench.spec)
        if settings is None:
            return Outcome(self.name, Result.NO_DATA, "the plan names no window")
        target = bench.facts.target
        subject = Subject(target.version, bench.artifact, bench.facts.repository, target.sha256)
        try:
            fact = measure(bench.root, settings, [subject], pool=bench.pool or this_machine())
        except BotCoreError as error:
            return Outcome(self.name, Result.INCONCLUSIVE, error.problem)
        finding = find(fact, target.version, limits_of(settings, bench.limits))
        held = f"{target.version}{finding.note} against {fact.window.rows:,} rows of {fact.window.path}"
        return Outcome(self.name, _RESULTS[finding.answer], f"{held}: {listed(finding.reasons, '; ')}")
