"""The states that a disk may hold after a power loss, made from the system calls of a recorded run.

The calls are strace's: what reaches the kernel is recorded, whichever library sent it, and a call that the model does
not know is an error. The disk is the worst that POSIX allows: nothing lasts but what was synced. A sync of a file makes
its bytes last, not its name; a sync of a folder makes the names in it last, not what they lead to. What was not synced
is kept or lost in any combination, and a write that is kept may be torn.
"""

import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.reliability.strace import SYNCS, TERMINAL, Call, named, text

ROOT = 0
JOURNAL = "journal.jsonl"
# Up to so many of the newest unsynced changes are kept or lost in every combination; what is older, all or nothing.
_FREE = 7
Tree = dict[str, tuple[bytes | None, int]]


@dataclass(frozen=True)
class Change:
    """One change that the disk may keep or lose until its target is synced.

    Attributes:
        kind: names (its target is a folder); write, resize, mode (its target is a file or folder).
        target: The number of the folder or file.
        gone: The name that is removed, if it leads to `child`; "": none.
        name: The name that is made, or led elsewhere; "": none.
        child: What the name leads to.
        at: Where a write begins; the size that a resize leads to; a mode.
        data: What is written.
    """

    kind: str
    target: int
    gone: str = ""
    name: str = ""
    child: int = -1
    at: int = 0
    data: bytes = b""


@dataclass
class Image:
    """What a disk holds: names by folder, bytes by file, modes by both."""

    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    data: dict[int, bytes] = field(default_factory=dict)
    modes: dict[int, int] = field(default_factory=dict)

    def copy(self) -> "Image":
        return Image({number: dict(names) for number, names in self.names.items()}, dict(self.data), dict(self.modes))

    def keep(self, change: Change) -> None:
        """Carry a change out; it may come without the ones before it."""
        match change.kind:
            case "names":
                names = self.names[change.target]
                if names.get(change.gone) == change.child:
                    del names[change.gone]
                if change.name:
                    names[change.name] = change.child
            case "write":
                before = self.data[change.target].ljust(change.at, b"\0")
                end = change.at + len(change.data)
                self.data[change.target] = before[: change.at] + change.data + before[end:]
            case "resize":
                self.data[change.target] = self.data[change.target][: change.at].ljust(change.at, b"\0")
            case "mode":
                self.modes[change.target] = change.at

    def find(self, path: str) -> int:
        """The number of what a path leads to."""
        number = ROOT
        for part in filter(lambda part: part not in ("", "."), path.split("/")):
            number = self.names[number][part]
        return number

    def reached(self) -> set[int]:
        """The number of everything that has a name."""
        return {ROOT, *(child for names in self.names.values() for child in names.values())}

    def tree(self) -> Tree:
        """Every file that a name leads to, with its bytes and mode; a folder has no bytes."""
        found: Tree = {}
        waiting = [("", ROOT)]
        while waiting:
            prefix, folder = waiting.pop()
            for name, number in self.names[folder].items():
                found[prefix + name] = self.data.get(number), self.modes[number]
                if number in self.names:
                    waiting.append((f"{prefix}{name}/", number))
        return found


class Disk:
    """A disk that sees the calls of a run: what surely lasts, what is seen now, and what lies between.

    Attributes:
        seen: What every program sees; after a kill, the next one too.
        waiting: Changes that nothing has synced yet, in order.
        versions: What a file may be, by path: what it was when a step was last recorded as done, and in full since;
            None where it was absent.
        grown: Files that are written in place.
        lasting: What such a file held when it was last synced, or a step was recorded as done, by path.
        said: What was printed.
    """

    def __init__(self, root: Path) -> None:
        self.lasts = Image()
        self._count = ROOT
        for folder, folders, files in os.walk(root):
            names = self.lasts.names[self.lasts.find(os.path.relpath(folder, root))]
            for name in (*folders, *files):
                path = Path(folder, name)
                content = path.read_bytes() if name in files else None
                names[name] = self._new((self.lasts,), path.stat().st_mode, content)
        self.seen = self.lasts.copy()
        self.waiting: list[Change] = []
        self.versions: dict[str, set[bytes | None]] = {}
        self.grown: set[str] = set()
        self.lasting: dict[str, bytes] = {}
        self.said = b""
        self._acknowledge()

    def see(self, call: Call, root: Path) -> None:
        """Take in one call of a run in the folder `root`."""
        path = os.path.relpath(call.path, root)
        if call.name == TERMINAL:
            self.said += call.data
        elif call.result is None or call.result < 0:
            return
        elif call.name in SYNCS:
            self._sync(path, whole=call.name == "fsync")
        else:
            for change in self._changes(call, path, root):
                self.seen.keep(change)
                # What a lock holds, and its mode, counts for nothing; it is always lost.
                if change.kind == "names" or not is_lock(path):
                    self.waiting.append(change)
            if call.name == "renameat":
                self.versions.setdefault(path, {None}).add(self.seen.data[self.seen.find(path)])
            elif call.name in ("openat", "write", "pwrite64") and not is_passing(path):
                self.grown.add(path)

    def states(self) -> Iterator[tuple[tuple[int, ...], str, Tree]]:
        """Every state that a power loss may leave now.

        Yields:
            Which of the waiting changes were kept, how the last one of them that can be was torn, and the state.
        """
        for kept in self._choices():
            changes = [self.waiting[number] for number in kept]
            writes = [place for place, change in enumerate(changes) if change.kind == "write"]
            yield kept, "whole", self._left(changes)
            for place in writes:
                for how, torn in tears(changes[place].data):
                    data = [*changes[:place], replace(changes[place], data=torn), *changes[place + 1 :]]
                    yield kept, f"{how} of {place}", self._left(data)

    def _choices(self) -> Iterator[tuple[int, ...]]:
        numbers = range(len(self.waiting))
        old, new = numbers[:-_FREE] if len(numbers) > _FREE else (), numbers[-_FREE:]
        for size in range(len(new) + 1):
            for chosen in itertools.combinations(new, size):
                yield chosen
                if old:
                    yield (*old, *chosen)

    def _left(self, changes: Iterable[Change]) -> Tree:
        image = self.lasts.copy()
        for change in changes:
            image.keep(change)
        return image.tree()

    def _sync(self, path: str, *, whole: bool) -> None:
        target = self.seen.find(path)
        synced = [change for change in self.waiting if change.target == target and (whole or change.kind != "mode")]
        for change in synced:
            self.lasts.keep(change)
        self.waiting = [change for change in self.waiting if change not in synced]
        # What has lost its name can neither be seen again nor come back.
        reached = self.lasts.reached() | self.seen.reached() | {change.child for change in self.waiting}
        self.waiting = [change for change in self.waiting if change.target in reached]
        if path in self.grown:
            self.lasting[path] = self.seen.data[target]
            if path.endswith(JOURNAL) and b'"type":"done"' in self.lasting[path].splitlines()[-1]:
                self._acknowledge()

    def _acknowledge(self) -> None:
        """From now on nothing that is seen may be lost."""
        files = {path: data for path, (data, _) in self.seen.tree().items() if data is not None}
        self.versions = {path: {data} for path, data in files.items()}
        self.lasting |= {path: files[path] for path in self.grown if path in files}

    def _changes(self, call: Call, path: str, root: Path) -> Iterator[Change]:
        """What a call changes, as the disk sees it."""
        if call.name in ("openat", "mkdirat", "renameat", "unlinkat"):
            yield from self._name_changes(call, path, root)
            return
        target = self.seen.find(path)
        match call.name:
            case "write":  # to a new file, or at the end of a log
                yield Change("write", target, at=len(self.seen.data[target]), data=call.data)
            case "pwrite64":
                yield Change("write", target, at=int(call.args[3]), data=call.data)
            case "ftruncate":
                yield Change("resize", target, at=int(call.args[1]))
            case "fchmod":
                yield Change("mode", target, at=int(call.args[1], 8))
            case _:
                raise AssertionError(f"the model does not know {call.name}")

    def _name_changes(self, call: Call, path: str, root: Path) -> Iterator[Change]:
        folder, name = os.path.split(path)
        parent = self.seen.find(folder)
        match call.name:
            case "openat" if name in self.seen.names[parent]:
                assert "O_TRUNC" not in call.args[2], "nothing here empties a file in place"
            case "openat":
                yield Change("names", parent, name=name, child=self._made(int(call.args[3], 8), b""))
            case "mkdirat":
                yield Change("names", parent, name=name, child=self._made(int(call.args[2], 8), None))
            case "renameat":
                old = os.path.relpath(os.path.join(named(call.args[0]), text(call.args[1])), root)
                assert os.path.dirname(old) == folder, "a rename between folders is not in this model"
                yield Change("names", parent, os.path.basename(old), name, self.seen.find(old))
            case "unlinkat":
                yield Change("names", parent, name, child=self.seen.find(path))

    def _made(self, mode: int, content: bytes | None) -> int:
        """The number of a new file or folder; without a name it is nowhere, however long it lasts."""
        mask = os.umask(0)
        os.umask(mask)
        return self._new((self.lasts, self.seen), mode & ~mask, content)

    def _new(self, images: Iterable[Image], mode: int, content: bytes | None) -> int:
        self._count += 1
        for image in images:
            image.modes[self._count] = stat.S_IMODE(mode)
            if content is None:
                image.names[self._count] = {}
            else:
                image.data[self._count] = content
        return self._count


def is_lock(path: str) -> bool:
    """Whether a file is only locked."""
    return path.endswith(".lock") or os.path.basename(path) == "lock"


def is_passing(path: str) -> bool:
    """Whether a file is no state: a lock, or what is on its way to another name."""
    return is_lock(path) or path.endswith(".tmp")


def tears(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The parts of a write that may be all that is left of it; what the disk has no bytes for reads as zeros."""
    half = len(data) // 2
    yield "one byte", data[:1]
    yield "half", data[:half]
    yield "zeros", bytes(len(data))
    yield "zeros, then the end", bytes(half) + data[half:]
    yield "the beginning, then zeros", data[:half] + bytes(len(data) - half)


def laid_out(tree: Tree, root: Path) -> None:
    """Make a state real in a new folder."""
    root.mkdir()
    for path, (data, mode) in sorted(tree.items()):
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)
        os.chmod(root / path, mode)
