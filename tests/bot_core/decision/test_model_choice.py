from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot_core.ai.artifact import ModelScore
from bot_core.config.decision_engine import runbook_config
from bot_core.decision.models import DecisionContext, DecisionEvaluation
from bot_core.decision.orchestrator import DecisionOrchestrator
from bot_core.foundation.errors import BotCoreError, FileFormatError
from tests.bot_core.decision.examples import make_candidate, make_snapshot, model
from tests.conftest import NOW, Clock

FEATURES = {"momentum": 0.5, "volume_ratio": 1.0}
GOOD, FAIR = {"mae": 5.0, "directional_accuracy": 0.8}, {"mae": 9.0, "directional_accuracy": 0.7}


class Fixed:
    """A model with one answer for everything."""

    model_digest = "0" * 64
    last_imputed_features = ("spread_bps",)

    def __init__(self, version: str, *, is_ready: bool = True) -> None:
        self.model_version = version
        self.is_ready = is_ready
        self.seen: list[Mapping[str, float]] = []

    def score(self, features: Mapping[str, float]) -> ModelScore:
        if not self.is_ready:
            raise BotCoreError("serving is detached in var/models")
        self.seen.append(features)
        return ModelScore(20.0, 0.5)


def orchestrator(clock: Clock, **models: Fixed) -> DecisionOrchestrator:
    """The models by name; the one called `base` is the default."""
    made = DecisionOrchestrator(runbook_config(), clock=clock)
    for name, inference in models.items():
        made.attach_named_inference(name, inference, set_default=name == "base")
    return made


def decide(made: DecisionOrchestrator, *, metadata: Any = None, **changes: Any) -> DecisionEvaluation:
    candidate = make_candidate(metadata={"features": FEATURES} if metadata is None else metadata, **changes)
    return made.evaluate_candidate(candidate, DecisionContext(make_snapshot()))


def test_the_score_of_the_model_decides_and_the_model_is_named(clock: Clock) -> None:
    evaluation = decide(orchestrator(clock, base=Fixed("v9")), cost_bps_override=1.0)

    assert (evaluation.model_name, evaluation.model_version, evaluation.model_digest) == ("base", "v9", "0" * 64)
    assert (evaluation.model_expected_return_bps, evaluation.model_success_probability) == (20.0, 0.5)
    assert (evaluation.expected_value_bps, evaluation.net_edge_bps) == (10.0, 9.0)
    assert evaluation.imputed_features == ("spread_bps",)


def test_without_a_history_the_default_scores(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"), other=Fixed("v8"))

    assert decide(made).model_name == "base"


def test_a_strategy_has_the_model_that_was_most_accurate_for_it(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"), first=Fixed("v1"), second=Fixed("v2"))
    made.update_model_performance("first", GOOD, strategy="trend_follow")
    made.update_model_performance("second", FAIR, strategy="trend_follow")
    made.update_model_performance("second", GOOD)

    assert decide(made, strategy="trend_follow").model_name == "first"
    assert decide(made, strategy="grid_core").model_name == "second"


def test_what_is_nearest_to_the_case_counts_before_what_is_better(clock: Clock) -> None:
    made = orchestrator(clock, any=Fixed("v1"), profile=Fixed("v2"), strategy=Fixed("v3"), both=Fixed("v4"))
    made.update_model_performance("any", {"directional_accuracy": 0.9})
    made.update_model_performance("profile", {"directional_accuracy": 0.8}, risk_profile="balanced")
    made.update_model_performance("strategy", {"directional_accuracy": 0.7}, strategy="trend_follow")
    made.update_model_performance(
        "both", {"directional_accuracy": 0.6}, strategy="trend_follow", risk_profile="balanced"
    )

    chosen = []
    for name in ("both", "strategy", "profile", "any"):
        chosen.append(decide(made).model_name)
        made.detach_named_inference(name)

    assert chosen == ["both", "strategy", "profile", "any"]


def test_a_model_that_is_not_attached_or_not_ready_is_passed_over_and_it_is_said_why(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"), tired=Fixed("v1", is_ready=False))
    made.update_model_performance("gone", GOOD)
    made.update_model_performance("tired", FAIR)

    evaluation = decide(made)

    assert evaluation.model_name == "base"
    assert evaluation.model_selection is not None
    assert [(item.name, item.reason) for item in evaluation.model_selection.candidates] == [
        ("gone", "not attached"),
        ("tired", "not ready"),
    ]


def test_accuracy_fades_and_a_newer_one_comes_first(clock: Clock) -> None:
    made = orchestrator(clock, old=Fixed("v1"), new=Fixed("v2"))
    made.update_model_performance("old", GOOD, timestamp=NOW)
    clock.now = NOW + timedelta(hours=24)
    made.update_model_performance("new", FAIR)

    assert decide(made).model_name == "new"
    assert made.performance_snapshot()["old"].weight == pytest.approx(0.5)  # one half-life of 24 h


def test_a_history_that_is_pruned_does_not_count(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"), old=Fixed("v1"))
    made.update_model_performance("old", GOOD, timestamp=NOW - timedelta(hours=2))

    made.prune_model_performance()
    assert decide(made).model_name == "old"

    made.prune_model_performance(older_than=timedelta(hours=1))
    assert decide(made).model_name == "base"


def test_a_model_that_gives_no_score_decides_against_the_candidate(clock: Clock) -> None:
    evaluation = decide(orchestrator(clock, base=Fixed("v9", is_ready=False)))

    assert not evaluation.accepted
    assert evaluation.reasons == ("model base gave no score: serving is detached in var/models",)
    assert (evaluation.model_name, evaluation.net_edge_bps, evaluation.expected_value_bps) == (None, None, None)


def test_where_models_are_attached_and_none_is_chosen_nothing_is_accepted(clock: Clock) -> None:
    evaluation = decide(orchestrator(clock, first=Fixed("v1"), second=Fixed("v2")))

    (reason,) = evaluation.reasons
    assert reason == "no model is chosen: of first, second none is the default or has a history and is ready"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (
            {},
            "model base cannot score: the metadata hold no features "
            "(model_features, features, decision_engine.features)",
        ),
        (
            {"features": {"momentum": "high"}},
            "model base gave no score: candidate trend_follow: metadata.features.momentum is 'high', "
            "not a finite number",
        ),
        (
            {"decision_engine": 3},
            "model base gave no score: candidate trend_follow: metadata.decision_engine is 3, not a mapping",
        ),
    ],
)
def test_a_candidate_without_usable_features_is_not_decided_on_its_own_claims(
    clock: Clock, metadata: Any, reason: str
) -> None:
    assert decide(orchestrator(clock, base=Fixed("v9")), metadata=metadata).reasons == (reason,)


@pytest.mark.parametrize(
    "metadata",
    [
        {"model_features": FEATURES, "features": {"momentum": 9.0}},
        {"model_features": {}, "features": FEATURES},
        {"decision_engine": {"features": FEATURES}},
        {"features": {**FEATURES, "spread_bps": None}},
    ],
)
def test_features_are_taken_from_the_first_place_that_has_some(clock: Clock, metadata: Any) -> None:
    base = Fixed("v9")

    decide(orchestrator(clock, base=base), metadata=metadata)

    assert base.seen == [FEATURES]


def test_a_real_model_fills_in_what_the_candidate_leaves_out_and_says_so(clock: Clock) -> None:
    made = DecisionOrchestrator(runbook_config(), inference=model("v9"), clock=clock)

    evaluation = decide(made)

    assert (evaluation.model_name, evaluation.model_version) == ("__default__", "v9")
    assert evaluation.imputed_features == ("atr_pct", "rsi_norm", "spread_bps")


def test_scores_are_counted_by_model(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"))
    decide(made)
    decide(made)
    decide(made, metadata={})

    assert made.model_usage_statistics(reset=True) == {"base": 2}
    assert made.model_usage_statistics() == {}


def test_the_score_and_the_choice_can_be_asked_for_alone(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"))

    name, score, selection = made.score_with_model(make_candidate(metadata={"features": FEATURES}))

    assert (name, score) == ("base", ModelScore(20.0, 0.5))
    assert selection is not None
    assert selection.selected == "base"
    assert DecisionOrchestrator(runbook_config()).score_with_model(make_candidate())[:2] == (None, None)


def test_a_profile_without_a_snapshot_accepts_nothing_and_is_scored_all_the_same(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"))

    (evaluation,) = made.evaluate_candidates([make_candidate(metadata={"features": FEATURES})], {})

    assert not evaluation.accepted
    assert evaluation.reasons == ("there is no risk snapshot of profile balanced",)
    assert evaluation.model_name == "base"


def test_a_snapshot_may_be_a_mapping_and_is_checked(clock: Clock) -> None:
    made = orchestrator(clock)
    equity = {"start_of_day_equity": 1e5, "daily_realized_pnl": 0.0, "peak_equity": 1e5, "last_equity": 1e5}

    assert made.evaluate_candidate(make_candidate(), DecisionContext(equity)).accepted
    with pytest.raises(FileFormatError, match=r"balanced\.last_equity is 'much', not a finite number"):
        made.evaluate_candidate(make_candidate(), DecisionContext({**equity, "last_equity": "much"}))


@pytest.mark.parametrize(
    "metrics",
    [GOOD, {"summary": GOOD, "test": FAIR}, {"summary": {}, "test": GOOD}, {"train": GOOD}],
)
def test_measures_may_come_in_blocks_by_split(clock: Clock, metrics: Any) -> None:
    made = orchestrator(clock)
    made.update_model_performance("base", metrics)

    summary = made.performance_snapshot()["base"]

    assert (summary.mae, summary.directional_accuracy) == (5.0, 0.8)
    assert summary.score == pytest.approx(0.75)  # 0.8 - 5 / 100


def test_measures_are_blended_in_proportion_to_their_weight(clock: Clock) -> None:
    made = DecisionOrchestrator(
        runbook_config(), clock=clock, performance_half_life_hours=None, performance_history_limit=2
    )
    for accuracy in (0.6, 0.9, 0.3):
        made.update_model_performance("base", {"directional_accuracy": accuracy})

    summary = made.performance_snapshot()["base"]

    # (0.6 + 0.9) / 2 = 0.75, which weighs 2; (0.75 * 2 + 0.3) / 3 = 0.6, and the weight stays at its limit.
    assert summary.directional_accuracy == pytest.approx(0.6)
    assert (summary.weight, summary.updates) == (2.0, 3)


def test_measures_that_are_no_numbers_are_refused(clock: Clock) -> None:
    with pytest.raises(FileFormatError, match="the metrics: mae is 'low'"):
        orchestrator(clock).update_model_performance("base", {"mae": "low"})


def test_a_history_of_long_ago_has_faded_away(clock: Clock) -> None:
    made = orchestrator(clock, base=Fixed("v9"))
    made.update_model_performance("base", GOOD, timestamp=datetime(2024, 1, 1, tzinfo=UTC))

    assert made.performance_snapshot() == {}
