import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot_core.foundation.atomic_file import append_durable, make_folder, remove_durable, sync, write_atomic
from bot_core.foundation.errors import MissingFileError, UnsafePathError

ACTS = ("write", "fsync", "replace", "unlink", "mkdir", "fchmod", "fchown", "ftruncate")


class Crash(BaseException):
    """The process ends here."""


class Acts:
    """The acts seen so far, by name; from the one numbered `stop` on, none reaches the disk."""

    def __init__(self, stop: int | None, *, act_first: bool) -> None:
        self.names: list[str] = []
        self._stop = stop
        self._act_first = act_first

    def wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object, **kwargs: object) -> object:
            self.names.append(name)
            if self._stop is None or len(self.names) - 1 < self._stop:
                return real(*args, **kwargs)
            if self._act_first and len(self.names) - 1 == self._stop:
                real(*args, **kwargs)
            raise Crash

        return act


@contextmanager
def acts_watched(stop: int | None = None, *, act_first: bool = False) -> Iterator[Acts]:
    acts = Acts(stop, act_first=act_first)
    real = {name: getattr(os, name) for name in ACTS}
    for name, function in real.items():
        setattr(os, name, acts.wrap(name, function))
    try:
        yield acts
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def every_crash(count: int) -> Iterator[tuple[int, bool]]:
    return ((stop, act_first) for stop in range(count) for act_first in (False, True))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_write_gives_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    write_atomic(path, b"one" * 100_000)

    assert path.read_bytes() == b"one" * 100_000
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_write_syncs_the_file_then_renames_then_syncs_the_folder(tmp_path: Path) -> None:
    with acts_watched() as acts:
        write_atomic(tmp_path / "a", b"x")

    assert acts.names == ["fchmod", "write", "fsync", "replace", "fsync"]


def test_a_crash_at_any_act_of_a_write_leaves_the_old_or_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with acts_watched() as acts:
        write_atomic(path, b"new")

    for stop, act_first in every_crash(len(acts.names)):
        path.write_bytes(b"old")

        with pytest.raises(Crash), acts_watched(stop, act_first=act_first):
            write_atomic(path, b"new")

        assert path.read_bytes() in (b"old", b"new")
        write_atomic(path, b"new")
        assert path.read_bytes() == b"new"
        assert os.listdir(tmp_path) == ["a"]


def test_a_write_keeps_the_mode_of_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)

    write_atomic(path, b"new", mode=0o600)

    assert mode_of(path) == 0o640


def test_a_write_keeps_the_owner_where_that_is_permitted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    before = path.stat()

    write_atomic(path, b"new")

    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)


def test_a_new_file_takes_the_mode_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"", mode=0o666)

    assert mode_of(tmp_path / "a") == 0o666


def test_a_new_file_takes_the_mode_of_a_visible_sibling(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch(0o600)
    (tmp_path / "sibling").touch()
    (tmp_path / "sibling").chmod(0o664)

    write_atomic(tmp_path / "a", b"")

    assert mode_of(tmp_path / "a") == 0o664


def test_a_new_file_without_siblings_takes_the_mode_of_its_folder_whatever_the_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    code = (
        "import os; from pathlib import Path; os.umask(0o077); "
        "from bot_core.foundation.atomic_file import write_atomic; write_atomic(Path('a'), b'')"
    )

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={"PYTHONPATH": os.getcwd()})

    assert mode_of(tmp_path / "a") == 0o640


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "folder"])
def test_a_target_that_is_not_a_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    path = tmp_path / "a"
    match kind:
        case "symlink":
            path.symlink_to(victim)
        case "hard link":
            path.hardlink_to(victim)
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()

    with pytest.raises(UnsafePathError):
        write_atomic(path, b"new")
    if kind != "folder":
        with pytest.raises(UnsafePathError):
            append_durable(path, b"new")

    assert victim.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a", "victim"]


@pytest.mark.parametrize("target", ["../a", "link/a", "sub/../../a"])
def test_a_write_does_not_leave_its_root(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")

    for act in (write_atomic, append_durable):
        with pytest.raises(UnsafePathError):
            act(root / target, b"x", root=root)
    with pytest.raises(UnsafePathError):
        make_folder(root / target, root=root)
    with pytest.raises(UnsafePathError):
        remove_durable(root / target, root=root)

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "outside", "root", "sub"]


def test_a_write_outside_its_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()

    with pytest.raises(UnsafePathError):
        write_atomic(tmp_path / "a", b"x", root=tmp_path / "root")


def test_a_write_into_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="none"):
        write_atomic(tmp_path / "none" / "a", b"x", root=tmp_path)


def test_the_temporary_file_of_a_killed_writer_is_removed_by_the_next_write(tmp_path: Path) -> None:
    (tmp_path / ".a.4194304999.tmp").write_bytes(b"half")
    (tmp_path / ".b.4194304999.tmp").write_bytes(b"another target's")
    (tmp_path / ".a.tmp").write_bytes(b"not ours")

    write_atomic(tmp_path / "a", b"x")

    assert sorted(os.listdir(tmp_path)) == [".a.tmp", ".b.4194304999.tmp", "a"]


def test_a_killed_writer_with_our_own_number_does_not_block_a_write(tmp_path: Path) -> None:
    (tmp_path / f".a.{os.getpid()}.tmp").write_bytes(b"half")

    write_atomic(tmp_path / "a", b"x")

    assert os.listdir(tmp_path) == ["a"]


def test_writers_at_the_same_time_leave_one_whole_content(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bot_core.foundation.atomic_file import write_atomic\n"
        "for _ in range(50): write_atomic(Path('a'), sys.argv[1].encode() * 10_000)"
    )
    env = {"PYTHONPATH": os.getcwd()}

    writers = [subprocess.Popen([sys.executable, "-c", code, str(i)], cwd=tmp_path, env=env) for i in range(6)]

    assert [writer.wait() for writer in writers] == [0] * 6
    content = (tmp_path / "a").read_bytes()
    assert content == content[:1] * 10_000
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_sync_is_not_tried_again_and_the_old_content_stands(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    calls = []

    def failing(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="bad disk"):
        write_atomic(path, b"new")

    assert len(calls) == 1
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_an_append_gives_its_line_a_newline_once(tmp_path: Path) -> None:
    append_durable(tmp_path / "log", b"one")
    append_durable(tmp_path / "log", b"two\n")

    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_the_name_of_a_new_log_is_lasting_before_its_first_line(tmp_path: Path) -> None:
    with acts_watched() as first:
        append_durable(tmp_path / "log", b"one")
    with acts_watched() as second:
        append_durable(tmp_path / "log", b"two")

    assert first.names == ["fchmod", "fsync", "write", "fsync"]
    assert second.names == ["write", "fsync"]


@pytest.mark.parametrize("cut", range(5))
def test_a_torn_last_line_that_begins_the_same_line_is_completed(tmp_path: Path, cut: int) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n" + b"line"[:cut])

    append_durable(log, b"line")

    assert log.read_bytes() == b"one\nline\n"


@pytest.mark.parametrize("tail", [b"x", b"lin3", b"line2", b"a long torn line that goes on"])
def test_any_other_torn_last_line_is_ended_first(tmp_path: Path, tail: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(tail)

    append_durable(log, b"line")

    assert log.read_bytes() == tail + b"\nline\n"


def test_a_long_torn_line_is_not_taken_for_a_prefix_by_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\nxline")

    append_durable(log, b"line")

    assert log.read_bytes() == b"before\nxline\nline\n"


def test_no_prefix_is_completed_where_that_is_not_wanted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"li")

    append_durable(log, b"line", key_prefix_ok=False)

    assert log.read_bytes() == b"li\nline\n"


def test_a_crash_at_any_act_of_an_append_is_repaired_by_the_same_append(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with acts_watched() as acts:
        append_durable(log, b"line")

    for stop, act_first in every_crash(len(acts.names)):
        log.unlink(missing_ok=True)

        with pytest.raises(Crash), acts_watched(stop, act_first=act_first):
            append_durable(log, b"line")
        if log.read_bytes() != b"line\n":
            append_durable(log, b"line")

        assert log.read_bytes() == b"line\n"


def test_short_writes_lose_nothing(tmp_path: Path, monkeypatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))

    append_durable(tmp_path / "log", b"0123456789")
    write_atomic(tmp_path / "a", b"0123456789")

    assert (tmp_path / "log").read_bytes() == b"0123456789\n"
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_appends_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bot_core.foundation.atomic_file import append_durable\n"
        "for i in range(40): append_durable(Path('log'), f'{sys.argv[1]} {i}'.encode())"
    )
    env = {"PYTHONPATH": os.getcwd()}

    writers = [subprocess.Popen([sys.executable, "-c", code, str(i)], cwd=tmp_path, env=env) for i in range(5)]

    assert [writer.wait() for writer in writers] == [0] * 5
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(lines) == sorted(f"{writer} {i}" for writer in range(5) for i in range(40))


def test_a_line_with_a_newline_inside_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="newline"):
        append_durable(tmp_path / "log", b"one\ntwo")

    assert os.listdir(tmp_path) == []


def test_a_removal_is_synced_and_may_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with acts_watched() as acts:
        remove_durable(tmp_path / "a")
    remove_durable(tmp_path / "a")
    remove_durable(tmp_path / "none" / "a")

    assert acts.names == ["unlink", "fsync"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("with_root", [True, False])
def test_missing_parents_are_made_and_synced(tmp_path: Path, with_root: bool) -> None:
    with acts_watched() as acts:
        make_folder(tmp_path / "a" / "b", root=tmp_path if with_root else None)

    assert (tmp_path / "a" / "b").is_dir()
    assert acts.names[-4:] == ["mkdir", "fsync", "mkdir", "fsync"]


@pytest.mark.parametrize("with_root", [True, False])
def test_a_folder_whose_maker_was_killed_before_the_sync_is_synced_again(tmp_path: Path, with_root: bool) -> None:
    (tmp_path / "a").mkdir()

    with acts_watched() as acts:
        make_folder(tmp_path / "a", root=tmp_path if with_root else None)

    assert acts.names == ["fsync"]


def test_a_new_folder_takes_the_mode_of_its_parent_when_none_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent").chmod(0o775)

    make_folder(tmp_path / "parent" / "a", root=tmp_path, mode=None)
    make_folder(tmp_path / "parent" / "b", root=tmp_path, mode=0o700)

    assert mode_of(tmp_path / "parent" / "a") == 0o775
    assert mode_of(tmp_path / "parent" / "b") == 0o700


@pytest.mark.parametrize("stop", range(8))
def test_a_folder_or_log_whose_maker_was_killed_gets_its_mode_from_the_next(tmp_path: Path, stop: int) -> None:
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent").chmod(0o775)

    def make() -> None:
        make_folder(tmp_path / "parent" / "a", root=tmp_path, mode=None)
        append_durable(tmp_path / "parent" / "a" / "log", b"line")

    with pytest.raises(Crash), acts_watched(stop):
        make()
    make()

    assert mode_of(tmp_path / "parent" / "a") == 0o775
    assert mode_of(tmp_path / "parent" / "a" / "log") == 0o664


def test_a_file_that_is_being_made_is_no_sibling_to_take_a_mode_from(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    with pytest.raises(Crash), acts_watched(0):
        append_durable(tmp_path / "a.log", b"line")

    append_durable(tmp_path / "b.log", b"line")

    assert mode_of(tmp_path / "b.log") == 0o664


def test_a_relative_folder_can_be_made(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    make_folder(Path("a/b"))
    make_folder(Path("a/b"))
    make_folder(Path("."))

    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    for root in (None, tmp_path):
        with pytest.raises(UnsafePathError):
            make_folder(tmp_path / "a" / "b", root=root)


def test_sync_covers_the_file_and_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    counts = []
    for name in ("a", "missing", "missing/deeper"):
        with acts_watched() as acts:
            sync(tmp_path / name)
        counts.append(acts.names)

    assert counts == [["fsync", "fsync"], ["fsync"], []]


def test_a_new_folder_in_a_folder_of_a_group_takes_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)

    make_folder(tmp_path / "a" / "b", root=tmp_path, mode=None)

    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o2775, 0o2775]
