"""Trees score bit for bit as scikit-learn does, and a tree that is none is refused with its place."""

import math
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.codec import impute, unchecked_scorer
from bot_core.ai.estimator_state import gradient_boosting_state, hist_gradient_boosting_state
from bot_core.ai.tree_state import gradient_boosting_predictor, hist_gradient_boosting_predictor
from bot_core.foundation.errors import BotCoreError, FileFormatError

Matrix = NDArray[np.float64]


def artifact_of(backend: str, state: Mapping[str, object], width: int, **changes: Any) -> ModelArtifact:
    names = [f"f{number}" for number in range(width)]
    fields: dict[str, Any] = {
        "feature_names": names,
        "model_state": state,
        "trained_at": datetime(2026, 1, 1, tzinfo=UTC),
        "metrics": {},
        "metadata": {},
        "target_scale": 10.0,
        "training_rows": 1,
        "validation_rows": 0,
        "test_rows": 0,
        "feature_scalers": dict.fromkeys(names, (0.0, 1.0)),
        "backend": backend,
    }
    return ModelArtifact(**{**fields, **changes})


@st.composite
def samples(draw: st.DrawFn) -> tuple[Matrix, NDArray[np.float64], Matrix, np.random.Generator]:
    """Training rows, their targets and rows to score: smooth, coarse (many ties), huge and tiny values."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, width = draw(st.integers(20, 200)), draw(st.integers(1, 6))
    scales = np.array(draw(st.lists(st.sampled_from([1e-12, 1.0, 1e4, 1e30]), min_size=width, max_size=width)))
    every = random.normal(size=(rows + 40, width))
    if draw(st.booleans()):
        every = every.round(1)
    every *= scales
    target = random.normal(size=rows) * 10 + np.sign(every[:rows, 0])
    return every[:rows], target, np.vstack([every[rows:], every[:20]]), random


@settings(max_examples=40, deadline=None)
@given(
    samples(),
    st.sampled_from(["squared_error", "huber", "absolute_error", "quantile"]),
    st.sampled_from([1, 3, 6, 9]),
    st.integers(1, 70),
    st.sampled_from([None, "zero"]),
)
def test_gradient_boosting_scores_as_scikit_learn_bit_for_bit(
    sample: tuple[Matrix, Any, Matrix, Any], loss: str, depth: int, count: int, init: str | None
) -> None:
    train, target, rows, _ = sample
    estimator = GradientBoostingRegressor(
        loss=loss, max_depth=depth, n_estimators=count, learning_rate=0.13, init=init, random_state=0
    ).fit(train, target)

    predictor = gradient_boosting_predictor(
        artifact_of("gradient_boosting", gradient_boosting_state(estimator), train.shape[1])
    )

    expected = estimator.predict(rows).tolist()
    assert [predictor.row(row) for row in rows.tolist()] == expected
    assert predictor.batch is not None
    assert predictor.batch(rows).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(
    samples(),
    st.sampled_from(["squared_error", "absolute_error", "quantile"]),
    st.sampled_from([2, 8, 31, None]),
    st.integers(1, 70),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.booleans(),
)
def test_histogram_boosting_scores_as_scikit_learn_bit_for_bit_missing_values_included(
    sample: tuple[Matrix, Any, Matrix, np.random.Generator],
    loss: str,
    leaves: int | None,
    count: int,
    missing: float,
    is_trained_on_missing: bool,
) -> None:
    train, target, rows, random = sample
    if is_trained_on_missing:
        train = np.where(random.random(train.shape) < missing, np.nan, train)
    rows = np.where(random.random(rows.shape) < missing, np.nan, rows)
    estimator = HistGradientBoostingRegressor(
        loss=loss,
        quantile=0.3,
        max_leaf_nodes=leaves,
        max_iter=count,
        min_samples_leaf=2,
        early_stopping=False,
        random_state=0,
    )
    # One thread: several wait for each other by spinning, and other tests run beside this one.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that are missing altogether
        expected = estimator.fit(train, target).predict(rows).tolist()

    state = hist_gradient_boosting_state(estimator, ["f0"])
    predictor = hist_gradient_boosting_predictor(artifact_of("hist_gradient_boosting", state, train.shape[1]))

    assert [predictor.row(row) for row in rows.tolist()] == expected
    assert predictor.batch is not None
    assert predictor.batch(rows).tolist() == expected


def state_of(**changes: object) -> dict[str, object]:
    """One tree: f0 <= 1, then f1 <= 2 on the right; missing values go left at the root and right below it."""
    nodes = {
        "feature": [0, -1, 1, -1, -1],
        "threshold": [1.0, 0.0, 2.0, 0.0, 0.0],
        "left": [1, -1, 3, -1, -1],
        "right": [2, -1, 4, -1, -1],
        "value": [0.0, 10.0, 0.0, 20.0, 30.0],
        "missing_left": [1, 0, 0, 0, 0],
    }
    state: dict[str, object] = {
        "input_cast": "float64",
        "initial_prediction": 0.5,
        "learning_rate": 0.1,
        "summation": "initial_prediction + leaf, tree by tree",
        "may_miss": ["f0", "f1"],
        "tree_sizes": [5],
        "nodes": {name: changes.pop(name, cells) for name, cells in nodes.items()},
    }
    return {**state, **changes}


def hist_artifact(**changes: object) -> ModelArtifact:
    return artifact_of("hist_gradient_boosting", state_of(**changes), 2)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ((1.0, 9.0), 10.5),
        ((1.1, 2.0), 20.5),
        ((1.1, 2.1), 30.5),
        ((math.nan, 2.0), 10.5),
        ((1.1, math.nan), 30.5),
    ],
)
def test_a_tree_by_hand(features: tuple[float, float], expected: float) -> None:
    scorer = unchecked_scorer(hist_artifact())

    assert scorer.score(dict(zip(("f0", "f1"), features, strict=True))).expected_return_bps == expected
    assert scorer.score_batch(np.array([features]))[0].tolist() == [expected]


def test_a_value_may_be_missing_only_where_the_model_has_learned_of_it() -> None:
    scorer = unchecked_scorer(hist_artifact(may_miss=["f1"]))

    with pytest.raises(BotCoreError, match=r"missing or not finite: f0$"):
        scorer.score({"f0": math.nan, "f1": math.nan})
    with pytest.raises(BotCoreError, match=r"missing or not finite: f0$"):
        scorer.score_batch(np.array([[1.0, math.nan], [math.nan, 1.0]]))
    with pytest.raises(BotCoreError, match=r"missing or not finite: f1$"):
        scorer.score({"f0": 1.0, "f1": math.inf})


def test_what_the_caller_leaves_out_is_filled_in_and_what_he_knows_is_missing_stays_so() -> None:
    artifact = artifact_of("hist_gradient_boosting", state_of(may_miss=["f1"]), 2, feature_scalers={"f1": (5.0, 1.0)})

    assert impute(artifact, {"f0": 1.0}) == ({"f0": 1.0, "f1": 5.0}, ("f1",))
    filled, left_out = impute(artifact, {"f0": None, "f1": None})
    assert filled["f0"] == 0.0
    assert math.isnan(filled["f1"])
    assert left_out == ("f0",)


@pytest.mark.parametrize("value", [3.5e38, -1e39])
def test_a_value_beyond_float32_is_refused_by_a_model_that_was_trained_in_float32(value: float) -> None:
    state = state_of(input_cast="float32", summation="initial_prediction + learning_rate * leaf, tree by tree")
    scorer = unchecked_scorer(artifact_of("gradient_boosting", state, 2))

    with pytest.raises(BotCoreError, match="too large for float32"):
        scorer.score({"f0": value, "f1": 0.0})
    with pytest.raises(BotCoreError, match="too large for float32"):
        scorer.score_batch(np.array([[value, 0.0]]))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"feature": [2, -1, 1, -1, -1]}, r"nodes\.feature\[0\] is 2, not a number from -1 to 1"),
        ({"feature": [0.0, -1, 1, -1, -1]}, r"nodes\.feature\[0\] is 0\.0"),
        ({"left": [0, -1, 3, -1, -1]}, r"nodes\.left\[0\] is 0: children come after their parent"),
        ({"right": [2, -1, 1, -1, -1]}, r"nodes\.right\[2\] is 1: children come after"),
        ({"right": [1, -1, 4, -1, -1]}, r"nodes\.feature\[1\]: the node is a child 2 times, not once"),
        ({"left": [1, 3, 3, -1, -1]}, r"nodes\.left\[1\] is 3, but the node is a leaf"),
        ({"left": [5, -1, 3, -1, -1]}, r"nodes\.left\[0\] is 5, not a number from -1 to 4"),
        ({"value": [0.0, math.nan, 0.0, 20.0, 30.0]}, r"nodes\.value\[1\] is nan, not a finite number"),
        ({"value": [0.0, None, 0.0, 20.0, 30.0]}, r"nodes\.value\[1\] is None"),
        ({"threshold": [math.inf, 0.0, 2.0, 0.0, 0.0]}, r"nodes\.threshold\[0\] is inf"),
        ({"missing_left": [2, 0, 0, 0, 0]}, r"nodes\.missing_left\[0\] is 2"),
        ({"missing_left": [0]}, r"nodes\.missing_left has 1 numbers, and the trees have 5 nodes"),
        ({"tree_sizes": [5, 0]}, r"tree_sizes\[1\] is 0, not a number from 1 on"),
        ({"tree_sizes": 5}, "tree_sizes is not a list"),
        ({"summation": "pairwise"}, "summation is 'pairwise', not 'initial_prediction"),
        ({"input_cast": "float32"}, "input_cast is 'float32', not 'float64'"),
        ({"may_miss": ["stranger"]}, "may_miss names stranger"),
        ({"initial_prediction": "0"}, "initial_prediction is '0', not a finite number"),
        ({"nodes": []}, "model_state.nodes is not an object"),
    ],
)
def test_a_forest_that_is_none_is_refused_with_its_place(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        unchecked_scorer(hist_artifact(**changes))


def test_a_tree_with_too_many_leaves_is_refused_at_once() -> None:
    # A comb: each split has a leaf on its left and the next split on its right.
    splits = 1024
    size = 2 * splits + 1
    comb = {
        "feature": [0, -1] * splits + [-1],
        "threshold": [1.0] * size,
        "left": [index + 1 if index % 2 == 0 else -1 for index in range(size - 1)] + [-1],
        "right": [index + 2 if index % 2 == 0 else -1 for index in range(size - 1)] + [-1],
        "value": [1.0] * size,
        "missing_left": [0] * size,
    }

    with pytest.raises(FileFormatError, match="the tree has 1025 leaves, more than 1024"):
        unchecked_scorer(hist_artifact(tree_sizes=[size], **comb))


@pytest.mark.parametrize(
    ("estimator", "problem"),
    [
        (GradientBoostingRegressor(init=Ridge(), n_estimators=1), "starts from a Ridge"),
        (HistGradientBoostingRegressor(loss="poisson", max_iter=1), "the loss 'poisson' is none of"),
        (
            HistGradientBoostingRegressor(categorical_features=[0], max_iter=1, min_samples_leaf=1),
            "split is by category",
        ),
    ],
)
def test_an_estimator_that_would_score_otherwise_is_refused(estimator: Any, problem: str) -> None:
    state = (
        gradient_boosting_state if isinstance(estimator, GradientBoostingRegressor) else hist_gradient_boosting_state
    )
    estimator.fit(np.arange(400.0).reshape(-1, 1) % 4, np.arange(400.0) % 4 % 3)

    with pytest.raises(BotCoreError, match=problem):
        state(estimator, *([[]] if state is hist_gradient_boosting_state else []))  # type: ignore[operator]
