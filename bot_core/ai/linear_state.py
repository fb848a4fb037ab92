"""Weighted sums of features: scikit-learn's ridge and logistic regression, and the engine's own linear models."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.model_state import Predictor, number_at, numbers_at
from bot_core.foundation.errors import FileFormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Scaler = tuple[float, float]


def ridge_predictor(artifact: ModelArtifact) -> Predictor:
    """*ridge*: bias + weights over z-scores by the artifact's own scalers."""
    return weighted_sum(artifact.model_state, "model_state", artifact.feature_names, own_scalers(artifact))


def logistic_predictor(artifact: ModelArtifact) -> Predictor | None:
    """The exponent of the probability, `model_state.probability`, over z-scores; None where the state has none.

    A missing feature counts as its mean.
    """
    state, place = artifact.model_state.get("probability"), "model_state.probability"
    if state is None:
        return None
    if not isinstance(state, Mapping) or state.get("type") != "logistic":
        raise FileFormatError(f"{place} is not an object of the type logistic")
    return weighted_sum(state, place, artifact.feature_names, own_scalers(artifact))


def own_scalers(artifact: ModelArtifact) -> tuple[Scaler, ...]:
    """The artifact's (mean, stdev) of each feature, a stdev of 0 as 1; a feature without one is a fault."""
    if lacking := [name for name in artifact.feature_names if name not in artifact.feature_scalers]:
        raise FileFormatError(f"feature_scalers lack {', '.join(lacking)}")
    found = (artifact.feature_scalers[name] for name in artifact.feature_names)
    return tuple((mean, stdev or 1.0) for mean, stdev in found)


def weighted_sum(
    state: Mapping[str, object], place: str, names: Sequence[str], scalers: Sequence[Scaler] | None
) -> Predictor:
    """`state.bias` plus `state.weights` times the z-scores, or the values where there are no scalers; NaN adds nothing.

    An artifact's own scalers hold the mean of each feature, so that to pass over a missing one is to take its mean.
    """
    bias, weights = number_at(state, "bias", place), numbers_at(state, "weights", place)
    if len(weights) != len(names):
        raise FileFormatError(f"{place}.weights has {len(weights)} numbers for {len(names)} features")
    terms = [(weight, *scaler) for weight, scaler in zip(weights, scalers or [(0.0, 1.0)] * len(names), strict=True)]

    def row(values: Sequence[float]) -> float:
        # Not `sum`: from Python 3.12 on it would round otherwise.
        total = 0.0
        for value, (weight, mean, stdev) in zip(values, terms, strict=True):
            if value == value:
                total += weight * ((value - mean) / stdev)
        return bias + total

    def batch(matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        import numpy as np

        total = np.zeros(len(matrix))
        for column, (weight, mean, stdev) in zip(matrix.T, terms, strict=True):
            term = column - mean
            term /= stdev
            term *= weight
            total += np.where(np.isnan(term), 0.0, term)
        return bias + total

    return Predictor(tuple(names), row, batch)
