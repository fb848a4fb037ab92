import json
import math
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.data_monitoring import DataQualityException
from bot_core.ai.inference import DecisionModelInference, ModelRepository
from bot_core.foundation.errors import BotCoreError, FileFormatError

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODELS = FIXTURES / "ws_public" / "models" / "decision_engine"
SCORES = json.loads((FIXTURES / "expected_public.json").read_text())["scores"]
VALID = ("v5", "v6", "v7", "v9", "v10")


def artifact(version: str = "v9") -> dict[str, Any]:
    return json.loads((MODELS / f"model-{version}.json").read_text())


def means(raw: Mapping[str, Any]) -> dict[str, float]:
    return {name: scaler["mean"] for name, scaler in raw["feature_scalers"].items()}


def loaded(raw: str | Mapping[str, Any] = "v9") -> DecisionModelInference:
    inference = DecisionModelInference(ModelRepository(MODELS))
    inference.load_weights(raw)
    return inference


@pytest.mark.parametrize("version", VALID)
def test_scores_are_those_of_the_running_engine(version: str) -> None:
    inference = loaded(version)

    score = inference.score(means(artifact(version)))

    # Recorded from the engine itself; its tolerance is 1e-9.
    expected = SCORES[version]["all_features_at_scaler_mean"]
    assert [score.expected_return_bps, score.success_probability] == pytest.approx(expected, abs=1e-9)
    assert inference.is_ready == SCORES[version]["is_ready"]


@pytest.mark.parametrize("version", VALID)
def test_the_runbooks_probe_is_scored_and_what_was_filled_in_is_named(version: str) -> None:
    inference = loaded(version)
    probe = {"momentum": 0.0, "volume_ratio": 1.0}

    score = inference.score(probe)

    assert score == loaded(version).score({**means(artifact(version)), **probe})
    assert inference.last_imputed_features == ("atr_pct", "rsi_norm", "spread_bps")
    assert inference.last_data_quality_report is not None
    assert inference.last_data_quality_report["completeness"]["missing_features"] == [
        "atr_pct",
        "rsi_norm",
        "spread_bps",
    ]


def test_a_model_with_enforced_checks_refuses_incomplete_features() -> None:
    raw = artifact()
    raw["metadata"]["data_quality"] = {"enforce": True}
    inference = loaded(raw)

    with pytest.raises(DataQualityException) as caught:
        inference.score({"momentum": 0.0}, context={"symbol": "BTCUSDT"})

    assert list(caught.value.reports) == ["completeness"]
    assert caught.value.reports["completeness"]["context"] == {"symbol": "BTCUSDT"}
    assert math.isfinite(inference.score(means(raw)).expected_return_bps)


def test_features_that_are_not_finite_are_filled_in() -> None:
    inference = loaded()

    score = inference.score({**means(artifact()), "momentum": math.nan, "atr_pct": math.inf})

    assert score == loaded().score(means(artifact()))
    assert inference.last_imputed_features == ("atr_pct", "momentum")


def test_nothing_is_ready_before_a_model_is_loaded() -> None:
    inference = DecisionModelInference(ModelRepository(MODELS))

    with pytest.raises(BotCoreError, match="no model is loaded"):
        inference.score({})

    assert not inference.is_ready
    assert inference.model_label is None
    assert inference.last_data_quality_report is None


def test_a_model_that_cannot_score_is_not_ready_and_neither_is_the_one_before() -> None:
    inference = loaded()
    raw = artifact()
    raw["model_state"]["initial_prediction"] = 1.7e308
    raw["metadata"]["calibration"] = {"slope": 1e10, "intercept": 0.0}

    with pytest.raises(FileFormatError, match="cannot score"):
        inference.load_weights(raw)

    assert not inference.is_ready


@pytest.mark.parametrize("version", ["v8", "feature_config.json"])
def test_an_invalid_artifact_is_not_loaded(version: str) -> None:
    with pytest.raises(FileFormatError):
        loaded(version)


def test_the_label_names_model_and_version() -> None:
    assert loaded("v9").model_label == "decision-core v9"


def test_values_beyond_what_training_saw_are_reported_and_still_scored() -> None:
    inference = loaded()

    report = inference.monitor_features({**means(artifact()), "momentum": 99.0, "extra": 1.0})
    score = inference.score({**means(artifact()), "momentum": 99.0})

    stats = artifact()["metadata"]["feature_stats"]["momentum"]
    assert report["bounds"]["violations"] == [
        {"feature": "momentum", "value": 99.0, "min": stats["min"], "max": stats["max"], "reason": "out_of_bounds"}
    ]
    assert report["completeness"]["status"] == "ok"
    assert report["completeness"]["unexpected_features"] == ["extra"]
    assert math.isfinite(score.expected_return_bps)


def test_the_drift_score_is_the_largest_distance_in_standard_deviations() -> None:
    inference = loaded()
    scaler = artifact()["feature_scalers"]["momentum"]

    inference.score({"momentum": scaler["mean"] - 4.0 * scaler["stdev"]})

    assert inference.last_drift_score == pytest.approx(4.0)


def test_the_meta_probability_is_the_classifiers_own() -> None:
    inference = loaded()

    score = inference.score(means(artifact()))

    classifier = artifact()["metadata"]["meta_labeling"]["classifier"]
    exponent = classifier["slope"] * score.expected_return_bps + classifier["intercept"]
    assert inference.last_meta_probability == pytest.approx(1.0 / (1.0 + math.exp(-exponent)))


def test_the_parts_of_a_linear_models_explanation_add_up() -> None:
    inference = loaded("v6")
    features = {name: mean + 0.3 for name, mean in means(artifact("v6")).items()}

    parts = inference.explain(features)

    moved = inference.score(features).expected_return_bps - inference.score({}).expected_return_bps
    assert sum(parts.values()) == pytest.approx(moved)


def test_what_the_permit_raises_keeps_the_score_from_being_made() -> None:
    @contextmanager
    def never():
        raise BotCoreError("not now")
        yield

    inference = DecisionModelInference(ModelRepository(MODELS), permit=never)
    inference.load_weights("v9")

    with pytest.raises(BotCoreError, match="not now"):
        inference.score({})

    assert not inference.is_ready
    assert inference.last_imputed_features == ()


@pytest.mark.parametrize("value", ["x", [1.0], {}])
def test_a_feature_that_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(BotCoreError, match=r"^feature momentum is .*, not a number$"):
        loaded().score({**means(artifact()), "momentum": value})
