"""Candidates one after the other: from a JSON document, from lines through a pipe, or from a file that grows."""

import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import JsonValue, parse_json

MAX_LINE = 1 << 20
_CHUNK = 1 << 14
_IDLE_S = 0.01
# How long a line that is only half there when the loop is told to end may take to come; the pipe holds nothing back.
_HALF_LINE_S = 1.0

Stopped = Callable[[], bool]


@frozen
class Line:
    """A line, or an item of a document; counted from 1."""

    number: int
    value: JsonValue | bytes


def document_items(path: Path) -> Iterator[Line]:
    """The candidates of a JSON document: a list, or an object with the list under `candidates`.

    Raises:
        FileFormatError: Not strict JSON, or neither of the two.
    """
    value = parse_json(path.read_bytes(), str(path))
    listed = value.get("candidates") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise FileFormatError(f"{path}: neither a list nor an object with the list `candidates`", path=str(path))
    for number, item in enumerate(listed, start=1):
        yield Line(number, item)


def piped_lines(descriptor: int, stopped: Stopped) -> Iterator[Line | None]:
    """The lines that come from an open file or pipe, up to its end; None again and again while there is nothing.

    When it is told to stop, it still gives every line that it has taken out of the pipe, and the rest of one of which
    it has taken a part.
    """
    splitter, end = _Splitter(), None
    while True:
        if stopped():
            end = end or time.monotonic() + _HALF_LINE_S
            if not splitter.rest or time.monotonic() >= end:
                return
        if not select.select([descriptor], [], [], _IDLE_S)[0]:
            yield None
            continue
        chunk = os.read(descriptor, 1 if end else _CHUNK)
        yield from splitter.lines(chunk)
        if not chunk:
            yield from splitter.last()
            return


def followed_lines(path: Path, stopped: Stopped) -> Iterator[Line | None]:
    """The lines of a file that others append to, for ever; None again and again while there is no further one.

    A file that takes the place of the one before (rotation), or is shorter than what was read, begins anew. A line
    without its newline is not there yet.
    """
    while not stopped():
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            time.sleep(_IDLE_S)
            continue
        try:
            yield from _until_replaced(path, descriptor, stopped)
        finally:
            os.close(descriptor)


def _until_replaced(path: Path, descriptor: int, stopped: Stopped) -> Iterator[Line | None]:
    splitter, is_last_look = _Splitter(), False
    while not stopped():
        if chunk := os.read(descriptor, _CHUNK):
            yield from splitter.lines(chunk)
            continue
        if is_last_look:
            return
        status = os.fstat(descriptor)
        if status.st_size < os.lseek(descriptor, 0, os.SEEK_CUR):
            return
        yield None
        time.sleep(_IDLE_S)
        is_last_look = not _is_at(path, status)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except FileNotFoundError:
        return True  # the new one is not there yet; nothing else can be read meanwhile


class _Splitter:
    """Makes lines of chunks; of a line that is too long only so much is kept as shows that."""

    def __init__(self) -> None:
        self.rest = b""
        self._number = 0

    def lines(self, chunk: bytes) -> Iterator[Line]:
        """The lines that are whole with this chunk; blank ones count and are not given."""
        *whole, rest = (self.rest + chunk).split(b"\n")
        self.rest = rest[: MAX_LINE + 1]
        for line in whole:
            self._number += 1
            if line.strip():
                yield Line(self._number, line)

    def last(self) -> Iterator[Line]:
        """What stands after the last newline, at the end of a file."""
        if self.rest.strip():
            yield Line(self._number + 1, self.rest)
