"""A crash at any act that leaves a trace on the disk: counts the calls of `os`, and ends the process at one of them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

When = Literal["before", "after", "midway"]

# `open` counts where it may create or empty a file.
ACTS = (
    *("open", "write", "pwrite", "writev", "pwritev", "fsync", "fdatasync", "replace", "rename", "unlink", "remove"),
    *("mkdir", "rmdir", "ftruncate", "truncate", "fchmod", "chmod", "fchown", "chown", "link", "symlink", "utime"),
)
_LEAVING = os.O_CREAT | os.O_TRUNC


class Crash(BaseException):
    """The process ends here: what catches `Exception` does not see it."""


@dataclass
class Acts:
    """The acts seen so far.

    Attributes:
        names: Their names in order; the last one is where it crashed, if it did.
        crashed: Whether the crash came.
    """

    names: list[str] = field(default_factory=list)
    crashed: bool = False


@contextmanager
def crashing(*, at: int | None = None, when: When = "before") -> Iterator[Acts]:
    """Raise `Crash` at one act of the body, and at every later one: a dead process does nothing more.

    Args:
        at: Which act, counted from 1; None: acts are only counted.
        when: Before the act, after it, or (`write` and `pwrite`) when half of the bytes are written; any other act is
            whole, and `midway` is `before`.

    Raises:
        Crash: The act came. Where the body ends without it, `crashed` is False: a sweep must look.
    """
    acts = Acts()
    real = {name: getattr(os, name) for name in ACTS}
    for name, function in real.items():
        setattr(os, name, _watched(acts, name, function, at, when))
    try:
        yield acts
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def count_acts(act: Callable[[], object]) -> int:
    """Carry out `act`, and count what it does to the disk."""
    with crashing() as acts:
        act()
    return len(acts.names)


def every_crash(acts: Acts) -> Iterator[tuple[int, When]]:
    """Every place where what was watched can crash: before and after each act, and midway in each write."""
    for at, name in enumerate(acts.names, 1):
        yield at, "before"
        if name in ("write", "pwrite"):
            yield at, "midway"
        yield at, "after"


def _watched(acts: Acts, name: str, real: Callable[..., Any], at: int | None, when: When) -> Callable[..., Any]:
    def act(*args: Any, **kwargs: Any) -> Any:
        if name == "open" and not (kwargs["flags"] if "flags" in kwargs else args[1]) & _LEAVING:
            return real(*args, **kwargs)
        if acts.crashed:
            raise Crash
        acts.names.append(name)
        if len(acts.names) != at:
            return real(*args, **kwargs)
        acts.crashed = True
        if when == "after":
            result = real(*args, **kwargs)
            if name == "open":
                os.close(result)  # the dead keep nothing open
        elif when == "midway" and name in ("write", "pwrite"):
            descriptor, data, *rest = args
            real(descriptor, memoryview(data)[: len(data) // 2], *rest)
        raise Crash

    return act
