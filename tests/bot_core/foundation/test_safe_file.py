import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot_core.foundation.errors import MissingFileError, UnsafePathError
from bot_core.foundation.safe_file import list_inside, read_inside, read_inside_or_none


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read gave."""
    lengths: list[int] = []
    read = os.read

    def counted(descriptor: int, length: int) -> bytes:
        data = read(descriptor, length)
        lengths.append(len(data))
        return data

    monkeypatch.setattr(os, "read", counted)
    return lengths


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"x" * 3_000_000)

    assert read_inside(tmp_path, "a/b/c") == b"x" * 3_000_000


@pytest.mark.parametrize("relative", ["none", "none/none"])
def test_a_missing_file_is_said_to_be_missing(tmp_path: Path, relative: str) -> None:
    with pytest.raises(MissingFileError, match="none"):
        read_inside(tmp_path, relative)

    assert read_inside_or_none(tmp_path, relative) is None


@pytest.mark.parametrize("relative", ["/etc/passwd", "../x", "a/../../x", "a\0b", "", ".", "a", "link", "out/x", "f/x"])
def test_a_path_that_leaves_the_root_or_names_no_file_is_refused(tmp_path: Path, relative: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "x").write_bytes(b"secret")
    (root / "f").write_bytes(b"")
    (root / "link").symlink_to(tmp_path / "x")
    (root / "out").symlink_to(tmp_path)

    with pytest.raises(UnsafePathError):
        read_inside(root, relative)
    with pytest.raises(UnsafePathError):
        read_inside_or_none(root, relative)


def test_hard_links_and_pipes_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")

    for name in ("a", "b", "pipe"):
        with pytest.raises(UnsafePathError):
            read_inside(tmp_path, name)


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")

    assert read_inside(tmp_path, "a", max_bytes=5) == b"12345"
    with pytest.raises(UnsafePathError, match="larger than 4 bytes"):
        read_inside(tmp_path, "a", max_bytes=4)


def test_a_file_far_too_large_is_refused_before_it_is_read(tmp_path: Path, reads: list[int]) -> None:
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", 1 << 40)

    with pytest.raises(UnsafePathError, match="larger than 268435456 bytes"):
        read_inside(tmp_path, "a")

    assert reads == []


def test_a_large_file_is_read_at_once(tmp_path: Path, reads: list[int]) -> None:
    (tmp_path / "a").write_bytes(b"x" * 40_000_000)

    assert len(read_inside(tmp_path, "a")) == 40_000_000
    assert reads == [40_000_000, 0]


def test_a_file_longer_than_its_status_says_is_read_to_the_end() -> None:
    status = Path("/proc/self/status")

    text = read_inside(status.parent, status.name)

    assert status.stat().st_size == 0
    assert text.startswith(b"Name:")
    assert text.endswith(b"\n")
    with pytest.raises(UnsafePathError, match="larger than 10 bytes"):
        read_inside(status.parent, status.name, max_bytes=10)


def test_a_folder_is_listed_sorted_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "c.txt"):
        (tmp_path / name).touch()

    assert list_inside(tmp_path, ".", suffix=".json") == ("a.json", "b.json")
    assert list_inside(tmp_path, "none/none") == ()


def test_a_folder_behind_a_link_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    with pytest.raises(UnsafePathError):
        list_inside(tmp_path, "link")


def test_a_file_that_is_replaced_again_and_again_is_always_read_whole(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from bot_core.foundation.atomic_file import write_atomic\n"
        "for i in range(400): write_atomic(Path('a'), str(i % 10).encode() * 5000)"
    )
    (tmp_path / "a").write_bytes(b"0" * 5000)
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": os.getcwd()})

    contents = {read_inside(tmp_path, "a")}
    while writer.poll() is None:
        contents.add(read_inside(tmp_path, "a"))

    assert writer.returncode == 0
    assert contents <= {str(i).encode() * 5000 for i in range(10)}
    assert len(contents) > 1
