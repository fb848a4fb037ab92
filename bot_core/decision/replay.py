"""What another model would have decided about the same rows: the effect of a rollback before anything moves.

A model takes a row as the orchestrator does: its probability is not below the limit, and its expected value less cost
is not below the limit on the net edge. What depends on the portfolio of the moment is left out, as it is
the same for both.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.codec import build_scorer
from bot_core.ai.drift.tally import Batch
from bot_core.config.models import DecisionEngineConfig
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@frozen
class Replayed:
    """What two models decide about some rows.

    Attributes:
        rows: How many.
        flipped: About how many they differ.
        taken_before: How many the one takes.
        taken_after: How many the other one takes.
        value_before_bps: Sum over the rows of what the one expects, probability times return, in basis points.
        value_after_bps: The same of the other one.
    """

    rows: int = 0
    flipped: int = 0
    taken_before: int = 0
    taken_after: int = 0
    value_before_bps: float = 0.0
    value_after_bps: float = 0.0

    def __add__(self, other: "Replayed") -> "Replayed":
        return Replayed(
            self.rows + other.rows,
            self.flipped + other.flipped,
            self.taken_before + other.taken_before,
            self.taken_after + other.taken_after,
            self.value_before_bps + other.value_before_bps,
            self.value_after_bps + other.value_after_bps,
        )

    @property
    def flips(self) -> float:
        """The share of rows about which they differ; 0 without rows."""
        return self.flipped / self.rows if self.rows else 0.0

    @property
    def change_bps(self) -> float:
        """By how much the expected value of a row changes on average, in basis points; 0 without rows."""
        return (self.value_after_bps - self.value_before_bps) / self.rows if self.rows else 0.0


@frozen
class Replay:
    """The whole, and the parts by column and value."""

    whole: Replayed
    parts: Mapping[str, Mapping[str, Replayed]]


def replay(
    batches: Iterable[Batch],
    before: ModelArtifact,
    after: ModelArtifact,
    config: DecisionEngineConfig,
    *,
    columns: Sequence[str] = (),
    cost_bps: float = 0.0,
) -> Replay:
    """Let two models decide about the same rows.

    Args:
        batches: The rows; each has every feature of both models, NaN where it is missing, and the columns of text.
        before: The model that is to go.
        after: The one that is to come.
        config: The limits.
        columns: Columns of text; each of their values is counted apart.
        cost_bps: What a decision costs, in basis points.

    Raises:
        BotCoreError: A model cannot score.
    """
    decides = _Decider(before, config, cost_bps), _Decider(after, config, cost_bps)
    whole = Replayed()
    parts: dict[str, dict[str, Replayed]] = {column: {} for column in columns}
    for batch in batches:
        (taken, value), (taken_then, value_then) = (decide(batch) for decide in decides)
        every = _count(taken, taken_then, value, value_then)
        whole += every
        for column in columns:
            text = batch.texts[column]
            for code in sorted({*text.codes.tolist()} - {-1}):
                rows = text.codes == code
                found = _count(taken[rows], taken_then[rows], value[rows], value_then[rows])
                name = text.values[code]
                parts[column][name] = parts[column].get(name, Replayed()) + found
    return Replay(whole, parts)


class _Decider:
    def __init__(self, artifact: ModelArtifact, config: DecisionEngineConfig, cost_bps: float) -> None:
        self._artifact = artifact
        self._scorer = build_scorer(artifact)
        learned = artifact.model_state.get("may_miss")
        self._may_miss = frozenset(map(str, learned)) if isinstance(learned, list | tuple) else frozenset()
        self._min_probability = config.min_probability
        self._min_value = config.orchestrator.min_net_edge_bps + cost_bps

    def __call__(self, batch: Batch) -> "tuple[NDArray[np.bool_], NDArray[np.float64]]":
        """Which rows are taken, and what is expected of each in basis points, shape (rows,) both."""
        import numpy as np

        names = self._scorer.feature_names
        matrix = np.column_stack([self._filled(name, batch.numbers[name]) for name in names])
        expected, probability = self._scorer.score_batch(matrix)
        value = expected * probability
        return (probability >= self._min_probability) & (value >= self._min_value), value

    def _filled(self, name: str, values: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """As the engine imputes: the mean of training, but for a missing value that the model has learned of."""
        import numpy as np

        faulty = np.isinf(values) if name in self._may_miss else ~np.isfinite(values)
        if not faulty.any():
            return values
        return np.where(faulty, self._artifact.feature_scalers.get(name, (0.0, 1.0))[0], values)


def _count(
    taken: "NDArray[np.bool_]",
    taken_then: "NDArray[np.bool_]",
    value: "NDArray[np.float64]",
    value_then: "NDArray[np.float64]",
) -> Replayed:
    import numpy as np

    return Replayed(
        len(taken),
        int(np.count_nonzero(taken != taken_then)),
        int(np.count_nonzero(taken)),
        int(np.count_nonzero(taken_then)),
        float(value.sum()),
        float(value_then.sum()),
    )
