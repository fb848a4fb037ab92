"""A copy of a workspace: the same for the tool, and no way back to the original."""

import os
import pwd
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rollbackctl.core.errors import UsageError
from rollbackctl.engine.workspace_copy import contents, copy_workspace, remove_copies, require_room
from tests.harness import quick_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture
def original(folder: Path) -> Path:
    """A small workspace with everything that can lie in one."""
    root = folder / "ws"
    (root / "audit/ai_decision").mkdir(parents=True)
    (root / "audit/ai_decision/scheduler.json").write_text("{}")
    (root / "audit/ai_decision/scheduler.json").chmod(0o640)
    (root / "logs").mkdir(mode=0o2770)
    (root / os.fsdecode(b"logs/\xff\xfe name\n.log")).write_text("a line\n")
    (folder / "elsewhere").write_text("not of the workspace")
    (root / "link").symlink_to(folder / "elsewhere")
    (root / "folder-link").symlink_to(root / "logs")
    os.link(root / "audit/ai_decision/scheduler.json", root / "second")
    os.link(folder / "elsewhere", root / "shared")
    os.mkfifo(root / "pipe")
    return root


def what(root: Path) -> dict[str, tuple[int, int, int]]:
    """Sort and mode, links, and time of change of everything below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = os.lstat(path)
        if not stat.S_ISLNK(status.st_mode):
            names = status.st_nlink if stat.S_ISREG(status.st_mode) else 0
            changed = 0 if stat.S_ISFIFO(status.st_mode) else status.st_mtime_ns
            found[str(path.relative_to(root))] = status.st_mode, names, changed
    return found


def test_a_copy_has_the_same_files_with_modes_times_and_numbers_of_names(original: Path, folder: Path) -> None:
    copy_workspace(original, folder / "copy")

    assert contents(folder / "copy") == contents(original)
    assert what(folder / "copy") == what(original)


def test_a_link_leads_nowhere_in_a_copy(original: Path, folder: Path) -> None:
    copy_workspace(original, folder / "copy")

    for name in ("link", "folder-link"):
        assert (folder / "copy" / name).is_symlink()
        assert not (folder / "copy" / name).exists()


def test_whatever_is_written_in_a_copy_the_original_stays(original: Path, folder: Path) -> None:
    before, elsewhere = contents(original), (folder / "elsewhere").read_bytes()
    copy_workspace(original, folder / "copy")

    for path in (folder / "copy").rglob("*"):
        if path.is_file():
            with path.open("ab") as file:
                file.write(b"more")

    assert contents(original) == before
    assert (folder / "elsewhere").read_bytes() == elsewhere


def test_copying_leaves_no_trace_not_even_a_time_of_reading(original: Path, folder: Path) -> None:
    paths = [original, *original.rglob("*")]
    for path in paths:
        status = os.lstat(path)
        os.utime(
            path, ns=(status.st_mtime_ns - 10**9, status.st_mtime_ns), follow_symlinks=False
        )  # or it is kept anyway
    before = [os.lstat(path) for path in paths]

    copy_workspace(original, folder / "copy")

    after = [os.lstat(path) for path in paths]
    assert [tuple(s) for s in after] == [tuple(s) for s in before]
    assert [(s.st_atime_ns, s.st_ctime_ns) for s in after] == [(s.st_atime_ns, s.st_ctime_ns) for s in before]


def test_what_an_account_may_not_write_is_closed_in_its_copy_and_the_copy_can_be_removed(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("several accounts can only be tried as root; run this test as root, as CI does")
    folder.chmod(0o755)
    (folder / "ws/models").mkdir(parents=True)
    (folder / "ws/models/manifest.json").write_text("{}")
    (folder / "copies").mkdir()
    os.chown(folder / "copies", pwd.getpwnam("nobody").pw_uid, -1)

    def act() -> None:
        copy_workspace(folder / "ws", folder / "copies" / "ws")
        with pytest.raises(PermissionError):
            (folder / "copies/ws/models/manifest.json").write_text("x")
        with pytest.raises(PermissionError):
            (folder / "copies/ws/models/new").touch()
        remove_copies(folder / "copies/ws")

    assert as_nobody(act) == 0
    assert not (folder / "copies/ws").exists()


def as_nobody(act: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of xdist do not matter to the child
        child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setgroups([])
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            act()
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_workspace_that_does_not_fit_is_not_copied(original: Path, folder: Path) -> None:
    with (original / "logs" / "sparse.log").open("wb") as file:
        file.truncate(1 << 43)

    with pytest.raises(UsageError, match="2 copies of the workspace take 16777216 MiB"):
        require_room(original, folder, copies=2)


def test_a_copy_within_the_workspace_is_refused(original: Path) -> None:
    with pytest.raises(UsageError, match="lies in the workspace"):
        require_room(original, original / "logs", copies=2)
