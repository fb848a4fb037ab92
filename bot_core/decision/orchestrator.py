"""The decision orchestrator: which candidates are taken, under whose limits, scored by which model, and why not."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from bot_core.ai.artifact import ModelScore
from bot_core.ai.instant import utc_now
from bot_core.config.models import DecisionEngineConfig, DecisionOrchestratorThresholds
from bot_core.decision.costs import CostResolver, DecisionCostResolver
from bot_core.decision.evaluation import (
    cost_reasons,
    edge_reasons,
    latency_reasons,
    probability_reasons,
    risk_reasons,
    stress_failures,
)
from bot_core.decision.models import (
    FEATURE_PLACES,
    DecisionCandidate,
    DecisionContext,
    DecisionEvaluation,
    Inference,
    ModelSelectionDetail,
    ModelSelectionMetadata,
    RiskSnapshot,
)
from bot_core.decision.performance import ANY, ModelPerformanceSummary, PerformanceHistory
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.fields import Fields
from bot_core.foundation.frozen import frozen

DEFAULT_INFERENCE_NAME = "__default__"
_PLACES = ", ".join(".".join(path) for path in FEATURE_PLACES)


@frozen
class _Scored:
    """What the model chosen for a candidate said of it.

    Attributes:
        selection: The choice.
        fault: Why there is no score though a model is attached; None otherwise.
        score: None where there is a fault, or no model.
        version, digest: The model that scored.
        imputed: The features that it filled in.
    """

    selection: ModelSelectionMetadata
    fault: str | None = None
    score: ModelScore | None = None
    version: str | None = None
    digest: str | None = None
    imputed: tuple[str, ...] = ()


class DecisionOrchestrator:
    """Decides about candidates with the models attached to it, by name, one of them the default.

    Where a model is attached, a candidate is decided on the model's score alone: without a score it is not accepted.
    Only where none is attached does the strategy's own expectation count.
    """

    def __init__(
        self,
        config: DecisionEngineConfig,
        *,
        inference: Inference | None = None,
        performance_half_life_hours: float | None = 24.0,
        performance_history_limit: int = 100,
        clock: Callable[[], datetime] = utc_now,
        cost_resolver: CostResolver | None = None,
    ) -> None:
        """Begin without costs.

        Args:
            config: Limits, stress tests, and how models and costs count.
            inference: The unnamed default model; None: none yet.
            performance_half_life_hours: After how long a model's accuracy counts half; None: always the same.
            performance_history_limit: How many updates of it count at most.
            clock: Tells the time, by which accuracy fades.
            cost_resolver: Knows costs; None: the newest TCO report does.
        """
        self._config = config
        self._costs = cost_resolver or DecisionCostResolver(penalty_cost_bps=config.penalty_cost_bps)
        self._history = PerformanceHistory(half_life_hours=performance_half_life_hours, limit=performance_history_limit)
        self._clock = clock
        self._usage: dict[str, int] = {}
        self._inferences: dict[str, Inference] = {}
        self._default: str | None = None
        self.attach_inference_service(inference)

    def attach_inference_service(self, inference: Inference | None) -> None:
        """Make `inference` the unnamed default; None takes the unnamed one away."""
        if inference is None:
            self.detach_named_inference(DEFAULT_INFERENCE_NAME)
        else:
            self.attach_named_inference(DEFAULT_INFERENCE_NAME, inference, set_default=True)

    def attach_named_inference(self, name: str, inference: Inference, *, set_default: bool = False) -> None:
        """Attach a model under a name, in place of an earlier one; it is the default only where that is asked for."""
        self._inferences[name] = inference
        if set_default:
            self._default = name

    def detach_named_inference(self, name: str) -> None:
        """Take a model away; with the default one goes the default. An unknown name is fine."""
        self._inferences.pop(name, None)
        if self._default == name:
            self._default = None

    def inference(self, name: str | None = None) -> Inference | None:
        """The model attached under `name`, or the default one; None when there is none."""
        wanted = self._default if name is None else name
        return None if wanted is None else self._inferences.get(wanted)

    def thresholds_for_profile(self, profile: str) -> DecisionOrchestratorThresholds:
        """The thresholds of a risk profile: its override, else those for everybody."""
        return self._config.profile_overrides.get(profile, self._config.orchestrator)

    def threshold_snapshot(self, thresholds: DecisionOrchestratorThresholds) -> Mapping[str, float | None]:
        """The thresholds by name, with what holds for every profile; None for a limit that is not set."""
        config = self._config
        return {
            **asdict(thresholds),
            "min_probability": config.min_probability,
            "penalty_cost_bps": config.penalty_cost_bps,
        }

    def update_costs_from_report(self, report: Mapping[str, object]) -> None:
        """Take the costs of a TCO report in place of all earlier ones.

        Raises:
            FileFormatError: The report is not one; the earlier costs stay.
        """
        self._costs.update_costs_from_report(report)

    def resolve_cost(self, candidate: DecisionCandidate) -> tuple[float | None, bool]:
        """The candidate's cost in basis points (None: unknown, and no penalty is set), and whether nobody knows it."""
        return self._costs.resolve_cost(candidate)

    def ensure_snapshot(self, profile: str, snapshot: Mapping[str, object] | RiskSnapshot) -> RiskSnapshot:
        """The snapshot as a value.

        Raises:
            FileFormatError: A field of the mapping is missing or of the wrong sort.
        """
        if isinstance(snapshot, RiskSnapshot):
            return snapshot
        return RiskSnapshot.from_fields(profile, Fields(snapshot, "the risk snapshot", profile))

    def update_model_performance(
        self,
        name: str,
        metrics: Mapping[str, object],
        *,
        strategy: str | None = None,
        risk_profile: str | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        """Say how accurate a model was: the better ones of late are chosen.

        Args:
            name: The model.
            metrics: `mae` in basis points and `directional_accuracy`, 0 to 1; or blocks of them by split.
            strategy: For which strategy; None: for every one.
            risk_profile: For which risk profile; None: for every one.
            timestamp: When it was measured; None: now.
        """
        self._history.update((strategy or ANY, risk_profile or ANY), name, metrics, timestamp or self._clock())

    def performance_snapshot(
        self, strategy: str | None = None, risk_profile: str | None = None
    ) -> Mapping[str, ModelPerformanceSummary]:
        """How accurate each model was for a strategy and a risk profile (None: for every one), as it counts now."""
        return self._history.summaries((strategy or ANY, risk_profile or ANY), self._clock())

    def prune_model_performance(self, *, before: datetime | None = None, older_than: timedelta | None = None) -> None:
        """Forget what was last measured before an instant, or longer ago than a span (which counts where both are)."""
        limit = before if older_than is None else self._clock() - older_than
        if limit is not None:
            self._history.prune(limit)

    def model_usage_statistics(self, *, reset: bool = False) -> Mapping[str, int]:
        """How many candidates each model scored, since the last reset."""
        usage = dict(self._usage)
        if reset:
            self._usage.clear()
        return usage

    def score_with_model(
        self, candidate: DecisionCandidate
    ) -> tuple[str | None, ModelScore | None, ModelSelectionMetadata | None]:
        """The model chosen for a candidate, its score (None: it gave none), and the choice."""
        scored = self._scored(candidate)
        return scored.selection.selected, scored.score, scored.selection

    def evaluate_candidates(
        self, candidates: Sequence[DecisionCandidate], contexts: Mapping[str, DecisionContext]
    ) -> Sequence[DecisionEvaluation]:
        """Decide about candidates, each by itself; a profile without a context accepts none."""
        return tuple(self._evaluated(candidate, contexts.get(candidate.risk_profile)) for candidate in candidates)

    def evaluate_candidate(self, candidate: DecisionCandidate, context: DecisionContext) -> DecisionEvaluation:
        """Decide about a candidate.

        Raises:
            FileFormatError: The context's risk snapshot is not one.
        """
        return self._evaluated(candidate, context)

    def _evaluated(self, candidate: DecisionCandidate, context: DecisionContext | None) -> DecisionEvaluation:
        profile = candidate.risk_profile
        limits = self.thresholds_for_profile(profile)
        snapshot = None if context is None else self.ensure_snapshot(profile, context.risk_snapshot)
        risks = () if snapshot is None else tuple(risk_reasons(candidate, snapshot, limits))
        scored = self._scored(candidate)
        expected = scored.score or ModelScore(candidate.expected_return_bps, candidate.expected_probability)
        value = expected.expected_return_bps * expected.success_probability
        cost_bps, is_unknown = self.resolve_cost(candidate)
        net_edge = value - (cost_bps or 0.0)
        earning = (
            (scored.fault,)
            if scored.fault is not None
            else (*probability_reasons(expected.success_probability, self._config), *edge_reasons(net_edge, limits))
        )
        reasons = (
            *(() if snapshot else (f"there is no risk snapshot of profile {profile}",)),
            *earning,
            *((f"no cost is known of {candidate.strategy}",) if is_unknown and self._config.require_cost_data else ()),
            *cost_reasons(cost_bps, limits),
            *latency_reasons(candidate.latency_ms, limits),
            *(reason for _, reason in risks),
        )
        failures = tuple(stress_failures(candidate, cost_bps, limits, self._config))
        is_scored = scored.score is not None
        return DecisionEvaluation(
            candidate=candidate,
            accepted=not reasons and not failures,
            cost_bps=cost_bps,
            net_edge_bps=None if scored.fault else net_edge,
            reasons=reasons,
            risk_flags=tuple(flag for flag, _ in risks),
            stress_failures=failures,
            expected_value_bps=None if scored.fault else value,
            model_expected_return_bps=expected.expected_return_bps if is_scored else None,
            model_success_probability=expected.success_probability if is_scored else None,
            model_name=scored.selection.selected if is_scored else None,
            model_version=scored.version,
            model_digest=scored.digest,
            imputed_features=scored.imputed,
            model_selection=scored.selection,
            thresholds_snapshot=self.threshold_snapshot(limits),
        )

    def _scored(self, candidate: DecisionCandidate) -> _Scored:
        selection = self._select(candidate)
        name = selection.selected
        if name is None:
            attached = ", ".join(sorted(self._inferences))
            fault = f"no model is chosen: of {attached} none is the default or has a history and is ready"
            return _Scored(selection, fault if attached else None)
        inference = self._inferences[name]
        try:
            features = candidate.model_features()
            if not features:
                return _Scored(selection, f"model {name} cannot score: the metadata hold no features ({_PLACES})")
            score = inference.score(features)
        except BotCoreError as error:
            return _Scored(selection, f"model {name} gave no score: {error.problem}")
        if not (math.isfinite(score.expected_return_bps) and math.isfinite(score.success_probability)):
            return _Scored(selection, f"model {name} gave no finite score: {score}")
        self._usage[name] = self._usage.get(name, 0) + 1
        identity = (inference.model_version, inference.model_digest)
        return _Scored(selection, None, score, *identity, inference.last_imputed_features)

    def _select(self, candidate: DecisionCandidate) -> ModelSelectionMetadata:
        """The most accurate model that is ready, from what is nearest to the case; else the default."""
        passed_over: list[ModelSelectionDetail] = []
        history = self._history.nearest(candidate.strategy, candidate.risk_profile, self._clock())
        for name, summary in history:
            inference = self._inferences.get(name)
            reason = "not attached" if inference is None else None if inference.is_ready else "not ready"
            passed_over.append(ModelSelectionDetail(name, summary.effective_score, summary.updated_at, reason))
            if reason is None:
                return ModelSelectionMetadata(name, tuple(passed_over))
        # Not asked whether it is ready: where it is not, its own error says why.
        default = self._default if self._default in self._inferences else None
        return ModelSelectionMetadata(default, tuple(passed_over))
