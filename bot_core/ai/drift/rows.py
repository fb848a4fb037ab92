"""Rows that Python reads one by one, gathered into batches."""

from collections.abc import Iterator, Sequence

from bot_core.ai.drift.part import Piece, Pieces
from bot_core.ai.drift.tally import Batch, TextColumn

_BATCH_ROWS = 1 << 13
_BATCH_CHARACTERS = 1 << 22
_MISSING = frozenset({"", "nan", "null"})

# The numbers (NaN is missing), the texts (None is missing), and the time, None where the window has none.
Row = tuple[Sequence[float], Sequence[str | None], int | None]


def gathered(rows: Iterator[Row], numbers: Sequence[str], texts: Sequence[str], *, timed: bool) -> Pieces:
    """The rows in batches; their values are in the order of the names given."""
    import numpy as np

    for some in _batches(rows):
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


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """So many rows at a time; fewer where their texts are so long that they would fill the memory."""
    some: list[Row] = []
    characters = 0
    for row in rows:
        some.append(row)
        characters += sum(map(len, filter(None, row[1])))
        if len(some) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _coded(words: Sequence[str | None]) -> TextColumn:
    import numpy as np

    codes: dict[str, int] = {}
    found = [-1 if word is None else codes.setdefault(word, len(codes)) for word in words]
    return TextColumn(np.array(found, np.int64), tuple(codes))
