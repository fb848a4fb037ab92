"""The target answers a probe with finite numbers."""

import math
from typing import ClassVar

from bot_core.foundation.errors import BotCoreError
from rollbackctl.checks import Bench
from rollbackctl.core.gate import Outcome, Result

_RUNBOOK_PROBE = {"momentum": 0.0, "volume_ratio": 1.0}


class ProbeScore:
    """Scores `checks.probe.features`; features left out are filled from the artifact's scalers, which is said."""

    name: ClassVar[str] = "probe_score"
    section: ClassVar[str] = "probe"
    always: ClassVar[bool] = True

    def run(self, bench: Bench) -> Outcome:
        """Score once."""
        from bot_core.ai.inference import DecisionModelInference  # what scores is loaded where something is scored
        from bot_core.ai.repository import ModelRepository

        try:
            features = _features(bench)
            inference = DecisionModelInference(ModelRepository(bench.root / bench.facts.repository))
            inference.load_weights(bench.root / bench.artifact)
            score = inference.score(features)
            unknown = sorted(set(features) - set(inference.explain(features)))
        except ValueError as error:
            return Outcome(self.name, Result.INCONCLUSIVE, str(error))
        except BotCoreError as error:
            return Outcome(self.name, Result.FAIL, error.problem)
        if unknown:
            return Outcome(self.name, Result.INCONCLUSIVE, f"the model has no feature {', '.join(unknown)}")
        values = (score.expected_return_bps, score.success_probability)
        imputed = inference.last_imputed_features
        filled = f"; filled from the scalers: {', '.join(imputed)}" if imputed else ""
        summary = f"{values[0]:.4f} bps, probability {values[1]:.4f}{filled}"
        return Outcome(self.name, Result.PASS if all(map(math.isfinite, values)) else Result.FAIL, summary)


def _features(bench: Bench) -> dict[str, float]:
    given = bench.section(ProbeScore.section).get("features", _RUNBOOK_PROBE)
    if not isinstance(given, dict) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in given.values()
    ):
        raise ValueError("spec.checks.probe.features must be a mapping of feature names to numbers")
    return {str(name): float(value) for name, value in given.items()}  # type: ignore[arg-type]
