"""A window in Parquet: row group by row group, the columns asked for alone, in batches of bounded size."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot_core.ai.drift.arrow_columns import ColumnError, instants_of, numbers_of, rounded, scaled, texts_of
from bot_core.ai.drift.parquet_footer import FooterError, RowGroup, row_groups
from bot_core.ai.drift.part import Group, Piece, Pieces, Span, Survey, Task, nothing_there, repeated
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
# Of so small a file the columns are read whole: read ahead, pyarrow would take as much memory as a page claims to need.
_SMALL = 1 << 24
# A footer is mostly shorter; then one request is enough.
_AT_ONCE = 1 << 16
_LONGEST_FOOTER = 1 << 28
_TAIL = 8  # its length and four letters
_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


def survey_parquet(source: Source, time: str | None) -> Survey:
    """What the footer says of the columns and the row groups, with the span of each where statistics give it.

    Raises:
        FileFormatError: The footer is damaged, a column is there twice, or a time is missing.
        BotCoreError: pyarrow is not installed.
    """
    with _told(source):
        import pyarrow as pa
        from pyarrow import parquet

        with opened(source) as stream:
            end = _end_of(stream)
        metadata = parquet.read_metadata(pa.BufferReader(end))
        schema = metadata.schema.to_arrow_schema()
        _require_columns_once(source, schema)
        groups = row_groups(end[-_TAIL - metadata.serialized_size : -_TAIL], time)
        leaf = _leaf(metadata, time)
        return Survey(
            source,
            tuple(schema.names),
            tuple(Group(group.rows, None if leaf is None else _span(source, schema, leaf, group)) for group in groups),
        )


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
        # Without columns there are no batches, though there are rows; how many the footer says need not be true.
        names = names or file.schema_arrow.names[:1]
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


@contextmanager
def _parquet(source: Source) -> Iterator[Any]:
    with _told(source):
        import pyarrow as pa
        from pyarrow import parquet

        with opened(source) as stream:
            # Arrow reads a descriptor of its own without Python; the path is that of the descriptor, so no link is met.
            file = stream if source.root is None else pa.OSFile(f"/dev/fd/{stream.fileno()}")
            buffer = 0 if source.size <= _SMALL else _FAR_BUFFER if source.root is None else _BUFFER
            with parquet.ParquetFile(file, buffer_size=buffer, pre_buffer=False) as whole:
                _require_columns_once(source, whole.schema_arrow)
                yield whole


@contextmanager
def _told(source: Source) -> Iterator[None]:
    """What pyarrow raises becomes ours, with the file."""
    try:
        import pyarrow as pa
    except ImportError as error:
        raise BotCoreError("pyarrow is not installed", hint="pip install 'rollbackctl[parquet]'") from error
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, FooterError) as error:
        raise FileFormatError(
            f"{source.path} cannot be read as Parquet: {error}",
            hint="write the file anew, or leave it out of the window",
            path=source.path,
        ) from error


def _require_columns_once(source: Source, schema: Any) -> None:
    if twice := repeated(schema.names):
        raise FileFormatError(f"{source.path}: column {twice[0]!r} is there twice", path=source.path)


def _end_of(stream: Any) -> bytes:
    """The end of a file, with its whole footer where it has one."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _AT_ONCE))
    end: bytes = stream.read()
    length = int.from_bytes(end[-_TAIL:-4], "little")
    if length > _LONGEST_FOOTER:
        raise FooterError(f"its footer would have {length:,} bytes")
    if len(end) - _TAIL < length <= size - _TAIL:
        stream.seek(size - _TAIL - length)
        end = stream.read()
    return end


def _leaf(metadata: Any, time: str | None) -> Any | None:
    """The column of times, where it is there and not nested."""
    columns = (metadata.schema.column(place) for place in range(len(metadata.schema)))
    return next((column for column in columns if column.path == time), None)


def _span(source: Source, schema: Any, leaf: Any, group: RowGroup) -> Span | None:
    """The first and the last time of a row group, where its statistics give them."""
    if group.missing:
        raise FileFormatError(
            f"{source.path}: column {leaf.path!r} is missing in {group.missing} rows; every row needs its time",
            hint="mend the file, or leave it out of the window",
            path=source.path,
        )
    if group.ends is None:
        return None
    try:
        ends = _instants(schema.field(leaf.path).type, json.loads(leaf.logical_type.to_json()), group.ends)
    except ColumnError:
        return None  # reading the rows says what is wrong
    return None if ends is None else (int(ends[0]), int(ends[1]))


def _instants(kind: Any, logical: dict[str, Any], ends: tuple[float, float]) -> "NDArray[np.int64] | None":
    """Two numbers of the file as times; None where they are none."""
    import numpy as np
    from pyarrow import types

    if types.is_timestamp(kind) and kind.tz is not None and logical.get("timeUnit") in _UNITS:
        return scaled(np.array(ends, np.int64), _UNITS[logical["timeUnit"]])  # its own unit, whatever it is read as
    if types.is_signed_integer(kind) or types.is_floating(kind):
        return rounded(np.array(ends, float))
    return None
