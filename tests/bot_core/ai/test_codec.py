"""Scores equal the running engine's, and a state that cannot score is refused."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.codec import build_scorer, impute
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.strict_json import parse_object

FIXTURES = Path(__file__).parents[2] / "fixtures"
WORKSPACE = FIXTURES / "ws_public"
EXPECTED = json.loads((FIXTURES / "expected_public.json").read_text())["scores"]
VERSIONS = ("v5", "v6", "v7", "v8", "v9", "v10")


def raw_artifact(version):
    raw = parse_object((WORKSPACE / "models" / "decision_engine" / f"model-{version}.json").read_bytes(), version)
    if version == "v8":
        # The engine's figures are those of the file as it repairs it: a lost stdev counts as 1.
        raw["training_rows"] = 98
        raw["feature_scalers"]["momentum"]["stdev"] = 1.0
        raw["metrics"]["test"] = {}
        del raw["notes"]
    return raw


def artifact_of(version="v9", **changes):
    return ModelArtifact.from_mapping(raw_artifact(version) | changes, version)


def state_of(version="v9", **changes):
    return artifact_of(version, model_state=raw_artifact(version)["model_state"] | changes)


def pair(score):
    return [score.expected_return_bps, score.success_probability]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_candidates_score_as_the_running_engine_scored_them(version):
    candidates = json.loads((WORKSPACE / "data/decision_engine/paper/candidates.json").read_text())
    scorer = artifact_of(version).build_model()

    scores = [pair(scorer.score(candidate["metadata"]["model_features"])) for candidate in candidates]

    # Same formula in the same order; 1e-9 is the tolerance of the recorded figures.
    for actual, expected in zip(scores, EXPECTED[version]["candidate_features"], strict=True):
        assert actual == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("version", VERSIONS)
def test_many_cases_at_once_score_as_one_by_one(version):
    scorer = artifact_of(version).build_model()
    matrix = np.random.default_rng(0).normal(size=(50, len(scorer.feature_names)))

    returns, probabilities = scorer.score_batch(matrix)

    scores = [scorer.score(dict(zip(scorer.feature_names, row, strict=True))) for row in matrix.tolist()]
    assert returns.tolist() == [score.expected_return_bps for score in scores]
    # numpy's exp may differ from the C library's in the last bit.
    assert probabilities == pytest.approx([score.success_probability for score in scores], rel=0, abs=1e-15)


def test_a_matrix_of_another_width_is_refused():
    with pytest.raises(BotCoreError, match=r"the shape \(2, 3\), not \(rows, 5\)"):
        artifact_of().build_model().score_batch(np.zeros((2, 3)))


@pytest.mark.parametrize("version", VERSIONS)
def test_features_left_out_take_the_scaler_mean_and_are_named(version):
    artifact = artifact_of(version)

    features, left_out = impute(artifact, {})

    assert left_out == artifact.feature_names
    expected = EXPECTED[version]["all_features_at_scaler_mean"]
    assert pair(build_scorer(artifact).score(features)) == pytest.approx(expected, abs=1e-9)


def test_only_the_features_left_out_are_filled_in():
    features, left_out = impute(
        artifact_of(), {"momentum": 0.0, "volume_ratio": 1, "rsi_norm": math.nan, "stranger": 1}
    )

    assert left_out == ("atr_pct", "rsi_norm", "spread_bps")
    assert (features["momentum"], features["volume_ratio"], "stranger" in features) == (0.0, 1.0, False)


def test_a_scorer_names_the_features_that_it_lacks():
    with pytest.raises(BotCoreError, match="missing or not finite: atr_pct, rsi_norm"):
        artifact_of().build_model().score(
            {"momentum": 0.0, "spread_bps": 1.0, "volume_ratio": 1.0, "rsi_norm": math.inf}
        )


def test_a_sequential_td_model_weighs_the_raw_features():
    artifact = artifact_of(
        feature_names=["a", "b"],
        backend="sequential_td",
        model_state={"weights": [2.0, -1.0], "bias": 0.5},
        feature_scalers={"a": {"mean": 9.0, "stdev": 3.0}},
        target_scale=10.0,
        metadata={},
    )

    score = artifact.build_model().score({"a": 3.0, "b": 1.5})

    # 0.5 + 2*3 - 1.5 = 5; sigmoid(5/60) by hand.
    assert pair(score) == pytest.approx([5.0, 1 / (1 + math.exp(-5 / 60))], abs=1e-15)


def test_a_linear_model_weighs_z_scores_and_a_stdev_of_zero_counts_as_one():
    artifact = artifact_of(
        feature_names=["a", "b"],
        backend="linear",
        model_state={"weights": [2.0, 4.0], "bias": 1.0},
        feature_scalers={"a": {"mean": 1.0, "stdev": 0}, "b": {"mean": 0.0, "stdev": 2.0}},
        metadata={"calibration": {"slope": 2.0, "intercept": -1.0}},
    )

    score = artifact.build_model().score({"a": 3.0, "b": 1.0})

    # p = 1 + 2*(3-1)/1 + 4*1/2 = 7; x = 2*7 - 1.
    assert score.expected_return_bps == 13.0


def test_the_scalers_of_the_artifact_come_before_those_of_a_builtin_state_and_after_those_of_linear_metadata():
    scalers = {"momentum": {"mean": 0.0, "stdev": 100.0}}
    features = dict.fromkeys(artifact_of().feature_names, 0.0) | {"momentum": 1.0}

    builtin = state_of(feature_scalers=scalers)
    linear = artifact_of("v6", metadata=raw_artifact("v6")["metadata"] | {"feature_scalers": scalers})

    assert builtin.build_model().score(features) == artifact_of().build_model().score(features)
    assert linear.build_model().score(features) != artifact_of("v6").build_model().score(features)


def test_the_stumps_count_the_features_in_the_order_of_the_state():
    state = {
        "learning_rate": 1.0,
        "initial_prediction": 0.0,
        "feature_names": ["b", "a"],
        "stumps": [{"feature_index": 0, "threshold": 0.0, "left_value": -1.0, "right_value": 1.0}],
    }
    artifact = artifact_of(feature_names=["a", "b"], model_state=state, feature_scalers={}, metadata={})

    assert artifact.build_model().score({"a": -5.0, "b": 5.0}).expected_return_bps == 1.0
    assert artifact.build_model().score({"a": 5.0, "b": 0.0}).expected_return_bps == -1.0


@given(st.lists(st.floats(-1e12, 1e12), min_size=5, max_size=5))
def test_a_probability_lies_between_zero_and_one_for_any_features(values):
    artifact = artifact_of("v6")

    score = artifact.build_model().score(dict(zip(artifact.feature_names, values, strict=True)))

    assert 0.0 <= score.success_probability <= 1.0
    assert math.isfinite(score.expected_return_bps)


@pytest.mark.parametrize(
    ("artifact", "problem"),
    [
        (artifact_of(backend="xgboost"), "backend 'xgboost' is unknown"),
        (artifact_of(target_scale=0), "target_scale is 0"),
        (state_of(learning_rate=None), "model_state.learning_rate is missing"),
        (state_of(learning_rate="0.1"), "learning_rate is '0.1', not a finite number"),
        (state_of(stumps={}), "model_state.stumps is not a list"),
        (state_of(stumps=[1]), r"stumps\[0\] is not an object"),
        (state_of(stumps=[{"feature_index": 5}]), r"stumps\[0\].feature_index is 5, not a number from 0 to 4"),
        (state_of(stumps=[{"feature_index": True}]), r"stumps\[0\].feature_index is True"),
        (state_of(stumps=[{"feature_index": 0, "threshold": 1.0}]), r"stumps\[0\].left_value is missing"),
        (state_of(feature_names=["momentum"]), "model_state.feature_names"),
        (state_of(feature_scalers={"stranger": 1}), "feature_scalers.stranger is not an object"),
        (state_of("v6", weights=[1.0]), "weights has 1 numbers for 5 features"),
        (state_of("v6", bias=None), "model_state.bias is missing"),
        (artifact_of(metadata={"calibration": 3}), "metadata.calibration is not an object"),
        (artifact_of(metadata={"meta_labeling": {"classifier": {"type": "tree"}}}), "type is 'tree'"),
        (artifact_of(metadata={"meta_labeling": {"classifier": {"slope": 1}}}), "classifier.intercept is missing"),
    ],
)
def test_a_state_that_cannot_score_is_refused_and_named(artifact, problem):
    with pytest.raises(FileFormatError, match=problem):
        build_scorer(artifact)


def test_loading_and_scoring_a_model_loads_neither_jsonschema_nor_numpy():
    program = (
        "import sys\n"
        "from bot_core.ai.repository import ModelRepository\n"
        "from bot_core.ai.codec import impute\n"
        "artifact = ModelRepository(sys.argv[1]).load_model()\n"
        "artifact.build_model().score(impute(artifact, {})[0])\n"
        "print(sorted({'jsonschema', 'numpy', 'sklearn', 'pydantic'} & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[3]

    ended = subprocess.run(
        [sys.executable, "-c", program, str(WORKSPACE / "models" / "decision_engine")],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout == "[]\n"
