"""Scikit-learn estimators, and the model state of a fitted one: every parameter as a JSON number, nothing pickled."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot_core.ai.dataset import FeatureTable
from bot_core.ai.tree_state import COLUMNS, MAX_LEAVES, SCALED_LEAVES, WHOLE_LEAVES
from bot_core.foundation.errors import BotCoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IDENTITY_LOSSES = ("squared_error", "absolute_error", "quantile")
# What stands for "every number": with it scikit-learn splits missing values from all others.
_LARGEST = 1.7976931348623157e308


class Fitted:
    """An estimator fitted to rows, and how values must be made ready for it.

    Attributes:
        scalers: Mean and standard deviation of each feature in these rows.
        state: The model state.
    """

    def __init__(self, rows: FeatureTable, backend: str, parameters: Mapping[str, object], seed: int) -> None:
        """Fit.

        Args:
            rows: To learn from.
            backend: "ridge", "gradient_boosting" or "hist_gradient_boosting".
            parameters: Of the estimator, by scikit-learn's names.
            seed: Of everything random.

        Raises:
            BotCoreError: The backend is unknown, or scikit-learn refuses a parameter or the rows.
        """
        import numpy as np

        stats = rows.feature_stats
        self.scalers = [(stats[name]["mean"], stats[name]["stdev"]) for name in rows.feature_names]
        self._means = np.array([mean for mean, _ in self.scalers])
        self._stdevs = np.array([stdev or 1.0 for _, stdev in self.scalers])
        missing = np.isnan(rows.matrix)
        # What is missing altogether teaches nothing (it happens in a walk-forward window only).
        learns = backend == "hist_gradient_boosting"
        self._may_miss = np.logical_and(missing.any(axis=0), ~missing.all(axis=0)) & learns
        self._is_scaled = backend == "ridge"
        self._estimator = fit(_estimator(backend, parameters, seed), self._inputs(rows.matrix), rows.target)
        names = [rows.feature_names[index] for index in np.flatnonzero(self._may_miss)]
        self.state: dict[str, object] = (
            linear_state(self._estimator)
            if self._is_scaled
            else hist_gradient_boosting_state(self._estimator, names)
            if learns
            else gradient_boosting_state(self._estimator)
        )

    def served(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """The values as a score gets them: the mean for what is missing, except where the model has learned of it."""
        import numpy as np

        return np.where(np.isnan(matrix) & ~self._may_miss, self._means, matrix)

    def z_scores(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """The values by the scalers, 0 for what is missing."""
        import numpy as np

        scores: NDArray[np.float64] = (np.where(np.isnan(matrix), self._means, matrix) - self._means) / self._stdevs
        return scores

    def predict(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """What scikit-learn predicts, shape (rows,)."""
        predicted: NDArray[np.float64] = self._estimator.predict(self._inputs(matrix))
        return predicted

    def magnitude(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """What a ridge's rounding is a share of: the sum of its terms' sizes, shape (rows,); 0 for trees."""
        import numpy as np

        if not self._is_scaled:
            return np.zeros(len(matrix))
        sizes: NDArray[np.float64] = np.abs(self.z_scores(matrix)) @ np.abs(self._estimator.coef_)
        return sizes + (1.0 + abs(float(self._estimator.intercept_)))

    def _inputs(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        return self.z_scores(matrix) if self._is_scaled else self.served(matrix)


def fit(estimator: Any, inputs: "NDArray[np.float64]", target: "NDArray[Any]") -> Any:
    """Fit an estimator to inputs of shape (rows, features); what scikit-learn refuses is a BotCoreError."""
    try:
        return estimator.fit(inputs, target)
    except (ValueError, TypeError) as error:
        raise BotCoreError(f"{type(estimator).__name__} cannot be fitted: {error}") from error


def linear_state(estimator: Any) -> dict[str, object]:
    """The state of a `Ridge`, or of a `LogisticRegression` of two classes, that was fitted to z-scores.

    Raises:
        BotCoreError: It has more than one target, or other than two classes.
    """
    weights, bias = estimator.coef_.reshape(-1), estimator.intercept_
    if len(weights) != estimator.n_features_in_:
        raise BotCoreError(f"the {type(estimator).__name__} has more than one row of weights")
    return {"weights": weights.tolist(), "bias": float(bias if isinstance(bias, float) else bias.reshape(-1)[0])}


def gradient_boosting_state(estimator: Any) -> dict[str, object]:
    """The state of a `GradientBoostingRegressor`.

    Raises:
        BotCoreError: It starts from an estimator of its own, or a tree has more than 1024 leaves.
    """
    trees = [
        _tree(
            tree.feature >= 0,
            feature=tree.feature,
            threshold=tree.threshold,
            left=tree.children_left,
            right=tree.children_right,
            value=tree.value[:, 0, 0],
            missing_left=tree.feature * 0,
        )
        for tree in (stage[0].tree_ for stage in estimator.estimators_)
    ]
    return {
        "input_cast": "float32",
        "initial_prediction": _initial(estimator.init_),
        "learning_rate": float(estimator.learning_rate),
        "summation": SCALED_LEAVES,
        **_flat(trees),
    }


def hist_gradient_boosting_state(estimator: Any, may_miss: Sequence[str]) -> dict[str, object]:
    """The state of a `HistGradientBoostingRegressor`.

    Args:
        estimator: Fitted with numeric features only.
        may_miss: The features that had missing values when it was fitted.

    Raises:
        BotCoreError: The loss changes the scale of the prediction, a split is by category, or a tree has more than 1024
            leaves.
    """
    if estimator.loss not in _IDENTITY_LOSSES:
        raise BotCoreError(f"the loss {estimator.loss!r} is none of {', '.join(_IDENTITY_LOSSES)}")
    return {
        "input_cast": "float64",
        "initial_prediction": float(estimator._baseline_prediction.reshape(-1)[0]),  # noqa: SLF001 - there is no other
        "learning_rate": float(estimator.learning_rate),
        "summation": WHOLE_LEAVES,
        "may_miss": list(may_miss),
        **_flat([_hist_tree(stage[0].nodes) for stage in estimator._predictors]),  # noqa: SLF001 - nor here
    }


def _hist_tree(nodes: Any) -> dict[str, list[float]]:
    if nodes["is_categorical"].any():
        raise BotCoreError("a split is by category; features must be numbers")
    return _tree(
        nodes["is_leaf"] == 0,
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"].clip(max=_LARGEST),
        left=nodes["left"],
        right=nodes["right"],
        value=nodes["value"],
        missing_left=nodes["missing_go_to_left"],
    )


def _tree(is_split: Any, **columns: Any) -> dict[str, list[float]]:
    """The columns of one tree's nodes, with what a leaf and a split do not use in one way."""
    unused = {"feature": -1, "left": -1, "right": -1, "threshold": 0.0, "value": 0.0, "missing_left": 0}
    return {
        name: [
            cell if splits is not (name == "value") else unused[name]
            for splits, cell in zip(is_split.tolist(), column.tolist(), strict=True)
        ]
        for name, column in columns.items()
    }


def _initial(init: Any) -> float:
    if isinstance(init, str) and init == "zero":
        return 0.0
    if hasattr(init, "constant_"):
        return float(init.constant_.reshape(-1)[0])
    raise BotCoreError(f"the model starts from a {type(init).__name__}, not from a constant")


def _flat(trees: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, object]:
    """The trees one after the other; a node's children are counted from the root of its own tree."""
    sizes = [len(tree["feature"]) for tree in trees]
    if max(sizes) > 2 * MAX_LEAVES - 1:
        raise BotCoreError(f"a tree has more than {MAX_LEAVES} leaves", hint="limit max_depth or max_leaf_nodes")
    return {
        "tree_sizes": sizes,
        "nodes": {name: [value for tree in trees for value in tree[name]] for name in COLUMNS},
    }


def _estimator(backend: str, parameters: Mapping[str, object], seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    classes: dict[str, Callable[..., Any]] = {
        "ridge": Ridge,
        "gradient_boosting": GradientBoostingRegressor,
        "hist_gradient_boosting": HistGradientBoostingRegressor,
    }
    if backend not in classes:
        raise BotCoreError(f"backend {backend!r} cannot be trained; known are {', '.join(classes)}")
    try:
        return classes[backend](**{**parameters, "random_state": seed})
    except TypeError as error:
        raise BotCoreError(f"the parameters of {backend}: {error}") from error
