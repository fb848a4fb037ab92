"""The side of a lock that is taken before every score: a few system calls each time, and nobody else is starved."""

import fcntl
import os
import threading
import time
from pathlib import Path

from bot_core.foundation.errors import LockTimeoutError
from bot_core.foundation.lock import is_at, open_lock, require_at

# Longer than a waiting `FileLock` sleeps between two attempts: it finds the lock free before the sharers come back.
_MAKE_WAY_S = 0.002
_LOOK_AGAIN_S = 0.0002
_ANOTHER = -1  # no file's time: it is looked at again before the lock is taken
_SHARE = fcntl.LOCK_SH | fcntl.LOCK_NB


class SharedLock:
    """A lock file as one of many takes it, shared and again and again; the file stays open in between.

    The kernel lets sharers in as long as there is one, so that many of them could keep out for ever who wants the lock
    alone. A `FileLock` that announces touches the file while it waits; a sharer that sees a new time stays away for a
    moment before it comes back. So each takes the lock at most once more; and where the waiting process dies, nothing
    is left behind. Each thread and each forked child has its own place; a thread that holds the lock may take it again.
    """

    def __init__(self, path: Path, *, root: Path | None = None, timeout_s: float) -> None:
        """Name the lock file; it is opened, and made where it is missing, when the lock is first taken.

        Args:
            path: The file; its folder must exist when the lock is taken.
            root: `path` must lie below it, and no component may be a link. None: the folder is trusted.
            timeout_s: How long to wait for somebody who holds it alone.
        """
        self._path = path
        self._root = root
        self._timeout_s = timeout_s
        self._places = _Places()

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
            LockTimeoutError: Somebody holds it alone for too long.
            MissingFileError: The folder does not exist.
        """
        place = self._places.mine
        if place.pid != os.getpid():
            self._places.mine = place = _Place()
        if place.depth == 0 and (pause_s := self._try(place)):
            self._wait(place, pause_s)
        place.depth += 1

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        place = self._places.mine
        place.depth -= 1
        if place.depth == 0 and place.pid == os.getpid():  # a child forked inside must not let go for its parent
            fcntl.flock(place.descriptor, fcntl.LOCK_UN)

    def require_held(self) -> None:
        """See that the share that is held still keeps others out; to be called before what rests on it is written.

        Raises:
            LockBrokenError: Somebody has deleted or replaced the file meanwhile.
        """
        place = self._places.mine
        if place.depth:
            seen, place.seen = place.seen, _ANOTHER
            require_at(place.descriptor, self._path)
            place.seen = seen

    def _try(self, place: "_Place") -> float:
        """Take the lock where it is free and nobody waits for it; give how long to stay away, 0 when it is taken."""
        if place.descriptor < 0:
            place.descriptor = open_lock(self._path, self._root)
            place.seen = os.fstat(place.descriptor).st_mtime_ns
        try:
            fcntl.flock(place.descriptor, _SHARE)
        except BlockingIOError:
            return _LOOK_AGAIN_S
        status = os.fstat(place.descriptor)
        if status.st_mtime_ns == place.seen and status.st_nlink:
            return 0.0
        fcntl.flock(place.descriptor, fcntl.LOCK_UN)
        place.seen = status.st_mtime_ns
        if not is_at(place.descriptor, self._path):  # somebody has deleted or replaced it: the others lock another one
            place.close()
        return _MAKE_WAY_S

    def _wait(self, place: "_Place", pause_s: float) -> None:
        end = time.monotonic() + self._timeout_s
        while pause_s:
            if time.monotonic() >= end:
                raise LockTimeoutError(f"{self._path} is held by somebody else", holder=None, path=str(self._path))
            time.sleep(pause_s)
            pause_s = self._try(place)


class _Place:
    """What one thread of one process knows.

    Attributes:
        pid: The process.
        depth: How often the thread holds the lock.
        descriptor: The open lock file; -1: not open.
        seen: The file's time when it was last looked at.
    """

    __slots__ = ("depth", "descriptor", "pid", "seen")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.depth = 0
        self.descriptor = -1
        self.seen = 0

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a thread that ends, and a child that was forked, close theirs."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class _Places(threading.local):
    """The place of the thread that asks."""

    def __init__(self) -> None:
        self.mine = _Place()
