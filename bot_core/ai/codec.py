"""How the state of a model turns features into a score, for each backend."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bot_core.ai.artifact import ModelArtifact, ModelScore
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import frozen

Predict = Callable[[Sequence[float]], float]


class Scorer(Protocol):
    """Scores one case at a time."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that `score` needs, all of them."""

    def score(self, features: Mapping[str, float]) -> ModelScore:
        """The model's score; BotCoreError names the features that are missing or not finite."""


def build_scorer(artifact: ModelArtifact) -> Scorer:
    """The scorer of an artifact.

    Prediction p: *builtin* initial + sum of learning_rate times the leaf of each stump over z-scores; *linear* bias +
    weights over z-scores; *sequential_td* the same over raw features. A z-score is (value - mean) / stdev, a stdev of
    0 counts as 1. Then x = slope * p + intercept (metadata.calibration), and the probability is
    sigmoid(clip(x / (6 * target_scale), -10, 10)), averaged with sigmoid(slope * x + intercept) of
    metadata.meta_labeling.classifier where there is one.

    Raises:
        FileFormatError: The backend is unknown, or the state is not what the backend needs.

    Source: the running engine's file format (docs, "Artifact").
    """
    state, metadata = artifact.model_state, artifact.metadata
    names = tuple(artifact.feature_names)
    match artifact.backend:
        case "builtin":
            names = _state_names(state, names)
            predict, is_scaled = _stumps(state, len(names)), True
        case "linear":
            predict, is_scaled = _weighted_sum(state, len(names)), True
        case "sequential_td":
            predict, is_scaled = _weighted_sum(state, len(names)), False
        case other:
            raise FileFormatError(f"backend {other!r} is unknown; known are builtin, linear and sequential_td")
    if not (math.isfinite(artifact.target_scale) and artifact.target_scale > 0):
        raise FileFormatError(f"target_scale is {artifact.target_scale}, not a positive number")
    scalers = _scalers(artifact) if is_scaled else {}
    calibration = _mapping(metadata, "calibration", "metadata")
    return _ArtifactScorer(
        feature_names=names,
        scalers=tuple(scalers.get(name, (0.0, 1.0)) for name in names),
        predict=predict,
        slope=_number(calibration, "slope", "metadata.calibration", 1.0),
        intercept=_number(calibration, "intercept", "metadata.calibration", 0.0),
        target_scale=artifact.target_scale,
        classifier=_classifier(metadata),
    )


def impute(artifact: ModelArtifact, features: Mapping[str, float | None]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Complete features, and the names of those that were filled in.

    A feature that is absent, None or not finite takes the mean of the artifact's scaler (0 where it has none). Features
    the model does not know are left away.
    """
    filled: dict[str, float] = {}
    left_out: list[str] = []
    for name in artifact.feature_names:
        value = features.get(name)
        if value is None or not math.isfinite(value):
            left_out.append(name)
            value = artifact.feature_scalers.get(name, (0.0, 1.0))[0]
        filled[name] = float(value)
    return filled, tuple(left_out)


@frozen
class _ArtifactScorer:
    feature_names: tuple[str, ...]
    scalers: tuple[tuple[float, float], ...]
    predict: Predict
    slope: float
    intercept: float
    target_scale: float
    classifier: tuple[float, float] | None

    def score(self, features: Mapping[str, float]) -> ModelScore:
        if faulty := [name for name in self.feature_names if not math.isfinite(features.get(name, math.nan))]:
            raise BotCoreError(f"features are missing or not finite: {', '.join(faulty)}", hint="impute them first")
        inputs = [
            (features[name] - mean) / stdev
            for name, (mean, stdev) in zip(self.feature_names, self.scalers, strict=True)
        ]
        expected = self.slope * self.predict(inputs) + self.intercept
        probability = _sigmoid(max(-10.0, min(10.0, expected / (6.0 * self.target_scale))))
        if self.classifier is not None:
            slope, intercept = self.classifier
            probability = (probability + _sigmoid(slope * expected + intercept)) / 2.0
        return ModelScore(expected, probability)


def _sigmoid(value: float) -> float:
    # exp of a large positive number overflows; that of a large negative one is 0.
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    power = math.exp(value)
    return power / (1.0 + power)


def _state_names(state: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, ...]:
    """The order in which the stumps count the features: the state's own where it has one."""
    own = state.get("feature_names", names)
    if not isinstance(own, list | tuple) or sorted(map(str, own)) != sorted(names):
        raise FileFormatError("model_state.feature_names are not the artifact's feature_names")
    return tuple(map(str, own))


def _stumps(state: Mapping[str, object], width: int) -> Predict:
    rate = _number(state, "learning_rate", "model_state")
    initial = _number(state, "initial_prediction", "model_state")
    stumps = []
    for number, stump in enumerate(_sequence(state, "stumps")):
        place = f"model_state.stumps[{number}]"
        if not isinstance(stump, Mapping):
            raise FileFormatError(f"{place} is not an object")
        index = stump.get("feature_index")
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < width:
            raise FileFormatError(f"{place}.feature_index is {index!r}, not a number from 0 to {width - 1}")
        threshold, left, right = (_number(stump, key, place) for key in ("threshold", "left_value", "right_value"))
        stumps.append((index, threshold, left, right))

    def predict(inputs: Sequence[float]) -> float:
        total = initial
        for index, threshold, left, right in stumps:
            total += rate * (left if inputs[index] <= threshold else right)
        return total

    return predict


def _weighted_sum(state: Mapping[str, object], width: int) -> Predict:
    bias = _number(state, "bias", "model_state")
    weights = [_finite(value, f"model_state.weights[{n}]") for n, value in enumerate(_sequence(state, "weights"))]
    if len(weights) != width:
        raise FileFormatError(f"model_state.weights has {len(weights)} numbers for {width} features")

    def predict(inputs: Sequence[float]) -> float:
        return bias + sum(weight * value for weight, value in zip(weights, inputs, strict=True))

    return predict


def _scalers(artifact: ModelArtifact) -> dict[str, tuple[float, float]]:
    """Feature to (mean, stdev), as the engine looks for them.

    A linear model's metadata come before the artifact's own scalers, and these before those of a builtin model's state.
    """
    own = {name: {"mean": mean, "stdev": stdev} for name, (mean, stdev) in artifact.feature_scalers.items()}
    if artifact.backend == "linear":
        found = own | dict(_mapping(artifact.metadata, "feature_scalers", "metadata"))
    else:
        found = dict(_mapping(artifact.model_state, "feature_scalers", "model_state")) | own
    scalers = {}
    for name in found:
        scaler, place = _mapping(found, name, "feature_scalers"), f"feature_scalers.{name}"
        scalers[name] = _number(scaler, "mean", place), _number(scaler, "stdev", place) or 1.0
    return scalers


def _classifier(metadata: Mapping[str, object]) -> tuple[float, float] | None:
    labeling = _mapping(metadata, "meta_labeling", "metadata")
    if labeling.get("classifier") is None:
        return None
    place = "metadata.meta_labeling.classifier"
    classifier = _mapping(labeling, "classifier", "metadata.meta_labeling")
    if (kind := classifier.get("type", "logistic")) != "logistic":
        raise FileFormatError(f"{place}.type is {kind!r}; known is logistic")
    return _number(classifier, "slope", place), _number(classifier, "intercept", place)


def _mapping(holder: Mapping[str, object], name: str, place: str) -> Mapping[str, object]:
    """The object under a name; empty when it is absent or null."""
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise FileFormatError(f"{place}.{name} is not an object")
    return value


def _sequence(state: Mapping[str, object], name: str) -> Sequence[object]:
    value = state.get(name)
    if not isinstance(value, list | tuple):
        raise FileFormatError(f"model_state.{name} is {'missing' if value is None else 'not a list'}")
    return value


def _number(holder: Mapping[str, object], name: str, place: str, default: float | None = None) -> float:
    value = holder.get(name, default)
    if value is None:
        raise FileFormatError(f"{place}.{name} is missing")
    return _finite(value, f"{place}.{name}")


def _finite(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FileFormatError(f"{place} is {value!r}, not a finite number")
    return float(value)
