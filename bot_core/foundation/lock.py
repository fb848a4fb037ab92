"""A lock between processes that nobody can leave behind: `flock` on a file that is never deleted."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bot_core.foundation.descriptor import flock_within, folder_opened, open_or_create, open_plain, write_all
from bot_core.foundation.errors import FileFormatError, LockBrokenError, LockTimeoutError, MissingFileError
from bot_core.foundation.strict_json import encode_json, parse_object

# `holder` may take the lock for a moment to see whether it is free; that moment must not look like a holder.
_GRACE_S = 0.05


class FileLock:
    """One lock file. Not for two threads at once: give each its own `FileLock`."""

    def __init__(self, path: Path, *, root: Path | None = None, announces: bool = False) -> None:
        """Name the lock file; nothing is opened or made yet.

        Args:
            path: The file; its folder must exist when the lock is taken.
            root: `path` must lie below it, and no component may be a link. None: the folder is trusted.
            announces: Whether who waits to hold it alone touches the file, so that each `SharedLock` makes way.
        """
        self._path = path
        self._root = root
        self._announces = announces
        self._exclusive: int | None = None

    @contextmanager
    def hold(self, *, shared: bool = False, timeout_s: float = 0.0) -> Iterator[Callable[[], None]]:
        """Hold the lock. The death of this process at any moment frees it; the file stays.

        The value is to be called before each write that rests on the lock: it raises LockBrokenError where somebody has
        deleted or replaced the file, so that another process may hold its successor.

        Raises:
            LockTimeoutError: It was not free within `timeout_s`; carries the holder.
        """
        descriptor = self._locked(shared=shared, timeout_s=max(timeout_s, _GRACE_S))
        try:
            self._exclusive = None if shared else descriptor
            yield lambda: require_at(descriptor, self._path)
        finally:
            self._exclusive = None
            # Unlocked first: a child forked meanwhile shares the lock and would keep it.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def holder(self) -> Mapping[str, object] | None:
        """What the present exclusive holder wrote about itself; None when there is none or it wrote nothing.

        Writes nothing. What a dead holder left does not count.
        """
        try:
            with folder_opened(self._path.parent, self._root) as folder:
                descriptor = open_plain(self._path, folder, os.O_RDONLY)
        except MissingFileError:
            return None
        try:
            data = os.pread(descriptor, 1 << 16, 0)
            if not data or flock_within(descriptor, shared=True, timeout_s=0.0):
                return None
            return parse_object(data, str(self._path))
        except FileFormatError:
            return {}
        finally:
            os.close(descriptor)

    def write_holder(self, holder: Mapping[str, object]) -> None:
        """Say who holds the lock. Only for people to read: after a crash it may be torn, and counts for nothing."""
        if self._exclusive is None:
            raise RuntimeError("only who holds the lock exclusively may name itself")
        os.ftruncate(self._exclusive, 0)
        write_all(self._exclusive, encode_json(dict(holder), sort_keys=True, newline=True))

    def _locked(self, *, shared: bool, timeout_s: float) -> int:
        """A locked descriptor of the file that is at the path; a lock on one that is gone keeps nobody out."""
        announce, end = self._announces and not shared, time.monotonic() + timeout_s
        while True:
            descriptor = open_lock(self._path, self._root)
            try:
                left_s = end - time.monotonic()
                is_free = flock_within(descriptor, shared=shared, timeout_s=left_s, announce=announce)
                if is_free and is_at(descriptor, self._path):
                    return descriptor
                if not is_free or left_s < 0:
                    pids = _processes(descriptor)
                    who = f"process {', '.join(map(str, pids))}" if pids else "somebody else"
                    raise LockTimeoutError(
                        f"{self._path} is held by {who}",
                        holder=self.holder(),
                        processes=pids,
                        hint="it must let go: wait for it or stop it, then run the command again" if announce else "",
                        path=str(self._path),
                    )
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def require_at(descriptor: int, path: Path) -> None:
    """LockBrokenError unless an open and locked file is still the one at a path."""
    if not is_at(descriptor, path):
        raise LockBrokenError(
            f"somebody has deleted or replaced {path} while this process held it; nothing more was written",
            hint="never delete a lock file: the lock dies with its holder; run the command again",
            path=str(path),
        )


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    return False


def open_lock(path: Path, root: Path | None) -> int:
    """A descriptor of a lock file, which is made when it is missing; its folder must exist."""
    with folder_opened(path.parent, root) as folder:
        try:
            return open_or_create(path, folder)
        except PermissionError:
            # Another account's lock file: reading is enough to lock it.
            return open_plain(path, folder, os.O_RDONLY)


def _processes(descriptor: int) -> tuple[int, ...]:
    """The processes that hold the lock of an open file, as far as the kernel tells this one."""
    status = os.fstat(descriptor)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        lines = []
    found = {int(line[4]) for line in lines if line[1] == "FLOCK" and line[5] == place}
    return tuple(sorted(pid for pid in found if pid > 0))  # that of another container is 0
