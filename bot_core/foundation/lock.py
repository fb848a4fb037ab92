"""A lock between processes that nobody can leave behind: `flock` on a file that is never deleted."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bot_core.foundation.descriptor import flock_within, folder_opened, open_or_create, open_plain, write_all
from bot_core.foundation.errors import FileFormatError, LockTimeoutError, MissingFileError
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
    def hold(self, *, shared: bool = False, timeout_s: float = 0.0) -> Iterator[None]:
        """Hold the lock. The death of this process at any moment frees it; the file stays.

        Raises:
            LockTimeoutError: It was not free within `timeout_s`; carries the holder.
        """
        descriptor = open_lock(self._path, self._root)
        try:
            announce = self._announces and not shared
            if not flock_within(descriptor, shared=shared, timeout_s=max(timeout_s, _GRACE_S), announce=announce):
                raise LockTimeoutError(
                    f"{self._path} is held by {_processes(descriptor)}",
                    holder=self.holder(),
                    hint="it must let go: wait for it or stop it, then run the command again" if announce else "",
                    path=str(self._path),
                )
            if shared:
                yield
            else:
                self._exclusive = descriptor
                try:
                    yield
                finally:
                    self._exclusive = None
        finally:
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


def open_lock(path: Path, root: Path | None) -> int:
    """A descriptor of a lock file, which is made when it is missing; its folder must exist."""
    with folder_opened(path.parent, root) as folder:
        try:
            return open_or_create(path, folder)
        except PermissionError:
            # Another account's lock file: reading is enough to lock it.
            return open_plain(path, folder, os.O_RDONLY)


def _processes(descriptor: int) -> str:
    """Who holds the lock of an open file, as far as the kernel tells this process."""
    status = os.fstat(descriptor)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        lines = []
    pids = sorted({int(line[4]) for line in lines if line[1] == "FLOCK" and line[5] == place})
    return f"process {', '.join(map(str, pids))}" if pids else "somebody else"
