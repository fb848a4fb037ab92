"""The one pass over a window: every row of it counted once, for all models together, by as many hands as there are."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial, reduce
from pathlib import Path
from typing import Protocol, TypeVar

from bot_core.ai.drift.csv_window import read_csv, survey_csv
from bot_core.ai.drift.instants import EARLIEST_US, LATEST_US, from_us, to_us
from bot_core.ai.drift.journal_window import read_journal, survey_journal
from bot_core.ai.drift.parquet_window import read_parquet, survey_parquet
from bot_core.ai.drift.part import Counted, Pieces, Span, Survey, Task, later, merged
from bot_core.ai.drift.source import Source, as_now, find_sources
from bot_core.ai.drift.tally import Batch, EdgeSet, Tally, TooManyPartsError
from bot_core.ai.drift.tally_json import tally_from_json
from bot_core.ai.drift.window import Window
from bot_core.ai.model_state import sequence_at, whole
from bot_core.foundation.cache import DerivedCache
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import frozen

# A task has so many rows at least, where its file has: what one task costs by itself must not count.
_TASK_ROWS = 1 << 18
_VERSION = 2  # of what is kept in the cache
_NO_EDGES = EdgeSet({}, {}, {})
_SURVEYS: Mapping[str, Callable[[Source, str | None], Survey]] = {
    "parquet": survey_parquet,
    "csv": survey_csv,
    "journal": survey_journal,
}
_READERS: Mapping[str, Callable[[Task, Sequence[str], Sequence[str]], Pieces]] = {
    "parquet": read_parquet,
    "csv": read_csv,
    "journal": read_journal,
}

T = TypeVar("T")
R = TypeVar("R")


class Pool(Protocol):
    """Hands that work at the same time: threads, or the machines of a cluster."""

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """What the function gives for each task, in any order; the first error ends it."""


class Threads:
    """A pool of threads."""

    def __init__(self, number: int) -> None:
        """Name how many."""
        self._number = number

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """As `Pool.map`."""
        from concurrent.futures import ThreadPoolExecutor, as_completed

        executor = ThreadPoolExecutor(self._number)
        try:
            for future in as_completed([executor.submit(function, task) for task in tasks]):
                yield future.result()
        finally:
            executor.shutdown(cancel_futures=True)


def this_machine() -> Threads:
    """A thread for each of its cores."""
    return Threads(os.cpu_count() or 1)


@frozen
class Scanned:
    """What a window holds.

    Attributes:
        rows: How many rows were counted; 0 where there is none.
        files: How many files the window has.
        first: The time of its first row; None without rows, and in a window without times.
        last: The time of its last row.
        absent: The columns asked for that no file has.
        digest: SHA-256 of everything counted: the same rows have the same digest on any machine, in any division.
    """

    tally: Tally
    rows: int
    files: int
    first: datetime | None
    last: datetime | None
    absent: tuple[str, ...]
    digest: str


def scan(
    window: Window,
    root: Path,
    edge_set: EdgeSet,
    *,
    pool: Pool,
    cache: DerivedCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scanned:
    """Count the rows of a window.

    Args:
        window: Which rows.
        root: The workspace.
        edge_set: What is counted.
        pool: Who counts.
        cache: Where the counts of each file are kept, so that only files that are new or have changed are read.
        progress: Told how many of how many tasks are done.

    Raises:
        BotCoreError: As `find_sources` and the readers say; a file has changed meanwhile; or a segment has too many
            values.
    """
    surveys, wanted = _chosen(window, root, pool, cache)
    try:
        whole_count = reduce(
            _sum,
            _count(wanted, window, edge_set, pool, cache, progress).values(),
            _FileCount(edge_set.counter.nothing(), None),
        )
    except TooManyPartsError as error:
        raise FileFormatError(
            f"{window.path}: {error}", hint="leave it out of the segments", path=window.path
        ) from error
    return _scanned(whole_count, surveys, edge_set)


@frozen
class Read:
    """The rows of a window one after the other, in the order of its files.

    Attributes:
        rows: How many there are.
        absent: The columns asked for that no row has.
    """

    rows: int
    absent: frozenset[str]
    batches: Iterator[Batch]


def read_window(window: Window, root: Path, numbers: Sequence[str], texts: Sequence[str], *, pool: Pool) -> Read:
    """The rows of a window themselves, for whoever has to look at each of them.

    Raises:
        BotCoreError: As `scan`; what is wrong with a row is raised when its batch is asked for.
    """
    import numpy as np

    edges = dict.fromkeys(numbers, np.zeros(1))
    edge_set = EdgeSet(edges, dict.fromkeys(numbers, (0.0, 0.0)), dict.fromkeys(texts, ()))
    seen = scan(window, root, edge_set, pool=pool)
    _, wanted = _chosen(window, root, pool, None)
    tasks = [task for survey, since_us in wanted for task in _tasks(survey, window, since_us)]
    pieces = (piece for task in tasks for piece in _READERS[window.format](task, tuple(numbers), tuple(texts)))
    since_us = max((task.since_us for task in tasks if task.since_us is not None), default=None)
    batches = (later(piece, since_us).batch for piece in pieces)
    return Read(seen.rows, frozenset(seen.absent), (batch for batch in batches if batch.rows))


def count_task(task: Task, edge_set: EdgeSet) -> Counted:
    """Count the rows of one task; may run anywhere where the file can be opened.

    Raises:
        BotCoreError: As the readers say; or there is another file under this path than where the window was found.
    """
    _require_same(task)
    sums, span = edge_set.counter.sums(), None
    for piece in _READERS[task.format](task, edge_set.numbers, edge_set.texts):
        kept = later(piece, task.since_us)
        if kept.batch.rows:
            sums.add(kept.batch)
            if kept.times is not None:
                span = merged(span, (int(kept.times.min()), int(kept.times.max())))
    return Counted(task, sums.tally(), span)


def _require_same(task: Task) -> None:
    source = task.source
    if source.root is None:
        return
    size = as_now(source).size
    if size < source.size or (size > source.size and task.format != "journal"):
        raise BotCoreError(
            f"{source.path} changed while it was read, or is another file where it is counted: {size} bytes, not "
            f"{source.size}",
            hint="run this again once nobody writes to it; the workers of a cluster must see the workspace's own files",
            path=source.path,
        )


def _chosen(
    window: Window, root: Path, pool: Pool, cache: DerivedCache | None
) -> tuple[list[Survey], list[tuple[Survey, int | None]]]:
    """Every file of a window, and those that have rows of it, each with the bound of their time."""
    window.check()
    sources = find_sources(window, root)
    found = pool.map(partial(_survey, format_=window.format, time=window.time), sources)
    surveys = sorted(found, key=lambda survey: survey.source.path)
    since_us = None if window.since is None else to_us(window.since)
    spans = {survey.source: _told_span(survey) for survey in surveys}
    if window.last is not None:
        unknown = [(survey, None) for survey in surveys if spans[survey.source] is None]
        spans |= {source: count.span for source, count in _count(unknown, window, _NO_EDGES, pool, cache).items()}
        newest = max((span[1] for span in spans.values() if span), default=None)
        if newest is not None:
            oldest = newest - window.last // timedelta(microseconds=1)
            since_us = oldest if since_us is None else max(since_us, oldest)
    wanted = [(survey, _bound(spans[survey.source], since_us)) for survey in surveys]
    wanted = [(survey, bound) for survey, bound in wanted if not _is_before(spans[survey.source], bound)]
    return surveys, wanted


@frozen
class _FileCount:
    tally: Tally
    span: Span | None


def _sum(one: _FileCount, other: _FileCount) -> _FileCount:
    return _FileCount(one.tally + other.tally, merged(one.span, other.span))


def _survey(source: Source, format_: str, time: str | None) -> Survey:
    return _SURVEYS[format_](source, time)


def _told_span(survey: Survey) -> Span | None:
    """The first and the last time in a file, where the file says so without being read."""
    spans = [group.span for group in survey.groups if group.rows]
    return reduce(merged, spans, None) if all(spans) else None


def _bound(span: Span | None, since_us: int | None) -> int | None:
    """`since_us`, or None where no row of the file is before it: then its counts stay good when the bound moves on."""
    return None if since_us is None or (span is not None and span[0] >= since_us) else since_us


def _is_before(span: Span | None, since_us: int | None) -> bool:
    return span is not None and since_us is not None and span[1] < since_us


def _tasks(survey: Survey, window: Window, since_us: int | None) -> Iterator[Task]:
    if not survey.groups:
        yield Task(survey.source, window.format, window.time, since_us)
    numbers: list[int] = []
    rows = 0
    for number, group in enumerate(survey.groups):
        if group.rows and not _is_before(group.span, since_us):
            numbers.append(number)
            rows += group.rows
        if numbers and (rows >= _TASK_ROWS or number == len(survey.groups) - 1):
            yield Task(survey.source, window.format, window.time, since_us, tuple(numbers))
            numbers, rows = [], 0


def _count(
    wanted: Sequence[tuple[Survey, int | None]],
    window: Window,
    edge_set: EdgeSet,
    pool: Pool,
    cache: DerivedCache | None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Source, _FileCount]:
    """The counts of each file, from the cache or from its rows."""
    keys = {survey.source: _key(survey.source, window, since_us, edge_set) for survey, since_us in wanted}
    found = {source: kept for source, key in keys.items() if (kept := _kept(cache, key, edge_set, window))}
    fresh = [(survey, since_us) for survey, since_us in wanted if survey.source not in found]
    tasks = [task for survey, since_us in fresh for task in _tasks(survey, window, since_us)]
    tell = progress or (lambda _done, _all: None)
    tell(0, len(tasks))
    for done, counted in enumerate(pool.map(partial(count_task, edge_set=edge_set), tasks), start=1):
        source, count = counted.task.source, _FileCount(counted.tally, counted.span)
        found[source] = _sum(found[source], count) if source in found else count
        tell(done, len(tasks))
    for survey, _ in fresh:
        if _is_unchanged(survey.source, window) and survey.source in found:
            _keep(cache, keys[survey.source], found[survey.source])
    return found


def _is_unchanged(source: Source, window: Window) -> bool:
    """Whether a file is as it was; that more has been written to a journal meanwhile is no fault, but no yes either."""
    now = as_now(source)
    if now == source:
        return True
    if window.format == "journal" and now.size >= source.size:
        return False
    raise BotCoreError(
        f"{source.path} changed while it was read",
        hint="run this again once nobody writes to it; a writer that replaces whole files leaves no such moment",
        path=source.path,
    )


def _key(source: Source, window: Window, since_us: int | None, edge_set: EdgeSet) -> str | None:
    if source.key is None:
        return None
    return f"drift {_VERSION} {source.key} {window.format} {window.time} {since_us} {edge_set.digest}"


def _keep(cache: DerivedCache | None, key: str | None, count: _FileCount) -> None:
    if cache is not None and key is not None:
        cache.put(key, {"tally": count.tally.to_json(), "span": None if count.span is None else list(count.span)})


def _kept(cache: DerivedCache | None, key: str | None, edge_set: EdgeSet, window: Window) -> _FileCount | None:
    raw = None if cache is None or key is None else cache.get(key)
    if not isinstance(raw, dict):
        return None
    try:
        tally = tally_from_json(raw.get("tally"), edge_set)
        timed = tally.rows > 0 and window.time is not None
        ends = (
            [whole(end, "span", EARLIEST_US, LATEST_US) for end in sequence_at(raw, "span", "count")] if timed else []
        )
    except FileFormatError:
        return None
    if not timed:
        return _FileCount(tally, None)
    return _FileCount(tally, (ends[0], ends[1])) if len(ends) == 2 and ends[0] <= ends[1] else None


def _scanned(count: _FileCount, surveys: Sequence[Survey], edge_set: EdgeSet) -> Scanned:
    tally, span = count.tally, count.span
    there = {name for survey in surveys for name in survey.columns}
    # What a journal has is seen by its values alone.
    there |= {name for name, item in tally.features.items() if item.counts.any()}
    there |= {name for name, item in tally.categories.items() if item.new or any(item.counts.values())}
    there |= {name for name, parts in tally.segments.items() if parts}
    return Scanned(
        tally,
        tally.rows,
        len(surveys),
        None if span is None else from_us(span[0]),
        None if span is None else from_us(span[1]),
        tuple(name for name in (*edge_set.numbers, *edge_set.texts) if name not in there),
        canonical_digest({"edges": edge_set.digest, "tally": tally.to_json(), "span": span}),
    )
