"""Copies of the model in other repositories of the workspace: the artifact file, then the manifest that names it."""

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from bot_core.ai.manifest import Manifest, ManifestEntry
from bot_core.foundation.digest import sha256_hex
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts
from rollbackctl.core.observation import RepositoryFact
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from rollbackctl.kinds import Binding, manifest_lock
from rollbackctl.spec.document import Spec


class Entry(State):
    """One version of a deployed manifest: its file and its own list of aliases."""

    file: str
    aliases: tuple[str, ...] = ()


class CopyState(State):
    """A deployed artifact has `sha256`; a deployed manifest has the other fields."""

    sha256: str | None = None
    active: str | None = None
    aliases: dict[str, str] = {}
    versions: dict[str, Entry] = {}


class DeployedCopy:
    """`deployed_copy/<repository>/<file>` is an artifact, `deployed_copy/<repository>` is its manifest.

    They are two resources, so that each is moved by one rename: between the two the manifest still says the old
    version while the bytes are already the target's; the withdrawn model never answers again.
    """

    name: ClassVar[str] = "deployed_copy"
    requires: ClassVar[tuple[str, ...]] = ("model_alias",)
    state: ClassVar[type[State]] = CopyState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Put the target's bytes where the withdrawn ones are, under the target's version."""
        for repository in _chosen(spec, facts):
            withdrawn = _versions_to_move(repository, facts)
            has_target = repository.resolved.get(facts.target.version) == facts.target.canonical
            if not has_target:
                for file in sorted({repository.files[version] for version in withdrawn}):
                    yield Desired(
                        f"{repository.path}/{file}",
                        Phase.RELEASE,
                        lambda _: CopyState(sha256=facts.target.sha256),
                    )
            yield Desired(
                repository.path,
                Phase.RELEASE,
                partial(_moved, withdrawn, facts.target.version, has_target),
                rank=1,
            )

    def observe(self, name: str) -> State | None:
        """Read the artifact's digest, or the manifest's names and files."""
        if not self._is_repository(name):
            data = self._binding.read(name)
            return None if data is None else CopyState(sha256=sha256_hex(data))
        manifest = self._manifest(name)
        if manifest is None:
            return None
        return CopyState(
            active=manifest.active,
            aliases=dict(sorted(manifest.aliases.items())),
            versions={
                version: Entry(file=entry.file, aliases=tuple(sorted(entry.aliases)))
                for version, entry in sorted(manifest.versions.items())
            },
        )

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Replace one file, the manifest unless somebody has just changed it."""
        if self.observe(name) == after:
            return
        if not isinstance(after, CopyState):
            raise InvalidInputError(f"deployed copy {name} cannot be removed", hint="remove it by hand")
        if after.sha256 is not None:
            self._binding.write(name, self._binding.fetch(after.sha256))
        else:
            with manifest_lock(self._binding.root, name) as require_held:
                if self.observe(name) not in (before, None):
                    return
                changed = self._changed(name, after)
                require_held()
                self._binding.write(f"{name}/manifest.json", changed.encode())

    def files(self, name: str) -> tuple[str, ...]:
        """The artifact, or the manifest."""
        return (f"{name}/manifest.json",) if self._is_repository(name) else (name,)

    def _is_repository(self, name: str) -> bool:
        return (self._binding.root / name).is_dir()

    def _manifest(self, name: str) -> Manifest | None:
        path = f"{name}/manifest.json"
        data = self._binding.read(path)
        return None if data is None else Manifest.parse(data, path)

    def _changed(self, name: str, after: CopyState) -> Manifest:
        manifest = self._manifest(name)
        if manifest is None:
            raise InvalidInputError(f"{name}/manifest.json is gone", hint="restore the manifest, then continue the run")
        for version in set(manifest.versions) - set(after.versions):
            manifest = manifest.without_entry(version)
        for version, entry in after.versions.items():
            known = manifest.versions.get(version) or self._source_entry(version)
            manifest = manifest.with_entry(version, {**known.raw, "file": entry.file, "aliases": list(entry.aliases)})
        for alias in set(manifest.aliases) | set(after.aliases):
            listed = tuple(version for version, entry in after.versions.items() if alias in entry.aliases)
            manifest = manifest.with_alias(alias, after.aliases.get(alias), listed)
        return manifest.with_active(after.active)

    def _source_entry(self, version: str) -> ManifestEntry:
        path = f"{self._binding.spec.spec.model.repository}/manifest.json"
        data = self._binding.read(path)
        entries = {} if data is None else Manifest.parse(data, path).versions
        if version not in entries:
            raise InvalidInputError(f"{path} no longer has version {version}", hint="restore it, then continue the run")
        return entries[version]


def _chosen(spec: Spec, facts: Facts) -> list[RepositoryFact]:
    others = {fact.path: fact for fact in facts.repositories if fact.path != facts.repository}
    wanted = spec.spec.model.deployed
    for path in wanted if wanted != "all" else ():
        if path not in others:
            raise InvalidInputError(
                f"spec.model.deployed: there is no repository {path}",
                hint=f"repositories with a manifest: {plain(', '.join(others)) or 'none'}",
            )
    return [
        fact
        for path, fact in sorted(others.items())
        if (wanted == "all" or path in wanted) and _versions_to_move(fact, facts)
    ]


def _versions_to_move(repository: RepositoryFact, facts: Facts) -> tuple[str, ...]:
    """The versions that hold the withdrawn artifact, and an entry of its name over the target's bytes.

    The latter is what an abandoned run leaves that has moved the artifact and not yet its manifest.
    """
    versions = _versions_of(repository, facts.withdrawn.canonical)
    mislabelled = facts.withdrawn.version in _versions_of(repository, facts.target.canonical)
    return (*versions, *((facts.withdrawn.version,) if mislabelled else ()))


def _versions_of(repository: RepositoryFact, canonical: str) -> tuple[str, ...]:
    """The versions that hold the artifact with this canonical digest and that a name leads to."""
    named = {repository.active, *repository.aliases.values()}
    return tuple(
        version
        for version, digest in sorted(repository.resolved.items())
        if canonical and digest == canonical and version in named
    )


def _moved(withdrawn: tuple[str, ...], target: str, has_target: bool, base: State | None) -> State | None:
    """The manifest with every name of the withdrawn versions on the target, which takes over their file.

    An entry of the target's name keeps its own file only with `has_target`: else it holds something else.
    """
    if not isinstance(base, CopyState):
        return base
    versions = dict(base.versions)
    gone = [versions.pop(version) for version in withdrawn if version in versions]
    if gone:
        own = versions.get(target)
        aliases = sorted({alias for entry in (*gone, *([own] if own else [])) for alias in entry.aliases})
        versions[target] = Entry(file=own.file if own and has_target else gone[0].file, aliases=tuple(aliases))
    return CopyState(
        active=target if base.active in withdrawn else base.active,
        aliases={alias: target if version in withdrawn else version for alias, version in base.aliases.items()},
        versions=dict(sorted(versions.items())),
    )
