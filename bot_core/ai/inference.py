"""Scoring with one loaded model: what the engine asks for each decision."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bot_core.ai.artifact import ModelArtifact, ModelScore
from bot_core.ai.codec import Scorer, impute
from bot_core.ai.repository import ModelRepository
from bot_core.foundation.errors import BotCoreError, FileFormatError

__all__ = ["DecisionModelInference", "ModelRepository", "Permit"]

Permit = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class _Model:
    artifact: ModelArtifact
    scorer: Scorer


@dataclass(frozen=True, slots=True)
class _Record:
    """What the last score was made of."""

    imputed: tuple[str, ...] = ()
    quality: Mapping[str, Mapping[str, object]] | None = None
    drift: float | None = None
    meta_probability: float | None = None


class DecisionModelInference:
    """One model at work. It reads files only in `load_weights`, and writes none, reports included."""

    def __init__(self, repository: ModelRepository, *, permit: Permit = nullcontext) -> None:
        """Begin without a model.

        Args:
            repository: Where `load_weights` looks.
            permit: Entered around each score; what it raises keeps the score from being made.
        """
        self._repository = repository
        self._permit = permit
        self._model: _Model | None = None
        self._last = _Record()

    def load_weights(self, artifact: str | Path | Mapping[str, object]) -> None:
        """Load a model; where that fails none is loaded, the earlier one neither.

        Args:
            artifact: A version, an alias, a path, or the artifact's JSON.

        Raises:
            FileFormatError: The artifact is invalid, or cannot give a finite score even for its own mean features.
            UnresolvedReferenceError: It cannot be resolved, or is quarantined.
        """
        self._model, self._last = None, _Record()
        loaded = self._repository.load(artifact)
        model = _Model(loaded, loaded.build_model())
        try:
            _score(model, impute(loaded, {})[0])
        except (BotCoreError, ArithmeticError) as error:
            raise FileFormatError(f"the model cannot score: {error}") from error
        self._model = model

    @property
    def is_ready(self) -> bool:
        """Whether a score asked for now would be given."""
        try:
            with self._permit():
                return self._model is not None
        except (BotCoreError, OSError):
            return False

    @property
    def model_label(self) -> str | None:
        """Name and version of the model as its training set them, like "decision-core v9"; None when none is loaded."""
        if self._model is None:
            return None
        metadata = self._model.artifact.metadata
        names = (metadata.get("model_name"), metadata.get("model_version"))
        return " ".join(str(name) for name in names if name) or "unnamed"

    def score(self, features: Mapping[str, float], *, context: Mapping[str, object] | None = None) -> ModelScore:
        """What the model expects.

        A feature that is left out, None or not finite takes the mean it had in training; `last_imputed_features` names
        those.

        Args:
            features: By name; those the model does not know are passed over.
            context: What the features belong to; repeated in `last_data_quality_report`.

        Raises:
            BotCoreError: No model is loaded, or the score is not finite.
            DataQualityException: A check fails and the artifact's metadata.data_quality.enforce is true.
        """
        with self._permit():
            model = self._required()
            filled, imputed = impute(model.artifact, features)
            quality = _quality(model.artifact, features, context)
            self._last = _Record(imputed, quality, _drift(model.artifact, filled))
            if _is_enforced(model.artifact):
                _refuse_alerts(quality)
            result = _score(model, filled)
            probability = _meta_probability(model.artifact, result)
            self._last = _Record(imputed, quality, self._last.drift, probability)
            return result

    def monitor_features(
        self, features: Mapping[str, float], *, context: Mapping[str, object] | None = None
    ) -> Mapping[str, Mapping[str, object]]:
        """What the checks find: `completeness` and `bounds` (the range that training saw); each has a status."""
        with self._permit():
            return _quality(self._required().artifact, features, context)

    def explain(self, features: Mapping[str, float]) -> Mapping[str, float]:
        """How much each feature moves the expected return, in basis points, against that feature at its mean.

        For a linear model the parts add up to the distance from the score at the means; for others they need not.
        """
        with self._permit():
            model = self._required()
            filled, means = impute(model.artifact, features)[0], impute(model.artifact, {})[0]
            whole = _score(model, filled).expected_return_bps
            return {name: whole - _score(model, {**filled, name: means[name]}).expected_return_bps for name in filled}

    @property
    def last_imputed_features(self) -> tuple[str, ...]:
        """The features that the last score had to fill in, in the model's order."""
        return self._last.imputed

    @property
    def last_data_quality_report(self) -> Mapping[str, Mapping[str, object]] | None:
        """What `monitor_features` says of the last scored features; None before the first score."""
        return self._last.quality

    @property
    def last_drift_score(self) -> float | None:
        """How far the last scored features lie from training: the largest absolute z-score; None before the first."""
        return self._last.drift

    @property
    def last_meta_probability(self) -> float | None:
        """What the meta-labelling classifier said of the last score; None before the first, or without a classifier."""
        return self._last.meta_probability

    def _required(self) -> _Model:
        if self._model is None:
            raise BotCoreError("no model is loaded", hint="call load_weights first")
        return self._model


def _score(model: _Model, filled: Mapping[str, float]) -> ModelScore:
    result = model.scorer.score(filled)
    if not (math.isfinite(result.expected_return_bps) and math.isfinite(result.success_probability)):
        raise BotCoreError(f"the score is not finite: {result.expected_return_bps}, {result.success_probability}")
    return result


def _quality(
    artifact: ModelArtifact, features: Mapping[str, float | None], context: Mapping[str, object] | None
) -> Mapping[str, Mapping[str, object]]:
    names = sorted(artifact.feature_names)
    missing = [name for name in names if name not in features]
    unusable = [name for name in names if name in features and not _is_finite(features[name])]
    ranges = _ranges(artifact)
    violations: list[Mapping[str, object]] = [
        {"feature": name, "value": value, "min": low, "max": high, "reason": "out_of_bounds"}
        for name, (low, high) in ranges.items()
        if (value := features.get(name)) is not None and _is_finite(value) and not low <= value <= high
    ]
    return {
        "completeness": {
            "category": "completeness",
            "status": "alert" if missing or unusable else "ok",
            "context": dict(context or {}),
            "expected_features": names,
            "missing_features": missing,
            "null_features": unusable,
            "unexpected_features": sorted(set(features) - set(names)),
        },
        "bounds": {
            "category": "bounds",
            "status": "alert" if violations else "ok",
            "context": dict(context or {}),
            "monitored_features": list(ranges),
            "violations": violations,
        },
    }


def _ranges(artifact: ModelArtifact) -> dict[str, tuple[float, float]]:
    """Least and greatest value in training, for the features whose metadata.feature_stats say so."""
    stats = artifact.metadata.get("feature_stats")
    ranges = {}
    for name in sorted(artifact.feature_names):
        entry = stats.get(name) if isinstance(stats, Mapping) else None
        low, high = (entry.get("min"), entry.get("max")) if isinstance(entry, Mapping) else (None, None)
        if isinstance(low, int | float) and isinstance(high, int | float):
            ranges[name] = (float(low), float(high))
    return ranges


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _drift(artifact: ModelArtifact, filled: Mapping[str, float]) -> float:
    scaled = ((filled[name], *artifact.feature_scalers.get(name, (0.0, 0.0))) for name in artifact.feature_names)
    return max((abs(value - mean) / stdev for value, mean, stdev in scaled if stdev > 0), default=0.0)


def _is_enforced(artifact: ModelArtifact) -> bool:
    policy = artifact.metadata.get("data_quality")
    return isinstance(policy, Mapping) and policy.get("enforce") is True


def _refuse_alerts(quality: Mapping[str, Mapping[str, object]]) -> None:
    if alerts := {name: report for name, report in quality.items() if report["status"] == "alert"}:
        from bot_core.ai.data_monitoring import DataQualityException

        raise DataQualityException(alerts)


def _meta_probability(artifact: ModelArtifact, score: ModelScore) -> float | None:
    """The classifier's own probability, 1 / (1 + exp(-(slope * expected return + intercept))); see `codec`."""
    labeling = artifact.metadata.get("meta_labeling")
    classifier = labeling.get("classifier") if isinstance(labeling, Mapping) else None
    if not isinstance(classifier, Mapping):
        return None
    exponent = classifier["slope"] * score.expected_return_bps + classifier["intercept"]
    return 0.5 * (1.0 + math.tanh(exponent / 2.0))
