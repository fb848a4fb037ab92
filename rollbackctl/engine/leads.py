"""What leads on from where a workspace stands: one answer for `status`, `hold` and `abandon`."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import list_inside, read_inside_or_none
from rollbackctl.core.address import Address
from rollbackctl.core.commands import (
    abandon_command,
    continuing,
    quote,
    release_command,
    sign_off_commands,
    stored_plan,
)
from rollbackctl.core.errors import RollbackError
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.state import content_id
from rollbackctl.engine.history import History
from rollbackctl.engine.quarantined import refuse_quarantined
from rollbackctl.engine.session import Session
from rollbackctl.engine.workspace import read_spec

_PLANS = "plans"


def leads(session: Session, history: History, owing: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the commands that lead on, the next one first; a remark follows after three spaces.

    Args:
        session: The session.
        history: All runs.
        owing: The roles that the unfinished run waits for.
    """
    if history.unfinished is not None:
        return tuple(_from_run(session, history, history.unfinished, owing))
    if history.holds:
        return tuple(_from_holds(session, history))
    return ("rollbackctl init --incident ID   (nothing is held or unfinished; this begins a new incident)",)


def _from_run(session: Session, history: History, run: RunFact, owing: Iterable[str]) -> Iterator[str]:
    others = sorted({name for hold in history.holds for name in hold.incidents if name} - {run.incident})
    if run.operation == "rollback":
        yield from sign_off_commands(stored_plan(run.run), owing)
        yield from (f"{release_command(name)}   (if {name} is over)" for name in others)
        if others:
            if not run.has_moved_all:
                yield f"{abandon_command(run.run)}   (if {', '.join(others)} comes first)"
            return
    elsewhere = "" if run.host == session.workspace.actor.host else f"   (on host {run.host}, where it was begun)"
    yield continuing(run.operation, run.run, run.incident) + elsewhere


def _from_holds(session: Session, history: History) -> Iterator[str]:
    holds = history.holds
    named = sorted({name for hold in holds for name in hold.incidents if name})
    incidents: list[str | None] = [*named] or [None]
    ends = {incident: _can_end(session, holds, incident) for incident in incidents}
    for incident in incidents:
        path = _plan_of(session.workspace.root, incident)
        if path is None or not ends[incident] or not _finds_no_changes(session, history, path, incident):
            yield _plan_command(session.workspace.root, path, incident)
    yield from (f"{release_command(name)}   (puts back what was)" for name in incidents if ends[name])


def _plan_of(root: Path, incident: str | None) -> str | None:
    """The newest plan of an incident in `plans/`; None where there is none."""
    wanted = re.escape(incident) if incident else r"\S+"
    named = re.compile(rf"\bincident:\s*[\"']?{wanted}[\"']?\s*[,}}\n#]")
    found = []
    with suppress(BotCoreError, OSError):
        for name in list_inside(root, _PLANS):
            path = f"{_PLANS}/{name}"
            data = read_inside_or_none(root, path) if name.endswith((".yaml", ".yml")) else None
            if data is not None and named.search(data.decode(errors="replace") + "\n"):
                found.append(((root / path).stat().st_mtime_ns, path))
    return max(found)[1] if found else None


def _finds_no_changes(session: Session, history: History, path: str, incident: str | None) -> bool:
    """Whether a plan has been carried out and moves nothing of what is held: it would take no hold over."""
    held = {hold.address for hold in history.holds if hold.incidents & {None, incident}}
    with suppress(RollbackError, BotCoreError, OSError):
        workspace = session.workspace
        digest = content_id(read_spec(workspace.root / path, workspace.registry).to_json())
        done = (fact.run for fact in history.facts if (fact.spec_digest, fact.status) == (digest, "finished"))
        return any(held.isdisjoint(session.store.plan(run)["prior_state"]) for run in done)
    return False


def _plan_command(root: Path, path: str | None, incident: str | None) -> str:
    """The command that shows an incident's plan; without one, the one that writes it."""
    if path is not None:
        shown = os.path.relpath(root / path)  # from where the operator stands
        return f"rollbackctl plan {quote(shown)}   (takes the hold over)"
    option = f" --incident {quote(incident)}" if incident else ""
    return f"rollbackctl init{option}   (writes a plan, which takes the hold over)"


def _can_end(session: Session, holds: tuple[HoldFact, ...], incident: str | None) -> bool:
    """Whether the holds of an incident can be released: not while that would put a quarantined model back to work."""
    for hold in holds:
        address = Address.parse(hold.address)
        if address.kind == "serving" and hold.incidents <= {None, incident}:
            try:
                refuse_quarantined(session.workspace.root, address, session.planner.parse(address, hold.base))
            except (RollbackError, BotCoreError, OSError):
                return False
    return True
