"""What a check is: one file that tries the loaded target before anything is released."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.facts import Facts
from rollbackctl.core.gate import Outcome
from rollbackctl.core.observation import VersionFact
from rollbackctl.spec.document import Document, Spec

if TYPE_CHECKING:
    from bot_core.ai.drift.scan import Pool


@frozen
class Bench:
    """What a check works on.

    Attributes:
        root: The workspace.
        spec: The rollback plan.
        facts: The target and its digest.
        artifact: The stored copy of the target, named by its digest, relative to the workspace.
        limits: The policy's numbers by name.
        inputs: Digests of the plan's inputs by path; what is read must have the digest that stands here.
        pool: Who counts rows; None: this machine.
    """

    root: Path
    spec: Spec
    facts: Facts
    artifact: str
    limits: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    pool: "Pool | None" = None

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


class Foreseeing(Protocol):
    """A check that can tell from its settings and the target's facts, at plan time, that it cannot be made."""

    settings: ClassVar[type[Document]]  # its section of the rollback plan

    def refuse(self, spec: Spec, target: VersionFact) -> None:
        """Raise InvalidInputError, with the field to mend, where it cannot be made."""


class Reader(Protocol):
    """A check that has settings and reads files of the workspace, beside the stored copy."""

    settings: ClassVar[type[Document]]  # its section of the rollback plan

    def files(self, spec: Spec) -> Mapping[str, Callable[[bytes, str], object]]:
        """Name each file, with what reads its bytes and raises where they are wrong; its digest belongs to the plan."""
