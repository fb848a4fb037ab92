import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.foundation.atomic_file import write_atomic
from bot_core.foundation.errors import FileFormatError, UnsafePathError
from bot_core.foundation.watched_file import WatchedFile


class Reader:
    """Takes the bytes as they are, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, data: bytes | None) -> bytes | None:
        self.count += 1
        if data == b"bad":
            raise FileFormatError("bad")
        return data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.utime(path, ns=(1, 1))
    return path


def watch(path: Path, reader: Reader) -> WatchedFile[bytes | None]:
    return WatchedFile(path.parent, path.name, reader)


def settle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file's last change be long ago, by the clock of this process."""
    monkeypatch.setattr("time.time_ns", lambda: os.stat(path).st_ctime_ns + 10**9)


def test_a_file_that_stays_as_it_is_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(path, monkeypatch)
    watched = watch(path, reader := Reader())

    values = [watched.value() for _ in range(5)]

    assert (values, reader.count) == ([b"old"] * 5, 1)
    assert all(value is values[0] for value in values)


def test_a_file_that_has_just_changed_is_read_again(path: Path) -> None:
    watched = watch(path, reader := Reader())
    path.write_bytes(b"new")

    values = [watched.value() for _ in range(2)]

    assert (values, reader.count) == ([b"new"] * 2, 2)


def test_an_absent_file_is_no_earlier_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(path, monkeypatch)
    watched = watch(path, Reader())
    seen = [watched.value()]

    data = path.read_bytes()
    path.unlink()
    seen.append(watched.value())
    path.write_bytes(data)
    seen.append(watched.value())

    assert seen == [b"old", None, b"old"]


def test_a_file_that_cannot_be_taken_is_refused_every_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watch(path, reader := Reader())
    watched.value()
    path.write_bytes(b"bad")
    settle(path, monkeypatch)

    for _ in range(2):
        with pytest.raises(FileFormatError):
            watched.value()
    assert reader.count == 3


def test_a_link_in_the_files_place_is_refused(path: Path) -> None:
    watched = watch(path, Reader())
    watched.value()
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))

    with pytest.raises(UnsafePathError):
        watched.value()


@given(changes=st.lists(st.tuples(st.booleans(), st.sampled_from([b"a", b"b", b"cc"]), st.booleans()), max_size=12))
def test_every_change_is_seen_however_fast_it_comes(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[bool, bytes, bool]]
) -> None:
    path = tmp_path_factory.mktemp("watched") / "file"
    watched = watch(path, Reader())

    for in_place, data, is_looked_at in changes:
        if in_place:
            path.write_bytes(data)
        else:
            write_atomic(path, data)
        if is_looked_at:
            assert watched.value() == data
