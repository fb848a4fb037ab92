from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_core.ai.drift.part import Task
from bot_core.ai.drift.scan import count_task, scan
from bot_core.ai.drift.source import find_sources
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import BotCoreError
from tests.bot_core.ai.drift.windows import (
    POOL,
    START,
    cache_in,
    count,
    counts,
    edge_set,
    plain,
    times,
    write_parquet,
)

VALUES = st.one_of(
    st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0, float("inf"), float("-inf"), None, 5e-324]), st.floats(-4, 4)
)
ROWS = st.lists(st.tuples(VALUES, st.sampled_from(["BTC", "ETH", "DOGE", None]), st.integers(0, 9)), max_size=60)


class Backwards:
    """A pool that hands back what it got last first."""

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        return map(function, reversed(tasks))


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_counts_do_not_depend_on_how_the_rows_are_divided(tmp_path_factory, rows, data) -> None:
    root = tmp_path_factory.mktemp("window")
    files = data.draw(st.integers(1, 3))
    owner = [data.draw(st.integers(0, files - 1)) for _ in rows]
    for number in range(files):
        some = [row for row, place in zip(rows, owner, strict=True) if place == number]
        data.draw(st.randoms()).shuffle(some)
        table = {
            "x": pa.array([row[0] for row in some], pa.float64()),
            "symbol": pa.array([row[1] for row in some], pa.string()),
            "t": pa.array([row[2] for row in some], pa.int64()),
        }
        write_parquet(root / f"many/{number}.parquet", table, row_group_size=data.draw(st.integers(1, 20)))
    table = {
        "x": pa.array([row[0] for row in rows], pa.float64()),
        "symbol": pa.array([row[1] for row in rows], pa.string()).dictionary_encode(),
        "t": pa.array([row[2] for row in rows], pa.int64()),
    }
    write_parquet(root / "one.parquet", table)
    edges = edge_set("x", texts=["symbol"], segments=["symbol"])
    last = data.draw(st.one_of(st.none(), st.integers(0, 9).map(lambda seconds: timedelta(seconds=seconds))))

    one = count(root, edges, "one.parquet", time_column="t", last=last)
    many = scan(Window("many", "parquet", "t", last=last), root, edges, pool=Backwards())

    newest = max((row[2] for row in rows), default=0)
    kept = [row for row in rows if last is None or row[2] >= newest - last.total_seconds()]
    assert (one.digest, one.rows, one.first, one.last) == (many.digest, many.rows, many.first, many.last)
    assert counts(many, "x") == plain([np.nan if row[0] is None else row[0] for row in kept])
    assert many.tally.categories["symbol"].new == sum(row[1] == "DOGE" for row in kept)
    assert {name: part.rows for name, part in many.tally.segments["symbol"].items()} == {
        name: found for name in ("BTC", "ETH", "DOGE") if (found := sum(row[1] == name for row in kept))
    }


def test_rows_before_since_and_before_last_are_left_out_and_the_newest_row_is_the_measure(tmp_path: Path) -> None:
    for number in range(3):
        write_parquet(tmp_path / f"w/{number}.parquet", {"x": [float(number)] * 10, "t": times(10, 10 * number)})
    edges = edge_set("x")

    since = count(tmp_path, edges, "w", time_column="t", since=START + timedelta(seconds=15))
    last = count(tmp_path, edges, "w", time_column="t", last=timedelta(seconds=4))
    both = count(tmp_path, edges, "w", time_column="t", last=timedelta(days=1), since=START + timedelta(seconds=28))
    later = count(tmp_path, edges, "w", time_column="t", since=START + timedelta(days=1))

    assert (since.rows, since.first, since.last) == (15, START + timedelta(seconds=15), START + timedelta(seconds=29))
    assert (last.rows, last.first, last.last) == (5, START + timedelta(seconds=25), START + timedelta(seconds=29))
    assert (both.rows, both.files) == (2, 3)
    assert (later.rows, later.first, later.last, later.absent) == (0, None, None, ())


def test_row_groups_outside_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "w.parquet"
    write_parquet(
        path,
        {"t": times(40), "x": pa.array(np.arange(40.0))},
        row_group_size=10,
        compression=None,
        use_dictionary=False,
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(np.arange(10.0).tobytes(), b"\xff" * 80))  # the first group's values are damaged

    scanned = count(tmp_path, edge_set("x"), "w.parquet", time_column="t", since=START + timedelta(seconds=12))

    assert (scanned.rows, counts(scanned, "x")) == (28, ([0, 0, 0, 0, 28], 0))


def test_a_column_that_no_file_has_is_absent_and_one_that_some_lack_is_missing_there(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w/a.parquet", {"x": [1.0, 2.0], "symbol": ["BTC", "ETH"]})
    write_parquet(tmp_path / "w/b.parquet", {"x": [3.0], "y": [0.0]})

    scanned = count(tmp_path, edge_set("x", "y", "z", texts=["symbol", "venue"]), "w")

    assert scanned.absent == ("z", "venue")
    assert counts(scanned, "y") == ([0, 1, 0, 0, 0], 2)
    assert scanned.tally.categories["symbol"].missing == 1
    assert (scanned.rows, scanned.files) == (3, 2)


@pytest.mark.parametrize("rows", [0, 5])
def test_a_file_without_any_column_asked_for_still_has_its_rows(tmp_path: Path, rows: int) -> None:
    write_parquet(tmp_path / "w.parquet", {"other": pa.array(range(rows), pa.int64())})

    scanned = count(tmp_path, edge_set("x"), "w.parquet")

    assert (scanned.rows, scanned.absent, counts(scanned, "x")) == (rows, ("x",), ([0] * 5, rows))


def test_only_new_files_are_read_again(tmp_path: Path) -> None:
    cache, edges = cache_in(tmp_path), edge_set("x", texts=["symbol"], segments=["symbol"])
    columns = {"x": [0.0, 1.0, None], "symbol": ["BTC", "DOGE", None], "t": times(3)}
    write_parquet(tmp_path / "w/a.parquet", columns)
    write_parquet(tmp_path / "w/b.parquet", columns)
    told: list[tuple[int, int]] = []

    def again(**more: Any) -> Any:
        told.clear()
        return count(tmp_path, edges, "w", time_column="t", cache=cache, progress=lambda *now: told.append(now), **more)

    first = again()
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert again().digest == first.digest
    assert told == [(0, 0)]
    write_parquet(tmp_path / "w/c.parquet", {**columns, "t": times(3, 100)})
    assert again().rows == 9
    assert told[-1] == (1, 1)
    assert again(last=timedelta(seconds=101)).rows == 7  # only where the bound cuts through a file
    assert told[-1] == (2, 2)
    assert again(last=timedelta(days=1)).rows == 9
    assert told == [(0, 0)]


def test_a_task_and_an_edge_set_that_have_been_sent_count_the_same(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": [0.0, 1.0]})
    edges = edge_set("x")
    edges.counter.nothing()
    [source] = find_sources(Window("w.parquet", "parquet"), tmp_path)
    task = Task(source, "parquet", groups=(0,))

    sent = deepcopy(partial(count_task, task, edges))  # by the very methods that sending uses

    assert "counter" not in sent.args[1].__dict__
    assert sent().tally.to_json() == count_task(task, edges).tally.to_json()
    assert sent().task == task


def test_a_file_that_changes_while_it_is_read_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "w.parquet"
    write_parquet(path, {"x": [0.0, 1.0]})

    class Meddler:
        def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
            yield from map(function, tasks)
            write_parquet(path, {"x": [3.0, 3.0, 3.0]})

    with pytest.raises(BotCoreError, match=r"w\.parquet changed while it was read"):
        scan(Window("w.parquet", "parquet"), tmp_path, edge_set("x"), pool=Meddler())


def test_the_first_error_ends_a_scan(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w/a.parquet", {"x": ["one"]})
    write_parquet(tmp_path / "w/b.parquet", {"x": [1.0]})

    with pytest.raises(BotCoreError, match=r"w/a\.parquet: column 'x' holds string, not numbers"):
        scan(Window("w", "parquet"), tmp_path, edge_set("x"), pool=POOL)
