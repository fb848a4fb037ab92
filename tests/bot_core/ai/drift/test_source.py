import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from bot_core.ai.drift.source import find_sources
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import BotCoreError, MissingFileError, UnsafePathError
from tests.bot_core.ai.drift.windows import START, cache_in, count, counts, edge_set, times, write_parquet

ROW = {"x": [1.0]}


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The file system of memory:// URLs, empty."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()


def put(fs: fsspec.AbstractFileSystem, path: str, values: list[float]) -> None:
    with fs.open(path, "wb") as file:
        parquet.write_table(pa.table({"x": values, "t": times(len(values))}), file)


def names(root: Path, path: str, format: str = "parquet") -> list[str]:  # noqa: A002
    return [source.path for source in find_sources(Window(path, format), root)]


def test_a_folder_is_its_files_of_the_format_and_a_pattern_is_what_it_matches(tmp_path: Path) -> None:
    for name in (
        "w/b.parquet",
        "w/day=1/a.parquet",
        "w/.hidden.parquet",
        "w/_tmp/c.parquet",
        "w/.d/e.parquet",
        "w/n.data",
    ):
        write_parquet(tmp_path / name, ROW)
    (tmp_path / "w/b.parquet.lock").touch()
    (tmp_path / "w/day=1/x.csv").write_text("x\n")

    assert names(tmp_path, "w") == ["w/b.parquet", "w/day=1/a.parquet"]
    assert names(tmp_path, "w/b.parquet") == ["w/b.parquet"]
    assert names(tmp_path, "w/*") == ["w/b.parquet", "w/n.data"]
    assert names(tmp_path, "w/**/?.parquet") == ["w/b.parquet", "w/day=1/a.parquet"]
    assert names(tmp_path, "w/day=[0-9]/*") == ["w/day=1/a.parquet", "w/day=1/x.csv"]
    assert names(tmp_path, "**/*.csv", "csv") == names(tmp_path, "w", "csv") == ["w/day=1/x.csv"]


def test_a_journal_is_the_files_of_one_folder(tmp_path: Path) -> None:
    (tmp_path / "logs/old").mkdir(parents=True)
    for name in ("logs/b.jsonl", "logs/a.log", "logs/old/c.jsonl", "logs/d.txt"):
        (tmp_path / name).touch()

    assert names(tmp_path, "logs", "journal") == ["logs/a.log", "logs/b.jsonl"]


@pytest.mark.parametrize(
    "path", ["w", "w/*.parquet", "missing", "missing/*.parquet", "a.parquet/b", "memory://w", "memory://w/*"]
)
def test_no_file_is_an_error_that_says_what_to_look_at(tmp_path: Path, path: str, memory) -> None:
    (tmp_path / "w").mkdir()
    write_parquet(tmp_path / "a.parquet", ROW)

    with pytest.raises((MissingFileError, UnsafePathError)) as caught:
        names(tmp_path, path)

    assert path.split("/*")[0] in caught.value.problem


def test_links_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "outside/a.parquet", ROW)
    root = tmp_path / "ws"
    (root / "w").mkdir(parents=True)
    (root / "w/a.parquet").symlink_to(tmp_path / "outside/a.parquet")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "hard").mkdir()
    os.link(tmp_path / "outside/a.parquet", root / "hard/a.parquet")

    for path in ("w", "w/a.parquet", "w/*", "folder", "folder/a.parquet", "folder/*", "hard", "../outside", "/etc", ""):
        with pytest.raises(UnsafePathError):
            count(root, edge_set("x"), path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.parquet")

    with pytest.raises(UnsafePathError, match="not a regular file"):
        names(tmp_path, "w.parquet")


def test_urls_are_read_through_fsspec(tmp_path: Path, memory) -> None:
    put(memory, "/lake/day=1/a.parquet", [0.0, 1.0])
    put(memory, "/lake/day=2/b.parquet", [3.0])
    put(memory, "/lake/_tmp/c.parquet", [3.0])
    memory.pipe("/lake/_SUCCESS", b"")
    write_parquet(tmp_path / "lake/a.parquet", {"x": [0.0, 1.0, 3.0], "t": times(3)})
    (tmp_path / "lake/w.csv").write_text("x\n0\n1\n3\n")
    edges = edge_set("x")

    folder, pattern, near, text = (
        count(tmp_path, edges, "memory://lake"),
        count(tmp_path, edges, "memory://lake/**/*.parquet"),
        count(tmp_path / "elsewhere", edges, f"file://{tmp_path}/lake"),
        count(tmp_path, edges, f"file://{tmp_path}/lake/w.csv", "csv"),
    )

    assert counts(folder, "x") == ([0, 1, 0, 1, 1], 0)
    assert folder.digest == pattern.digest == near.digest == text.digest
    assert (folder.files, near.files) == (2, 1)
    assert count(tmp_path, edges, "memory://lake", time_column="t", since=START + timedelta(seconds=1)).rows == 1


def test_files_behind_a_url_are_cached_until_they_are_written(tmp_path: Path, memory) -> None:
    put(memory, "/lake/a.parquet", [0.0, 1.0])
    cache = cache_in(tmp_path)
    told: list[tuple[int, int]] = []

    def rows() -> int:
        return count(tmp_path, edge_set("x"), "memory://lake", cache=cache, progress=lambda *now: told.append(now)).rows

    assert (rows(), told.pop()) == (2, (1, 1))
    assert (rows(), told.pop()) == (2, (0, 0))
    put(memory, "/lake/a.parquet", [0.0, 2.0, 3.0])
    assert (rows(), told.pop()) == (3, (1, 1))


def test_a_store_that_says_no_time_is_read_every_time(tmp_path: Path, memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> datetime:
        raise NotImplementedError

    monkeypatch.setattr(type(memory), "modified", silent)
    put(memory, "/a.parquet", [0.0])

    assert find_sources(Window("memory://a.parquet", "parquet"), tmp_path)[0].key is None
    assert count(tmp_path, edge_set("x"), "memory://a.parquet", cache=cache_in(tmp_path)).rows == 1


@pytest.mark.parametrize(
    ("url", "problem", "hint"),
    [
        ("nosuch://a/b.parquet", "nosuch://a/b.parquet: Protocol not known: nosuch", "s3://"),
        ("gcs://a/b.parquet", "what reads gcs:// is not installed", "install fsspec's driver for gcs://"),
    ],
)
def test_a_url_without_its_driver_says_what_to_install(tmp_path: Path, url: str, problem: str, hint: str) -> None:
    with pytest.raises(BotCoreError) as caught:
        names(tmp_path, url)

    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_a_url_without_fsspec_says_which_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)

    with pytest.raises(BotCoreError) as caught:
        names(tmp_path, "s3://bucket/a.parquet")

    assert "what reads s3:// is not installed" in caught.value.problem
    assert caught.value.hint == "pip install 'rollbackctl[object-store]'"


@pytest.mark.parametrize(
    ("window", "problem"),
    [
        (Window("w", "orc"), "the window's format is 'orc', not one of parquet, csv, journal"),
        (Window("w", "csv", last=timedelta(1)), "has a since or a last, and no time column"),
        (Window("w", "csv", "t", since=datetime(2025, 1, 1)), "which says no time zone"),  # noqa: DTZ001
        (Window("w", "csv", "t", last=timedelta(-1)), "less than nothing"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(window: Window, problem: str) -> None:
    with pytest.raises(BotCoreError, match=problem):
        window.check()
