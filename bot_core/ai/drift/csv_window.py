"""A window in CSV: UTF-8 with a header, streamed and typed; by pyarrow where it is installed.

Python's own reader is the slower one, and the one whose word counts: whatever pyarrow does not take, it reads again,
and either finds nothing wrong with it or says what is wrong in which line.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TextIO

from bot_core.ai.drift.arrow_columns import ColumnError, instants_of, numbers_of, texts_of
from bot_core.ai.drift.instants import parse_us
from bot_core.ai.drift.part import Piece, Pieces, Survey, Task, nothing_there, repeated
from bot_core.ai.drift.rows import Row, gathered, parse_number
from bot_core.ai.drift.source import Source, opened
from bot_core.ai.drift.tally import Batch, TextColumn
from bot_core.foundation.errors import FileFormatError

_BLOCK = 1 << 22
_LINE_CHARS = 1 << 20
_NULLS = ["", "nan", "NaN", "NAN", "Nan", "null", "NULL", "Null"]


def survey_csv(source: Source, _time: str | None) -> Survey:
    """The columns in the header.

    Raises:
        FileFormatError: There is no header, or a column is there twice.
    """
    with _reader(source) as reader:
        return Survey(source, _header(reader, source))


def read_csv(task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Pieces:
    """The rows of the file; a column that it does not have is missing in each of them.

    Raises:
        FileFormatError: A cell is not what its column needs, a line is cut short, a time is missing or says no zone, or
            the file is not UTF-8; names file, line and column.
    """
    done = 0
    try:
        import pyarrow as pa
    except ImportError:
        pass
    else:
        try:
            for piece in _read_arrow(task, numbers, texts):
                done += piece.batch.rows
                yield piece
            return
        except (pa.ArrowException, ColumnError):
            pass  # what has been counted stays counted
    yield from gathered(islice(_rows(task, numbers, texts), done, None), numbers, texts, timed=task.time is not None)


def _read_arrow(task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Pieces:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    header, first_time = _beginning(task)
    types = {name: pa.float64() for name in numbers if name in header}
    types |= {name: pa.string() for name in texts if name in header}
    if task.time is not None:
        types[task.time] = pa.float64() if _is_number(first_time) else pa.timestamp("us", "UTC")
    if not types:
        raise ColumnError("no column is asked for")  # then pyarrow would give no rows
    convert = arrow_csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=_NULLS)
    read = arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK)
    with opened(task.source) as file, arrow_csv.open_csv(file, read, convert_options=convert) as batches:
        for batch in batches:
            nothing = nothing_there(batch.num_rows)
            yield Piece(
                Batch(
                    batch.num_rows,
                    {name: numbers_of(batch.column(name)) if name in types else nothing.number for name in numbers},
                    {name: _words(batch.column(name)) if name in types else nothing.text for name in texts},
                ),
                None if task.time is None else instants_of(batch.column(task.time)),
            )


def _words(column: Any) -> TextColumn:
    """Texts; an empty one is missing, and no other."""
    found = texts_of(column)
    if "" in found.values:
        found.codes[found.codes == found.values.index("")] = -1
    return found


def _is_number(cell: str) -> bool:
    try:
        return parse_number(cell) is not None
    except ValueError:
        return False


def _rows(task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Row]:
    with _reader(task.source) as reader:
        header = _header(reader, task.source)
        _require_time(task, header)
        number_places = [(name, header.index(name) if name in header else None) for name in numbers]
        text_places = [header.index(name) if name in header else None for name in texts]
        time_place = None if task.time is None else header.index(task.time)
        for cells in reader:
            try:
                if cells and len(cells) != len(header):
                    raise ValueError(f"{len(cells)} cells under {len(header)} columns")
                if cells:
                    yield (
                        [_number(name, "" if place is None else cells[place]) for name, place in number_places],
                        [(None if place is None else cells[place]) or None for place in text_places],
                        None if time_place is None else _time(header[time_place], cells[time_place]),
                    )
            except ValueError as error:
                raise _fault(str(error), task.source, reader.line_num) from error


@contextmanager
def _reader(source: Source) -> Iterator[Any]:
    with opened(source) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(_lines(stream, source), strict=True)
        try:
            yield reader
        except csv.Error as error:
            raise _fault(str(error), source, reader.line_num) from error
        except UnicodeDecodeError as error:
            raise _fault("not UTF-8", source, reader.line_num + 1) from error


def _lines(stream: TextIO, source: Source) -> Iterator[str]:
    """The lines of a file, none of which may fill the memory."""
    for number, line in enumerate(iter(lambda: stream.readline(_LINE_CHARS), ""), 1):
        if len(line) == _LINE_CHARS and not line.endswith(("\n", "\r")):
            raise _fault(f"longer than {_LINE_CHARS:,} characters", source, number)
        yield line


def _header(reader: Any, source: Source) -> tuple[str, ...]:
    header: tuple[str, ...] = tuple(next(reader, ()))
    if not header:
        raise _fault("there is no header", source, 1)
    if twice := repeated(header):
        raise _fault(f"column {twice[0]!r} is there twice", source, 1)
    return header


def _beginning(task: Task) -> tuple[tuple[str, ...], str]:
    """The header, and the time of the first row."""
    with _reader(task.source) as reader:
        header = _header(reader, task.source)
        _require_time(task, header)
        cells = dict(zip(header, next(reader, ()), strict=False))
        return header, "" if task.time is None else cells.get(task.time, "")


def _require_time(task: Task, header: Sequence[str]) -> None:
    if task.time is not None and task.time not in header:
        raise _fault(f"there is no column {task.time!r}, the window's time column", task.source, 1)


def _number(name: str, cell: str) -> float:
    try:
        return parse_number(cell)
    except ValueError:
        raise ValueError(f"{name} is {cell!r}, not a number") from None


def _time(name: str, cell: str) -> int:
    if not cell.strip():
        raise ValueError(f"{name} is missing; every row needs its time")
    try:
        return parse_us(cell)
    except ValueError as error:
        raise ValueError(f"{name} is {cell!r}, {error}") from None


def _fault(problem: str, source: Source, line: int) -> FileFormatError:
    return FileFormatError(
        f"{source.path}, line {line}: {problem}",
        hint="mend the file, or leave it out of the window",
        path=source.path,
        line=line,
    )
