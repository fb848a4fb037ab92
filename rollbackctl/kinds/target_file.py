"""`rollback_target.json`: a byte copy of the target, for those who go on by hand."""

from collections.abc import Iterable
from typing import ClassVar

from bot_core.foundation.atomic_file import remove_durable
from bot_core.foundation.digest import sha256_hex
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec


class TargetFileState(State):
    """The digest of the file's bytes."""

    sha256: str


class TargetFile:
    """`target_file/<repository>/rollback_target.json`."""

    name: ClassVar[str] = "target_file"
    requires: ClassVar[tuple[str, ...]] = ("artifact_quarantine",)
    state: ClassVar[type[State]] = TargetFileState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """A copy of the target beside the repository's artifacts."""
        after = TargetFileState(sha256=facts.target.sha256)
        yield Desired(f"{spec.spec.model.repository}/rollback_target.json", Phase.RESTORE, lambda _: after)

    def observe(self, name: str) -> State | None:
        """Read the file's digest."""
        data = self._binding.read(name)
        return None if data is None else TargetFileState(sha256=sha256_hex(data))

    def move(self, name: str, before: State | None, after: State | None) -> None:  # noqa: ARG002
        """Write or remove the file."""
        if isinstance(after, TargetFileState):
            if self.observe(name) != after:
                self._binding.write(name, self._binding.fetch(after.sha256))
        else:
            remove_durable(self._binding.root / name, root=self._binding.root)

    def files(self, name: str) -> tuple[str, ...]:
        """The file itself."""
        return (name,)
