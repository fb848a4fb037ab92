"""The target answers a probe with finite numbers."""

import difflib
import math
from typing import ClassVar

from pydantic import Field

from bot_core.foundation.errors import BotCoreError
from rollbackctl.checks import Bench
from rollbackctl.core.errors import InvalidInputError, Problem
from rollbackctl.core.gate import Outcome, Result
from rollbackctl.core.observation import VersionFact
from rollbackctl.core.plain import plain
from rollbackctl.spec.document import Document, Finite, Spec


class ProbeSettings(Document):
    """What is scored: numbers by feature; by default the runbook's probe."""

    features: dict[str, Finite] = Field(default={"momentum": 0.0, "volume_ratio": 1.0}, min_length=1)


class ProbeScore:
    """Scores `checks.probe.features`; features left out are filled from the artifact's scalers, which is said."""

    name: ClassVar[str] = "probe_score"
    section: ClassVar[str] = "probe"
    always: ClassVar[bool] = True
    settings: ClassVar[type[Document]] = ProbeSettings

    def refuse(self, spec: Spec, target: VersionFact) -> None:
        """Refuse a probe of features that the target does not have."""
        probe = ProbeSettings.model_validate(spec.spec.checks.get(self.section, {}))
        unknown = sorted(set(probe.features) - set(target.features)) if target.features else []
        if unknown:
            whose = "" if probe.model_fields_set else " (the runbook's)"
            raise InvalidInputError(
                f"the probe cannot be made of {target.version}",
                hint=f"its features: {plain(', '.join(target.features))}; name some in spec.checks.probe.features",
                problems=tuple(_unknown(name, whose, target) for name in unknown),
            )

    def run(self, bench: Bench) -> Outcome:
        """Score once."""
        from bot_core.ai.inference import DecisionModelInference  # what scores is loaded where something is scored
        from bot_core.ai.repository import ModelRepository

        features = ProbeSettings.model_validate(bench.section(self.section)).features
        try:
            inference = DecisionModelInference(ModelRepository(bench.root / bench.facts.repository))
            inference.load_weights(bench.root / bench.artifact)
            score = inference.score(features)
            unknown = sorted(set(features) - set(inference.explain(features)))
        except BotCoreError as error:
            return Outcome(self.name, Result.FAIL, error.problem)
        if unknown:
            return Outcome(self.name, Result.INCONCLUSIVE, f"the model has no feature {', '.join(unknown)}")
        values = (score.expected_return_bps, score.success_probability)
        imputed = inference.last_imputed_features
        filled = f"; filled from the scalers: {', '.join(imputed)}" if imputed else ""
        summary = f"{values[0]:.4f} bps, probability {values[1]:.4f}{filled}"
        return Outcome(self.name, Result.PASS if all(map(math.isfinite, values)) else Result.FAIL, summary)


def _unknown(name: str, whose: str, target: VersionFact) -> Problem:
    near = difflib.get_close_matches(name, target.features, 1)
    suggestion = f"; did you mean {near[0]}?" if near else ""
    return Problem(f"spec.checks.probe.features.{name}{whose}: {target.version} has no such feature{suggestion}")
