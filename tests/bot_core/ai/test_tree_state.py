"""Trees score bit for bit as scikit-learn does, and a tree that is none is refused with its place."""

import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.estimator_state import gradient_boosting_state, hist_gradient_boosting_state
from bot_core.ai.tree_state import gradient_boosting_predictor, hist_gradient_boosting_predictor

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


@settings(max_examples=25, deadline=None)
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


@settings(max_examples=25, deadline=None)
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that are missing altogether
        estimator.fit(train, target)

    state = hist_gradient_boosting_state(estimator, ["f0"])
    predictor = hist_gradient_boosting_predictor(artifact_of("hist_gradient_boosting", state, train.shape[1]))

    expected = estimator.predict(rows).tolist()
    assert [predictor.row(row) for row in rows.tolist()] == expected
    assert predictor.batch is not None
    assert predictor.batch(rows).tolist() == expected
