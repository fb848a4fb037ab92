"""What a rehearsal came to, as a value."""

from collections.abc import Mapping
from dataclasses import field

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Outcome

NOBODY = "REHEARSAL ON A COPY - NOBODY HAS SIGNED"


@frozen
class Rehearsal:
    """What a rehearsal came to.

    Attributes:
        document: The plan; without changes there was nothing to rehearse.
        crashes: How often the applying was ended and called again.
        files: In how many files the two ends were compared.
        differing: Files in which they differ.
        repeated: Steps that the run which crashed has not begun or done exactly once.
        waited_for: How many decisions each role owes; they were taken as given.
        outcomes: The answers of the checks.
        duration_s: How long it took.
    """

    document: PlanDocument
    crashes: int = 0
    files: int = 0
    differing: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    waited_for: Mapping[str, int] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    duration_s: float = 0.0

    @property
    def has_survived(self) -> bool:
        """Whether the run that crashed ended as the undisturbed one did."""
        return not self.differing and not self.repeated

    def to_json(self) -> dict[str, JsonValue]:
        """Return the rehearsal as JSON."""
        return {
            "plan": self.document.plan.id,
            "survived": self.has_survived,
            "steps": len(self.document.plan.steps),
            "crashes": self.crashes,
            "files": self.files,
            "differing": list(self.differing),
            "repeated": list(self.repeated),
            "taken_as_given": dict(self.waited_for),
            "checks": [outcome.to_json() for outcome in self.outcomes],
            "duration_s": round(self.duration_s, 3),
        }
