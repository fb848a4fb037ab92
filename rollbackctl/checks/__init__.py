"""What a check is: one file that tries the loaded target before anything is released."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.facts import Facts
from rollbackctl.core.gate import Outcome
from rollbackctl.spec.document import Spec


@frozen
class Bench:
    """What a check works on.

    Attributes:
        root: The workspace.
        spec: The rollback plan.
        facts: The target and its digest.
        artifact: The stored copy of the target, named by its digest, relative to the workspace.
    """

    root: Path
    spec: Spec
    facts: Facts
    artifact: str

    def section(self, name: str) -> Mapping[str, JsonValue]:
        """Return a check's section of the rollback plan; empty when there is none."""
        return self.spec.spec.checks.get(name, {})


class Check(Protocol):
    """One trial of the loaded target; it changes nothing. `section` names its part of `spec.checks`."""

    name: ClassVar[str]
    section: ClassVar[str]
    always: ClassVar[bool]

    def run(self, bench: Bench) -> Outcome:
        """Try the target; a fault of the target is an outcome, not an exception."""
