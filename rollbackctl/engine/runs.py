"""Where runs are kept: one folder a run with its plan, its journal and its evidence, in files that last."""

import grp
import hashlib
import json
import os
import re
import socket
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from bot_core.foundation.atomic_file import make_folder, sync, write_atomic
from bot_core.foundation.descriptor import flock_within
from bot_core.foundation.errors import BotCoreError, FileFormatError, LockBrokenError, LockTimeoutError
from bot_core.foundation.file_system import network_file_system
from bot_core.foundation.lock import FileLock
from bot_core.foundation.safe_file import list_inside, read_inside_or_none
from bot_core.foundation.strict_json import encode_json, parse_object
from rollbackctl.core.checkpoint import Entry
from rollbackctl.core.errors import InvalidInputError, LockedError
from rollbackctl.engine.workspace import account_name

STORE = "var/rollbackctl"
_JOURNAL = "journal.jsonl"
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_TAIL = 1 << 14  # bytes that are read of a journal to append to it
_ORDER = re.compile(rb'"order":([0-9]{1,9})')
_SEQ = re.compile(rb'"seq":([0-9]{1,9}),"type":"[a-z]+"\}\Z')
_APPEND_WAIT_S = 10.0
_BROKEN_HINT = "see who works there now: rollbackctl status; then the same command again goes on where this one stopped"


class RunStore(Protocol):
    """What the engine needs of a store; the files below are one, a database may be another."""

    require_held: Callable[[], None]
    """Call it before each change of the workspace: LockedError where the lock no longer keeps others out."""

    def lock(self, holder: dict[str, Any], timeout_s: float) -> Any:
        """Hold the workspace; a context manager whose value names the holder when called."""

    def holder(self) -> str | None:
        """Say who holds the workspace now; None when nobody does."""

    def exists(self) -> bool:
        """Tell whether anything was ever written."""

    def folders(self) -> tuple[str, ...]:
        """Return the ids of all runs, begun or not."""

    def last_order(self) -> int:
        """Return the largest number of an invocation on record; 0 before the first."""

    def create(self, run: str, plan: dict[str, Any]) -> None:
        """Keep the plan of a new run; the run has begun with its first entry."""

    def plan(self, run: str) -> dict[str, Any]:
        """Return the plan of a run."""

    def entries(self, run: str) -> tuple[Entry, ...]:
        """Return a run's entries; a torn last line is forgotten, damage elsewhere is an error."""

    def append(self, run: str, entry: Entry) -> None:
        """Write one entry; when this returns it survives a power loss."""

    def settle(self, run: str) -> None:
        """Make every entry that is seen survive a power loss: a killed predecessor may have left it in memory only."""

    def put(self, run: str, name: str, data: bytes) -> None:
        """Keep a document of a run under its name."""

    def get(self, run: str, name: str) -> bytes | None:
        """Return a document of a run; None when there is none."""


class FileRunStore:
    """`var/rollbackctl` in the workspace: `lock`, and `runs/<id>/{plan.json,journal.jsonl,evidence/,report.*}`.

    It belongs to one account (0700, files 0600) or to the policy's group of operators (2770, files 0660); one that
    anybody else may write is refused.
    """

    def __init__(self, root: Path, group: str | None = None) -> None:
        """Name the store; nothing is made before the first write.

        Raises:
            InvalidInputError: The group does not exist, the store is writable by others, or lies on a network file
                system, where locks and syncs do not hold.
        """
        self._root = root
        self._folder = root / STORE
        self._gid = _gid(group)
        self.require_held: Callable[[], None] = lambda: None
        self._refuse_unsafe()

    @contextmanager
    def lock(self, holder: dict[str, Any], timeout_s: float) -> Iterator[Any]:
        """Hold the workspace exclusively. The value, called, writes who holds it; a run with nothing to do need not.

        Raises:
            LockedError: Somebody else holds it; named with host, pid and since when.
        """
        self._make(self._folder)
        lock = FileLock(self._folder / "lock", root=self._root)
        with ExitStack() as stack:
            try:
                held = stack.enter_context(lock.hold(timeout_s=timeout_s))
            except LockTimeoutError as error:
                raise LockedError(
                    f"the workspace is locked by {_holder_words(error.holder, error.processes)}",
                    hint="wait for it, or watch it: rollbackctl status; to stop a bad model at once: rollbackctl hold",
                ) from error
            self._share(self._folder / "lock")
            stack.callback(setattr, self, "require_held", self.require_held)
            self.require_held = partial(_require_held, held)
            yield lambda: lock.write_holder(holder)

    def holder(self) -> str | None:
        """Say who holds the workspace now; None when nobody does. Writes nothing."""
        with suppress(BotCoreError):
            found = FileLock(self._folder / "lock", root=self._root).holder()
            return None if found is None else _holder_words(found)
        return None

    def exists(self) -> bool:
        """Tell whether anything was ever written here."""
        return (self._folder / "lock").exists()

    def folders(self) -> tuple[str, ...]:
        """Return the ids of all runs, begun or not, by name."""
        names = list_inside(self._root, f"{STORE}/runs")
        return tuple(name for name in names if (self._root / STORE / "runs" / name).is_dir())

    def last_order(self) -> int:
        """Return the largest number of an invocation on record, also in a damaged journal; 0 before the first."""
        journals = (read_inside_or_none(self._root, self._path(run, _JOURNAL)) or b"" for run in self.folders())
        return max((int(number) for data in journals for number in _ORDER.findall(data)), default=0)

    def create(self, run: str, plan: dict[str, Any]) -> None:
        """Keep the plan of a new run."""
        self._make(self._folder / "runs")
        self.put(run, "plan.json", encode_json(plan, sort_keys=True, newline=True))

    def plan(self, run: str) -> dict[str, Any]:
        """Return the plan of a run.

        Raises:
            InvalidInputError: It is gone or damaged.
        """
        data = self.get(run, "plan.json")
        if data is None:
            raise InvalidInputError(f"run {run} has no plan.json", hint=restore_hint(run))
        return parse_object(data, self._path(run, "plan.json"))

    def entries(self, run: str) -> tuple[Entry, ...]:
        """Return a run's entries.

        Raises:
            InvalidInputError: A line is damaged, missing or not in its place; its number is named.
        """
        whole = _without_torn_line(read_inside_or_none(self._root, self._path(run, _JOURNAL)) or b"")
        entries, previous = [], ""
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                value = parse_object(line, self._path(run, _JOURNAL))
                if value.pop("prev") != previous:
                    raise ValueError("it does not follow the line before")
                entries.append(Entry.model_validate(value))
            except (ValueError, KeyError, FileFormatError, ValidationError) as error:
                raise InvalidInputError(
                    f"{self._path(run, _JOURNAL)}:{number}: the run journal is damaged", hint=restore_hint(run)
                ) from error
            previous = chain(line)
        return tuple(entries)

    def append(self, run: str, entry: Entry) -> None:
        """Write one entry after cutting off a torn last line; durable when this returns.

        Only this file is ever cut: it is the run's own, and a torn line was never acknowledged.

        Raises:
            LockedError: The workspace's lock was broken, or somebody else has continued the run; nothing is written.
        """
        self.require_held()
        path = self._root / self._path(run, _JOURNAL)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, self._mode)
        try:
            if not flock_within(descriptor, shared=False, timeout_s=_APPEND_WAIT_S):
                raise LockedError(f"somebody else is continuing run {run}", hint=_BROKEN_HINT)
            if entry.seq == 1:
                self._share(path)
                _sync_folder(path.parent)
            start = max(0, os.fstat(descriptor).st_size - _TAIL)
            data = _read_from(descriptor, start)
            whole = _without_torn_line(data)
            if start and whole.count(b"\n") < 2:  # the last line is longer than that
                start, data = 0, _read_from(descriptor, 0)
                whole = _without_torn_line(data)
            last = whole[whole.rfind(b"\n", 0, -1) + 1 : -1]
            if _seq(last) != entry.seq - 1:  # its lock was broken just now
                raise LockedError(f"somebody else has continued run {run}; this process stopped", hint=_BROKEN_HINT)
            if len(whole) != len(data):
                os.ftruncate(descriptor, start + len(whole))
                os.fdatasync(descriptor)  # before anything is in its place: a power loss must not mix the two
            value = dict(entry) | {"prev": chain(last) if last else ""}
            line = _encode(value).encode() + b"\n"
            offset = start + len(whole)
            while line:
                written = os.pwrite(descriptor, line, offset)
                line, offset = line[written:], offset + written
            os.fdatasync(descriptor)  # the bytes and the size; the file's times need not last
        finally:
            os.close(descriptor)

    def settle(self, run: str) -> None:
        """Make every entry that is seen survive a power loss."""
        sync(self._root / self._path(run, _JOURNAL))

    def put(self, run: str, name: str, data: bytes) -> None:
        """Keep a document of a run."""
        self.require_held()
        path = self._root / self._path(run, name)
        self._make(path.parent)
        if read_inside_or_none(self._root, self._path(run, name)) != data:
            write_atomic(path, data, root=self._root, mode=self._mode)
        else:
            sync(path)  # a killed predecessor may have left it in memory only
        self._share(path)  # also one that a killed predecessor of this account has left closed

    def get(self, run: str, name: str) -> bytes | None:
        """Return a document of a run; None when there is none."""
        return read_inside_or_none(self._root, self._path(run, name))

    @property
    def _mode(self) -> int:
        return 0o600 if self._gid is None else 0o660

    def _path(self, run: str, name: str) -> str:
        return f"{run_folder(run)}/{name}"

    def _make(self, folder: Path) -> None:
        own = [path for path in (folder, *folder.parents) if path.is_relative_to(self._folder)]
        missing = [path for path in own if not path.exists()]
        make_folder(self._folder.parent, root=self._root, mode=None)
        # Also the last one that is there: lasting, though a killed predecessor made it.
        for path in reversed(missing or [folder]):
            make_folder(path, root=self._root, mode=0o700)
        for path in own:
            self._share_folder(path)

    def _share_folder(self, path: Path) -> None:
        """Open a folder to the operators; also one that a killed predecessor of this account made and left closed."""
        status = os.stat(path)
        if self._gid is None or status.st_uid != os.geteuid():
            return
        if (status.st_gid, stat.S_IMODE(status.st_mode)) != (self._gid, 0o2770):
            os.chown(path, -1, self._gid)
            os.chmod(path, 0o2770)  # noqa: S103 - the operators share it

    def _share(self, path: Path) -> None:
        status = os.stat(path)
        if status.st_uid != os.geteuid():
            return
        if stat.S_IMODE(status.st_mode) != self._mode:
            os.chmod(path, self._mode)
        if self._gid is not None and status.st_gid != self._gid:
            os.chown(path, -1, self._gid)

    def _refuse_unsafe(self) -> None:
        kind = network_file_system(self._root)
        if kind is not None:
            raise InvalidInputError(
                f"the workspace lies on a network file system ({kind}), where locks and syncs do not hold",
                hint="work on the host that has the workspace on a local disk",
            )
        try:
            status = os.lstat(self._folder)
        except FileNotFoundError:
            return
        mode = stat.S_IMODE(status.st_mode)
        group_may_write = bool(mode & 0o020) and status.st_gid != self._gid
        if not stat.S_ISDIR(status.st_mode) or mode & 0o002 or group_may_write:
            raise InvalidInputError(
                f"the run store {STORE} may be written by others (mode {mode:o})",
                hint=f"find out who did that, then: chmod 700 {STORE}",
            )
        if not os.access(self._folder, os.R_OK | os.W_OK | os.X_OK):
            raise InvalidInputError(
                f"the run store {STORE} belongs to another account, {account_name(status.st_uid)}",
                hint="use that account, or have the policy name an operators_group",
            )


def _require_held(held: Callable[[], None]) -> None:
    try:
        held()
    except LockBrokenError as error:
        problem = f"{STORE}/lock was deleted or replaced while this process held it; it stopped before its next write"
        raise LockedError(problem, hint=_BROKEN_HINT) from error


def _seq(line: bytes) -> int:
    """The number of an entry by its line; 0 before the first one, -1 where the line does not say."""
    found = _SEQ.search(line)
    return int(found[1]) if found else -bool(line)


def run_folder(run: str) -> str:
    """Return a run's folder, relative to the workspace."""
    return f"{STORE}/runs/{run}"


def group_of_store(root: Path) -> str | None:
    """Return the group that may write an existing store; for a hold in a workspace whose policy cannot be read."""
    with suppress(OSError, KeyError):
        status = os.lstat(root / STORE)
        return grp.getgrgid(status.st_gid).gr_name if status.st_mode & 0o020 else None
    return None


def _gid(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise InvalidInputError(
            f"config/rollbackctl.yaml: operators_group: there is no group {group}",
            hint="create the group, or mend the policy",
        ) from error


def _holder_words(holder: Any, processes: tuple[int, ...] = ()) -> str:
    if not holder or _has_ended(holder):
        who = f"pid {processes[0]} on {socket.gethostname()}" if processes else "somebody"
        return f"{who}, who has not begun a run yet"
    words = "{operation} of {user} on {host}, pid {pid}, since {since}, version {version}"
    return words.format_map(defaultdict(lambda: "?", holder))


def _has_ended(holder: Mapping[str, Any]) -> bool:
    """Whether a name in the lock file is that of an earlier holder; whoever holds it now has not named itself yet."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except (KeyError, ValueError, OSError):
        return False
    return False


def chain(line: bytes) -> str:
    """Return what the entry after a line holds of it, so that none can be taken out or put in."""
    return hashlib.sha256(line).hexdigest()[:16]


def _without_torn_line(data: bytes) -> bytes:
    """A journal without a last line that a power loss has torn, and that was never acknowledged.

    Such a line has no newline; or, where its end reached the disk and its beginning did not, it has zeros, which JSON
    never has.
    """
    whole = data[: data.rfind(b"\n") + 1]
    start = whole.rfind(b"\n", 0, -1) + 1
    return whole[:start] if b"\0" in whole[start:] else whole


def _read_from(descriptor: int, start: int) -> bytes:
    data = b""
    while chunk := os.pread(descriptor, 1 << 20, start + len(data)):
        data += chunk
    return data


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore_hint(run: str) -> str:
    """Say what to do about a damaged run."""
    return f"restore {run_folder(run)} from a backup; to stop a bad model meanwhile: rollbackctl hold"
