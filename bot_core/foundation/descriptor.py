"""Acts on file descriptors that the other modules of this package share: nothing here follows a link below a root."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bot_core.foundation.errors import MissingFileError, UnsafePathError

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# The mode of a new folder or file until it has its own. Nobody gives it by hand; the next who opens one that a killed
# maker left like this finishes it.
UNFINISHED_FOLDER = stat.S_ISVTX | stat.S_IRWXU
_UNFINISHED_FILE = stat.S_ISVTX | stat.S_IRUSR | stat.S_IWUSR


@contextmanager
def folder_opened(folder: Path, root: Path | None) -> Iterator[int]:
    """A descriptor of `folder`, closed at the end.

    Args:
        folder: An existing folder.
        root: `folder` must be `root` or lie below it, and no component below `root` may be a link. None: it is trusted.

    Raises:
        MissingFileError: The folder does not exist.
        UnsafePathError: It lies outside `root`, or a component is not a real folder.
    """
    parts = () if root is None else parts_below(folder, root)
    with translated(folder):
        descriptor = os.open(folder if root is None else root, FOLDER_FLAGS)
    try:
        for part in parts:
            with translated(folder):
                child = os.open(part, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = child
        yield descriptor
    finally:
        os.close(descriptor)


def parts_below(path: Path, root: Path) -> tuple[str, ...]:
    """The components of `path` below `root`; UnsafePathError when it is not below it by its very text."""
    try:
        parts = path.relative_to(root).parts
    except ValueError as error:
        raise UnsafePathError(f"{path} lies outside {root}", path=str(path)) from error
    if ".." in parts or any("\0" in part for part in parts):
        raise UnsafePathError(f"{str(path)!r} leaves {root}", path=str(path))
    return parts


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """An OSError that tells what sort of thing `path` is becomes ours; every other one passes."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist", path=str(path)) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR, errno.ENAMETOOLONG):
            raise UnsafePathError(f"{path} is not a plain file in real folders", path=str(path)) from error
        raise


def require_plain(status: os.stat_result, path: Path) -> None:
    """UnsafePathError unless `status` is that of a regular file with one link, or none: replaced since the opening."""
    if not stat.S_ISREG(status.st_mode):
        raise UnsafePathError(f"{path} is not a regular file", path=str(path))
    if status.st_nlink > 1:
        raise UnsafePathError(f"{path} has {status.st_nlink} hard links, not one", path=str(path))


def create_exclusive(name: str, folder: int, flags: int, mode: int | None) -> int:
    """A descriptor of a new file in `folder`; FileExistsError when the name is taken.

    Args:
        name: File name without a slash.
        folder: Descriptor of its folder.
        flags: Access flags.
        mode: The exact mode; None: the mode and group of a sibling file, else those of the folder, not executable.
    """
    like = None if mode is not None else _sibling(folder) or os.fstat(folder)
    descriptor = os.open(name, flags | FILE_FLAGS | os.O_CREAT | os.O_EXCL, _UNFINISHED_FILE, dir_fd=folder)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        elif like is not None:
            take_over(descriptor, like, owner=False)
    except BaseException:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    return descriptor


def open_or_create(path: Path, folder: int) -> int:
    """A descriptor of the plain file `path`, in the open `folder`, to read and append to; made when it is missing."""
    flags = os.O_RDWR | os.O_APPEND
    while True:
        try:
            descriptor = open_plain(path, folder, flags)
        except MissingFileError:
            with suppress(FileExistsError):
                return create_exclusive(path.name, folder, flags, None)
        else:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) == _UNFINISHED_FILE:
                take_over(descriptor, _sibling(folder) or os.fstat(folder), owner=False)
            return descriptor


def open_plain(path: Path, folder: int, flags: int) -> int:
    """A descriptor of the existing plain file `path` in the open `folder`."""
    with translated(path):
        descriptor = os.open(path.name, flags | FILE_FLAGS, dir_fd=folder)
    try:
        require_plain(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def take_over(descriptor: int, like: os.stat_result, *, owner: bool) -> None:
    """Give the open file the group, mode and (with `owner`) owner of `like`; what is not permitted is left."""
    now = os.fstat(descriptor)
    uid = like.st_uid if owner else now.st_uid
    if (now.st_uid, now.st_gid) != (uid, like.st_gid):
        try:
            os.fchown(descriptor, uid, like.st_gid)
        except OSError:
            with suppress(OSError):
                os.fchown(descriptor, -1, like.st_gid)
    mode = stat.S_IMODE(like.st_mode) if owner else stat.S_IMODE(like.st_mode) & 0o666
    if stat.S_IMODE(now.st_mode) != mode:
        os.fchmod(descriptor, mode)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte of `data`, however many calls that takes. After a crash any prefix may be there."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def flock_within(descriptor: int, *, shared: bool, timeout_s: float, announce: bool = False) -> bool:
    """Whether the advisory lock was got within `timeout_s`; who waits touches the file where `announce` is true."""
    act = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    end = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, act)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            if announce:
                _touch(descriptor)
            time.sleep(0.001)
        else:
            return True


def _touch(descriptor: int) -> None:
    """Give a file a new modification time; another account's file may only take the kernel's coarser one, or none."""
    now = time.time_ns()
    try:
        os.utime(descriptor, ns=(now, now))
    except PermissionError:
        with suppress(PermissionError):
            os.utime(descriptor)


def _sibling(folder: int) -> os.stat_result | None:
    """The status of a folder's first finished regular file by name; hidden ones (locks, temporary) do not count."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file(follow_symlinks=False))
    for name in names:
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_IMODE(status.st_mode) != _UNFINISHED_FILE:
                return status
    return None
