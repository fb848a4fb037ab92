import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot_core.foundation.errors import LockBrokenError, LockTimeoutError, MissingFileError
from bot_core.foundation.lock import FileLock
from bot_core.foundation.shared_lock import SharedLock

# Takes the lock without pause, half a millisecond each time, until it is told that it is done; then says how often it
# has taken it since somebody announced itself by touching the file.
SHARER = """
import os, sys, time
from pathlib import Path
from bot_core.foundation.shared_lock import SharedLock
path = Path(sys.argv[1])
path.touch()
os.utime(path, ns=(1, 1))
lock = SharedLock(path, timeout_s=30.0)
late = 0
for turn in range(1 << 62):
    with lock:
        if path.with_name("done").exists():
            break
        late += os.stat(path).st_mtime_ns != 1
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass
    if turn == 0:
        print("sharing", flush=True)
print(late)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def sharers(path: Path, number: int) -> list[subprocess.Popen[str]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SHARER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": os.getcwd()},
        )
        for _ in range(number)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "sharing\n"
    return started


def is_free(path: Path) -> bool:
    try:
        with FileLock(path).hold():
            return True
    except LockTimeoutError:
        return False


def test_it_keeps_out_who_wants_the_lock_alone_until_it_is_let_go(path: Path) -> None:
    shared = SharedLock(path, timeout_s=0.0)

    for _ in range(3):
        with shared:
            assert not is_free(path)
        assert is_free(path)


def test_it_is_not_taken_while_somebody_holds_the_lock_alone(path: Path) -> None:
    with FileLock(path).hold(), pytest.raises(LockTimeoutError, match="lock"), SharedLock(path, timeout_s=0.01):
        pass


def test_a_thread_that_holds_it_may_take_it_again(path: Path) -> None:
    shared = SharedLock(path, timeout_s=0.0)

    with shared:
        with shared:
            os.utime(path)  # somebody waits; to make way now would be to wait for oneself
            with shared:
                pass
        assert not is_free(path)
    assert is_free(path)


def test_each_thread_has_a_share_of_its_own(path: Path) -> None:
    shared = SharedLock(path, timeout_s=0.0)

    def take_and_let_go() -> None:
        with shared:
            pass

    with shared:
        other = threading.Thread(target=take_and_let_go)
        other.start()
        other.join()
        assert not is_free(path)


def test_a_child_forked_inside_does_not_let_go_for_its_parent(path: Path) -> None:
    shared = SharedLock(path, timeout_s=0.0)

    with shared:
        child = os.fork()
        if child == 0:
            shared.__exit__()
            os._exit(0)
        os.waitpid(child, 0)
        assert not is_free(path)


def test_a_child_takes_a_share_of_its_own(path: Path) -> None:
    shared = SharedLock(path, timeout_s=0.0)
    with shared:
        pass
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with shared:
            os.write(writing, b".")
            signal.pause()
    os.read(reading, 1)

    with shared:
        pass
    assert not is_free(path)

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert is_free(path)


def test_a_lock_file_that_was_deleted_is_made_again(path: Path) -> None:
    shared = SharedLock(path, timeout_s=1.0)
    with shared:
        pass
    path.unlink()

    with shared:
        assert not is_free(path)


def test_a_lock_file_that_was_replaced_is_left_for_the_new_one(path: Path) -> None:
    shared = SharedLock(path, timeout_s=1.0)
    with shared:
        shared.require_held()
        path.rename(path.with_name("old"))
        path.touch()
        with pytest.raises(LockBrokenError, match="deleted or replaced"):
            shared.require_held()
        assert is_free(path)

    with shared:
        shared.require_held()
        assert not is_free(path)


def test_it_needs_the_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError), SharedLock(tmp_path / "none" / "lock", timeout_s=0.0):
        pass


def test_whoever_wants_the_lock_alone_has_its_turn_among_many_who_share_it_without_pause(path: Path) -> None:
    started = sharers(path, 3)

    with FileLock(path, announces=True).hold(timeout_s=20.0):
        path.with_name("done").touch()
    turns = [int(process.communicate()[0]) for process in started]

    # Each may be in the middle of one turn, and have more where the waiting process did not get the processor.
    assert sum(turns) < 100


def test_one_that_died_waiting_keeps_nobody_out(path: Path) -> None:
    shared = SharedLock(path, timeout_s=1.0)
    with shared:
        pass
    os.utime(path)

    with shared:
        pass


def test_who_waits_in_vain_learns_which_process_holds_the_lock(path: Path) -> None:
    with (
        SharedLock(path, timeout_s=0.0),
        pytest.raises(LockTimeoutError, match=f"process {os.getpid()}"),
        FileLock(path).hold(),
    ):
        pass
