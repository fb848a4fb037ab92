"""Durable changes of single files and folders: each is either not there at all or there for good."""

import fcntl
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bot_core.foundation.descriptor import (
    FILE_FLAGS,
    FOLDER_FLAGS,
    UNFINISHED_FOLDER,
    create_exclusive,
    flock_within,
    folder_opened,
    open_or_create,
    parts_below,
    require_plain,
    take_over,
    translated,
    write_all,
)
from bot_core.foundation.errors import LockTimeoutError, MissingFileError
from bot_core.foundation.names import hidden_beside

_APPEND_WAIT_S = 30.0


def write_atomic(path: Path, data: bytes, *, root: Path | None = None, mode: int | None = None) -> None:
    """Make `data` the content of the file `path`, durably.

    After a crash the file holds its old bytes (or is absent as before) or all new ones, never a mixture; a hidden
    temporary file may be left, which the next write of the same file removes. When this returns, the new bytes survive
    a power loss.

    Args:
        path: The file; its folder must exist. An existing file keeps its mode and, where permitted, its owner.
        data: The whole new content.
        root: `path` must lie below it and no component may be a link. None: the folder is trusted.
        mode: Mode of a new file. None: that of a sibling file, else that of the folder, not executable.

    Raises:
        MissingFileError: The folder does not exist.
        UnsafePathError: The path leaves `root`, or the existing thing is not a regular file with exactly one link.
        OSError: The disk refused; the old content stands. (A failed sync of the folder leaves it open which one.)
    """
    with folder_opened(path.parent, root) as folder:
        existing = _status(path, folder)
        _remove_stale(path.name, folder)
        temporary, descriptor = _create_temporary(path.name, folder, 0o600 if existing else mode)
        try:
            try:
                if existing:
                    take_over(descriptor, existing, owner=True)
                write_all(descriptor, data)
                os.fsync(descriptor)
                os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
        finally:
            os.close(descriptor)
        os.fsync(folder)


def append_durable(path: Path, line: bytes, *, root: Path | None = None, key_prefix_ok: bool = True) -> None:
    """Append one line to a log, durably; nothing that is in the log is ever cut.

    After a crash the log ends with any prefix of the line, and the same call again completes exactly that line. When
    this returns, the line survives a power loss.

    Args:
        path: The log; created when it is absent.
        line: The line, with or without its newline.
        root: As in `write_atomic`.
        key_prefix_ok: Whether a torn last line that is a proper prefix of `line` is completed. Any other torn last line
            is ended with a newline first.

    Raises:
        UnsafePathError: As in `write_atomic`.
        LockTimeoutError: Somebody held the log's lock for too long.
        OSError: The disk refused; a prefix of the line may be there.
    """
    whole = line if line.endswith(b"\n") else line + b"\n"
    if b"\n" in whole[:-1]:
        raise ValueError("a log line holds a newline")
    with folder_opened(path.parent, root) as folder:
        descriptor = open_or_create(path, folder)
        try:
            if not flock_within(descriptor, shared=False, timeout_s=_APPEND_WAIT_S):
                raise LockTimeoutError(f"{path} is locked by somebody else", holder=None, path=str(path))
            size = os.fstat(descriptor).st_size
            if size == 0:
                # Before the line, so that a log with content always has a lasting name, whoever is killed where.
                os.fsync(folder)
            tail = _tail(descriptor, size, len(whole))
            if key_prefix_ok and whole.startswith(tail):
                write_all(descriptor, whole[len(tail) :])
            else:
                write_all(descriptor, b"\n" * bool(tail) + whole)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_durable(path: Path, *, root: Path | None = None) -> None:
    """Remove a file, durably; a missing one is fine.

    After a crash the file is there or not; when this returns, it stays removed after a power loss.
    """
    try:
        with folder_opened(path.parent, root) as folder:
            with suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=folder)
            os.fsync(folder)
    except MissingFileError:
        return


def make_folder(path: Path, *, root: Path | None = None, mode: int | None = 0o777) -> None:
    """Make a folder and its missing parents, durably.

    After a crash some of the parents may be there, empty; the same call again makes the rest lasting.

    Args:
        path: The folder.
        root: An existing folder; `path` must be below it and no component may be a link. None: every parent is trusted.
        mode: Mode of each new folder, less the umask. None: the mode of the folder that it is made in.

    Raises:
        UnsafePathError: The path leaves `root`, or a component is not a real folder.
    """
    start = _existing_parent(path) if root is None else root
    parts = path.relative_to(start).parts if root is None else parts_below(path, root)
    flags = FOLDER_FLAGS if root is None else FOLDER_FLAGS | os.O_NOFOLLOW
    with translated(path):
        descriptor = os.open(start, FOLDER_FLAGS)
    try:
        for part in parts:
            with translated(path):
                child = _enter(part, descriptor, mode, flags)
            os.close(descriptor)
            descriptor = child
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Make what is seen at `path` lasting: the file or folder, when there is one, and its folder.

    Needed on resume: what a killed predecessor wrote may have been seen only in the page cache.
    """
    try:
        with folder_opened(path.parent, None) as folder:
            with suppress(MissingFileError), _opened(path, folder) as descriptor:
                os.fsync(descriptor)
            os.fsync(folder)
    except MissingFileError:
        return


@contextmanager
def _opened(path: Path, folder: int) -> Iterator[int]:
    with translated(path):
        descriptor = os.open(path.name, os.O_RDONLY | FILE_FLAGS, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _status(path: Path, folder: int) -> os.stat_result | None:
    """The status of a plain file; None when it is absent; anything else is refused."""
    try:
        with translated(path):
            status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except MissingFileError:
        return None
    require_plain(status, path)
    return status


def _create_temporary(name: str, folder: int, mode: int | None) -> tuple[str, int]:
    """A new, locked temporary file. The lock says that its writer is alive; see `_remove_stale`."""
    temporary = f"{hidden_beside(name)}.{threading.get_native_id()}.tmp"
    while True:
        descriptor = create_exclusive(temporary, folder, os.O_WRONLY, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink == 1:
            return temporary, descriptor
        os.close(descriptor)  # somebody took it for a dead one's between the two calls above


def _remove_stale(name: str, folder: int) -> None:
    """Remove the temporary files for `name` that a killed writer left: those that nobody holds locked."""
    pattern = re.compile(rf"{re.escape(hidden_beside(name))}\.\d+\.tmp")
    for stale in filter(pattern.fullmatch, os.listdir(folder)):
        with suppress(OSError):
            descriptor = os.open(stale, os.O_RDONLY | FILE_FLAGS, dir_fd=folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A living writer may have renamed the file and begun a new one of the same name since the open.
                if os.path.samestat(os.fstat(descriptor), os.stat(stale, dir_fd=folder, follow_symlinks=False)):
                    os.unlink(stale, dir_fd=folder)
            finally:
                os.close(descriptor)


def _tail(descriptor: int, size: int, enough: int) -> bytes:
    """What stands after the last newline; of a longer tail the last `enough` bytes."""
    start = max(0, size - enough)
    data = b""
    while len(data) < size - start:
        chunk = os.pread(descriptor, size - start - len(data), start + len(data))
        if not chunk:
            break
        data += chunk
    return data[data.rfind(b"\n") + 1 :]


def _existing_parent(path: Path) -> Path:
    """The folder above the deepest part of `path` that exists; that part may still have to be made lasting."""
    while not os.path.lexists(path):
        path = path.parent
    return path.parent


def _enter(part: str, parent: int, mode: int | None, flags: int) -> int:
    """A descriptor of the folder `part` in `parent`, made when it is missing."""
    try:
        child = os.open(part, flags, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(part, UNFINISHED_FOLDER if mode is None else mode, dir_fd=parent)
        child = os.open(part, flags, dir_fd=parent)
    # A folder of a group passes its set-group-ID bit on to each new one.
    if mode is None and stat.S_IMODE(os.fstat(child).st_mode) & ~stat.S_ISGID == UNFINISHED_FOLDER:
        os.fchmod(child, stat.S_IMODE(os.fstat(parent).st_mode))
    with os.scandir(child) as entries:
        is_empty = next(entries, None) is None
    if is_empty:
        # Made just now, or by a killed predecessor that did not live to sync it.
        if mode is None:
            os.fsync(child)  # its mode
        os.fsync(parent)
    return child
