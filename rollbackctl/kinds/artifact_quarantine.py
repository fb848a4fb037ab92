"""A quarantined version: no caller of the model repository gets it any more, under any name."""

from collections.abc import Iterable
from typing import ClassVar

from bot_core.ai.quarantine import Quarantine, quarantine_file
from bot_core.foundation.atomic_file import remove_durable
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec


class QuarantineState(State):
    """What is quarantined, by the digest of its canonical JSON, and why."""

    version: str
    canonical: str
    incident: str
    reason: str


class ArtifactQuarantine:
    """`artifact_quarantine/<version>`."""

    name: ClassVar[str] = "artifact_quarantine"
    requires: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[type[State]] = QuarantineState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Quarantine the withdrawn version, if its content is known; an earlier quarantine of it stays as it is."""
        if not spec.spec.model.quarantine or not facts.withdrawn.canonical:
            return
        wanted = QuarantineState(
            version=facts.withdrawn.version,
            canonical=facts.withdrawn.canonical,
            incident=facts.incident,
            reason=spec.metadata.reason,
        )
        yield Desired(facts.withdrawn.version, Phase.RESTORE, lambda base: base or wanted, reversible=False)

    def observe(self, name: str) -> State | None:
        """Read the version's file in the folder `quarantine` of the repository."""
        path = self._path(name)
        data = self._binding.read(path)
        if data is None:
            return None
        found = Quarantine.parse(data, path)
        return QuarantineState(
            version=found.version, canonical=found.sha256, incident=found.incident, reason=found.reason
        )

    def move(self, name: str, before: State | None, after: State | None) -> None:  # noqa: ARG002
        """Write or remove the version's file."""
        path = self._path(name)
        if isinstance(after, QuarantineState):
            if self.observe(name) != after:
                wanted = Quarantine(
                    version=after.version, sha256=after.canonical, incident=after.incident, reason=after.reason
                )
                self._binding.write(path, wanted.encode())
        else:
            remove_durable(self._binding.root / path, root=self._binding.root)

    def files(self, name: str) -> tuple[str, ...]:
        """The version's file."""
        return (self._path(name),)

    def _path(self, version: str) -> str:
        return f"{self._binding.spec.spec.model.repository}/{quarantine_file(version)}"
