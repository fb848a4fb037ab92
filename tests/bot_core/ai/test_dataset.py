"""Training rows are read as they stand in the file, and what does not fit is named with its line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from bot_core.ai.dataset import FeatureRow, FeatureTable, load_dataset
from bot_core.foundation.errors import BotCoreError, FileFormatError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "time,a,b,ret,symbol,other"
LINES = (
    "2026-01-01T00:00:00+00:00,1.5,2,10,BTC,x",
    "2026-01-01T02:00:00+01:00,-1e3,,-0.5,,",
    "1767229200.5,NaN,3,0,ETH,y",
)


def csv_file(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def read(path: Path, **changes: Any) -> FeatureTable:
    columns = {"features": ["a", "b"], "target": "ret", "time_column": "time", "categories": ["symbol"]}
    return load_dataset(path, **{**columns, **changes})


def parquet_file(folder: Path, **columns: Any) -> Path:
    whole = {
        "time": pa.array([BEGIN, BEGIN + timedelta(hours=1)], pa.timestamp("ms", "Europe/Warsaw")),
        "a": pa.array([1, None], pa.int32()),
        "b": pa.array([float("nan"), 2.5], pa.float32()),
        "ret": pa.array([1.0, -1.0]),
        "symbol": pa.array(["BTC", None]).dictionary_encode(),
    }
    path = folder / "rows.parquet"
    parquet.write_table(pa.table({**whole, **columns}), path)
    return path


def test_a_csv_file_is_read_with_missing_values_and_several_ways_to_write_a_time(tmp_path: Path) -> None:
    table = read(csv_file(tmp_path, *LINES))

    np.testing.assert_array_equal(table.matrix, [[1.5, 2.0], [-1000.0, np.nan], [np.nan, 3.0]])
    assert table.target.tolist() == [10.0, -0.5, 0.0]
    assert (table.times - BEGIN.timestamp()).tolist() == [0.0, 3600.0, 3600.5]
    assert table.categories == {"symbol": ["BTC", None, "ETH"]}


def test_the_rows_one_by_one_are_those_of_the_arrays(tmp_path: Path) -> None:
    rows = read(csv_file(tmp_path, *LINES)).vectors

    assert len(rows) == 3
    assert rows[0] == FeatureRow({"a": 1.5, "b": 2.0}, 10.0)
    np.testing.assert_array_equal([list(row.features.values()) for row in rows[1:]], [[-1000.0, np.nan], [np.nan, 3.0]])
    assert [row.target_bps for row in rows[1:]] == [-0.5, 0.0]


def test_rows_come_in_the_order_of_their_time_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    table = read(csv_file(tmp_path, *reversed(LINES)))

    assert table.target.tolist() == [10.0, -0.5, 0.0]
    assert table.categories == {"symbol": ["BTC", None, "ETH"]}


def test_what_is_known_of_the_rows_is_said(tmp_path: Path) -> None:
    metadata = read(csv_file(tmp_path, *LINES)).subset(range(2)).metadata

    assert metadata == {
        "feature_names": ["a", "b"],
        "feature_stats": {
            "a": {"mean": -499.25, "stdev": 500.75, "min": -1000.0, "max": 1.5},
            "b": {"mean": 2.0, "stdev": 0.0, "min": 2.0, "max": 2.0},
        },
        "row_count": 2,
        "source": "rows.csv",
        "start_timestamp": BEGIN.timestamp(),
        "end_timestamp": BEGIN.timestamp() + 3600.0,
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2026-01-01T00:00:00Z,one,2,10,BTC,x", r"line 3: a is 'one', not a number"),
        ("2026-01-01T00:00:00Z,1_000,2,10,BTC,x", r"line 3: a is '1_000', not a number"),
        ("2026-01-01T00:00:00Z,1,inf,10,BTC,x", r"line 3: b is inf"),
        ("2026-01-01T00:00:00Z,1,2,,BTC,x", r"line 3: ret is missing"),
        ("2026-01-01T00:00:00Z,1,2,nan,BTC,x", r"line 3: ret is missing"),
        ("2026-01-01T00:00:00,1,2,10,BTC,x", r"line 3: time is '2026-01-01T00:00:00', which says no time zone"),
        ("yesterday,1,2,10,BTC,x", r"line 3: time is 'yesterday', not a number"),
        (",1,2,10,BTC,x", r"line 3: time is missing"),
        ("2026-01-01T00:00:00Z,1,2,10,BTC", r"line 3: 5 cells under 6 columns"),
        ("", r"line 3: 0 cells under 6 columns"),
        ('2026-01-01T00:00:00Z,"1"2,2,10,BTC,x', r"line 3: .*expected after"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem) as caught:
        read(csv_file(tmp_path, LINES[0], line, LINES[1]))
    assert (caught.value.path, caught.value.line) == (str(tmp_path / "rows.csv"), 3)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("time,a,c,ret,symbol,other", "column 'b' is missing"),
        ("time,a,b,ret,symbol,a", "column 'a' is there twice"),
        ("", "column 'a' is missing; column 'b' is missing; column 'ret' is missing; column 'time' is missing"),
    ],
)
def test_a_header_without_the_columns_is_refused(tmp_path: Path, header: str, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        read(csv_file(tmp_path, *LINES, header=header))


def test_a_feature_that_is_never_there_and_a_file_without_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"rows\.csv: b is missing in every row"):
        read(csv_file(tmp_path, LINES[1]))
    with pytest.raises(FileFormatError, match="has no rows"):
        read(csv_file(tmp_path))


def test_other_files_and_overlapping_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("time,a,b,ret,symbol\n\xe9".encode("latin-1"))

    with pytest.raises(FileFormatError, match="is not UTF-8"):
        read(tmp_path / "latin.csv")
    with pytest.raises(BotCoreError, match=r"none\.csv cannot be read: No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(BotCoreError, match=r"ends in '\.xlsx'"):
        read(tmp_path / "rows.xlsx")
    with pytest.raises(BotCoreError, match="must be different columns"):
        read(csv_file(tmp_path, *LINES), features=["a", "ret"])
    with pytest.raises(BotCoreError, match="with a feature"):
        read(csv_file(tmp_path, *LINES), features=[])


def test_a_parquet_file_gives_what_the_same_csv_file_gives(tmp_path: Path) -> None:
    lines = ("2026-01-01T00:00:00Z,1,,1,BTC,x", "2026-01-01T01:00:00Z,,2.5,-1,,y")

    from_parquet, from_csv = read(parquet_file(tmp_path)), read(csv_file(tmp_path, *lines))

    np.testing.assert_array_equal(from_parquet.matrix, from_csv.matrix)
    assert from_parquet.target.tolist() == from_csv.target.tolist()
    assert from_parquet.times.tolist() == from_csv.times.tolist()
    assert from_parquet.categories == from_csv.categories


@pytest.mark.parametrize(
    "times", [pa.array(["2026-01-01T00:00:00Z", "1767229200"]), pa.array([1767225600, 1767229200])]
)
def test_times_in_parquet_may_be_texts_or_seconds(tmp_path: Path, times: Any) -> None:
    assert read(parquet_file(tmp_path, time=times)).times.tolist() == [1767225600.0, 1767229200.0]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"a": pa.array(["1", "2"])}, "column 'a' holds string, not numbers"),
        ({"a": pa.array([True, False])}, "column 'a' holds bool, not numbers"),
        ({"b": pa.array([1.0, float("-inf")])}, "row 2: b is -inf"),
        ({"ret": pa.array([1.0, None])}, "row 2: ret is missing"),
        ({"symbol": pa.array([1, 2])}, "column 'symbol' holds int64, not text"),
        ({"time": pa.array([BEGIN, BEGIN], pa.timestamp("us"))}, "column 'time' holds times that say no time zone"),
        ({"time": pa.array([None, BEGIN], pa.timestamp("us", "UTC"))}, "row 1: time is missing"),
        ({"time": pa.array(["2026-01-01T00:00:00Z", None])}, "row 2: time is missing"),
    ],
)
def test_a_column_of_parquet_that_does_not_fit_is_named_with_its_row(
    tmp_path: Path, columns: dict[str, Any], problem: str
) -> None:
    with pytest.raises(FileFormatError, match=problem):
        read(parquet_file(tmp_path, **columns))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 but nothing else")

    with pytest.raises(FileFormatError, match="cannot be read as Parquet"):
        read(tmp_path / "rows.parquet")
