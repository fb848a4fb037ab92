"""The answers of gates and checks, as values."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.plan import Phase


class Answer(StrEnum):
    """What a gate says before a phase begins."""

    PASS = "pass"  # noqa: S105 - an answer, no password
    BLOCK = "block"
    WAITS = "waits"


@frozen
class Verdict:
    """A gate's answer; its reasons are shown, never computed again.

    Attributes:
        gate: The gate's name.
        guards: The phase that may not begin before it passes.
        answer: Pass, block, or waits for sign-off.
        summary: One line for a person.
        reasons: One line for each thing that blocks or is waited for.
        waits_for: How many decisions each role still owes.
    """

    gate: str
    guards: Phase
    answer: Answer
    summary: str
    reasons: tuple[str, ...] = ()
    waits_for: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the verdict as JSON."""
        return {
            "gate": self.gate,
            "guards": self.guards.value,
            "answer": self.answer.value,
            "summary": self.summary,
            "reasons": list(self.reasons),
            "waits_for": dict(self.waits_for),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Verdict":
        """Read what `to_json` gave."""
        return cls(
            str(value["gate"]),
            Phase(value["guards"]),
            Answer(value["answer"]),
            str(value["summary"]),
            tuple(map(str, value["reasons"])),
            {str(role): int(count) for role, count in value["waits_for"].items()},
        )


class Result(StrEnum):
    """What a check says of the loaded target."""

    PASS = "pass"  # noqa: S105 - an answer, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no data"


@frozen
class Outcome:
    """A check's answer with its reason."""

    check: str
    result: Result
    summary: str

    def to_json(self) -> dict[str, JsonValue]:
        """Return the outcome as JSON."""
        return {"check": self.check, "result": self.result.value, "summary": self.summary}
