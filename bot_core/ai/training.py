"""Trains scikit-learn estimators to artifacts of JSON numbers, with a baseline and a walk-forward validation."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.ai.artifact import ModelArtifact, ModelMetrics
from bot_core.ai.audit import save_walk_forward_report
from bot_core.ai.baseline import Baseline, make_baseline, save_baseline
from bot_core.ai.codec import Scorer, unchecked_scorer
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.estimator_state import Fitted, fit, linear_state
from bot_core.ai.golden import GOLDEN_ROWS, make_golden_rows
from bot_core.ai.instant import as_utc, utc_now
from bot_core.ai.repository import ModelRepository
from bot_core.ai.validation import plain_json
from bot_core.ai.walk_forward_validation import (
    WalkForwardPlan,
    WalkForwardResult,
    WalkForwardValidator,
)
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot_core.ai.walk_forward_validation import FeatureDataset

MIN_ROWS = 32
_GOLDEN = 2 * GOLDEN_ROWS
_LINEAR_TOLERANCE = 1e-12


@frozen
class TrainingSpec:
    """What to train.

    Attributes:
        backend: "ridge", "gradient_boosting" or "hist_gradient_boosting".
        model_name, model_version: As the artifact's metadata say them.
        job_name: Of the training job; None: the model's name.
        parameters: Of the scikit-learn estimator, by its own names; its defaults stand for the rest.
        seed: Of everything random.
        has_classifier: Train a logistic regression beside it, for the probability that the target is above zero.
        validation_ratio, test_ratio: Shares of the rows, the last ones in time, that are only measured on.
        walk_forward: None: windows of half the rows to train on and a tenth to measure on.
        metadata: More keys of the artifact's metadata; of those that training sets itself, training's stand.
    """

    backend: str
    model_name: str
    model_version: str
    job_name: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    has_classifier: bool = True
    validation_ratio: float = 0.15
    test_ratio: float = 0.15
    walk_forward: WalkForwardPlan | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@frozen
class TrainedModel:
    """What a training leaves; `publish_trained_model` writes it.

    Attributes:
        artifact: Scores, and names the baseline by its digest.
        baseline: Of the rows that were trained on.
        validation: Of this way of training, in windows over all rows.
        validator: With the plan of these windows.
        dataset: All rows.
    """

    artifact: ModelArtifact
    baseline: Baseline
    validation: WalkForwardResult
    validator: WalkForwardValidator = field(repr=False, compare=False)
    dataset: FeatureTable = field(repr=False, compare=False)


@frozen
class Published:
    """The files of one published training."""

    artifact: Path
    baseline: Path
    walk_forward: Path


class EstimatorTrainer:
    """A `ModelTrainer` for retraining jobs and walk-forward validation."""

    def __init__(self, spec: TrainingSpec, *, trained_at: datetime | None = None) -> None:
        """Take note of what to train; `trained_at` is the end of training, None: now, to the second."""
        self._spec, self._trained_at = spec, trained_at

    def train(self, dataset: "FeatureDataset") -> ModelArtifact:
        """Train a model and prove it; see `train_model`, which also makes its baseline and validates it.

        Args:
            dataset: A `FeatureTable` of at least 32 rows.
        """
        if not isinstance(dataset, FeatureTable):
            raise BotCoreError(f"a {type(dataset).__name__} is no FeatureTable", hint="load_dataset reads one")
        spec, splits = self._spec, _split(dataset, self._spec)
        train = splits["train"]
        fitted = Fitted(train, spec.backend, spec.parameters, spec.seed)
        classifier = _classifier(fitted, train) if spec.has_classifier else None
        artifact = ModelArtifact(
            feature_names=dataset.feature_names,
            model_state=fitted.state | ({} if classifier is None else {"probability": classifier}),
            trained_at=utc_now().replace(microsecond=0) if self._trained_at is None else as_utc(self._trained_at),
            metrics={},
            metadata={},
            target_scale=float(train.target.std()) or 1.0,
            training_rows=train.rows,
            validation_rows=splits["validation"].rows,
            test_rows=splits["test"].rows,
            feature_scalers=dict(zip(dataset.feature_names, fitted.scalers, strict=True)),
            backend=spec.backend,
        )
        served = fitted.served(dataset.matrix)
        _require_agreement(unchecked_scorer(artifact), fitted, served)
        # The caller's metadata may hold a calibration.
        scorer = unchecked_scorer(replace(artifact, metadata=spec.metadata))
        blocks = {name: _measures(scorer, fitted, rows) for name, rows in splits.items()}
        return replace(
            artifact,
            metrics=ModelMetrics({"summary": _summary(blocks), **blocks}),
            metadata={
                **spec.metadata,
                **_metadata(dataset, spec, splits),
                "golden_rows": make_golden_rows(
                    scorer.score, dataset.feature_names, served[_spread(dataset.rows)].tolist()
                ),
            },
        )


def train_model(dataset: FeatureTable, spec: TrainingSpec, *, trained_at: datetime | None = None) -> TrainedModel:
    """Train, measure and prove a model; the same rows, spec and instant give the same artifact.

    Missing values: *hist_gradient_boosting* learns from them; the others, and any feature that misses none in training,
    take the training rows' mean, as every later score does.

    Args:
        dataset: At least 64 rows for the default plan of the walk-forward windows.
        spec: What to train.
        trained_at: The end of training; None: now, to the second.

    Raises:
        BotCoreError: The backend is unknown, a parameter is refused by scikit-learn, there are too few rows, a feature
            is missing in every training row, or the artifact does not score as the estimator does.
    """
    validator = WalkForwardValidator(dataset, plan=spec.walk_forward or _default_plan(dataset.rows))
    baseline = make_baseline(_split(dataset, spec)["train"])
    artifact = EstimatorTrainer(spec, trained_at=trained_at).train(dataset)
    whole = replace(spec, validation_ratio=0.0, test_ratio=0.0)
    validation = validator.validate(lambda: EstimatorTrainer(whole, trained_at=artifact.trained_at))
    named = {"feature_baseline": {"sha256": baseline.sha256, "rows": baseline.rows}}
    artifact = replace(artifact, metadata={**artifact.metadata, **named})
    return TrainedModel(artifact, baseline, validation, validator, dataset)


def publish_trained_model(
    trained: TrainedModel,
    repository: ModelRepository,
    *,
    audit_root: str | Path | None = None,
    aliases: Sequence[str] | None = None,
    activate: bool = False,
) -> Published:
    """Write the baseline, the walk-forward report and the artifact, and publish it under its model_version.

    The manifest comes last: after a crash no version is there whose baseline or report is not.

    Args:
        trained: What `train_model` gave.
        repository: Where the artifact goes, and the baseline beside it.
        audit_root: Folder of the reports; None: `audit/ai_decision` below the working folder.
        aliases: Aliases that move to the version.
        activate: Make it the active version.

    Raises:
        UnresolvedReferenceError: It would be promoted, but the version or the content is quarantined.
    """
    artifact = trained.artifact
    baseline = save_baseline(repository.base_path, trained.baseline)
    report = save_walk_forward_report(
        trained.validation,
        job_name=str(artifact.metadata["job_name"]),
        dataset=trained.dataset,
        validator=trained.validator,
        artifact=artifact,
        audit_root=audit_root,
        generated_at=artifact.trained_at,
        trainer_backend=artifact.backend,
    )
    version = str(artifact.metadata["model_version"])
    path = repository.publish(
        artifact, version=version, aliases=aliases, activate=activate, saved_at=artifact.trained_at
    )
    return Published(path, baseline, report)


def _classifier(fitted: Fitted, rows: FeatureTable) -> dict[str, object] | None:
    """A logistic regression over z-scores; None where all targets are on one side of zero."""
    from sklearn.linear_model import LogisticRegression

    is_gain = rows.target > 0.0
    if is_gain.all() or not is_gain.any():
        return None
    estimator = fit(LogisticRegression(max_iter=1000), fitted.z_scores(rows.matrix), is_gain)
    return {"type": "logistic", **linear_state(estimator)}


def _split(dataset: FeatureTable, spec: TrainingSpec) -> dict[str, FeatureTable]:
    """The rows to train on, then those of the validation, then those of the test, in the order of time."""
    if dataset.rows < MIN_ROWS:
        raise BotCoreError(f"{dataset.rows} rows are too few to train on; {MIN_ROWS} are needed")
    ratios = (spec.validation_ratio, spec.test_ratio)
    if not (min(ratios) >= 0.0 and sum(ratios) <= 0.5):
        raise BotCoreError(
            f"validation_ratio {ratios[0]} and test_ratio {ratios[1]} are negative, or together above 0.5"
        )
    validation, test = (int(dataset.rows * ratio) for ratio in ratios)
    first, last = dataset.rows - validation - test, dataset.rows - test
    return {
        "train": dataset.subset(range(first)),
        "validation": dataset.subset(range(first, last)),
        "test": dataset.subset(range(last, dataset.rows)),
    }


def _default_plan(rows: int) -> WalkForwardPlan:
    return WalkForwardPlan(train_window=rows // 2, test_window=rows // 10)


def _spread(rows: int) -> list[int]:
    """The numbers of the golden rows: the first, the last and others evenly between."""
    return [number * (rows - 1) // (_GOLDEN - 1) for number in range(_GOLDEN)]


def _require_agreement(scorer: Scorer, fitted: Fitted, rows: "NDArray[np.float64]") -> None:
    """Raise where the artifact does not score as scikit-learn predicts: trees to the last bit, ridge to 1e-12."""
    import numpy as np

    differences = np.abs(fitted.predict(rows) - scorer.score_batch(rows)[0])
    if not (differences <= _LINEAR_TOLERANCE * fitted.magnitude(rows)).all():
        raise BotCoreError("the artifact does not score as scikit-learn predicts on this machine")


def _measures(scorer: Scorer, fitted: Fitted, rows: FeatureTable) -> dict[str, float]:
    """Errors in basis points; empty for no rows."""
    import numpy as np

    if not rows.rows:
        return {}
    expected, probability = scorer.score_batch(fitted.served(rows.matrix))
    errors = expected - rows.target
    mse, variance = float((errors**2).mean()), float(rows.target.var())
    return {
        "mae": float(np.abs(errors).mean()),
        "mse": mse,
        "rmse": mse**0.5,
        # As walk-forward validation counts it.
        "directional_accuracy": float(((expected >= 0.0) == (rows.target >= 0.0)).mean()),
        "r2": 1.0 - mse / variance if variance else 0.0,
        "median_absolute_error": float(np.median(np.abs(errors))),
        "max_error": float(np.abs(errors).max()),
        "mean_bias_error": float(errors.mean()),
        "brier_score": float(((probability - (rows.target > 0.0)) ** 2).mean()),
    }


def _summary(blocks: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The measures of training, and the main ones of what was held back."""
    held_back = {
        f"{split}_{name}": blocks[split][name]
        for split in ("validation", "test")
        for name in ("mae", "directional_accuracy")
        if name in blocks[split]
    }
    return {**blocks["train"], **held_back}


def _metadata(dataset: FeatureTable, spec: TrainingSpec, splits: Mapping[str, FeatureTable]) -> dict[str, object]:
    from sklearn import __version__

    return {
        **dataset.metadata,
        "feature_stats": splits["train"].feature_stats,
        "model_name": spec.model_name,
        "model_version": spec.model_version,
        "job_name": spec.job_name or spec.model_name,
        "backend": spec.backend,
        "estimator": {"parameters": plain_json(spec.parameters), "seed": spec.seed, "scikit_learn": __version__},
        "dataset_split": {f"{name}_rows": rows.rows for name, rows in splits.items()},
    }
