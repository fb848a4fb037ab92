"""A rehearsal: a plan applied to copies of the workspace, once undisturbed and once crashing at every step."""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from bot_core.foundation.frozen import replace
from rollbackctl.core.checkpoint import Entry
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import GateBlockedError
from rollbackctl.core.rehearsal import NOBODY, Rehearsal
from rollbackctl.engine.events import Event, Listener
from rollbackctl.engine.history import read_run
from rollbackctl.engine.rollback import Applied, find_run, resume, start, stored_spec
from rollbackctl.engine.runs import RunStore
from rollbackctl.engine.saved import is_saved_plan, load_document
from rollbackctl.engine.session import Session
from rollbackctl.engine.signing import reports_of_plan, sign
from rollbackctl.engine.workspace import Workspace, read_spec
from rollbackctl.engine.workspace_copy import contents, copy_workspace, remove_copies, require_room
from rollbackctl.spec.document import Spec

_MADE = ("invocation", "check", "done", "finished")


def rehearse(
    workspace: Workspace, plan: Path, shown: str, listener: Listener, asked_to_stop: Callable[[], str | None]
) -> Rehearsal:
    """Apply a plan to copies of a workspace; the workspace itself is only read, and no lock in it is taken.

    The sign-offs that the plan waits for are given in the copies, under a name that is nobody's. Engines of the
    workspace are unknown in the copies. Both runs have the same time, so that their ends can be compared.

    Args:
        workspace: The workspace.
        plan: A rollback plan or a saved plan; one that lies in the workspace is read from the copy.
        shown: The plan's name for messages.
        listener: Is told how the rehearsal goes on; what the runs tell is not passed on.
        asked_to_stop: Says what asks the rehearsal to stop; None when nothing does.

    Raises:
        UsageError: There is no room for the copies.
        RollbackError: What an apply would come to, other than waiting for sign-offs.
    """
    begun, now = time.monotonic(), workspace.clock()
    with _folder_for_copies(workspace.root) as folder:
        calm, disturbed = (replace(workspace, root=folder / name, clock=lambda: now) for name in ("calm", "disturbed"))
        spec, saved = _copy_twice(workspace.root, plan, shown, calm, disturbed.root)

        listener(Event("rehearsal_progress", "the workspace is copied; first an undisturbed run on the copy"))
        applied, waited_for = _lead(Session.open(calm, _ignore, asked_to_stop), spec, saved)
        if applied.report is None:
            return Rehearsal(applied.document, duration_s=time.monotonic() - begun)

        listener(
            Event(
                "rehearsal_progress",
                "then a run that crashes after each entry of its journal, and before each that says what was made",
            )
        )
        session = Session.open(disturbed, _ignore, asked_to_stop)
        store = _CrashingStore(session.store, listener)
        _lead(replace(session, store=cast("RunStore", store)), spec, saved)

        ends = contents(calm.root), contents(disturbed.root)
        return Rehearsal(
            document=applied.document,
            crashes=len(store.crashes),
            files=len(ends[0]),
            differing=tuple(sorted({path for path, _ in ends[0].items() ^ ends[1].items()})),
            repeated=_unlike_once(session, applied.report.run),
            waited_for=waited_for,
            outcomes=tuple(applied.report.checkpoint.outcomes.values()),
            duration_s=time.monotonic() - begun,
        )


class _Crash(BaseException):
    """The applying ends here: what catches `Exception` does not see it."""


class _CrashingStore:
    """A run store in which the applying ends once after each entry, and once before each that says what was made.

    Nothing is made between any other entry and the one before it.
    """

    def __init__(self, store: RunStore, listener: Listener) -> None:
        self.crashes: set[str] = set()
        self._store = store
        self._listener = listener

    def __getattr__(self, name: str) -> Any:
        """Everything but `append` is the store's own."""
        return getattr(self._store, name)

    def append(self, run: str, entry: Entry) -> None:
        """Write one entry, unless the applying ends before."""
        about = next((entry.body[key] for key in ("step", "phase", "check") if key in entry.body), "")
        if entry.type in _MADE:
            self._crash_once(f"before {entry.type} {about}".rstrip())
        self._store.append(run, entry)
        self._crash_once(f"after {entry.type} {about}".rstrip())

    def _crash_once(self, place: str) -> None:
        if place not in self.crashes:
            self.crashes.add(place)
            number = len(self.crashes)
            message = f"crash {number}: {place}"
            self._listener(Event("rehearsal_crash", message, "debug", {"crash": number, "place": place}))
            raise _Crash


@contextmanager
def _folder_for_copies(root: Path) -> Iterator[Path]:
    """A folder of this account alone, outside the workspace, removed at the end."""
    require_room(root, Path(tempfile.gettempdir()), copies=2)
    folder = Path(tempfile.mkdtemp(prefix="rollbackctl-rehearsal-"))
    try:
        yield folder
    finally:
        remove_copies(folder)


def _copy_twice(
    root: Path, plan: Path, shown: str, calm: Workspace, disturbed: Path
) -> tuple[Spec, PlanDocument | None]:
    """Copy a workspace, read the plan, make its engines unknown in the copy, and copy that; return what was read."""
    copy_workspace(root, calm.root)
    spec, saved = _read(_in_copy(plan, root, calm.root), shown, calm)
    shutil.rmtree(calm.root / spec.spec.serving.model_dir / "engines", ignore_errors=True)
    copy_workspace(calm.root, disturbed)
    return spec, saved


def _in_copy(plan: Path, root: Path, copy: Path) -> Path:
    found = plan.resolve()
    return copy / found.relative_to(root) if found.is_relative_to(root) else plan


def _read(plan: Path, shown: str, workspace: Workspace) -> tuple[Spec, PlanDocument | None]:
    """Read a rollback plan, or a saved plan and the one that it was made from."""
    if not is_saved_plan(plan):
        return read_spec(plan, workspace.registry, shown), None
    saved = load_document(plan, shown, workspace.policy)
    return stored_spec(saved.plan), saved


def _lead(session: Session, spec: Spec, saved: PlanDocument | None) -> tuple[Applied, Mapping[str, int]]:
    """Apply until there is an end, through crashes and past what only waits for sign-offs; return what was owed."""
    waited_for: Mapping[str, int] = {}
    while True:
        try:
            return _apply(session, spec, saved), waited_for
        except _Crash:
            continue
        except GateBlockedError as error:
            if waited_for or not error.only_waits or not error.waits_for:
                raise
            waited_for = error.waits_for
            for role in waited_for:
                sign(session, reports_of_plan(session, spec, role), role, "approved", NOBODY, None)


def _apply(session: Session, spec: Spec, saved: PlanDocument | None) -> Applied:
    """Carry the plan out, or continue its unfinished run, as `rollbackctl apply` does."""
    fact = find_run(session, spec, saved.plan.id if saved else None)
    if fact is not None:
        return resume(session, fact)
    document = saved or session.plan(spec)
    if not document.has_changes:
        return Applied(document, None)
    return start(session, spec, document, saved=saved is not None)


def _unlike_once(session: Session, run: str) -> tuple[str, ...]:
    """Name the steps of a run that it has not begun and done exactly once each."""
    document, checkpoint = read_run(session.store, run, session.workspace.registry.states)
    made = Counter((entry.type, entry.body.get("step")) for entry in checkpoint.entries)
    steps = document.plan.steps
    return tuple(step.id for step in steps if {made["begun", step.id], made["done", step.id]} != {1})


def _ignore(event: Event) -> None:
    """What a run on a copy tells could be taken for a real one."""
