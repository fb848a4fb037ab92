"""The smoke test of the decision loop: every candidate is scored by one model, and decided about with real limits."""

import math
from collections.abc import Mapping, Sequence

from bot_core.config.models import DecisionEngineConfig
from bot_core.decision.models import DecisionCandidate, DecisionContext, DecisionEvaluation, Inference, RiskSnapshot
from bot_core.decision.orchestrator import DecisionOrchestrator
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import JsonValue

MODES = ("demo", "live", "paper")


@frozen
class SmokeInputs:
    """What is decided about, and by which limits and costs."""

    config: DecisionEngineConfig
    candidates: Sequence[DecisionCandidate]
    snapshots: Mapping[str, RiskSnapshot]
    tco_report: Mapping[str, JsonValue]


@frozen
class SmokeResult:
    """What came of a smoke test.

    Attributes:
        evaluations: One for each candidate, in their order.
        failures: Why it proves nothing about the model: a candidate that the model did not score, or a number that is
            not finite; () where it passed. A candidate that is rejected is no failure.
    """

    evaluations: Sequence[DecisionEvaluation]
    failures: tuple[str, ...]

    @property
    def accepted(self) -> int:
        """How many candidates were accepted."""
        return sum(evaluation.accepted for evaluation in self.evaluations)

    @property
    def rejected(self) -> int:
        """How many were not."""
        return len(self.evaluations) - self.accepted

    @property
    def stress_failures(self) -> int:
        """How many fail a stress test."""
        return sum(bool(evaluation.stress_failures) for evaluation in self.evaluations)


def run_smoke(inputs: SmokeInputs, name: str, inference: Inference, sha256: str) -> SmokeResult:
    """Decide about every candidate with one model; reads and writes no file of its own.

    Args:
        inputs: The candidates, and what they are held against.
        name: The name under which the model serves.
        inference: The model.
        sha256: Digest of the artifact that must score, which `inference` names as that of its model.
    """
    orchestrator = DecisionOrchestrator(inputs.config)
    orchestrator.attach_named_inference(name, inference, set_default=True)
    orchestrator.update_costs_from_report(inputs.tco_report)
    contexts = {profile: DecisionContext(snapshot) for profile, snapshot in inputs.snapshots.items()}
    evaluations = orchestrator.evaluate_candidates(inputs.candidates, contexts)
    failures = [
        f"candidate {number} ({evaluation.candidate.strategy} {evaluation.candidate.symbol}): {fault}"
        for number, evaluation in enumerate(evaluations, 1)
        if (fault := _fault(evaluation, sha256)) is not None
    ]
    return SmokeResult(evaluations, tuple(failures) if evaluations else ("there is no candidate to score",))


def _fault(evaluation: DecisionEvaluation, sha256: str) -> str | None:
    """Why an evaluation proves nothing about an artifact; None where it does."""
    if evaluation.model_name is None:
        return "; ".join(evaluation.reasons)
    if evaluation.model_digest != sha256:
        return f"scored by the artifact {evaluation.model_digest}, not by {sha256}"
    net_edge = evaluation.net_edge_bps
    return None if net_edge is not None and math.isfinite(net_edge) else f"the net edge is {net_edge}"
