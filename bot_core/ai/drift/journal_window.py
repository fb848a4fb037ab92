"""The decision journal as a window: its records with features are the rows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bot_core.ai.drift.instants import parse_us
from bot_core.ai.drift.part import Pieces, Survey, Task
from bot_core.ai.drift.rows import Row, gathered, parse_number
from bot_core.ai.drift.source import Source
from bot_core.ai.drift.window import JOURNAL_TIME
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.strict_json import JsonValue, parse_object
from bot_core.runtime.journal_scan import journal_records

# Where a record's features are: an object, or, as the journal writes every value as a text, the JSON text of one.
_FEATURES = ("model_features", "features")


def survey_journal(source: Source, _time: str | None) -> Survey:
    """Nothing but the file: only its records say which features there are."""
    return Survey(source, ())


def read_journal(task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Pieces:
    """The records with features, one line in memory at a time.

    A line that is no event is passed over: it is what a crash leaves of one, and the engine records that event anew.
    A column of text is a field of the record, like `symbol`.

    Raises:
        FileFormatError: A feature is no number, or the time is missing or says no zone; names file and line.
    """
    return gathered(_rows(task, numbers, texts), numbers, texts, timed=True)


def _rows(task: Task, numbers: Sequence[str], texts: Sequence[str]) -> Iterator[Row]:
    path, time = task.source.path, task.time or JOURNAL_TIME
    for line, record in journal_records(Path(task.source.root or ""), path):
        if record is None:
            continue
        try:
            if features := _features(record):
                yield (
                    [_number(name, features.get(name)) for name in numbers],
                    [_text(name, record.get(name)) for name in texts],
                    _time(time, record.get(time)),
                )
        except ValueError as error:
            raise FileFormatError(
                f"{path}, line {line}: {error}", hint="leave the file out of the window", path=path, line=line
            ) from error


def _features(record: Mapping[str, JsonValue]) -> Mapping[str, JsonValue] | None:
    name, found = next(((name, record[name]) for name in _FEATURES if record.get(name)), ("", None))
    if isinstance(found, str):
        try:
            return parse_object(found.encode(), name)
        except FileFormatError as error:
            raise ValueError(error.problem) from error
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{name} is {found!r}, not an object")
    return found


def _number(name: str, value: JsonValue) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, str):
        try:
            return parse_number(value)
        except ValueError:
            pass
    elif isinstance(value, int | float):
        return float(value)
    raise ValueError(f"{name} is {value!r}, not a number")


def _text(name: str, value: JsonValue) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise ValueError(f"{name} is {value!r}, not text")


def _time(name: str, value: JsonValue) -> int:
    if value is None:
        raise ValueError(f"{name} is missing; every row needs its time")
    try:
        return parse_us(str(value))
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}, {error}") from None
