"""Rows that Python reads one by one, gathered into batches."""

from collections.abc import Iterator, Sequence
from itertools import islice

from bot_core.ai.drift.part import Piece, Pieces
from bot_core.ai.drift.tally import Batch, TextColumn

_BATCH_ROWS = 1 << 13
_MISSING = frozenset({"", "nan", "null"})

# The numbers (NaN is missing), the texts (None is missing), and the time, None where the window has none.
Row = tuple[Sequence[float], Sequence[str | None], int | None]


def gathered(rows: Iterator[Row], numbers: Sequence[str], texts: Sequence[str], *, timed: bool) -> Pieces:
    """The rows in batches; their values are in the order of the names given."""
    import numpy as np

    while some := list(islice(rows, _BATCH_ROWS)):
        columns = [np.array([row[0][place] for row in some], np.float64) for place in range(len(numbers))]
        words = [_coded([row[1][place] for row in some]) for place in range(len(texts))]
        batch = Batch(len(some), dict(zip(numbers, columns, strict=True)), dict(zip(texts, words, strict=True)))
        yield Piece(batch, np.array([row[2] for row in some], np.int64) if timed else None)


def parse_number(cell: str) -> float:
    """A number in text, NaN for "", nan and null in any case.

    Raises:
        ValueError: It is none.
    """
    text = cell.strip()
    if text.lower() in _MISSING:
        return float("nan")
    # Python would read 1_000 as well.
    return float(text if "_" not in text else "no number")


def _coded(words: Sequence[str | None]) -> TextColumn:
    import numpy as np

    codes: dict[str, int] = {}
    found = [-1 if word is None else codes.setdefault(word, len(codes)) for word in words]
    return TextColumn(np.array(found, np.int64), tuple(codes))
