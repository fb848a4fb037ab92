"""The commands that lead on, as a person would type them in the workspace."""

from collections.abc import Iterable
from shlex import quote as quoted

from rollbackctl.core.plain import plain


def quote(text: str) -> str:
    """Return a name as one word of a command, in one line."""
    return quoted(plain(text))


def sign_off_commands(plan: str, roles: Iterable[str]) -> list[str]:
    """One command for each role that owes a decision."""
    return [
        f"rollbackctl sign-off --plan {quote(plan)} --role {quote(role)} --status STATUS --by NAME"
        for role in sorted(roles)
    ]


def release_command(incident: str | None) -> str:
    """The command that ends the holds of an incident; None: those of no incident."""
    return "rollbackctl hold --release" + (f" --incident {quote(incident)}" if incident else "")


def stored_plan(run: str) -> str:
    """Where a run keeps its plan; `apply` of that file continues the run."""
    return f"var/rollbackctl/runs/{run}/plan.json"


def continue_command(run: str) -> str:
    """The command that goes on with a rollback's run."""
    return f"rollbackctl apply {stored_plan(run)}"


def continuing(operation: str, run: str, incident: str | None) -> str:
    """The command that goes on with an unfinished run of any operation."""
    match operation:
        case "hold":
            return "rollbackctl hold" + (f" --incident {quote(incident)}" if incident else "")
        case "release":
            return release_command(incident)
        case "undo":
            return f"rollbackctl undo {run} --yes"
        case _:
            return continue_command(run)


def abandon_command(run: str) -> str:
    """The command that closes an unfinished run."""
    return f"rollbackctl abandon {run} --reason TEXT"
