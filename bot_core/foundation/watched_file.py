"""A file's content as a value that is always that of now, for the price of one system call."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from bot_core.foundation.safe_file import read_inside_or_none

T = TypeVar("T")
# Longer than the step of any kernel's file clock: of two changes within one step the second may leave no trace.
_YOUNG_NS = 20_000_000


class WatchedFile(Generic[T]):
    """One file, read again only when it is another one, or has another size or time, than the one that was read.

    A file that had changed just before it was read is read once more at the next call, since the clock of files may be
    too coarse to show another change (Git's "racily clean" entries are treated in the same way).
    """

    def __init__(self, root: Path, relative: str, parse: Callable[[bytes | None], T]) -> None:
        """Name the file; nothing is read yet.

        Args:
            root: A trusted folder.
            relative: Path below it, as in `read_inside`.
            parse: Makes the value of the file's bytes, or of None where there is no file.
        """
        self._root = root
        self._relative = relative
        self._path = f"{root}/{relative}"
        self._parse = parse
        self._known: tuple[tuple[int, ...] | None, T] | None = None

    def value(self) -> T:
        """What the file says now; the same object as before where it has not changed.

        Raises:
            BotCoreError: The file cannot be read or parsed; it is never taken for an absent or an earlier one.
        """
        signature = _signature(self._path)  # first: what changes during the reading is seen next time
        known = self._known
        if known is not None and known[0] == signature:
            return known[1]
        value = self._parse(read_inside_or_none(self._root, self._relative))
        is_settled = signature is None or abs(time.time_ns() - signature[-1]) > _YOUNG_NS
        self._known = (signature, value) if is_settled else None
        return value


def _signature(path: str) -> tuple[int, ...] | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
