"""Reading the decision journal: its files, their records, and a fast search in long ones."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path

from bot_core.foundation.errors import FileFormatError, MissingFileError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import blocks_inside, lines_inside, list_inside
from bot_core.foundation.strict_json import JsonValue, parse_object

_SUFFIXES = (".jsonl", ".log")
_MAX_BYTES = 1 << 30
_MAX_LINE = 1 << 20  # some thousand times an event
_CHUNK = 1 << 16
# Every writer puts the event first and every value in quotes. Neither end can stand inside a JSON string, where quotes
# are escaped, so a line that begins and ends like this, and holds one beginning only, is neither cut nor glued.
_BEGINNING = b'{"event":"'
_END = b'"}'
_ESCAPED_END = b'\\"}'


@frozen
class JournalScan:
    """What a journal holds.

    Attributes:
        lines: How many lines are readable; blank ones are not counted.
        malformed: File and line number of each line that is not a JSON object.
        records: File, line number and content of each readable line with one of the needles, in the journal's order.
        files: Size of each file read, in bytes.
        unended: Number of the last line of each file that does not end with a newline.
    """

    lines: int
    malformed: tuple[tuple[str, int], ...]
    records: tuple[tuple[str, int, dict[str, JsonValue]], ...]
    files: Mapping[str, int]
    unended: Mapping[str, int] = field(default_factory=dict)


def scan_journal(root: Path, relative: str, *, needles: Iterable[bytes]) -> JournalScan:
    """Find the records that contain one of `needles`, byte for byte; writes nothing.

    A line that looks whole and has no needle is counted as readable without being parsed: a journal of a million lines
    is searched at about the speed of reading it, in the memory of a few of its longest lines.

    Args:
        root: The workspace.
        relative: A file below it, or a folder with `*.jsonl` and `*.log` files. A missing one is empty.
        needles: What to look for, e.g. `b'"ai_drift_report"'`.

    Raises:
        UnsafePathError: A file is reached through a link, is no regular file with one link, or has more than 1 GiB.
    """
    scans = [scan_file(root, name, needles=needles) for name in journal_files(root, relative)]
    return JournalScan(
        sum(scan.lines for scan in scans),
        tuple(fault for scan in scans for fault in scan.malformed),
        tuple(record for scan in scans for record in scan.records),
        {name: size for scan in scans for name, size in scan.files.items()},
        {name: number for scan in scans for name, number in scan.unended.items()},
    )


def scan_file(root: Path, name: str, *, needles: Iterable[bytes]) -> JournalScan:
    """Like `scan_journal`, of one file of a journal; a folder of that name is no such file, and refused."""
    wanted = tuple(needles)
    lines = size = before = 0
    is_ended = True
    faults: list[int] = []
    records: list[tuple[str, int, dict[str, JsonValue]]] = []
    try:
        for length, data, is_ended in _whole_lines(root, name):
            size += length
            odd = {1} if data is None else set[int]()
            for number, line in _lines_with(data or b"", wanted):
                record = _record(line, name)
                if record is None:
                    odd.add(number)
                else:
                    records.append((name, before + number, record))
            count, unsure = _survey(data or b"")
            odd.update(number for number, line in unsure if _record(line, name) is None)
            lines += count - len(odd) + (data is None)
            faults += (before + number for number in sorted(odd))
            before += is_ended if data is None else data.count(b"\n")
    except MissingFileError:
        return JournalScan(0, (), (), {})
    malformed = tuple((name, number) for number in faults)
    return JournalScan(lines, malformed, tuple(records), {name: size}, {} if is_ended else {name: before + 1})


def journal_files(root: Path, relative: str) -> tuple[str, ...]:
    """The journal's files below `root`, sorted: those in the folder `relative`, or the file itself."""
    if not (root / relative).is_dir():
        return (relative,)
    prefix = "" if relative == "." else f"{relative.rstrip('/')}/"
    return tuple(prefix + name for name in list_inside(root, relative) if name.endswith(_SUFFIXES))


def journal_records(root: Path, name: str) -> Iterator[tuple[int, dict[str, JsonValue] | None]]:
    """Line number and record of each line of one file; None for a line that is no event. Holds one line at a time."""
    for number, line in enumerate(lines_inside(root, name, max_line=_MAX_LINE), start=1):
        if line is None:
            yield number, None
        elif line.strip():
            yield number, _record(line, name)


def _whole_lines(root: Path, name: str) -> Iterator[tuple[int, bytes | None, bool]]:
    """A file's lines, about a MiB of them at a time, with their bytes in the file and whether a newline ends the last.

    None stands for one line that is too long to be read.
    """
    rest, passed = b"", 0
    for block in blocks_inside(root, name, block=_MAX_LINE, max_bytes=_MAX_BYTES):
        data = rest + block
        first = data.find(b"\n")
        if first < 0 and passed + len(data) > _MAX_LINE:
            rest, passed = b"", passed + len(data)
            continue
        if passed + first > _MAX_LINE:
            yield passed + first + 1, None, True
            data, passed = data[first + 1 :], 0
        end = data.rfind(b"\n") + 1
        if end:
            yield end, data[:end], True
        rest = data[end:]
    if passed:
        yield passed, None, False
    elif rest:
        yield len(rest), rest, False


def _record(line: bytes, name: str) -> dict[str, JsonValue] | None:
    if len(line) > _MAX_LINE:
        return None
    try:
        record = parse_object(line, name)
    except FileFormatError:
        return None
    return record if isinstance(record.get("event"), str) else None


def _lines_with(data: bytes, needles: tuple[bytes, ...]) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line that contains a needle."""
    spans = {span for needle in needles for span in _spans_with(data, needle)}
    number, counted = 1, 0
    for start, end in sorted(spans):
        number += data.count(b"\n", counted, start)
        counted = start
        yield number, data[start:end]


def _spans_with(data: bytes, needle: bytes) -> Iterator[tuple[int, int]]:
    found = data.find(needle)
    while found >= 0:
        end = data.find(b"\n", found)
        end = len(data) if end < 0 else end
        yield data.rfind(b"\n", 0, found) + 1, end
        found = data.find(needle, end)


def _survey(data: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """How many lines are not blank, and number and text of each of them that does not look whole."""
    end = data.rfind(b"\n") + 1  # a last line without a newline is looked at by itself
    ended = data.count(b"\n")
    last = [(ended + 1, data[end:])] if data[end:].strip() else []
    if _all_look_whole(data, end, ended):
        return ended + len(last), last
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    return len(lines), [(number, line) for number, line in lines if not _all_look_whole(line + b"\n", len(line) + 1, 1)]


def _all_look_whole(data: bytes, end: int, lines: int) -> bool:
    """Whether the `lines` lines up to `end` all look whole; passes over the bytes a few times and copies nothing."""
    return lines == 0 or (
        data.startswith(_BEGINNING)
        and data.endswith(_END + b"\n", 0, end)
        and data.count(_BEGINNING, 0, end) == lines
        and data.count(_END + b"\n" + _BEGINNING, 0, end) == lines - 1
        and data.find(_ESCAPED_END + b"\n", 0, end) < 0
        and _is_utf8(memoryview(data)[:end])
    )


def _is_utf8(data: memoryview) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _CHUNK):
            decoder.decode(data[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
