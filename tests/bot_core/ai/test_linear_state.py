"""Ridge and logistic regression score as scikit-learn does, to 1e-12."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bot_core.ai.codec import unchecked_scorer
from bot_core.ai.estimator_state import linear_state
from bot_core.foundation.errors import BotCoreError, FileFormatError
from tests.bot_core.ai.test_tree_state import artifact_of


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.sampled_from([0.1, 1.0, 100.0]),
    st.sampled_from([1.0, 1e-6, 1e6]),
)
def test_ridge_and_logistic_score_as_scikit_learn_to_a_millionth_of_a_millionth(
    seed: int, width: int, strength: float, scale: float
) -> None:
    random = np.random.default_rng(seed)
    train, rows = random.normal(size=(80, width)) * scale + scale, random.normal(size=(30, width)) * scale
    target = train @ random.normal(size=width) / scale + random.normal(size=80)
    scaler = StandardScaler().fit(train)
    ridge = Ridge(alpha=strength).fit(scaler.transform(train), target)
    logistic = LogisticRegression(C=1 / strength).fit(scaler.transform(train), target > np.median(target))
    scalers = {f"f{number}": pair for number, pair in enumerate(zip(scaler.mean_, scaler.scale_, strict=True))}
    state = linear_state(ridge) | {"probability": {"type": "logistic", **linear_state(logistic)}}
    scorer = unchecked_scorer(artifact_of("ridge", state, width, feature_scalers=scalers))

    batch, batch_probabilities = scorer.score_batch(rows)
    singles = [scorer.score({f"f{number}": value for number, value in enumerate(row)}) for row in rows.tolist()]

    # The rounding of a sum is a share of the sum of its terms' sizes.
    sizes = np.abs(scaler.transform(rows)) @ np.abs(ridge.coef_) + abs(ridge.intercept_) + 1.0
    assert (np.abs(batch - make_pipeline(scaler, ridge).predict(rows)) <= 1e-12 * sizes).all()
    expected = make_pipeline(scaler, logistic).predict_proba(rows)[:, 1]
    assert batch_probabilities == pytest.approx(expected, rel=0, abs=1e-12)
    assert [single.expected_return_bps for single in singles] == batch.tolist()
    assert [single.success_probability for single in singles] == pytest.approx(batch_probabilities, rel=0, abs=1e-15)


def state_of(**changes: object) -> dict[str, object]:
    return {"weights": [2.0, -1.0], "bias": 0.5, **changes}


def test_the_probability_is_the_classifiers_own() -> None:
    state = state_of(probability={"type": "logistic", "weights": [1.0, 0.0], "bias": 1.0})
    scorer = unchecked_scorer(artifact_of("ridge", state, 2, feature_scalers={"f0": (3.0, 2.0), "f1": (0.0, 0.0)}))

    score = scorer.score({"f0": 5.0, "f1": 4.0})

    # 0.5 + 2 * (5 - 3) / 2 - 4 / 1; sigmoid(1 + (5 - 3) / 2).
    assert score.expected_return_bps == -1.5
    assert score.success_probability == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-15)


def test_the_older_backends_know_no_probability_of_their_own() -> None:
    state = state_of(probability={"type": "logistic", "weights": [1.0, 0.0], "bias": 100.0})

    score = unchecked_scorer(artifact_of("linear", state, 2)).score({"f0": 0.0, "f1": 0.5})

    assert score == (unchecked_scorer(artifact_of("linear", state_of(), 2)).score({"f0": 0.0, "f1": 0.5}))
    assert score.success_probability == 0.5


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"weights": [1.0]}, "model_state.weights has 1 numbers for 2 features"),
        ({"weights": [1.0, math.nan]}, r"model_state.weights\[1\] is nan"),
        ({"probability": 1}, "probability is not an object of the type logistic"),
        ({"probability": {"type": "tree"}}, "probability is not an object of the type logistic"),
        ({"probability": {"type": "logistic", "weights": [1.0, 1.0]}}, "model_state.probability.bias is missing"),
    ],
)
def test_a_linear_state_that_cannot_score_is_refused_with_its_place(changes: Any, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        unchecked_scorer(artifact_of("ridge", state_of(**changes), 2))


def test_a_ridge_needs_a_scaler_for_each_feature() -> None:
    with pytest.raises(FileFormatError, match="feature_scalers lack f1"):
        unchecked_scorer(artifact_of("ridge", state_of(), 2, feature_scalers={"f0": (0.0, 1.0)}))


def test_weights_of_several_targets_or_classes_are_refused() -> None:
    rows = np.arange(12.0).reshape(6, 2)

    with pytest.raises(BotCoreError, match="Ridge has more than one row of weights"):
        linear_state(Ridge().fit(rows, rows))
    with pytest.raises(BotCoreError, match="LogisticRegression has more than one row"):
        linear_state(LogisticRegression().fit(rows, [0, 1, 2, 0, 1, 2]))
