from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from bot_core.ai.drift.parquet_window import survey_parquet
from bot_core.ai.drift.source import find_sources
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import FileFormatError
from tests.bot_core.ai.drift.windows import START, count, counts, edge_set, plain, times, write_parquet


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, -3], pa.int8()),
        pa.array([1, None, 3], pa.uint64()),
        pa.array([0.5, None, float("nan")], pa.float32()),
        pa.array([0.5, None, 1.0], pa.float16()),
        pa.array([Decimal("0.5"), None, Decimal("2.1")]),
        pa.array([True, None, False]),
        pa.array([0.5, None, 0.5]).dictionary_encode(),
        pa.nulls(3),
    ],
    ids=lambda column: str(column.type),
)
def test_numbers_of_every_type_are_counted_and_null_is_missing(tmp_path: Path, column: Any) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": column})

    found = count(tmp_path, edge_set("x"), "w.parquet")

    assert counts(found, "x") == plain([np.nan if value is None else float(value) for value in column.to_pylist()])


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_texts_are_counted_dictionary_or_not(tmp_path: Path, kind: pa.DataType) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": [1.0] * 5, "s": pa.array(["BTC", "ada", None, "BTC", "sol"], kind)})

    found = count(tmp_path, edge_set("x", texts=["s"]), "w.parquet").tally.categories["s"]

    assert (found.counts, found.new, found.new_names, found.missing) == ({"BTC": 2, "ETH": 0}, 2, ("ada", "sol"), 1)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 1, 2], pa.timestamp("s", "UTC")),
        pa.array([0, 1000, 2000], pa.timestamp("ms", "Europe/Warsaw")),
        pa.array([0, 10**6, 2 * 10**6], pa.timestamp("us", "UTC")),
        pa.array([999, 10**9 + 999, 2 * 10**9 + 999], pa.timestamp("ns", "UTC")),
        pa.array([0, 1, 2], pa.int32()),
        pa.array([0.0, 1.0, 2.0]),
        pa.array(["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:01Z", "1970-01-01 00:00:02+00:00"]),
    ],
    ids=lambda column: str(column.type),
)
def test_times_of_every_kind_are_instants(tmp_path: Path, column: Any) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": [1.0, 2.0, 3.0], "t": column}, row_group_size=1)
    second = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)

    found = count(tmp_path, edge_set("x"), "w.parquet", time_column="t", since=second)
    last = count(tmp_path, edge_set("x"), "w.parquet", time_column="t", last=timedelta(0))

    assert (found.rows, found.first, found.last) == (2, second, second + timedelta(seconds=1))
    assert (last.rows, last.first) == (1, second + timedelta(seconds=1))


def test_statistics_are_read_in_the_unit_in_which_the_file_keeps_its_times(tmp_path: Path) -> None:
    moments = pa.array([1_763_424_330 * 10**9, 1_763_424_331 * 10**9], pa.timestamp("ns", "UTC"))
    write_parquet(tmp_path / "ms.parquet", {"x": [1.0, 2.0], "t": moments}, coerce_timestamps="ms")
    write_parquet(tmp_path / "ns.parquet", {"x": [1.0, 2.0], "t": moments})
    surveys = [
        survey_parquet(find_sources(Window(n, "parquet"), tmp_path)[0], "t") for n in ("ms.parquet", "ns.parquet")
    ]

    assert [survey.groups[0].span for survey in surveys] == [(1_763_424_330 * 10**6, 1_763_424_331 * 10**6)] * 2


def test_without_statistics_the_rows_tell_the_newest_time(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": [1.0] * 9, "t": times(9)}, write_statistics=False, row_group_size=2)

    found = count(tmp_path, edge_set("x"), "w.parquet", time_column="t", last=timedelta(seconds=3))

    assert (found.rows, found.first) == (4, START + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"x": ["a", "b"], "t": times(2)}, "w.parquet: column 'x' holds string, not numbers"),
        ({"x": pa.array([[1.0], [2.0]]), "t": times(2)}, "column 'x' holds list<element: double>, not numbers"),
        ({"x": times(2), "t": times(2)}, "column 'x' holds timestamp[us, tz=UTC], not numbers"),
        ({"x": [1.0, 2.0], "s": [1, 2], "t": times(2)}, "column 's' holds int64, not text"),
        ({"x": [1.0, 2.0]}, "w.parquet has no column 't', the window's time column"),
        ({"x": [1.0, 2.0], "t": pa.array([1, 2], pa.timestamp("us"))}, "holds timestamp[us], which says no time zone"),
        ({"x": [1.0, 2.0], "t": [date(2025, 1, 1)] * 2}, "column 't' holds date32[day], no times"),
        ({"x": [1.0, 2.0], "t": pa.array([1, None], pa.timestamp("us", "UTC"))}, "column 't' is missing in 1 rows"),
        ({"x": [1.0, 2.0], "t": [1.0, float("nan")]}, "column 't' is missing in a row"),
        ({"x": [1.0, 2.0], "t": [1763424330000, 1]}, "no seconds since 1970 (are they milliseconds?)"),
        ({"x": [1.0, 2.0], "t": ["2025-01-01T00:00:00Z", "2025-01-01"]}, "'2025-01-01', which says no time zone"),
        ({"x": [1.0, 2.0], "t": ["2025-01-01T00:00:00Z", "soon"]}, "column 't' holds 'soon', no time"),
    ],
)
def test_what_a_window_cannot_have_is_said_with_file_and_column(tmp_path: Path, columns: Any, problem: str) -> None:
    write_parquet(tmp_path / "w.parquet", columns)

    with pytest.raises(FileFormatError) as caught:
        count(tmp_path, edge_set("x", segments=["s"]), "w.parquet", time_column="t")

    assert problem in caught.value.problem
    assert caught.value.path == "w.parquet"
    assert caught.value.hint


def test_a_zone_in_one_file_and_none_in_another_is_an_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w/a.parquet", {"x": [1.0], "t": times(1)})
    write_parquet(tmp_path / "w/b.parquet", {"x": [1.0], "t": pa.array([1], pa.timestamp("us"))})

    with pytest.raises(
        FileFormatError, match=r"w/b\.parquet: column 't' holds timestamp\[us\], which says no time zone"
    ):
        count(tmp_path, edge_set("x"), "w", time_column="t")


@pytest.mark.parametrize("cut", [0, 1, 8, 200, -1])
def test_a_damaged_file_is_an_error(tmp_path: Path, cut: int) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": np.arange(100.0)})
    data = (tmp_path / "w.parquet").read_bytes()
    (tmp_path / "w.parquet").write_bytes(data[:cut])

    with pytest.raises(FileFormatError, match=r"w\.parquet cannot be read as Parquet"):
        count(tmp_path, edge_set("x"), "w.parquet")


def test_a_damaged_page_is_an_error(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": np.arange(1000.0)}, compression="zstd", use_dictionary=False)
    data = bytearray((tmp_path / "w.parquet").read_bytes())
    data[100:200] = bytes(100)
    (tmp_path / "w.parquet").write_bytes(data)

    with pytest.raises(FileFormatError, match=r"w\.parquet cannot be read as Parquet"):
        count(tmp_path, edge_set("x"), "w.parquet")


def test_a_column_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    parquet.write_table(pa.table([pa.array([1.0]), pa.array([2.0])], names=["x", "x"]), tmp_path / "w.parquet")

    with pytest.raises(FileFormatError, match=r"w\.parquet: column 'x' is there twice"):
        count(tmp_path, edge_set("x"), "w.parquet")


def test_rows_are_counted_though_none_of_their_columns_is_asked_for(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet", {"y": [1.0, None, 2.0]}, row_group_size=2)

    found = count(tmp_path, edge_set("x", texts=["s"]), "w.parquet")

    assert (found.rows, found.absent, counts(found, "x")) == (3, ("x", "s"), ([0] * 5, 3))


def spoiled(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [(b"momentum", b"moment\xffm"), (b"BTCUSDT", b"BTC\xffSDT")], ids=["name", "text"]
)
def test_what_is_not_utf_8_is_an_error(tmp_path: Path, old: bytes, new: bytes) -> None:
    write_parquet(tmp_path / "w.parquet", {"momentum": [1.0], "s": ["BTCUSDT"]}, store_schema=False)
    spoiled(tmp_path / "w.parquet", old, new)

    with pytest.raises(FileFormatError, match=r"w\.parquet cannot be read as Parquet: 'utf-8' codec can't decode"):
        count(tmp_path, edge_set("momentum", texts=["s"]), "w.parquet")


def test_a_footer_that_contradicts_itself_is_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet", {"t": times(3)})
    spoiled(tmp_path / "w.parquet", b"\x15\x04\x19\x35", b"\x15\x00\x19\x35")  # the times are booleans in this group

    with pytest.raises(FileFormatError, match=r"w\.parquet cannot be read as Parquet"):
        count(tmp_path, edge_set(), "w.parquet", time_column="t")


def test_a_footer_that_would_be_too_long_is_refused_unread(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": [1.0]})
    with (tmp_path / "w.parquet").open("r+b") as file:
        file.truncate(1 << 30)
        file.seek(-8, 2)
        file.write((1 << 29).to_bytes(4, "little") + b"PAR1")

    with pytest.raises(FileFormatError, match="its footer would have 536,870,912 bytes"):
        count(tmp_path, edge_set("x"), "w.parquet")


def test_a_footer_longer_than_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    columns = {"t": times(2), **{f"column_{number}": [1.0, 2.0] for number in range(400)}}
    write_parquet(tmp_path / "w.parquet", columns, row_group_size=1)

    survey = survey_parquet(find_sources(Window("w.parquet", "parquet"), tmp_path)[0], "t")

    assert int.from_bytes((tmp_path / "w.parquet").read_bytes()[-8:-4], "little") > 1 << 16
    assert (len(survey.columns), [group.rows for group in survey.groups]) == (401, [1, 1])
    assert all(group.span for group in survey.groups)
