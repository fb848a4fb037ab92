"""The trader's maintenance flag: on during the run, then exactly as it was."""

from collections.abc import Iterable
from typing import ClassVar

from bot_core.config.auto_trader import MaintenanceFlag, read_maintenance
from bot_core.config.maintenance import change_maintenance
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec


class MaintenanceState(State):
    """The flag; `token` is how the section itself writes it (None: inherited or missing); `rest` digests all else."""

    maintenance: bool
    token: str | None
    rest: str


class Maintenance:
    """`maintenance/<config file>`."""

    name: ClassVar[str] = "maintenance"
    requires: ClassVar[tuple[str, ...]] = ("retraining_schedule",)
    state: ClassVar[type[State]] = MaintenanceState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def hold(self, spec: Spec) -> Iterable[Desired]:
        """Switch maintenance on; a workspace without the file has no trader to stop."""
        yield Desired(spec.spec.autotrader.config, Phase.RELEASE, lambda base: base, hold=_on)

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:  # noqa: ARG002
        """Maintenance during the run, as before after it."""
        if spec.spec.autotrader.maintenance:
            yield from self.hold(spec)

    def observe(self, name: str) -> State | None:
        """Read the flag."""
        data = self._binding.read(name)
        return None if data is None else _state(read_maintenance(data, name))

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Replace the file with one in which exactly one line differs, while no engine is deciding.

        Where somebody has just changed it, nothing is done.
        """
        data = self._binding.read(name)
        if data is None or not isinstance(after, MaintenanceState):
            raise InvalidInputError(f"{name} is gone", hint="restore the file, then continue the run")
        flag = read_maintenance(data, name)
        if _state(flag) == before != after:
            change_maintenance(self._binding.root, name, after.token, expected=flag)

    def files(self, name: str) -> tuple[str, ...]:
        """The configuration file."""
        return (name,)


def _state(flag: MaintenanceFlag) -> MaintenanceState:
    return MaintenanceState(maintenance=flag.value, token=flag.token, rest=flag.rest)


def _on(base: State | None) -> State | None:
    if not isinstance(base, MaintenanceState) or base.maintenance:
        return base
    return base.model_copy(update={"maintenance": True, "token": "true"})
