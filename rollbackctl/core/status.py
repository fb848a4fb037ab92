"""What a person wants to see first of a workspace, as a value."""

from collections.abc import Mapping

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.gate import Verdict
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.report import Report


@frozen
class Status:
    """One look at a workspace.

    Attributes:
        attached: Whether scoring is attached; None when its file cannot be read.
        default_model: The model that answers when none is named.
        models: Version and digest by served name.
        active: Active version by repository.
        quarantined: The repositories whose active version is quarantined.
        holds: Holds in force.
        engines: One line for each engine that ever acknowledged.
        unfinished: The unfinished run and its report so far; None when there is none.
        waiting: What the unfinished run waits for; sign-offs as they are now, other gates as they were judged.
        last: The newest run that has ended.
        holder: Who holds the workspace at this moment; None when nobody does.
        leads: The commands that lead on.
        problems: What could not be read.
    """

    attached: bool | None
    default_model: str | None
    models: Mapping[str, tuple[str, str]]
    active: Mapping[str, str | None]
    quarantined: tuple[str, ...]
    holds: tuple[HoldFact, ...]
    engines: tuple[str, ...]
    unfinished: tuple[RunFact, Report] | None
    waiting: tuple[Verdict, ...]
    last: RunFact | None
    holder: str | None
    leads: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def verdict(self) -> str | None:
        """How the unfinished run stands; None when there is none."""
        if self.unfinished is None:
            return None
        verdict = self.unfinished[1].verdict
        return "may go on" if verdict == "waiting" and not self.waiting else verdict

    def to_json(self) -> dict[str, JsonValue]:
        """Return the status as JSON."""
        return {
            "attached": self.attached,
            "default_model": self.default_model,
            "models": {name: {"version": version, "sha256": digest} for name, (version, digest) in self.models.items()},
            "active": dict(self.active),
            "quarantined": list(self.quarantined),
            "holds": [hold.model_dump(mode="json") for hold in self.holds],
            "engines": list(self.engines),
            "unfinished": None if self.unfinished is None else self.unfinished[0].run,
            "verdict": self.verdict,
            "waiting": [verdict.to_json() for verdict in self.waiting],
            "last": None if self.last is None else self.last.run,
            "holder": self.holder,
            "leads": list(self.leads),
            "problems": list(self.problems),
        }
