"""Kinds, gates and checks found by entry point; only those of distributions that the policy allows are loaded."""

from collections.abc import Callable, Mapping
from dataclasses import field
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from bot_core.foundation.frozen import frozen
from rollbackctl.checks import Check
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.observation import VersionFact
from rollbackctl.core.planner import ranks
from rollbackctl.core.state import State
from rollbackctl.gates import Gate
from rollbackctl.kinds import Binding, Kind
from rollbackctl.spec.document import Document, Policy, Spec

OWN = "rollbackctl"


@frozen
class Registry:
    """What exists: resource kinds, gates and checks by name; `plugins` are the foreign distributions among them."""

    kinds: Mapping[str, type[Kind]]
    gates: Mapping[str, type[Gate]]
    checks: Mapping[str, type[Check]]
    plugins: tuple[str, ...] = ()
    order: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        requires = {name: kind.requires for name, kind in self.kinds.items()}
        object.__setattr__(self, "order", ranks(requires))

    @property
    def states(self) -> dict[str, type[State]]:
        """The state class of each kind."""
        return {name: kind.state for name, kind in self.kinds.items()}

    @property
    def gate_sections(self) -> dict[str, type[Document] | None]:
        """The sections of `spec.gates` that exist, each with the settings it must hold; None: the gate reads it."""
        return {name: getattr(gate, "settings", None) for name, gate in self.gates.items()}

    @property
    def check_sections(self) -> dict[str, type[Document] | None]:
        """The sections of `spec.checks` that exist, each with the settings it must hold; None: the check reads it."""
        return {check.section: getattr(check, "settings", None) for check in self.checks.values()}

    def check_files(self, spec: Spec) -> dict[str, Callable[[bytes, str], object]]:
        """The files that the plan's checks read, each with what reads its bytes."""
        named = (check for check in self.checks.values() if check.section in spec.spec.checks)
        readers = (getattr(check(), "files", None) for check in named)
        return {path: parse for files in readers if files is not None for path, parse in files(spec).items()}

    def refuse_unfit_checks(self, spec: Spec, target: VersionFact) -> None:
        """See that the plan's checks can be made of its target.

        Raises:
            InvalidInputError: One cannot; it says why.
        """
        for check in self.checks.values():
            refuse = getattr(check(), "refuse", None)
            if refuse is not None and (check.always or check.section in spec.spec.checks):
                refuse(spec, target)

    def bind(self, binding: Binding) -> dict[str, Kind]:
        """Tie every kind to a workspace."""
        return {name: kind(binding) for name, kind in self.kinds.items()}


def load_registry(policy: Policy) -> Registry:
    """Load everything that the policy allows.

    Raises:
        InvalidInputError: The policy names a distribution that is not installed.
    """
    groups: dict[str, dict[str, type]] = {"kinds": {}, "gates": {}, "checks": {}}
    foreign: set[str] = set()
    for name in (*policy.plugins, OWN):  # the last one wins: a plug-in adds, and never takes a name of the tool's own
        for point in _distribution(name).entry_points:
            package, _, group = point.group.partition(".")
            if package == OWN and group in groups:
                groups[group][point.name] = point.load()
                foreign |= {name} - {OWN}
    kinds, gates, checks = (dict(sorted(found.items())) for found in groups.values())
    return Registry(kinds, gates, checks, tuple(sorted(foreign)))


def _distribution(name: str) -> Distribution:
    """Find one distribution; the others of the environment are not even looked at, which would take 25 ms."""
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise InvalidInputError(
            f"config/rollbackctl.yaml: plugins: {name} is not installed",
            hint=f"install {name}, or have the policy's owner remove it",
        ) from error
