"""Scoring with one loaded model: what the engine asks for each decision."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bot_core.ai.artifact import ModelArtifact, ModelScore
from bot_core.ai.codec import Scorer, impute
from bot_core.ai.feature_checks import check_bounds, check_completeness, is_enforced_by, known_ranges
from bot_core.ai.repository import ModelRepository
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import replace

__all__ = ["DecisionModelInference", "ModelRepository", "Permit"]

Permit = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class _Model:
    artifact: ModelArtifact
    scorer: Scorer
    digest: str | None
    is_enforced: bool


@dataclass(slots=True)
class _Asked:
    """What the last score was asked for; whatever else is said of it is worked out when somebody wants to know."""

    artifact: ModelArtifact
    features: Mapping[str, float]
    context: Mapping[str, object] | None
    filled: Mapping[str, float]
    imputed: tuple[str, ...]
    result: ModelScore | None = None


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
        self._last: _Asked | None = None

    def load_weights(
        self, artifact: str | Path | Mapping[str, object], *, sha256: str | None = None, source: str | None = None
    ) -> None:
        """Load a model; where that fails none is loaded, the earlier one neither.

        Args:
            artifact: A version, an alias, a path, or the artifact's JSON.
            sha256: Digest of the file that the JSON was read from, for `model_digest`; None: nobody will ask.
            source: The file that the JSON was read from, for errors; None: it is not said.

        Raises:
            FileFormatError: The artifact is invalid, or cannot give a finite score even for its own mean features.
            UnresolvedReferenceError: It cannot be resolved, or is quarantined.
        """
        self._model = self._last = None
        loaded = self._repository.load(artifact)
        if source is not None:
            loaded = replace(loaded, source=source)
        model = _Model(loaded, loaded.build_model(), sha256, is_enforced_by(loaded.metadata))
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

    @property
    def model_version(self) -> str | None:
        """The version of the model as its training set it; None when it set none, or none is loaded."""
        version = None if self._model is None else self._model.artifact.metadata.get("model_version")
        return str(version) if version else None

    @property
    def model_digest(self) -> str | None:
        """The digest given to `load_weights` with the model that is loaded; None when none was."""
        return None if self._model is None else self._model.digest

    def score(self, features: Mapping[str, float], *, context: Mapping[str, object] | None = None) -> ModelScore:
        """What the model expects.

        A feature that is left out, None or not finite takes the mean it had in training; `last_imputed_features` names
        those. One that is there but None or NaN stays missing where the model has learned of missing values (see
        `impute`).

        Args:
            features: By name; those the model does not know are passed over.
            context: What the features belong to; repeated in `last_data_quality_report`.

        Raises:
            BotCoreError: No model is loaded, a feature is no number, or the score is not finite.
            DataQualityException: A check fails and the artifact's metadata.data_quality.enforce is true.
        """
        with self._permit():
            model = self._required()
            filled, imputed = _filled(model.artifact, features)
            asked = self._last = _Asked(model.artifact, dict(features), context, filled, imputed)
            if model.is_enforced:
                _refuse_alerts(_quality(model.artifact, features, context))
            result = asked.result = _score(model, filled)
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
        return () if self._last is None else self._last.imputed

    @property
    def last_data_quality_report(self) -> Mapping[str, Mapping[str, object]] | None:
        """What `monitor_features` says of the last scored features; None before the first score."""
        asked = self._last
        return None if asked is None else _quality(asked.artifact, asked.features, asked.context)

    @property
    def last_drift_score(self) -> float | None:
        """How far the last scored features lie from training: the largest absolute z-score; None before the first."""
        return None if self._last is None else _drift(self._last.artifact, self._last.filled)

    @property
    def last_meta_probability(self) -> float | None:
        """What the meta-labelling classifier said of the last score; None before the first, or without a classifier."""
        asked = self._last
        return None if asked is None or asked.result is None else _meta_probability(asked.artifact, asked.result)

    def _required(self) -> _Model:
        if self._model is None:
            raise BotCoreError("no model is loaded", hint="call load_weights first")
        return self._model


def _filled(artifact: ModelArtifact, features: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...]]:
    try:
        return impute(artifact, features)
    except (TypeError, ValueError) as error:
        wrong = [name for name in artifact.feature_names if not isinstance(features.get(name), int | float | None)]
        if not wrong:
            raise
        raise BotCoreError(f"feature {wrong[0]} is {features[wrong[0]]!r}, not a number") from error


def _score(model: _Model, filled: Mapping[str, float]) -> ModelScore:
    result = model.scorer.score(filled)
    if not (math.isfinite(result.expected_return_bps) and math.isfinite(result.success_probability)):
        raise BotCoreError(f"the score is not finite: {result.expected_return_bps}, {result.success_probability}")
    return result


def _quality(
    artifact: ModelArtifact, features: Mapping[str, float | None], context: Mapping[str, object] | None
) -> Mapping[str, Mapping[str, object]]:
    known = known_ranges(artifact.metadata)
    ranges = {name: known[name] for name in artifact.feature_names if name in known}
    return {
        "completeness": check_completeness(artifact.feature_names, features, context),
        "bounds": check_bounds(ranges, features, context),
    }


def _drift(artifact: ModelArtifact, filled: Mapping[str, float]) -> float:
    scaled = ((filled[name], *artifact.feature_scalers.get(name, (0.0, 0.0))) for name in artifact.feature_names)
    return max(
        (abs(value - mean) / stdev for value, mean, stdev in scaled if stdev > 0 and not math.isnan(value)), default=0.0
    )


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
