"""A part of a window: what one thread or one machine counts at a time, and what it finds."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bot_core.ai.drift.source import Source
from bot_core.ai.drift.tally import Batch, Tally, TextColumn
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Instants are whole microseconds since 1970; a time of finer units is rounded down.
Span = tuple[int, int]


@frozen
class Task:
    """Some rows of one file, as a value that can be sent to another process.

    Attributes:
        format: Of the window.
        time: The column of times; None: no row has one, and none is left out.
        since_us: Rows before it are left out; None: none is.
        groups: The row groups of a Parquet file; of other files the whole is read.
    """

    source: Source
    format: str
    time: str | None = None
    since_us: int | None = None
    groups: tuple[int, ...] = ()


@frozen
class Counted:
    """What a task came to; `span` is the first and the last time of the rows counted, None where there are none."""

    task: Task
    tally: Tally
    span: Span | None


@frozen
class Group:
    """A row group: its rows, and their first and last time where the file says so."""

    rows: int
    span: Span | None


@frozen
class Survey:
    """What a file says of itself before its rows are read.

    Attributes:
        columns: Their names; none for a journal, whose records tell.
        groups: Its row groups; none where the file is read as a whole.
    """

    source: Source
    columns: tuple[str, ...]
    groups: tuple[Group, ...] = ()


@frozen
class Piece:
    """A batch of rows, and the time of each, shape (rows,); None where the window has no times."""

    batch: Batch
    times: "NDArray[np.int64] | None"


Pieces = Iterator[Piece]


def later(piece: Piece, since_us: int | None) -> Piece:
    """The rows that are not before `since_us`."""
    if since_us is None or piece.times is None:
        return piece
    import numpy as np

    kept = np.flatnonzero(piece.times >= since_us)
    if len(kept) == piece.batch.rows:
        return piece
    batch = Batch(
        len(kept),
        {name: values[kept] for name, values in piece.batch.numbers.items()},
        {name: TextColumn(column.codes[kept], column.values) for name, column in piece.batch.texts.items()},
    )
    return Piece(batch, piece.times[kept])


def merged(one: Span | None, other: Span | None) -> Span | None:
    """From the first time of both to the last one."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


@frozen
class Nothing:
    """A column of numbers and one of text in which every row is missing."""

    number: "NDArray[np.float64]"
    text: TextColumn


def repeated(columns: Iterable[str]) -> list[str]:
    """The names of columns that are there more than once, sorted."""
    return sorted(name for name, number in Counter(columns).items() if number > 1)


def nothing_there(rows: int) -> Nothing:
    """Columns for what a file does not have."""
    import numpy as np

    return Nothing(np.full(rows, np.nan), TextColumn(np.full(rows, -1, np.int64), ()))
