"""A trained decision model as the engine stores it, and what it says about one case."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot_core.ai.validation import artifact_schema_errors, plain_json
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    from bot_core.ai.codec import Scorer

_SPLITS = ("train", "validation", "test")
_BLOCKS = ("summary", *_SPLITS)


@dataclass(frozen=True, slots=True)
class ModelScore:
    """What a model expects of one case: the return in basis points and the probability of success, 0 to 1."""

    expected_return_bps: float
    success_probability: float


class ModelMetrics(Mapping[str, object]):
    """Measures of a model by split.

    As a mapping it has the shape of the manifest's `metrics`: the summary's measures at top level, then each block.
    """

    def __init__(
        self,
        raw: Mapping[str, object] | None = None,
        *,
        _structured: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        given: Mapping[str, object] = (_structured if _structured is not None else raw) or {}
        blocks = {name: dict(block) for name, block in given.items() if isinstance(block, Mapping)}
        flat = {name: value for name, value in given.items() if isinstance(value, int | float)}
        self._blocks: dict[str, dict[str, float]] = {name: {} for name in _BLOCKS} | blocks
        self._blocks["summary"] = flat | self._blocks["summary"]

    def __getitem__(self, key: str) -> object:
        return dict(self._blocks[key]) if key in self._blocks else self._blocks["summary"][key]

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._blocks["summary"] if name not in self._blocks)
        yield from self._blocks

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"ModelMetrics({self._blocks!r})"

    def summary(self) -> Mapping[str, float]:
        """The measures of the model as a whole."""
        return dict(self._blocks["summary"])

    def splits(self) -> Mapping[str, Mapping[str, float]]:
        """The measures of train, validation and test; an empty block where a split had no rows."""
        return {name: dict(self._blocks[name]) for name in _SPLITS}

    def blocks(self) -> Mapping[str, Mapping[str, float]]:
        """Every block by name, the summary first."""
        return self.to_dict()

    def as_flat_dict(self, *, prefer: Sequence[str] | None = None) -> dict[str, float]:
        """The first block that is not empty, in the order of `prefer` (None: summary, train, validation, test)."""
        return next((dict(self._blocks[name]) for name in prefer or _BLOCKS if self._blocks.get(name)), {})

    def to_dict(self) -> dict[str, dict[str, float]]:
        """The blocks as an artifact file holds them."""
        return {name: dict(block) for name, block in self._blocks.items()}


@frozen
class ModelArtifact:
    """One trained model.

    Attributes:
        feature_names: Input features in the order of the model state.
        trained_at: Aware instant of the end of training.
        metrics: A `ModelMetrics`; any mapping given is made into one.
        target_scale: Typical size of the target in basis points.
        feature_scalers: Feature to (mean, standard deviation) at training time.
        decision_journal_entry_id: None when the training left no entry in the decision journal.
        source: The file it was read from, for errors; None: no file. Nothing is compared by it.
    """

    feature_names: Sequence[str]
    model_state: Mapping[str, object]
    trained_at: datetime
    metrics: Mapping[str, object]
    metadata: Mapping[str, object]
    target_scale: float
    training_rows: int
    validation_rows: int
    test_rows: int
    feature_scalers: Mapping[str, tuple[float, float]]
    decision_journal_entry_id: str | None = None
    backend: str = "builtin"
    source: str | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feature_names", tuple(self.feature_names))
        if not isinstance(self.metrics, ModelMetrics):
            object.__setattr__(self, "metrics", ModelMetrics(self.metrics))

    @classmethod
    def from_mapping(cls, raw: Mapping[str, object], source: str) -> "ModelArtifact":
        """The artifact that a file's JSON describes; nothing is repaired or filled in.

        Args:
            raw: The parsed JSON.
            source: The file, for the error.

        Raises:
            FileFormatError: It breaks the schema, or its time cannot be told.
        """
        given: Any = plain_json(raw)
        if errors := artifact_schema_errors(given):
            raise FileFormatError(f"{source} is not a model artifact: {'; '.join(errors)}", path=source)
        try:
            trained_at = datetime.fromisoformat(given["trained_at"].upper())
        except ValueError as error:
            raise FileFormatError(
                f"{source} has no readable trained_at: {given['trained_at']!r}", path=source
            ) from error
        return cls(
            **{
                **given,
                "trained_at": trained_at,
                "source": source,
                "training_rows": int(given["training_rows"]),
                "validation_rows": int(given["validation_rows"]),
                "test_rows": int(given["test_rows"]),
                "feature_scalers": {
                    name: (scaler["mean"], scaler["stdev"]) for name, scaler in given["feature_scalers"].items()
                },
            }
        )

    def to_dict(self) -> dict[str, object]:
        """The JSON of the artifact's file, keys in the engine's order."""
        fields: dict[str, object] = {
            "feature_names": list(self.feature_names),
            "model_state": plain_json(self.model_state),
            "trained_at": self.trained_at.isoformat(),
            "metrics": ModelMetrics(self.metrics).to_dict(),
            "metadata": plain_json(self.metadata),
            "target_scale": self.target_scale,
            "training_rows": self.training_rows,
            "validation_rows": self.validation_rows,
            "test_rows": self.test_rows,
            "feature_scalers": {
                name: {"mean": mean, "stdev": stdev} for name, (mean, stdev) in self.feature_scalers.items()
            },
            "backend": self.backend,
        }
        if self.decision_journal_entry_id is not None:
            fields["decision_journal_entry_id"] = self.decision_journal_entry_id
        return fields

    def build_model(self) -> "Scorer":
        """What scores with this artifact.

        Raises:
            FileFormatError: The backend is unknown or its state is not what it must be.
        """
        from bot_core.ai.codec import build_scorer

        return build_scorer(self)
