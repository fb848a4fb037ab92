"""Reading files below a root without following links."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from bot_core.foundation.descriptor import folder_opened, open_plain
from bot_core.foundation.errors import MissingFileError, UnsafePathError

MAX_BYTES = 256 * 1024 * 1024
_MORE_BYTES = 64 * 1024


def read_inside(root: Path, relative: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of one plain file below `root`; writes nothing.

    Args:
        root: A trusted folder.
        relative: Path below it, with "/". Each component is opened without following a link.
        max_bytes: A larger file is refused.

    Raises:
        MissingFileError: It does not exist.
        UnsafePathError: The path is absolute, empty, holds ".." or NUL, leads through a link, is not a regular file
            with exactly one link, or is too large.
    """
    with _opened_inside(root, relative) as (descriptor, path):
        return _read_all(descriptor, path, max_bytes)


def read_given(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file that the user has named: links are followed, but what is too large is not read to its end.

    Raises:
        OSError: It cannot be opened or read.
        UnsafePathError: It has more than `max_bytes`, or no end at all.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read_all(descriptor, Path(path.name), max_bytes)
    finally:
        os.close(descriptor)


def read_inside_or_none(root: Path, relative: str, *, max_bytes: int = MAX_BYTES) -> bytes | None:
    """Like `read_inside`; None when the file does not exist."""
    try:
        return read_inside(root, relative, max_bytes=max_bytes)
    except MissingFileError:
        return None


def lines_inside(root: Path, relative: str, *, max_line: int) -> Iterator[bytes | None]:
    """The lines of one plain file below `root`, without their newlines; writes nothing and holds one line at a time.

    Args:
        root: A trusted folder.
        relative: As in `read_inside`.
        max_line: None is given in place of a line of more bytes than this.

    Raises:
        MissingFileError, UnsafePathError: As in `read_inside`; a file may be of any size.
    """
    with _opened_inside(root, relative) as (descriptor, _), open(descriptor, "rb", closefd=False) as file:
        while line := file.readline(max_line + 1):
            if len(line) > max_line and not line.endswith(b"\n"):
                while (rest := file.readline(max_line)) and not rest.endswith(b"\n"):
                    pass
                yield None
            else:
                yield line.removesuffix(b"\n")


def blocks_inside(root: Path, relative: str, *, block: int, max_bytes: int) -> Iterator[bytes]:
    """The bytes of one plain file below `root`, at most `block` at a time; writes nothing and holds one block.

    Raises:
        MissingFileError, UnsafePathError: As in `read_inside`; what is too large is refused before it is read.
    """
    with _opened_inside(root, relative) as (descriptor, path):
        left = max_bytes if os.fstat(descriptor).st_size <= max_bytes else -1
        while left >= 0 and (data := os.read(descriptor, block)):
            left -= len(data)
            yield data
        if left < 0:
            raise _too_large(path, max_bytes)


def list_inside(root: Path, relative: str, *, suffix: str = "") -> tuple[str, ...]:
    """The sorted names in a folder below `root` that end in `suffix`; () when the folder does not exist.

    Raises:
        UnsafePathError: The folder is reached through a link, or is no folder.
    """
    try:
        with folder_opened(_below(root, relative), root) as folder:
            return tuple(sorted(name for name in os.listdir(folder) if name.endswith(suffix)))
    except MissingFileError:
        return ()


@contextmanager
def _opened_inside(root: Path, relative: str) -> Iterator[tuple[int, Path]]:
    """A descriptor of one plain file below `root`, to read, and its path."""
    path = _below(root, relative)
    if path == root:
        raise UnsafePathError(f"{relative!r} names no file below its folder", path=relative)
    try:
        with folder_opened(path.parent, root) as folder:
            descriptor = open_plain(path, folder, os.O_RDONLY)
            try:
                yield descriptor, path
            finally:
                os.close(descriptor)
    except (MissingFileError, UnsafePathError) as error:
        # Below the root, as everywhere in plans and reports, which must read the same on every machine.
        raise type(error)(error.problem.replace(f"{root}/", ""), hint=error.hint, path=relative) from error


def _below(root: Path, relative: str) -> Path:
    pure = PurePosixPath(relative)
    if not relative or pure.is_absolute() or ".." in pure.parts or "\0" in relative:
        raise UnsafePathError(f"{relative!r} is not a path below its folder", path=relative)
    return root / pure


def _read_all(descriptor: int, path: Path, max_bytes: int) -> bytes:
    """Everything up to the end: mostly one read, as the file says how long it is; what it says need not be true."""
    wanted = os.fstat(descriptor).st_size + 1
    chunks: list[bytes] = []
    left = max_bytes if wanted <= max_bytes + 1 else -1
    while left >= 0 and (chunk := os.read(descriptor, min(wanted, left + 1))):
        left -= len(chunk)
        chunks.append(chunk)
        wanted = _MORE_BYTES
    if left < 0:
        raise _too_large(path, max_bytes)
    return b"".join(chunks)


def _too_large(path: Path, max_bytes: int) -> UnsafePathError:
    return UnsafePathError(f"{path} is larger than {max_bytes} bytes", path=str(path))
