"""Every error that an operator can meet, with its exit code."""

from collections.abc import Mapping
from typing import ClassVar

from bot_core.foundation.frozen import frozen


@frozen
class Problem:
    """One thing wrong with one place of a file."""

    text: str
    path: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return ``path:line:column: text`` with what is known."""
        where = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return f"{where}: {self.text}" if where else self.text


class RollbackError(Exception):
    """What went wrong, where, and what to do next; never a formatted screen.

    Attributes:
        problem: What is wrong with which thing, in one line.
        hint: What to do next; each line of it is one way to go on, so that a name in it must be `plain`.
        problems: What there is to say of it, each in a line of its own.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, *, hint: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.problems = problems

    @property
    def label(self) -> str:
        """The word before the problem: waiting for people is no error."""
        return "error"


class GateBlockedError(RollbackError):
    """A gate blocks, or no version may be the target.

    Attributes:
        waits_for: How many decisions each role still owes.
        only_waits: Whether nothing blocks but those decisions.
    """

    exit_code = 3

    def __init__(
        self,
        problem: str,
        *,
        hint: str = "",
        problems: tuple[Problem, ...] = (),
        waits_for: Mapping[str, int] | None = None,
        only_waits: bool = False,
    ) -> None:
        super().__init__(problem, hint=hint, problems=problems)
        self.waits_for = dict(waits_for or {})
        self.only_waits = only_waits

    @property
    def label(self) -> str:
        """A gate that only waits for decisions is no error."""
        return "waiting" if self.only_waits else "error"


class StalePlanError(RollbackError):
    """The world changed after the plan was made, or the plan has expired."""

    exit_code = 4


class DriftError(RollbackError):
    """A resource is in neither the state before nor the state after."""

    exit_code = 5


class CheckFailedError(RollbackError):
    """A check failed or was inconclusive, or an engine did not acknowledge; holds are in place."""

    exit_code = 6


class LockedError(RollbackError):
    """Somebody else holds the workspace, or an unfinished run does."""

    exit_code = 7


class InvalidInputError(RollbackError):
    """A plan, an artifact or a workspace file is not what it must be."""

    exit_code = 8


class PartlyHeldError(InvalidInputError):
    """A hold is in place but for what `problems` name; the same command tries that again."""


class EngineInTheWayError(PartlyHeldError):
    """A hold is not complete, only because an engine keeps a lock to itself."""

    exit_code = 6


class UsageError(RollbackError):
    """The command was called wrongly."""

    exit_code = 64


class InterruptedRunError(RollbackError):
    """The run was asked to stop; the checkpoint is written and it can be continued."""

    exit_code = 130
