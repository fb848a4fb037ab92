"""What a person wants to see first of a workspace, as a value."""

from collections.abc import Mapping

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.report import Report


@frozen
class Status:
    """One look at a workspace.

    Attributes:
        attached: Whether scoring is attached.
        default_model: The model that answers when none is named.
        models: Version and digest by served name.
        active: Active version by repository.
        holds: Holds in force.
        engines: One line for each engine that ever acknowledged.
        unfinished: The unfinished run and its report so far; None when there is none.
        last: The newest run that has ended.
        holder: Who holds the workspace at this moment; None when nobody does.
        problems: What could not be read.
    """

    attached: bool
    default_model: str | None
    models: Mapping[str, tuple[str, str]]
    active: Mapping[str, str | None]
    holds: tuple[HoldFact, ...]
    engines: tuple[str, ...]
    unfinished: tuple[RunFact, Report] | None
    last: RunFact | None
    holder: str | None
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JsonValue]:
        """Return the status as JSON."""
        fact, report = self.unfinished or (None, None)
        return {
            "attached": self.attached,
            "default_model": self.default_model,
            "models": {name: {"version": version, "sha256": digest} for name, (version, digest) in self.models.items()},
            "active": dict(self.active),
            "holds": [hold.model_dump(mode="json") for hold in self.holds],
            "engines": list(self.engines),
            "unfinished": None if fact is None else fact.run,
            "verdict": None if report is None else report.verdict,
            "last": None if self.last is None else self.last.run,
            "holder": self.holder,
            "problems": list(self.problems),
        }
