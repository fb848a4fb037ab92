"""A window in Parquet: row group by row group, the columns asked for alone, in batches of bounded size."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot_core.ai.drift.arrow_columns import ColumnError, instants_of, numbers_of, rounded, scaled, texts_of
from bot_core.ai.drift.part import Group, Piece, Pieces, Span, Survey, Task, nothing_there
from bot_core.ai.drift.source import Source, opened
from bot_core.ai.drift.tally import Batch
from bot_core.foundation.errors import BotCoreError, FileFormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH_ROWS = 1 << 15
# Read ahead in each column; without it a whole row group would be in memory.
_BUFFER = 1 << 16
_FAR_BUFFER = 1 << 20  # each is one request
_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


def survey_parquet(source: Source, time: str | None) -> Survey:
    """What the footer says of the columns and the row groups, with the span of each where statistics give it.

    Raises:
        FileFormatError: The footer is damaged, a column is there twice, or a time is missing.
        BotCoreError: pyarrow is not installed.
    """
    with _parquet(source) as file:
        metadata = file.metadata
        place = _place_of(file, time)
        groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
        told = tuple(
            Group(group.num_rows, None if place is None else _span(source, file, group, place)) for group in groups
        )
        return Survey(source, tuple(file.schema_arrow.names), told)


def read_parquet(task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Pieces:
    """The rows of the task's row groups; a column that the file does not have is missing in each of them.

    Raises:
        FileFormatError: A column is of another type, a time is missing or says no zone, or the file is damaged.
    """
    with _parquet(task.source) as file:
        there = {*file.schema_arrow.names}
        if task.time is not None and task.time not in there:
            raise FileFormatError(
                f"{task.source.path} has no column {task.time!r}, the window's time column",
                hint=f"it has {', '.join(sorted(there)[:20])}",
                path=task.source.path,
            )
        times = () if task.time is None else (task.time,)
        names = [name for name in dict.fromkeys((*numbers, *texts, *times)) if name in there]
        # Without columns there are no batches, though there are rows.
        if not names:
            yield from _bare(file, task, numbers, texts)
            return
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=task.groups, columns=names, use_threads=False):
            yield _piece(batch, task, numbers, texts)


def _piece(batch: Any, task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Piece:
    nothing = nothing_there(batch.num_rows)
    there = {*batch.schema.names}

    def read(name: str, of: Any) -> Any:
        try:
            return of(batch.column(name))
        except ColumnError as error:
            path = task.source.path
            raise FileFormatError(
                f"{path}: column {name!r} {error}", hint="mend the file, or leave it out of the window", path=path
            ) from error

    return Piece(
        Batch(
            batch.num_rows,
            {name: read(name, numbers_of) if name in there else nothing.number for name in numbers},
            {name: read(name, texts_of) if name in there else nothing.text for name in texts},
        ),
        None if task.time is None else read(task.time, instants_of),
    )


def _bare(file: Any, task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Piece]:
    for number in task.groups:
        left = file.metadata.row_group(number).num_rows
        while left:
            rows = min(left, _BATCH_ROWS)
            nothing = nothing_there(rows)
            yield Piece(Batch(rows, dict.fromkeys(numbers, nothing.number), dict.fromkeys(texts, nothing.text)), None)
            left -= rows


@contextmanager
def _parquet(source: Source) -> Iterator[Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise BotCoreError("pyarrow is not installed", hint="pip install 'rollbackctl[parquet]'") from error
    with opened(source) as stream:
        # Arrow reads a descriptor of its own without Python; the path is that of the descriptor, so no link is met.
        file = stream if source.root is None else pa.OSFile(f"/dev/fd/{stream.fileno()}")
        buffer = _FAR_BUFFER if source.root is None else _BUFFER
        try:
            with parquet.ParquetFile(file, buffer_size=buffer, pre_buffer=False) as whole:
                names = whole.schema_arrow.names
                if twice := sorted({name for name in names if names.count(name) > 1}):
                    raise FileFormatError(f"{source.path}: column {twice[0]!r} is there twice", path=source.path)
                yield whole
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(
                f"{source.path} cannot be read as Parquet: {error}",
                hint="write the file anew, or leave it out of the window",
                path=source.path,
            ) from error


def _place_of(file: Any, time: str | None) -> int | None:
    """Where the leaf column of the times stands in a row group; None where there is none."""
    paths = (file.schema.column(place).path for place in range(len(file.schema)))
    return next((place for place, path in enumerate(paths) if path == time), None)


def _span(source: Source, file: Any, group: Any, place: int) -> Span | None:
    """The first and the last time of a row group, where its statistics give them."""
    statistics = group.column(place).statistics
    if statistics is None:
        return None
    leaf = file.schema.column(place)
    if statistics.has_null_count and statistics.null_count:
        raise FileFormatError(
            f"{source.path}: column {leaf.path!r} is missing in {statistics.null_count} rows; every row needs its time",
            hint="mend the file, or leave it out of the window",
            path=source.path,
        )
    if not statistics.has_min_max:
        return None
    try:
        ends = _ends(file.schema_arrow.field(leaf.path).type, json.loads(leaf.logical_type.to_json()), statistics)
    except ColumnError:
        return None  # reading the rows says what is wrong
    return None if ends is None else (int(ends[0]), int(ends[1]))


def _ends(kind: Any, logical: dict[str, Any], statistics: Any) -> "NDArray[np.int64] | None":
    """The smallest and the greatest time of a row group; None where the statistics are of texts."""
    import numpy as np
    from pyarrow import types

    raw = (statistics.min_raw, statistics.max_raw)
    if types.is_timestamp(kind) and kind.tz is not None and "timeUnit" in logical:
        return scaled(np.array(raw), _UNITS[logical["timeUnit"]])  # the file's own unit, whatever it is read as
    if types.is_integer(kind) or types.is_floating(kind):
        return rounded(np.array(raw, float))
    return None
