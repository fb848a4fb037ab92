"""One score of a trained model through `AIManager`, and a batch, against scikit-learn's own predict."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Row, interleaved
from bot_core.ai import AIManager, FeatureTable, ModelRepository, TrainingSpec, publish_trained_model, train_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 10_000
_FEATURES = 10
_SCORES = 50  # in one measurement, so that the clock does not count
_TREES = 100
_ROUNDS = 15
_SPECS: dict[str, dict[str, Any]] = {
    "ridge": {},
    "gradient_boosting": {"n_estimators": _TREES},
    "hist_gradient_boosting": {"max_iter": _TREES, "early_stopping": False},
}


def measure(folder: Path) -> Iterator[Row]:
    """Train each backend on 10,000 rows of 10 features; then score them one by one and together."""
    table = _market()
    for backend, parameters in _SPECS.items():
        predict = _scikit_learn(backend, parameters, table)
        times = _times(
            folder / "models" / backend, TrainingSpec(backend, "market", "v1", parameters=parameters), table, predict
        )
        score, peer, peer_s = times["score"] / _SCORES, "scikit-learn's predict", times["predict"] / _SCORES
        yield Row(f"one score through AIManager, {backend}", score, peer, peer_s, 8, cheaper=True)
        yield Row(f"{_ROWS} rows at once, {backend}", times["batch"], peer, times["predict batch"], 2)


def _times(
    folder: Path, spec: TrainingSpec, table: FeatureTable, predict: "Callable[[NDArray[Any]], object]"
) -> dict[str, float]:
    """The medians in ms, `score` and `predict` of 50 single rows."""
    trained = train_model(table, spec, trained_at=datetime(2026, 1, 1, tzinfo=UTC))
    artifact = publish_trained_model(
        trained, ModelRepository(folder / "repository"), audit_root=folder / "audit"
    ).artifact
    manager = AIManager(model_dir=folder / "served")
    manager.load_decision_artifact("market", artifact, set_default=True)
    scorer = trained.artifact.build_model()
    features = dict(zip(table.feature_names, table.matrix[0].tolist(), strict=True))
    return interleaved(
        {
            "score": lambda: [manager.score_decision_features(features) for _ in range(_SCORES)],
            "predict": lambda: [predict(table.matrix[:1]) for _ in range(_SCORES)],
            "batch": lambda: scorer.score_batch(table.matrix),
            "predict batch": lambda: predict(table.matrix),
        },
        _ROUNDS,
    )


def _market() -> FeatureTable:
    import numpy as np

    random = np.random.default_rng(0)
    matrix = random.normal(size=(_ROWS, _FEATURES))
    target = 10 * matrix[:, 0] + 5 * np.sin(2 * matrix[:, 1]) + random.normal(size=_ROWS)
    names = tuple(f"feature_{number}" for number in range(_FEATURES))
    return FeatureTable(names, matrix, target, np.arange(_ROWS, dtype=float), source="benchmark")


def _scikit_learn(backend: str, parameters: dict[str, Any], table: FeatureTable) -> "Callable[[NDArray[Any]], object]":
    """What scikit-learn itself predicts with; a ridge behind its scaler."""
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    estimators: dict[str, Callable[..., Any]] = {
        "ridge": lambda **_: make_pipeline(StandardScaler(), Ridge()),
        "gradient_boosting": GradientBoostingRegressor,
        "hist_gradient_boosting": HistGradientBoostingRegressor,
    }
    estimator = estimators[backend](**parameters)
    predict: Callable[[NDArray[Any]], object] = estimator.fit(table.matrix, table.target).predict
    return predict
