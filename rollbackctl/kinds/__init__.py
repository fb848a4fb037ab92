"""What a resource kind is: one file that says what is desired, reads the state and makes one move."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.frozen import frozen
from bot_core.foundation.lock import FileLock
from bot_core.foundation.safe_file import read_inside_or_none
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired
from rollbackctl.core.state import State
from rollbackctl.spec.document import Spec

_LOCK_WAIT_S = 10.0


@frozen
class Binding:
    """What ties a kind to one workspace, one rollback plan and, within a run, to that run.

    Attributes:
        root: The workspace.
        spec: The rollback plan.
        fetch: Gives the bytes that have a SHA-256 digest, from the plan's inputs or the run's evidence.
        now: The clock.
        run: The run's values by name (`id`, `plan`, …); empty outside a run.
    """

    root: Path
    spec: Spec
    fetch: Callable[[str], bytes]
    now: Callable[[], datetime]
    run: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file of the workspace; None when it does not exist.

        Raises:
            UnsafePathError: The path leaves the workspace or leads through a link.
        """
        return read_inside_or_none(self.root, path)

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the workspace; after a crash it is the old one or the new one, and a new one lasts."""
        target = self.root / path
        make_folder(target.parent, root=self.root, mode=None)
        write_atomic(target, data, root=self.root)


def manifest_lock(root: Path, repository: str) -> AbstractContextManager[Callable[[], None]]:
    """Hold the lock under which every writer of `bot_core` changes a repository's manifest."""
    return FileLock(root / repository / ".manifest.lock", root=root).hold(timeout_s=_LOCK_WAIT_S)


class Kind(Protocol):
    """One sort of resource.

    `move` is safe to call again: it changes nothing where the resource is already in `after`.
    """

    name: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    state: ClassVar[type[State]]

    def __init__(self, binding: Binding) -> None:
        """Tie the kind to a workspace."""

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Say what the plan asks of resources of this kind; pure. A kind of one's own reads `spec.spec.resources`."""

    def observe(self, name: str) -> State | None:
        """Read the state of one resource; writes nothing. None when it does not exist."""

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Take one resource from `before` to `after` by one atomic act; durable when it returns.

        Where others write the file too, it looks again under the file's lock, and leaves alone what is no longer in
        `before`: who calls it looks afterwards.
        """

    def files(self, name: str) -> tuple[str, ...]:
        """Name the workspace's files that a move may change: saved before it, synced after it, named when it drifts."""


class Holder(Protocol):
    """A kind whose resources are held while others move; `hold` needs no plan."""

    def hold(self, spec: Spec) -> Iterable[Desired]:
        """Say how resources of this kind are held, whatever is rolled back."""
