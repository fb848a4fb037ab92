"""What a plan decided from the evidence: the versions, the trigger and the reports it pins."""

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.observation import RepositoryFact
from rollbackctl.core.target import Candidate


@frozen
class Pinned:
    """A version with the digests that identify it.

    Attributes:
        version: Its key in the manifest.
        source: Its file, relative to the workspace.
        sha256: Digest of the file's bytes; empty for a withdrawn version whose file is gone.
        canonical: Digest of its canonical JSON, as its bundle has it where a withdrawn version's file does not tell;
            empty when nothing does.
    """

    version: str
    source: str
    sha256: str
    canonical: str


@frozen
class Facts:
    """What kinds may ask when they say what they desire.

    Attributes:
        incident: The incident's name.
        trigger: Path of the report that triggers the rollback; None when no alert counts.
        withdrawn: The version taken out of service.
        target: The version put to work.
        serve_as: Names under which the target is served; the last one, or `rollback`, is the default model.
        pinned: Paths of the reports that must be settled.
        cutoff: Instant of the newest report seen; later ones are shown as new.
        repositories: Every manifest of the workspace.
        repository: Path of the repository that is rolled back.
        candidates: Every version's verdict; shown, not part of the plan's id.
        left_alone: Files that name the withdrawn version and are not moved, each with what it names.
        data_drift: The window that the target was held against, and its measures; None where the plan asks for none.
    """

    incident: str
    trigger: str | None
    withdrawn: Pinned
    target: Pinned
    serve_as: tuple[str, ...]
    pinned: tuple[str, ...]
    cutoff: str | None
    repository: str
    repositories: tuple[RepositoryFact, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    left_alone: Mapping[str, str] = field(default_factory=dict)
    data_drift: Mapping[str, JsonValue] | None = None

    @property
    def default_model(self) -> str:
        """The model that answers when none is named."""
        return "rollback" if "rollback" in self.serve_as else self.serve_as[-1]

    @property
    def manifest(self) -> RepositoryFact:
        """The manifest of the repository that is rolled back."""
        return next(fact for fact in self.repositories if fact.path == self.repository)

    def identity(self) -> dict[str, JsonValue]:
        """Return what belongs to the plan's id: decisions, not evidence."""
        kept: dict[str, Any] = asdict(self)
        for name in ("repositories", "candidates", "left_alone"):
            del kept[name]
        if self.data_drift is None:
            del kept["data_drift"]
        kept["serve_as"], kept["pinned"] = list(self.serve_as), list(self.pinned)
        return kept
