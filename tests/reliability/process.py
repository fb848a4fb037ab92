"""The command line as a process of its own at a fixed time; what it says goes out by `writev`, its files by `write`.

Usage: python -m tests.reliability.process ISO-TIME ARGUMENT…

strace counts calls by name. The other name keeps the terminal alive while the disk is full.
"""

import io
import os
import sys
from datetime import datetime

from rollbackctl.cli.main import run


class Terminal(io.RawIOBase):
    """A standard stream, unbuffered."""

    def __init__(self, number: int) -> None:
        self._number = number

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def write(self, data: bytes, /) -> int:
        return os.writev(self._number, [data])


def terminal(number: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(Terminal(number), encoding="utf-8", write_through=True)


if __name__ == "__main__":
    sys.stdout, sys.stderr = terminal(1), terminal(2)
    now = datetime.fromisoformat(sys.argv[1])
    run(sys.argv[2:], lambda: now)
