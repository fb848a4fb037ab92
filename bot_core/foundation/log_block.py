"""Appending a block of several lines to a text that people and other programs append to as well."""

import os
from pathlib import Path

from bot_core.foundation.descriptor import flock_within, folder_opened, open_or_create, write_all
from bot_core.foundation.errors import LockTimeoutError

_WAIT_S = 30.0


def append_block_durable(path: Path, block: bytes, *, heading: bytes = b"", root: Path | None = None) -> None:
    """Append a block after a blank line, durably; nothing that is in the file is ever cut.

    After a crash the file ends with any prefix of what was to be appended, and the same call again completes exactly
    that. When this returns, the block survives a power loss.

    Args:
        path: The file; created when it is absent.
        block: Whole lines. The first one must be unique in the file: it is how a part of the block is recognised.
        heading: What a new file begins with.
        root: `path` must lie below it and no component may be a link. None: the folder is trusted.

    Raises:
        UnsafePathError: The path leaves `root`, or is not a regular file with exactly one link.
        LockTimeoutError: Somebody held the file's lock for too long.
        OSError: The disk refused; a prefix of the block may be there.
    """
    if not block.endswith(b"\n"):
        raise ValueError("a block ends with a newline")
    with folder_opened(path.parent, root) as folder:
        descriptor = open_or_create(path, folder)
        try:
            if not flock_within(descriptor, shared=False, timeout_s=_WAIT_S):
                raise LockTimeoutError(f"{path} is locked by somebody else", holder=None, path=str(path))
            size = os.fstat(descriptor).st_size
            if size == 0:
                os.fsync(folder)
            data = _read(descriptor, size)
            write_all(descriptor, _missing(data, block, heading))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _missing(data: bytes, block: bytes, heading: bytes) -> bytes:
    """What is still to be written: the rest of a part that is there already, else everything."""
    mark = block[: block.index(b"\n") + 1]
    start = data.rfind(mark)
    if start >= 0 and (data.startswith(block, start) or block.startswith(data[start:])):
        return block[len(data) - start :] if len(data) - start < len(block) else b""
    whole = heading + b"\n" + block if heading else block
    if whole.startswith(data):
        return whole[len(data) :]
    tail = data[data.rfind(b"\n") + 1 :]
    if tail and mark.startswith(tail):
        return block[len(tail) :]
    gap = b"" if data.endswith(b"\n\n") else b"\n" if data.endswith(b"\n") else b"\n\n"
    return gap + block


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (chunk := os.pread(descriptor, size - len(data), len(data))):
        data += chunk
    return data
