"""What leads on from where a workspace stands: one answer for `status`, `hold` and `abandon`."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import list_inside, read_inside_or_none
from rollbackctl.core.address import Address
from rollbackctl.core.commands import abandon_command, quote, release_command, sign_off_commands, stored_plan
from rollbackctl.core.errors import RollbackError
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.engine.history import History
from rollbackctl.engine.quarantined import refuse_quarantined
from rollbackctl.engine.session import Session
from rollbackctl.engine.unfinished import continuing

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
        return tuple(_from_holds(session, history.holds))
    return ("rollbackctl init --incident ID   (nothing is held or unfinished; this begins a new incident)",)


def _from_run(session: Session, history: History, run: RunFact, owing: Iterable[str]) -> Iterator[str]:
    others = sorted({name for hold in history.holds for name in hold.incidents if name} - {run.incident})
    if run.operation == "rollback":
        yield from sign_off_commands(stored_plan(run.run), owing)
        yield from (f"{release_command(name)}   (if {name} is over)" for name in others)
        if others:
            yield f"{abandon_command(run.run)}   (if {', '.join(others)} comes first)"
            return
    elsewhere = "" if run.host == session.workspace.actor.host else f"   (on host {run.host}, where it was begun)"
    yield continuing(run) + elsewhere


def _from_holds(session: Session, holds: tuple[HoldFact, ...]) -> Iterator[str]:
    named = sorted({name for hold in holds for name in hold.incidents if name})
    incidents: list[str | None] = [*named] or [None]
    for incident in incidents:
        yield plan_command(session.workspace.root, incident)
    ends = {incident: _can_end(session, holds, incident) for incident in incidents}
    yield from (f"{release_command(name)}   (puts back what was)" for name in incidents if ends[name])


def plan_command(root: Path, incident: str | None) -> str:
    """Return the command that shows the incident's plan; where `plans/` holds none, the one that writes it."""
    wanted = re.escape(incident) if incident else r"\S+"
    named = re.compile(rf"\bincident:\s*[\"']?{wanted}[\"']?\s*[,}}\n#]")
    found = []
    with suppress(BotCoreError, OSError):
        for name in list_inside(root, _PLANS):
            path = f"{_PLANS}/{name}"
            data = read_inside_or_none(root, path) if name.endswith((".yaml", ".yml")) else None
            if data is not None and named.search(data.decode(errors="replace") + "\n"):
                found.append(((root / path).stat().st_mtime_ns, path))
    if found:
        path = os.path.relpath(root / max(found)[1])  # from where the operator stands
        return f"rollbackctl plan {quote(path)}   (takes the hold over)"
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
