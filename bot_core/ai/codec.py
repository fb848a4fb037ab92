"""How the state of a model turns features into a score, for each backend."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from bot_core.ai.artifact import ModelArtifact, ModelScore
from bot_core.ai.golden import check_golden_rows
from bot_core.ai.linear_state import Scaler, logistic_predictor, ridge_predictor, weighted_sum
from bot_core.ai.model_state import Predictor, mapping_at, number_at, sequence_at, sigmoid, whole
from bot_core.ai.tree_state import gradient_boosting_predictor, hist_gradient_boosting_predictor
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Scorer(Protocol):
    """Scores one case, or many at a time."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that `score` needs, all of them."""

    def score(self, features: Mapping[str, float]) -> ModelScore:
        """The model's score; BotCoreError names the features that are missing or not finite.

        A feature in the state's `may_miss` may be NaN.
        """

    def score_batch(self, matrix: "NDArray[np.float64]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """The scores of many cases.

        Args:
            matrix: Shape (rows, features), columns in the order of `feature_names`.

        Returns:
            Expected returns in basis points and probabilities of success, shape (rows,) each. The returns are those of
            `score`, bit for bit; the probabilities to 1e-15.

        Raises:
            BotCoreError: A value is missing or not finite where it may not be.
        """


@frozen
class Backend:
    """One sort of model state.

    Attributes:
        predictor: Reads the state of an artifact; FileFormatError where it is not what the backend needs.
        golden_tolerance: How far a golden row's score may be off, as `check_golden_rows` takes it. None: the backend is
            older than golden rows, and `model_state.probability` means nothing to it.
    """

    predictor: Callable[[ModelArtifact], Predictor]
    golden_tolerance: float | None = None


def build_scorer(artifact: ModelArtifact) -> Scorer:
    """The scorer of an artifact, after its golden rows have been scored where the backend has them.

    Prediction p: *builtin* initial + sum of learning_rate times the leaf of each stump over z-scores; *linear* bias +
    weights over z-scores; *sequential_td* the same over raw features; *ridge* like *linear*; *gradient_boosting* and
    *hist_gradient_boosting* as scikit-learn sums its trees (`tree_state`). A z-score is (value - mean) / stdev, a stdev
    of 0 counts as 1. Then x = slope * p + intercept (metadata.calibration). The probability is
    sigmoid(clip(x / (6 * target_scale), -10, 10)), averaged with sigmoid(slope * x + intercept) of
    metadata.meta_labeling.classifier where there is one; where a state of the last three backends has its own logistic
    classifier over z-scores (`probability`), it is that classifier's.

    Raises:
        FileFormatError: The backend is unknown, the state is not what the backend needs, or a golden row does not score
            as it did at training. Names the artifact's file and the place.

    Source: the running engine's file format (docs/models.md).
    """
    try:
        scorer = unchecked_scorer(artifact)
        tolerance = BACKENDS[artifact.backend].golden_tolerance
        if tolerance is not None:
            check_golden_rows(scorer.score, scorer.feature_names, artifact.metadata, tolerance)
    except FileFormatError as error:
        if artifact.source is None:
            raise
        raise FileFormatError(f"{artifact.source}: {error.problem}", path=artifact.source) from error
    return scorer


def unchecked_scorer(artifact: ModelArtifact) -> Scorer:
    """Like `build_scorer`, for training, which makes the golden rows."""
    backend = BACKENDS.get(artifact.backend)
    if backend is None:
        raise FileFormatError(f"backend {artifact.backend!r} is unknown; known are {', '.join(BACKENDS)}")
    predictor = backend.predictor(artifact)
    if not (math.isfinite(artifact.target_scale) and artifact.target_scale > 0):
        raise FileFormatError(f"target_scale is {artifact.target_scale}, not a positive number")
    calibration = mapping_at(artifact.metadata, "calibration", "metadata")
    return _ArtifactScorer(
        feature_names=predictor.feature_names,
        predictor=predictor,
        slope=number_at(calibration, "slope", "metadata.calibration", 1.0),
        intercept=number_at(calibration, "intercept", "metadata.calibration", 0.0),
        target_scale=artifact.target_scale,
        classifier=_classifier(artifact.metadata),
        logistic=None if backend.golden_tolerance is None else logistic_predictor(artifact),
    )


def impute(artifact: ModelArtifact, features: Mapping[str, float | None]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Complete features, and the names of those that were filled in.

    A feature that is absent, None or not finite takes the mean of the artifact's scaler (0 where it has none). One that
    is there, but None or NaN, stays NaN where the model has learned what a missing value of it means
    (`model_state.may_miss`). Features the model does not know are left away.
    """
    names = artifact.feature_names
    try:
        values = [features[name] for name in names]
        if math.isfinite(sum(values)):  # type: ignore[arg-type]  # of a None it is a TypeError
            return dict(zip(names, map(float, values), strict=True)), ()  # type: ignore[arg-type]
    except (KeyError, TypeError):
        pass
    return _imputed(artifact, features)


@frozen
class _ArtifactScorer:
    feature_names: tuple[str, ...]
    predictor: Predictor
    slope: float
    intercept: float
    target_scale: float
    classifier: tuple[float, float] | None
    logistic: Predictor | None

    def score(self, features: Mapping[str, float]) -> ModelScore:
        try:
            values = [features[name] for name in self.feature_names]
        except KeyError:
            values = [features.get(name, math.inf) for name in self.feature_names]
        # One addition each: a NaN or an infinity shows in the sum. (A sum of finite values may overflow, too.)
        if not math.isfinite(sum(values)):
            self._refuse_faulty(values)
        expected = self.slope * self.predictor.row(values) + self.intercept
        if self.logistic is not None:
            return ModelScore(expected, sigmoid(self.logistic.row(values)))
        probability = sigmoid(max(-10.0, min(10.0, expected / (6.0 * self.target_scale))))
        if self.classifier is not None:
            slope, intercept = self.classifier
            probability = (probability + sigmoid(slope * expected + intercept)) / 2.0
        return ModelScore(expected, probability)

    def score_batch(self, matrix: "NDArray[np.float64]") -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        import numpy as np

        if matrix.ndim != 2 or matrix.shape[1] != len(self.feature_names):
            raise BotCoreError(f"the matrix has the shape {matrix.shape}, not (rows, {len(self.feature_names)})")
        if not np.isfinite(matrix.sum()):
            self._refuse_faulty([_worst(column) for column in matrix.T])
        predictor = self.predictor
        if predictor.batch is not None:
            predicted = predictor.batch(matrix)
        else:
            predicted = np.array([predictor.row(row) for row in matrix.tolist()])
        expected = self.slope * predicted + self.intercept
        if self.logistic is not None and self.logistic.batch is not None:
            return expected, _sigmoids(self.logistic.batch(matrix))
        probability = _sigmoids(np.clip(expected / (6.0 * self.target_scale), -10.0, 10.0))
        if self.classifier is not None:
            slope, intercept = self.classifier
            probability = (probability + _sigmoids(slope * expected + intercept)) / 2.0
        return expected, probability

    def _refuse_faulty(self, values: Sequence[float]) -> None:
        may_miss = self.predictor.may_miss
        if faulty := [
            name
            for name, value in zip(self.feature_names, values, strict=True)
            if not math.isfinite(value) and not (math.isnan(value) and name in may_miss)
        ]:
            raise BotCoreError(f"features are missing or not finite: {', '.join(faulty)}", hint="impute them first")


def _worst(column: "NDArray[np.float64]") -> float:
    """An infinity of the column, else NaN where it has one, else 0."""
    import numpy as np

    return math.inf if np.isinf(column).any() else math.nan if np.isnan(column).any() else 0.0


def _sigmoids(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """`sigmoid` of each value."""
    import numpy as np

    power = np.exp(-np.abs(values))
    result: NDArray[np.float64] = np.where(values >= 0.0, 1.0, power) / (1.0 + power)
    return result


def _imputed(artifact: ModelArtifact, features: Mapping[str, float | None]) -> tuple[dict[str, float], tuple[str, ...]]:
    learned = artifact.model_state.get("may_miss")
    filled: dict[str, float] = {}
    left_out: list[str] = []
    for name in artifact.feature_names:
        value = features.get(name)
        if name in features and isinstance(learned, list | tuple) and name in learned and _is_missing(value):
            filled[name] = math.nan
            continue
        if value is None or not math.isfinite(value):
            left_out.append(name)
            value = artifact.feature_scalers.get(name, (0.0, 1.0))[0]
        filled[name] = float(value)
    return filled, tuple(left_out)


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _builtin(artifact: ModelArtifact) -> Predictor:
    state = artifact.model_state
    names = _state_names(state, tuple(artifact.feature_names))
    rate = number_at(state, "learning_rate", "model_state")
    initial = number_at(state, "initial_prediction", "model_state")
    stumps = []
    for number, stump in enumerate(sequence_at(state, "stumps", "model_state")):
        place = f"model_state.stumps[{number}]"
        if not isinstance(stump, Mapping):
            raise FileFormatError(f"{place} is not an object")
        index = whole(stump.get("feature_index"), f"{place}.feature_index", 0, len(names) - 1)
        threshold, left, right = (number_at(stump, key, place) for key in ("threshold", "left_value", "right_value"))
        stumps.append((index, threshold, left, right))
    scalers = _scalers(artifact, names)

    def row(values: Sequence[float]) -> float:
        scores = [(value - mean) / stdev for value, (mean, stdev) in zip(values, scalers, strict=True)]
        total = initial
        for index, threshold, left, right in stumps:
            total += rate * (left if scores[index] <= threshold else right)
        return total

    return Predictor(names, row)


def _linear(artifact: ModelArtifact) -> Predictor:
    names = artifact.feature_names
    return weighted_sum(artifact.model_state, "model_state", names, _scalers(artifact, names))


def _sequential_td(artifact: ModelArtifact) -> Predictor:
    return weighted_sum(artifact.model_state, "model_state", artifact.feature_names, None)


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        "builtin": Backend(_builtin),
        "linear": Backend(_linear),
        "sequential_td": Backend(_sequential_td),
        "ridge": Backend(ridge_predictor, golden_tolerance=1e-12),
        "gradient_boosting": Backend(gradient_boosting_predictor, golden_tolerance=0.0),
        "hist_gradient_boosting": Backend(hist_gradient_boosting_predictor, golden_tolerance=0.0),
    }
)


def _state_names(state: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, ...]:
    """The order in which the stumps count the features: the state's own where it has one."""
    own = state.get("feature_names", names)
    if not isinstance(own, list | tuple) or sorted(map(str, own)) != sorted(names):
        raise FileFormatError("model_state.feature_names are not the artifact's feature_names")
    return tuple(map(str, own))


def _scalers(artifact: ModelArtifact, names: Sequence[str]) -> tuple[Scaler, ...]:
    """(mean, stdev) of each feature, as the engine looks for them; (0, 1) for one that has none.

    A linear model's metadata come before the artifact's own scalers, and these before those of a builtin model's state.
    """
    own = {name: {"mean": mean, "stdev": stdev} for name, (mean, stdev) in artifact.feature_scalers.items()}
    if artifact.backend == "linear":
        found = own | dict(mapping_at(artifact.metadata, "feature_scalers", "metadata"))
    else:
        found = dict(mapping_at(artifact.model_state, "feature_scalers", "model_state")) | own
    scalers = {}
    for name in found:
        scaler, place = mapping_at(found, name, "feature_scalers"), f"feature_scalers.{name}"
        scalers[name] = number_at(scaler, "mean", place), number_at(scaler, "stdev", place) or 1.0
    return tuple(scalers.get(name, (0.0, 1.0)) for name in names)


def _classifier(metadata: Mapping[str, object]) -> tuple[float, float] | None:
    labeling = mapping_at(metadata, "meta_labeling", "metadata")
    if labeling.get("classifier") is None:
        return None
    place = "metadata.meta_labeling.classifier"
    classifier = mapping_at(labeling, "classifier", "metadata.meta_labeling")
    if (kind := classifier.get("type", "logistic")) != "logistic":
        raise FileFormatError(f"{place}.type is {kind!r}; known is logistic")
    return number_at(classifier, "slope", place), number_at(classifier, "intercept", place)
