"""A footer read without pyarrow says what pyarrow reads in it; and what is none is refused, whatever it claims."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from bot_core.ai.drift.parquet_footer import FooterError, row_groups
from tests.bot_core.ai.drift.windows import times


def footer_of(data: bytes) -> bytes:
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


def written(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, **options)
    return file.getvalue()


@pytest.mark.parametrize("version", ["1.0", "2.6"])
def test_it_says_what_pyarrow_reads_in_it(version: str) -> None:
    columns = {
        "t": times(25),
        "seconds": pa.array(np.linspace(-1e9, 1e9, 25)),
        "short": pa.array([None, *range(-12, 12)], pa.int32()),
        "single": pa.array([None] * 10 + [0.5] * 15, pa.float32()),
        "half": pa.array([1.0] * 25, pa.float16()),
        "text": ["a"] * 25,
        "list": [[1]] * 25,
    }
    data = written(columns, version=version, row_group_size=10)
    metadata = parquet.ParquetFile(io.BytesIO(data)).metadata

    for place, name in enumerate(columns):
        found = row_groups(footer_of(data), name)
        groups = [metadata.row_group(number) for number in range(3)]
        told = [group.column(place).statistics for group in groups]
        assert [group.rows for group in found] == [10, 10, 5]
        if name == "list":
            assert {(group.missing, group.ends) for group in found} == {(0, None)}
            continue
        assert [group.missing for group in found] == [item.null_count for item in told]
        is_number = metadata.schema.column(place).physical_type not in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
        ends = [(item.min_raw, item.max_raw) if is_number and item.has_min_max else None for item in told]
        assert [group.ends for group in found] == ends


@pytest.mark.parametrize("column", [None, "elsewhere"])
def test_of_no_column_it_says_the_rows(column: str | None) -> None:
    found = row_groups(footer_of(written({"x": [1.0] * 5}, row_group_size=3)), column)

    assert [(group.rows, group.missing, group.ends) for group in found] == [(3, 0, None), (2, 0, None)]


def test_without_statistics_there_are_no_ends() -> None:
    (group,) = row_groups(footer_of(written({"x": [1.0]}, write_statistics=False)), "x")

    assert (group.missing, group.ends) == (0, None)


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x00",
        b"\x1c" * 100_000,
        b"\x19" + b"\x19" * 100_000,
        b"\x16" + b"\xff" * 100_000,
        b"\x49\xf6\xff\xff\xff\xff\x0f",
        b"\x48\xff\xff\xff\xff\x0f",
        b"\x1b\x00",
        b"\x49\x1c\x36\x01\x00\x00",
    ],
    ids=["nothing", "no groups", "levels", "lists", "number", "long list", "long text", "map", "rows below 0"],
)
def test_what_is_no_footer_is_refused(footer: bytes) -> None:
    with pytest.raises(FooterError):
        row_groups(footer, "t")


@given(data=st.binary(), place=st.integers(0, 400), instead=st.binary(max_size=3))
def test_any_bytes_are_a_footer_or_none(data: bytes, place: int, instead: bytes) -> None:
    whole = footer_of(written({"t": times(3), "x": [1.0] * 3}))

    for footer in (data, whole[:place] + instead + whole[place + len(instead) :]):
        try:
            found = row_groups(footer, "t")
        except FooterError:
            continue
        assert all(group.rows >= 0 for group in found)
