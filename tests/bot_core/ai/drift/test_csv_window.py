import builtins
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_core.ai.drift import csv_window
from bot_core.foundation.errors import FileFormatError
from tests.bot_core.ai.drift.windows import START, count, counts, edge_set

CELLS = st.one_of(
    st.floats(-4, 4).map(repr),
    st.sampled_from(["", "nan", "NULL", "nUlL", " 1.5 ", "inf", "-Infinity", "0x1", "1_0", "true", "x"]),
)
TEXTS = st.sampled_from(["BTC", "", "null", "a\nb", 'say ""x""', " ", "ą"])
TIMES = st.sampled_from(["2025-11-17T00:00:00Z", "2025-11-17 01:00:00.1234567+01:00", "1763337600", "", "2025-11-17"])


@pytest.fixture(params=["pyarrow", "python"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        without_pyarrow(monkeypatch)
    return str(request.param)


def without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refusing(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refusing)


def answer(root: Path) -> object:
    try:
        scanned = count(root, edge_set("x", "y", texts=["s"], segments=["s"]), "w.csv", "csv", time_column="t")
    except FileFormatError as error:
        return error.problem, error.line
    return scanned.digest, scanned.rows, scanned.absent


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, TEXTS, TIMES), max_size=6), block=st.sampled_from([64, 200, 1 << 20]))
def test_both_readers_say_the_same(tmp_path_factory, rows, block) -> None:
    root = tmp_path_factory.mktemp("csv")
    text = "x,s,t\n" + "".join(f'{x},"{s}",{t}\n' for x, s, t in rows)
    (root / "w.csv").write_text(text, encoding="utf-8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_window, "_BLOCK", block)
        by_arrow = answer(root)
        without_pyarrow(patch)
        by_python = answer(root)

    assert by_arrow == by_python


def test_a_header_alone_has_no_rows(tmp_path: Path, reader: str) -> None:
    (tmp_path / "w.csv").write_text("x,t\n")

    found = count(tmp_path, edge_set("x", "y"), "w.csv", "csv", time_column="t", last=timedelta(days=1))

    assert (found.rows, found.files, found.absent, found.first) == (0, 1, ("y",), None)


def test_typed_streamed_and_bounded_by_time(tmp_path: Path, reader: str) -> None:
    (tmp_path / "w").mkdir()
    for number in range(2):
        lines = [
            f"{second % 3},{(START + timedelta(seconds=second)).isoformat()}"
            for second in range(5 * number, 5 * number + 5)
        ]
        (tmp_path / f"w/{number}.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(["x,t", *lines]).encode())

    found = count(tmp_path, edge_set("x"), "w", "csv", time_column="t", last=timedelta(seconds=6))

    assert (found.rows, found.first, found.last) == (7, START + timedelta(seconds=3), START + timedelta(seconds=9))
    assert counts(found, "x") == ([0, 3, 0, 4, 0], 0)


def test_seconds_since_1970_are_times(tmp_path: Path, reader: str) -> None:
    (tmp_path / "w.csv").write_text("x,t\n1,1763337600\n2,1763337600.25\n")

    found = count(tmp_path, edge_set("x"), "w.csv", "csv", time_column="t")

    assert (found.first, found.last) == (START, datetime(2025, 11, 17, 0, 0, 0, 250_000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "w.csv, line 1: there is no header"),
        ("x,x,t\n", "w.csv, line 1: column 'x' is there twice"),
        ("x\n1\n", "w.csv, line 1: there is no column 't', the window's time column"),
        ("x,t\n1,2025-01-01T00:00:00Z\n2", "w.csv, line 3: 1 cells under 2 columns"),
        ("x,t\n1,2025-01-01T00:00:00Z,3\n", "w.csv, line 2: 3 cells under 2 columns"),
        ('x,t\n1,"2025-01-01T00:00:00Z\n', "w.csv, line 2: unexpected end of data"),
        ("x,t\n1,2025-01-01T00:00:00Z\none,2025-01-01T00:00:00Z\n", "w.csv, line 3: x is 'one', not a number"),
        ("x,t\n1,\n", "w.csv, line 2: t is missing; every row needs its time"),
        ("x,t\n1,soon\n", "w.csv, line 2: t is 'soon', no time"),
        (
            "x,t\n1,2025-01-01T00:00:00Z\n1,2025-01-01T00:00:00\n",
            "w.csv, line 3: t is '2025-01-01T00:00:00', which says no time zone",
        ),
        (
            "x,t\n1,1763337600000\n",
            "w.csv, line 2: t is '1763337600000', no seconds since 1970 (are they milliseconds?)",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_column(tmp_path: Path, reader: str, text: str, problem: str) -> None:
    (tmp_path / "w.csv").write_text(text)

    with pytest.raises(FileFormatError) as caught:
        count(tmp_path, edge_set("x"), "w.csv", "csv", time_column="t")

    assert (caught.value.problem, caught.value.path) == (problem, "w.csv")
    assert caught.value.hint


def test_bytes_that_are_not_utf_8_are_an_error(tmp_path: Path, reader: str) -> None:
    (tmp_path / "w.csv").write_bytes(b"x,s\n1,BTC\n1,\xff\n")

    with pytest.raises(FileFormatError, match=r"w\.csv, line \d: not UTF-8"):
        count(tmp_path, edge_set("x", texts=["s"]), "w.csv", "csv")


@pytest.mark.usefixtures("reader")
def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n" + "1," * (1 << 19) + "\n")

    with pytest.raises(FileFormatError, match=r"a\.csv, line 3: longer than 1,048,576 characters"):
        count(tmp_path, edge_set("x"), "a.csv", "csv")
