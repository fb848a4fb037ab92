"""An unfinished run: what its half-made step counts for, how it is continued, and how it is closed."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic import JsonValue

from bot_core.foundation.atomic_file import sync
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import read_inside
from rollbackctl.core.address import Address
from rollbackctl.core.checkpoint import Checkpoint, Entry, EntryType, beneath, fold
from rollbackctl.core.commands import abandon_command, continuing
from rollbackctl.core.errors import LockedError, RollbackError
from rollbackctl.core.observation import RunFact
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import Phase
from rollbackctl.engine.history import read_run
from rollbackctl.engine.session import Session, next_order
from rollbackctl.engine.steps import Run
from rollbackctl.engine.workspace import Workspace
from rollbackctl.kinds import Binding, Kind
from rollbackctl.spec.document import Spec


def as_seen(workspace: Workspace, value: Mapping[str, Any], run: str, checkpoint: Checkpoint) -> Checkpoint:
    """Return what a run's entries will add up to once its half-made steps are settled; writes nothing.

    Args:
        workspace: The workspace.
        value: The run's plan, as JSON.
        run: Its id.
        checkpoint: What its entries add up to.
    """
    try:
        spec = Spec.model_validate_json(json.dumps(value["spec"]))
        binding = Binding(
            root=workspace.root,
            spec=spec,
            fetch=lambda digest: read_inside(workspace.root, digest),
            now=workspace.clock,
            run={"id": run, "plan": value["id"]},
        )
        made = _half_made(workspace.registry.bind(binding), checkpoint)
    except RollbackError:
        return checkpoint  # without its kinds nobody can look
    last = checkpoint.entries[-1].at
    for step in made:
        entry = Entry(seq=checkpoint.next_seq, plan=value["id"], run=run, at=last, type="done", body={"step": step})
        checkpoint = fold((entry,), plan=value["id"], run=run, steps=checkpoint.begun, onto=checkpoint)
    return checkpoint


def settle(session: Session, run: str) -> None:
    """Write DONE for each half-made step of a run that is about to be closed, or held over.

    The lock is held by the caller. After a crash the same call again leads on.
    """
    workspace, store = session.workspace, session.store
    document, checkpoint = read_run(store, run, workspace.registry.states)
    if set(checkpoint.begun) == set(checkpoint.done):
        return
    spec = Spec.model_validate_json(json.dumps(dict(document.plan.spec)))
    opened = Run.open(workspace, store, document, spec, run)
    for step in _half_made(opened.kinds, checkpoint):
        address = Address.parse(checkpoint.begun[step].address)
        for path in opened.kinds[address.kind].files(address.name):
            sync(workspace.root / path)  # it may have been seen only in the page cache
        opened.record("done", {"step": step})


def _half_made(kinds: Mapping[str, Kind], checkpoint: Checkpoint) -> list[str]:
    """The steps that have begun, are not done, and lead to the state that is there now.

    A hold stands as well where somebody has changed something else of its resource since; else nobody would end it.
    """
    made = []
    for step, begun in checkpoint.begun.items():
        address = Address.parse(begun.address)
        kind = kinds.get(address.kind)
        if step in checkpoint.done or kind is None:
            continue
        with suppress(BotCoreError, RollbackError, OSError):  # what cannot be read is not seen
            states = (
                None if value is None else kind.state.model_validate(value) for value in (begun.after, begun.found)
            )
            after, found, now = *states, kind.observe(address.name)
            if now == after or (begun.phase is Phase.HOLD and beneath(now, after, found) is not now):
                made.append(step)
    return made


def unfinished_error(fact: RunFact) -> LockedError:
    """Word that a run must be continued or ended first."""
    what = f"{fact.name} ({fact.incident})" if fact.operation == "rollback" else f"{fact.operation}, {fact.incident}"
    ways = [f"continue it: {continuing(fact.operation, fact.run, fact.incident)}"]
    ways += [f"lead it back: rollbackctl undo {fact.run}"] if fact.operation == "rollback" else []
    if not fact.has_moved_all:
        ways.append(f"close it, what it holds stays held: {abandon_command(fact.run)}")
    return LockedError(f"run {fact.run} of {what} is unfinished, begun by {fact.by} at {fact.at}", hint="\n".join(ways))


def close(session: Session, fact: RunFact, how: Literal["abandoned", "undone"], body: dict[str, JsonValue]) -> None:
    """Write the entries that close a run; once closed, it stays so.

    Raises:
        LockedError: It was begun on another host, and is not merely abandoned.
    """
    if fact.status in ("abandoned", "undone"):
        return
    here = session.workspace.actor.host
    if fact.host != here and how != "abandoned":
        raise LockedError(
            f"run {fact.run} was begun on host {fact.host}; this is {here}",
            hint=f"on {plain(fact.host)}: rollbackctl undo {fact.run}",
        )
    entries = session.store.entries(fact.run)
    call: dict[str, JsonValue] = {
        "order": next_order(session), "actor": {**session.workspace.actor.to_json()}, "evidence": ""
    }  # fmt: skip
    lines: tuple[tuple[EntryType, dict[str, JsonValue]], ...] = (("invocation", call), (how, body))
    for seq, (kind, content) in enumerate(lines, len(entries) + 1):
        at = session.workspace.now()
        entry = Entry(seq=seq, plan=entries[0].plan, run=fact.run, at=at, type=kind, body=content)
        session.store.append(fact.run, entry)
