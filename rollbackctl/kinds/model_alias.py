"""The names of the repository's manifest: its active version and its aliases."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from bot_core.ai.manifest import Manifest
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from rollbackctl.kinds import Binding, manifest_lock
from rollbackctl.spec.document import Spec

ACTIVE = "active"
_ALIAS_NAMED_ACTIVE = "alias:active"


class AliasState(State):
    """The version that a name leads to; `listed_by` are the versions whose own list of aliases holds the name."""

    version: str
    listed_by: tuple[str, ...] = ()


class ModelAlias:
    """`model_alias/active` is the active version; `model_alias/<alias>` is an alias, in both its places."""

    name: ClassVar[str] = "model_alias"
    requires: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[type[State]] = AliasState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._repository = binding.spec.spec.model.repository
        self._path = f"{self._repository}/manifest.json"

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Lead the active version and every alias of the withdrawn one to the target."""
        chosen = spec.spec.model.aliases
        aliases = facts.manifest.aliases
        for alias in chosen if chosen != "all" else ():
            if alias not in aliases:
                raise InvalidInputError(
                    f"spec.model.aliases: {facts.repository} has no alias {alias}",
                    hint=f"its aliases: {plain(', '.join(sorted(aliases))) or 'none'}",
                )
        target = facts.target.version
        listed = AliasState(version=target, listed_by=(target,))
        yield Desired(ACTIVE, Phase.RELEASE, lambda _: AliasState(version=target))
        for alias, version in sorted(aliases.items()):
            is_chosen = version == facts.withdrawn.version if chosen == "all" else alias in chosen
            if is_chosen:
                yield Desired(_ALIAS_NAMED_ACTIVE if alias == ACTIVE else alias, Phase.RELEASE, lambda _: listed)

    def observe(self, name: str) -> State | None:
        """Read the manifest."""
        manifest = self._manifest()
        if manifest is None:
            return None
        if name == ACTIVE:
            return None if manifest.active is None else AliasState(version=manifest.active)
        alias = _alias(name)
        version = manifest.aliases.get(alias)
        return None if version is None else AliasState(version=version, listed_by=manifest.alias_listed_by(alias))

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Replace the manifest with one in which only this name differs, unless somebody has just moved it."""
        with manifest_lock(self._binding.root, self._repository) as require_held:
            if self._manifest() is not None and self.observe(name) != before:
                return
            self._move(name, after if isinstance(after, AliasState) else None, require_held)

    def _move(self, name: str, wanted: AliasState | None, require_held: Callable[[], None]) -> None:
        manifest = self._manifest()
        if manifest is None:
            raise InvalidInputError(f"{self._path} is gone", hint="restore the manifest, then continue the run")
        if name == ACTIVE:
            changed = manifest.with_active(wanted.version if wanted else None)
        else:
            changed = manifest.with_alias(
                _alias(name), wanted.version if wanted else None, wanted.listed_by if wanted else ()
            )
        if changed != manifest:
            require_held()
            self._binding.write(self._path, changed.encode())

    def files(self, name: str) -> tuple[str, ...]:  # noqa: ARG002
        """The manifest."""
        return (self._path,)

    def _manifest(self) -> Manifest | None:
        data = self._binding.read(self._path)
        return None if data is None else Manifest.parse(data, self._path)


def _alias(name: str) -> str:
    return ACTIVE if name == _ALIAS_NAMED_ACTIVE else name
