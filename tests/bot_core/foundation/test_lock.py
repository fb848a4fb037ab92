import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_core.foundation.errors import LockBrokenError, LockTimeoutError, UnsafePathError
from bot_core.foundation.lock import FileLock

HOLD = """
import sys
from pathlib import Path
from bot_core.foundation.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
with lock.hold(shared=sys.argv[2] == "shared"):
    if sys.argv[2] != "shared":
        lock.write_holder({"who": "child"})
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path, how: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.getcwd()},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str], *, kill: bool) -> None:
    if kill:
        child.send_signal(signal.SIGKILL)
    child.communicate()


def test_a_second_holder_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = start_holder(path, "exclusive")

    with pytest.raises(LockTimeoutError) as caught, FileLock(path).hold():
        pass
    seen = FileLock(path).holder()
    end(child, kill=False)

    assert caught.value.holder == seen == {"who": "child"}


def test_a_killed_holder_frees_the_lock_and_is_named_no_more(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    end(start_holder(path, "exclusive"), kill=True)

    assert FileLock(path).holder() is None
    with FileLock(path).hold():
        assert path.exists()


def test_a_stopped_holder_still_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = start_holder(path, "exclusive")
    child.send_signal(signal.SIGSTOP)

    with pytest.raises(LockTimeoutError), FileLock(path).hold(timeout_s=0.1):
        pass

    end(child, kill=True)


def test_shared_holders_do_not_hinder_each_other_but_do_hinder_an_exclusive_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = start_holder(path, "shared")

    with FileLock(path).hold(shared=True):
        pass
    with pytest.raises(LockTimeoutError) as caught, FileLock(path).hold():
        pass
    end(child, kill=False)

    assert caught.value.holder is None


def test_the_lock_is_free_again_after_an_error_inside(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")

    with pytest.raises(ZeroDivisionError), lock.hold():
        raise ZeroDivisionError
    with lock.hold():
        lock.write_holder({"who": "a long name, so that the next one is shorter"})
        lock.write_holder({"who": "me"})
        held = lock.holder()

    assert held == {"who": "me"}
    assert lock.holder() is None


def test_who_waited_and_who_came_later_do_not_hold_the_lock_both(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with lock.hold():
        waiting = os.open(tmp_path / "lock", os.O_RDONLY)

    fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(LockTimeoutError), lock.hold():
        pass

    os.close(waiting)


def test_asking_for_the_holder_makes_no_file(tmp_path: Path) -> None:
    assert FileLock(tmp_path / "lock").holder() is None
    assert FileLock(tmp_path / "none" / "lock").holder() is None
    assert os.listdir(tmp_path) == []


def test_only_the_holder_may_name_itself(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")

    with pytest.raises(RuntimeError):
        lock.write_holder({})
    with lock.hold(shared=True), pytest.raises(RuntimeError):
        lock.write_holder({})


def test_a_lock_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "lock").symlink_to("real")

    with pytest.raises(UnsafePathError), FileLock(tmp_path / "lock").hold():
        pass


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    with FileLock(path).hold():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    with FileLock(path).hold():
        pass

    child.communicate(b"\n")


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.rename(path.with_name("old"))
    path.touch()


def take_the_folder_away(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("breaking", [delete, replace, take_the_folder_away])
def test_a_holder_whose_lock_file_is_taken_away_learns_it_before_it_writes(
    breaking: Callable[[Path], None], shared: bool, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "lock"
    path.parent.mkdir()

    with FileLock(path).hold(shared=shared) as require_held:
        require_held()
        breaking(path)
        with pytest.raises(LockBrokenError, match="deleted or replaced"):
            require_held()


def test_who_waited_on_a_lock_file_that_was_deleted_meanwhile_takes_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = start_holder(path, "exclusive")
    waiting = threading.Timer(0.05, lambda: (path.unlink(), end(child, kill=True)))
    waiting.start()

    with FileLock(path).hold(timeout_s=20.0) as require_held:
        require_held()
        with pytest.raises(LockTimeoutError), FileLock(path).hold():
            pass
    waiting.join()


def test_who_meets_a_holder_without_a_name_learns_its_number(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    with FileLock(path).hold(), pytest.raises(LockTimeoutError) as caught, FileLock(path).hold():
        pass

    assert (caught.value.holder, caught.value.processes) == (None, (os.getpid(),))
