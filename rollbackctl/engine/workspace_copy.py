"""A workspace copied to another place: what is done to the copy can never reach the original."""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bot_core.foundation.descriptor import FILE_FLAGS, FOLDER_FLAGS
from rollbackctl.core.errors import UsageError
from rollbackctl.engine.runs import STORE

_WRITE = 0o222
_NO_TARGET = "not-followed-in-a-copy"


def copy_workspace(source: Path, target: Path) -> None:
    """Copy a workspace file by file, with modes, times and, where permitted, owners; `source` is only read.

    Not even the time of a file's last reading changes where the account owns the file. What the tool refuses in the
    original it refuses in the copy: a link becomes a link that leads nowhere, a pipe, socket or device becomes a pipe,
    a file with several names has several, and what this account may not write stays closed to it. A file that somebody
    removes meanwhile is left out. After a crash part of the copy may be left.

    Args:
        source: The workspace.
        target: A folder that does not exist yet, outside `source`.

    Raises:
        OSError: Something could not be read, or the disk is full.
    """
    second_names = target.with_name(f"{target.name}.second-names")
    second_names.mkdir(0o700)
    _copy_folder(_opened(source, None, FOLDER_FLAGS), source, target, second_names)


def require_room(source: Path, folder: Path, copies: int) -> None:
    """See that copies of a workspace fit into half of what is free in a folder, which lies outside the workspace.

    Raises:
        UsageError: They do not, or it does not.
    """
    hint = "name a folder with room: TMPDIR=DIR rollbackctl rehearse PLAN"
    if folder.resolve().is_relative_to(source):
        raise UsageError(f"the folder for temporary files, {folder}, lies in the workspace", hint=hint)
    needed = copies * _size(_opened(source, None, FOLDER_FLAGS))
    free = shutil.disk_usage(folder).free
    if needed > free // 2:
        raise UsageError(
            f"{copies} copies of the workspace take {needed >> 20} MiB, and {folder} has {free >> 20} MiB left",
            hint=hint,
        )


def contents(root: Path) -> dict[str, str]:
    """Return mode and digest of every file of a workspace; the run store and files that are only locked apart."""
    found = {}
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        if not name.startswith(f"{STORE}/") and not name.endswith(".lock"):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[name] = f"{stat.S_IMODE(os.lstat(path).st_mode):o} {digest}"
    return found


def remove_copies(folder: Path) -> None:
    """Remove a folder with copies, also what this account may not write in them."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(folder)


def _files(root: Path) -> Iterator[Path]:
    """Every regular file below a folder; links are not followed."""
    for folder, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                path = Path(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    yield path


def _size(folder: int) -> int:
    """Add up the sizes of all files below an open folder; closes it."""
    try:
        total = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _size(_opened(entry.name, folder, FOLDER_FLAGS | os.O_NOFOLLOW))
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
        return total
    finally:
        os.close(folder)


def _copy_folder(folder: int, source: Path, target: Path, second_names: Path) -> None:
    """Copy what an open folder holds; closes it."""
    try:
        target.mkdir(0o700)
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                with suppress(FileNotFoundError):
                    _copy(entry.name, folder, source / entry.name, target / entry.name, second_names)
        _take_over(folder, source, target)
    finally:
        os.close(folder)


def _copy(name: str, folder: int, source: Path, target: Path, second_names: Path) -> None:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        _copy_folder(_opened(name, folder, FOLDER_FLAGS | os.O_NOFOLLOW), source, target, second_names)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(_NO_TARGET, target)
    elif stat.S_ISREG(status.st_mode):
        with os.fdopen(_opened(name, folder, os.O_RDONLY | FILE_FLAGS), "rb") as data, target.open("xb") as copy:
            shutil.copyfileobj(data, copy)
            copy.flush()
            _take_over(data.fileno(), source, target)
        if status.st_nlink > 1:
            os.link(target, second_names / f"{len(os.listdir(second_names))}")
    else:
        os.mkfifo(target, stat.S_IMODE(status.st_mode))


def _opened(path: Path | str, folder: int | None, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(path, flags, dir_fd=folder)  # only its owner may read a file without leaving a trace


def _take_over(original: int, source: Path, target: Path) -> None:
    status = os.fstat(original)
    with suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid)
    closed = 0 if os.access(source, os.W_OK, follow_symlinks=False) else _WRITE
    os.chmod(target, stat.S_IMODE(status.st_mode) & ~closed)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
