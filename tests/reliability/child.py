"""Something done in a child of this process, which may be starved of memory or disk there, and may not stand still."""

import json
import os
import resource
import signal
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.harness import Done

GUARD_S = 60
_SPARE_BYTES = 96 * 1024 * 1024


def in_child(act: Callable[[], Done]) -> Done:
    """Do something in a child; -SIGNAL is the code of one that a signal ended, be it for its time being over."""
    return in_children([act])[0]


def in_children(acts: Sequence[Callable[[], Done]]) -> list[Done]:
    """Do each of some things in a child of its own, all of which begin at the same moment; see `in_child`."""
    gate, opener = os.pipe()
    children = [_start(act, gate, opener) for act in acts]
    os.close(gate)
    os.close(opener)
    return [_finish(*child) for child in children]


def _start(act: Callable[[], Done], gate: int, opener: int) -> tuple[int, int]:
    """A child that waits until `opener` is closed everywhere, and where its answer will come from."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of xdist do not matter to the child
        child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.close(opener)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(GUARD_S)
            os.read(gate, 1)
            done = act()
            with open(writer, "w") as pipe:
                json.dump([done.code, done.out, done.err], pipe)
        finally:
            os._exit(0)
    os.close(writer)
    return child, reader


def _finish(child: int, reader: int) -> Done:
    with open(reader) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return Done(*json.loads(answer)) if answer else Done(-os.WTERMSIG(status), "", "")


def starve_of_memory(spare: int = _SPARE_BYTES) -> None:
    """Let this process have little more memory than it has now: so many bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def starve_of_disk(limit: int) -> None:
    """Let this process make no file longer than `limit` bytes; the write that would is short, the next one fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
