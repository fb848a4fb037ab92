"""Golden rows: scores that training put on record in the artifact, and that whoever loads it must get again."""

import math
from collections.abc import Callable, Mapping, Sequence

from bot_core.ai.artifact import ModelScore
from bot_core.ai.model_state import mapping_at, numbers_at, sequence_at
from bot_core.foundation.errors import BotCoreError, FileFormatError

GOLDEN_ROWS = 16
PROBABILITY_TOLERANCE = 1e-12
_PLACE = "metadata.golden_rows"

Score = Callable[[Mapping[str, float]], ModelScore]


def make_golden_rows(score: Score, names: Sequence[str], rows: Sequence[Sequence[float]]) -> dict[str, object]:
    """What `metadata.golden_rows` holds: the rows, null for a missing value, and the scores given now."""
    scores = [score(dict(zip(names, row, strict=True))) for row in rows]
    return {
        "rows": [[None if math.isnan(value) else value for value in row] for row in rows],
        "expected_return_bps": [item.expected_return_bps for item in scores],
        "success_probability": [item.success_probability for item in scores],
    }


def check_golden_rows(score: Score, names: Sequence[str], metadata: Mapping[str, object], tolerance: float) -> None:
    """Score every golden row again.

    Args:
        score: The scorer to be checked.
        names: The features, in the order of the rows' values.
        metadata: Of the artifact.
        tolerance: How far the expected return may be off, as a share of the larger of itself and 1; 0: not at all. A
            probability may be off by 1e-12, since platforms differ in the last bit of `exp`.

    Raises:
        FileFormatError: A score differs or cannot be made, or there are fewer than 16 golden rows.
    """
    golden = mapping_at(metadata, "golden_rows", "metadata")
    rows = sequence_at(golden, "rows", _PLACE)
    returns, probabilities = (
        numbers_at(golden, name, _PLACE) for name in ("expected_return_bps", "success_probability")
    )
    if len(rows) < GOLDEN_ROWS or not len(rows) == len(returns) == len(probabilities):
        raise FileFormatError(
            f"{_PLACE} has {len(rows)} rows, {len(returns)} returns and {len(probabilities)} probabilities; "
            f"it must have as many of each, and at least {GOLDEN_ROWS}"
        )
    for number, (row, expected, probability) in enumerate(zip(rows, returns, probabilities, strict=True)):
        place = f"{_PLACE}.rows[{number}]"
        try:
            found = score(_features(names, row, place))
        except FileFormatError:
            raise
        except (BotCoreError, ArithmeticError) as error:
            raise FileFormatError(f"{place} cannot be scored: {error}") from error
        if not (
            abs(found.expected_return_bps - expected) <= tolerance * max(1.0, abs(expected))
            and abs(found.success_probability - probability) <= PROBABILITY_TOLERANCE
        ):
            raise FileFormatError(
                f"{place} scores {found.expected_return_bps!r} at {found.success_probability!r}; "
                f"at training it was {expected!r} at {probability!r}"
            )


def _features(names: Sequence[str], row: object, place: str) -> dict[str, float]:
    if not isinstance(row, list | tuple) or len(row) != len(names):
        raise FileFormatError(f"{place} is not a list of {len(names)} numbers")
    values = (math.nan if value is None else value for value in row)
    if faulty := [
        value for value in row if value is not None and (isinstance(value, bool) or not isinstance(value, int | float))
    ]:
        raise FileFormatError(f"{place} holds {faulty[0]!r}, which is neither a number nor null")
    return dict(zip(names, values, strict=True))
