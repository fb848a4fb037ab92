"""Walk-forward validation: a model is trained again and again on a moving window and tried on what comes next."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    from bot_core.ai.artifact import ModelArtifact


class FeatureVector(Protocol):
    """One row of a data set."""

    @property
    def features(self) -> Mapping[str, float]:
        """By name."""

    @property
    def target_bps(self) -> float:
        """What the model is to predict, in basis points."""


class FeatureDataset(Protocol):
    """Rows in the order of their time."""

    @property
    def vectors(self) -> Sequence[FeatureVector]:
        """The rows, oldest first."""

    @property
    def metadata(self) -> Mapping[str, object]:
        """What is known of them; `start_timestamp` and `end_timestamp` in seconds since 1970, where known."""

    def subset(self, indices: Sequence[int]) -> "FeatureDataset":
        """These rows, with metadata of their own."""


class ModelTrainer(Protocol):
    """Makes a model of a data set."""

    def train(self, dataset: FeatureDataset) -> "ModelArtifact":
        """The trained model."""


@frozen
class WalkForwardPlan:
    """How a data set is walked through, in rows; a step of None is the test window's length."""

    train_window: int
    test_window: int
    step: int | None = None


@frozen
class WalkForwardResult:
    """What the windows gave.

    Attributes:
        windows: Of each: `start_timestamp`, `end_timestamp` (of the test rows, seconds; 0 where unknown), `mae` in
            basis points and `directional_accuracy`, 0 to 1.
        average_mae: Mean over the windows, in basis points.
        average_directional_accuracy: Mean over the windows, 0 to 1.
    """

    windows: Sequence[Mapping[str, float]]
    average_mae: float
    average_directional_accuracy: float


class WalkForwardValidator:
    """Walks one data set by one plan."""

    def __init__(self, dataset: FeatureDataset, *, plan: WalkForwardPlan) -> None:
        """Take note of what to walk; nothing is trained yet.

        Raises:
            BotCoreError: A window or the step is not above zero, or the rows do not fill one train and test window.
        """
        step = plan.test_window if plan.step is None else plan.step
        if min(plan.train_window, plan.test_window, step) <= 0:
            raise BotCoreError(f"a walk needs windows and a step above zero: {plan}")
        if len(dataset.vectors) < plan.train_window + plan.test_window:
            raise BotCoreError(f"{len(dataset.vectors)} rows are too few for {plan}")
        self.train_window = plan.train_window
        self.test_window = plan.test_window
        self.step = step
        self._dataset = dataset

    def windows(self) -> Iterator[tuple[range, range]]:
        """The rows of each window: those to train on, and those that follow them."""
        last = len(self._dataset.vectors) - self.train_window - self.test_window
        for start in range(0, last + 1, self.step):
            middle = start + self.train_window
            yield range(start, middle), range(middle, middle + self.test_window)

    def validate(self, trainer_factory: Callable[[], ModelTrainer]) -> WalkForwardResult:
        """Train on each window anew and try the model on the rows after it, which it has not seen."""
        windows = [
            _tried(trainer_factory().train(self._dataset.subset(train)), self._dataset.subset(test))
            for train, test in self.windows()
        ]
        return WalkForwardResult(
            windows=tuple(windows),
            average_mae=_mean([window["mae"] for window in windows]),
            average_directional_accuracy=_mean([window["directional_accuracy"] for window in windows]),
        )


def _tried(artifact: "ModelArtifact", rows: FeatureDataset) -> dict[str, float]:
    from bot_core.ai.codec import impute

    model = artifact.build_model()
    pairs = [
        (row.target_bps, model.score(impute(artifact, row.features)[0]).expected_return_bps) for row in rows.vectors
    ]
    return {
        "start_timestamp": _seconds(rows, "start_timestamp"),
        "end_timestamp": _seconds(rows, "end_timestamp"),
        "mae": _mean([abs(target - expected) for target, expected in pairs]),
        "directional_accuracy": _mean([float((target >= 0.0) == (expected >= 0.0)) for target, expected in pairs]),
    }


def _seconds(rows: FeatureDataset, key: str) -> float:
    value = rows.metadata.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
