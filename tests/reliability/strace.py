"""A real `rollbackctl apply` under strace: every call that touches the disk's state, and a fault at any one of them."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.harness import PATIENCE_S, PLAN, TESTS, Done, Site

WRITES = ("write", "pwrite64", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync")
TERMINAL = "writev"
# A name that the machine's kernel does not know is passed over.
_NAMES = (
    *(*WRITES, TERMINAL, *SYNCS, "sync_file_range", "openat", "open", "creat", "ftruncate", "truncate", "fallocate"),
    *("rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "link", "linkat"),
    *("symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"),
    *("copy_file_range", "sendfile", "setxattr", "fsetxattr", "mknodat"),
)
# What a full disk refuses; `openat` refuses only the one that makes a file, and strace cannot tell them apart.
_NEED_SPACE = ("write", "pwrite64", "mkdirat", "renameat")
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(.*)")
_FULL = 1_000_000


@dataclass(frozen=True)
class Call:
    """One system call.

    Attributes:
        thread: Who made it.
        name: The call's name.
        number: It is the thread's so many-th call of this name, counted from 1.
        args: As strace prints them, all text in hexadecimal.
        result: What it returned; None when the process did not live to see it.
        injected: Whether the result is a fault of ours.
    """

    thread: int
    name: str
    number: int
    args: tuple[str, ...]
    result: int | None
    injected: bool

    @property
    def path(self) -> str:
        """The file or folder that is touched; of a rename the new name."""
        match self.name:
            case "writev":
                return f"descriptor {self.args[0].partition('<')[0]}"
            case "renameat" | "renameat2":
                return f"{named(self.args[2])}/{text(self.args[3])}"
            case "openat" | "mkdirat" | "unlinkat":
                return os.path.join(named(self.args[0]), text(self.args[1]))
            case _:
                return named(self.args[0]) if "<" in self.args[0] else text(self.args[0])

    @property
    def data(self) -> bytes:
        """What was written, as far as it was."""
        piece = self.args[1] if self.name != TERMINAL else self.args[1][self.args[1].index('"') : -1]
        return _bytes(piece.partition(",")[0].strip('"'))[: self.result]

    def touches(self, root: Path) -> bool:
        """Whether it changes the workspace's state on disk, or makes it last."""
        if self.name in ("openat", "open") and not re.search("O_CREAT|O_TRUNC", self.args[2]):
            return False
        return self.name == TERMINAL or self.path.startswith(f"{root}/") or self.path == str(root)

    def place(self, root: Path) -> tuple[str, int, str]:
        """What is the same in every such run: name, number, and the path without a thread's number."""
        return self.name, self.number, re.sub(r"\.\d+\.tmp", ".tmp", self.path.removeprefix(f"{root}/"))


def named(arg: str) -> str:
    """The path that strace shows behind a descriptor."""
    return _bytes(arg[arg.index("<") + 1 : arg.rindex(">")]).decode()


def text(arg: str) -> str:
    """A path in quotes."""
    return _bytes(arg.strip('"')).decode()


def _bytes(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.replace("\\x", ""))


def require_strace() -> str:
    """Where strace is; without it nothing here says anything, and that must be seen."""
    found = shutil.which("strace")
    assert found, "strace is missing, and without it the fault sweep proves nothing: apt-get install strace"
    return found


def traced(site: Site, log: Path, faults: Iterable[str] = ()) -> tuple[Done, list[Call]]:
    """Apply the plan in a process of its own under strace.

    Args:
        site: The workspace.
        log: Where strace writes.
        faults: What is injected, in strace's words.

    Returns:
        What the process came to, and each call that touches the workspace or the terminal, in order.
    """
    injections = [part for fault in faults for part in ("-e", f"inject={fault}")]
    # Only these calls stop the process then, which is faster; but it would pass over a kill in silence.
    quick = [] if any("signal" in fault for fault in injections) else ["--seccomp-bpf"]
    size = "64" if injections else str(_FULL)
    names = ",".join(f"?{name}" for name in _NAMES)
    command = [require_strace(), "-f", *quick, "-y", "-xx", "-s", size, "-o", str(log), "-e", f"trace={names}"]
    command += ["-e", "signal=none", *injections]
    command += [sys.executable, "-P", "-m", "tests.reliability.process", site.now.isoformat()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(TESTS.parent), "PYTHONHASHSEED": "0"}
    environment |= site.environment
    ended = subprocess.run(
        [*command, *site.arguments("apply", PLAN, "--yes")],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE_S,
        check=False,
    )
    calls = [call for call in parsed(log.read_text()) if call.touches(site.root)]
    assert len({call.thread for call in calls}) <= 1, "strace counts by thread, and several touch the disk"
    return Done(ended.returncode, ended.stdout, ended.stderr), calls


def parsed(log: str) -> list[Call]:
    """Read what strace wrote."""
    calls, numbers = [], Counter[tuple[str, str]]()
    for line in log.splitlines():
        assert "<unfinished" not in line, "calls of several threads overlap; this reader knows one"
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        thread, name, args, result, rest = found.groups()
        numbers[thread, name] += 1
        value = None if result == "?" else int(result)
        injected = "(INJECTED)" in rest or value is None
        calls.append(Call(int(thread), name, numbers[thread, name], tuple(args.split(", ")), value, injected))
    return calls


FAULTS = ("SIGKILL", "EIO", "ENOSPC", "ENOSPC that stays", "EINTR")


def injection(fault: str, point: Call, before: Iterable[Call]) -> list[str]:
    """A fault at one call, in strace's words; `before` are all calls up to it."""
    match fault:
        case "SIGKILL":
            return [f"{point.name}:signal=KILL:when={point.number}"]
        case "ENOSPC that stays" if point.name != TERMINAL:
            last = {call.name: call.number for call in before}
            names = dict.fromkeys((*_NEED_SPACE, point.name))
            firsts = {name: f"{last.get(name, 0) + 1}+" for name in names} | {point.name: f"{point.number}+"}
            if point.name == "openat":
                firsts["openat"] = str(point.number)
            return [f"{name}:error=ENOSPC:when={first}" for name, first in firsts.items()]
        case _:
            stays = "+" * (fault == "ENOSPC that stays")
            return [f"{point.name}:error={fault.split()[0]}:when={point.number}{stays}"]
