"""A folder of model artifacts with a manifest: finds, loads, publishes and promotes versions."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.instant import format_instant, utc_now
from bot_core.ai.manifest import Manifest, ManifestEntry, version_key
from bot_core.ai.quarantine import Quarantine, plain_name, quarantine_file, read_quarantines
from bot_core.ai.validation import plain_json, validate_model_artifact_schema
from bot_core.foundation.atomic_file import make_folder, remove_durable, write_atomic
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.errors import BotCoreError, MissingFileError, UnresolvedReferenceError
from bot_core.foundation.lock import FileLock
from bot_core.foundation.safe_file import read_inside, read_inside_or_none
from bot_core.foundation.strict_json import JsonValue, encode_json, parse_object

__all__ = [
    "FilesystemModelRepository",
    "Manifest",
    "ManifestEntry",
    "ModelRepository",
    "Quarantine",
    "quarantine_file",
    "read_manifest",
    "read_quarantines",
    "version_key",
]

_Change = Callable[[Manifest], Manifest]
_LOCK_NAME = ".manifest.lock"
_LOCK_TIMEOUT_S = 10.0
_MAX_BYTES = 64 * 1024 * 1024  # some ten times a model of a thousand trees; a parsed file takes many times its size


def read_manifest(base: Path, name: str = "manifest.json") -> Manifest:
    """The manifest of a repository, an empty one when there is no file; writes nothing.

    Raises:
        FileFormatError: The file is corrupt; it is never taken for an empty one.
    """
    source = str(base / name)
    data = read_inside_or_none(base, name, max_bytes=_MAX_BYTES)
    return Manifest.empty(source) if data is None else Manifest.parse(data, source)


class ModelRepository:
    """The models of one engine.

    Every call reads the files anew. Reading writes nothing; a quarantined version is never resolved, loaded or
    promoted. A writer holds the manifest's lock, writes the artifact before the manifest and each file atomically:
    after a crash the manifest is the old one or the new one, and every file that it names is complete.
    """

    def __init__(self, base_path: Path | str, manifest_name: str = "manifest.json") -> None:
        self.base_path = Path(base_path)
        self.manifest_name = manifest_name

    def get_manifest(self) -> dict[str, JsonValue]:
        """The manifest's JSON, unknown keys included."""
        return dict(self._manifest().raw)

    def list_versions(self) -> tuple[str, ...]:
        """Every version of the manifest, oldest first (v9 before v10); quarantined ones too."""
        return self._manifest().ordered()

    def get_active_version(self) -> str | None:
        """The active version, quarantined or not; None when none is active.

        Raises:
            UnresolvedReferenceError: `active` names nothing in the manifest.
        """
        manifest = self._manifest()
        return None if manifest.active is None else manifest.version_of(manifest.active)

    def get_alias_target(self, alias: str) -> str | None:
        """The version that an alias leads to, quarantined or not; None when there is no such alias.

        Raises:
            UnresolvedReferenceError: It leads nowhere or in a circle.
        """
        manifest = self._manifest()
        return manifest.version_of(alias) if alias in manifest.aliases else None

    def get_version_entry(self, version: str) -> Mapping[str, JsonValue] | None:
        """The manifest's entry of a version; None when there is none."""
        entry = self._manifest().versions.get(version)
        return None if entry is None else entry.raw

    def get_quality_report(self, version: str) -> Mapping[str, JsonValue] | None:
        """The quality report of a version; None when the version or its report does not exist."""
        report = (self.get_version_entry(version) or {}).get("quality_report")
        return report if isinstance(report, dict) else None

    def resolve(self, reference: str | None = None) -> Path:
        """The artifact file of a version, an alias, a path or, for None, the active version.

        A path is looked up from the working folder, then in the repository.

        Raises:
            UnresolvedReferenceError: Unknown, dangling, cyclic or quarantined.
            MissingFileError: The manifest names a file that does not exist.
            UnsafePathError: The manifest's file leaves the repository or is no plain file.
        """
        folder, relative, _ = self._read(reference)
        return folder / relative

    def load(self, artifact: str | Path | Mapping[str, object]) -> ModelArtifact:
        """The artifact of a version, an alias, a path (see `resolve`) or of JSON that was read already.

        Raises:
            FileFormatError: It is not a valid artifact; nothing is repaired.
            UnresolvedReferenceError: The reference does not resolve, or the content is quarantined under any name.
        """
        return self.load_model(artifact)

    def load_model(self, reference: str | Path | Mapping[str, object] | None = None) -> ModelArtifact:
        """Like `load`; None loads the active version."""
        if isinstance(reference, Mapping):
            raw, source = {str(key): plain_json(value) for key, value in reference.items()}, "the artifact given"
        else:
            folder, relative, data = self._read(reference)
            source = str(folder / relative)
            raw = parse_object(data, source)
        self._refuse_quarantined(None, raw)
        return ModelArtifact.from_mapping(raw, source)

    def set_active_version(self, version: str) -> None:
        """Make a version the active one."""
        self.promote_version(version)

    def promote_version(self, version: str, *, aliases: Sequence[str] | None = None) -> None:
        """Make a version active and move the aliases to it, both in one write.

        Raises:
            UnresolvedReferenceError: There is no such version, or it is quarantined.
        """

        def promoted(manifest: Manifest) -> Manifest:
            self._require_promotable(manifest, version)
            return _aliased(manifest, version, aliases or ()).with_active(version)

        self._update(promoted)

    def assign_alias(self, alias: str, version: str) -> None:
        """Move an alias to a version, in both places of the manifest.

        Raises:
            UnresolvedReferenceError: There is no such version, or it is quarantined.
        """

        def assigned(manifest: Manifest) -> Manifest:
            self._require_promotable(manifest, version)
            return _aliased(manifest, version, [alias])

        self._update(assigned)

    def remove_alias(self, alias: str, *, missing_ok: bool = False) -> None:
        """Take an alias away, in both places of the manifest.

        Raises:
            UnresolvedReferenceError: There is none, unless `missing_ok`.
        """

        def removed(manifest: Manifest) -> Manifest:
            if alias not in manifest.aliases and not missing_ok:
                raise UnresolvedReferenceError(f"{manifest.source}: there is no alias {alias!r}", path=manifest.source)
            return manifest.with_alias(alias, None, ())

        self._update(removed)

    def remove_version(self, version: str, *, delete_file: bool = False, missing_ok: bool = False) -> None:
        """Take a version out of the manifest, with whatever leads to it.

        The file goes after the manifest, and only where no other version names it: a crash between leaves a file
        that nothing names.

        Raises:
            UnresolvedReferenceError: There is no such version, unless `missing_ok`.
        """

        def removed(manifest: Manifest) -> Manifest:
            return manifest if missing_ok and version not in manifest.versions else _without(manifest, version)

        with self._locked() as require_held:
            before, after = self._change(removed, require_held)
            entry = before.versions.get(version)
            if delete_file and entry is not None and all(entry.file != e.file for e in after.versions.values()):
                remove_durable(self.base_path / entry.file, root=self.base_path)

    def attach_quality_report(self, version: str, report: Mapping[str, object]) -> Mapping[str, JsonValue]:
        """Put a quality report into the entry of a version, and give it as it was stored."""
        stored = plain_json(report)

        def attached(manifest: Manifest) -> Manifest:
            return manifest.with_entry(version, {**manifest.entry(version).raw, "quality_report": stored})

        self._update(attached)
        return stored if isinstance(stored, dict) else {}

    def publish(
        self,
        artifact: ModelArtifact,
        *,
        version: str,
        filename: str | None = None,
        aliases: Sequence[str] | None = None,
        activate: bool = True,
        saved_at: datetime | None = None,
    ) -> Path:
        """Store an artifact as a version, new or again, and give its file.

        After a crash between the two writes the file is there but no version names it; where the version existed
        before, it then has the new content.

        Args:
            artifact: A valid artifact.
            version: Its name in the manifest.
            filename: File in the repository; None: `model-<version>.json`.
            aliases: Aliases that move to the version.
            activate: Make it the active version.
            saved_at: None: now.

        Raises:
            ModelArtifactValidationError: The artifact breaks its schema.
            UnresolvedReferenceError: It would be promoted, but the version or the content is quarantined.
            BotCoreError: The file belongs to another version.
        """
        validate_model_artifact_schema(artifact)
        name = plain_name(filename or f"model-{plain_name(version)}.json")
        raw = artifact.to_dict()
        content = plain_json(raw)

        def published(manifest: Manifest) -> Manifest:
            if activate or aliases:
                self._refuse_quarantined(version, content)
            self._refuse_taken(manifest, name, version)
            write_atomic(self.base_path / name, encode_json(raw), root=self.base_path)
            entry = _new_entry(artifact, name, saved_at or utc_now())
            listed: list[JsonValue] = list(manifest.versions[version].aliases) if version in manifest.versions else []
            after = _aliased(manifest.with_entry(version, {**entry, "aliases": listed}), version, aliases or ())
            return after.with_active(version) if activate else after

        self._update(published)
        return self.base_path / name

    def save(
        self,
        artifact: ModelArtifact,
        name: str,
        *,
        version: str | None = None,
        aliases: Sequence[str] | None = None,
        activate: bool | None = None,
    ) -> Path:
        """Store an artifact in a file of that name, as a version where one is given.

        Args:
            artifact: A valid artifact.
            name: File in the repository.
            version: None: the file only, which no version then names.
            aliases: Aliases that move to the version.
            activate: None: only where no version is active yet.
        """
        if version is not None:
            is_first = activate is None and self._manifest().active is None
            return self.publish(
                artifact, version=version, filename=name, aliases=aliases, activate=bool(activate) or is_first
            )
        if aliases or activate:
            raise BotCoreError(f"{name} is saved without a version, so nothing can point to it")
        validate_model_artifact_schema(artifact)
        with self._locked() as require_held:
            self._refuse_taken(self._manifest(), plain_name(name), None)
            require_held()
            write_atomic(self.base_path / name, encode_json(artifact.to_dict()), root=self.base_path)
        return self.base_path / name

    def save_model(
        self,
        artifact: ModelArtifact,
        *,
        version: str | None = None,
        filename: str | None = None,
        aliases: Sequence[str] | None = None,
        activate: bool | None = None,
    ) -> Path:
        """Like `save`; without a version it is the one in the artifact's own metadata.model_version."""
        version = version or str(artifact.metadata.get("model_version") or "")
        if not version:
            raise BotCoreError("the artifact names no metadata.model_version, and no version was given")
        return self.save(
            artifact, filename or f"model-{version}.json", version=version, aliases=aliases, activate=activate
        )

    def _manifest(self) -> Manifest:
        return read_manifest(self.base_path, self.manifest_name)

    def _read(self, reference: str | Path | None) -> tuple[Path, str, bytes]:
        """The folder, the path below it and the bytes that a reference leads to."""
        if not isinstance(reference, Path):
            manifest = self._manifest()
            if reference is None or reference in manifest.versions or reference in manifest.aliases:
                version = manifest.version_of(reference)
                self._refuse_quarantined(version, None)
                return self.base_path, manifest.versions[version].file, self._read_version(manifest, version)
        path = Path(reference)
        if path.is_file():
            return path.parent, path.name, read_inside(path.parent, path.name, max_bytes=_MAX_BYTES)
        data = None if path.is_absolute() else read_inside_or_none(self.base_path, str(path), max_bytes=_MAX_BYTES)
        if data is None:
            raise UnresolvedReferenceError(
                f"{str(reference)!r} is no version or alias of {self.base_path}, and no file there or in {os.getcwd()}",
                path=str(reference),
            )
        return self.base_path, str(path), data

    def _read_version(self, manifest: Manifest, version: str) -> bytes:
        file = manifest.entry(version).file
        try:
            return read_inside(self.base_path, file, max_bytes=_MAX_BYTES)
        except MissingFileError as error:
            raise MissingFileError(
                f"{manifest.source}: {version} names {file}, which does not exist", path=str(self.base_path / file)
            ) from error

    def _refuse_quarantined(self, version: str | None, content: JsonValue) -> None:
        """Raise where a version, or the content under whatever name, is quarantined; None is not looked at."""
        quarantines = read_quarantines(self.base_path)
        digest = canonical_digest(content) if quarantines and content is not None else None
        for quarantine in quarantines:
            if quarantine.version == version:
                raise UnresolvedReferenceError(f"{version} of {self.base_path} is {quarantine.words()}")
            if quarantine.sha256 == digest:
                raise UnresolvedReferenceError(
                    f"the content is that of {quarantine.version} of {self.base_path}, which is {quarantine.words()}"
                )

    def _require_promotable(self, manifest: Manifest, version: str) -> None:
        data = self._read_version(manifest, version)
        self._refuse_quarantined(version, parse_object(data, str(self.base_path / manifest.versions[version].file)))

    def _refuse_taken(self, manifest: Manifest, name: str, version: str | None) -> None:
        owners = [other for other, entry in manifest.versions.items() if entry.file == name and other != version]
        if name == self.manifest_name or owners:
            raise BotCoreError(f"{name} belongs to {owners[0] if owners else 'the manifest'}", path=name)

    def _locked(self) -> AbstractContextManager[Callable[[], None]]:
        make_folder(self.base_path)
        return FileLock(self.base_path / _LOCK_NAME, root=self.base_path).hold(timeout_s=_LOCK_TIMEOUT_S)

    def _update(self, change: _Change) -> None:
        with self._locked() as require_held:
            self._change(change, require_held)

    def _change(self, change: _Change, require_held: Callable[[], None]) -> tuple[Manifest, Manifest]:
        """Read, change and write the manifest under the lock held; the manifest before and after."""
        before = self._manifest()
        after = change(before)
        if after.raw != before.raw:
            require_held()
            write_atomic(self.base_path / self.manifest_name, after.encode(), root=self.base_path)
        return before, after


FilesystemModelRepository = ModelRepository


def _aliased(manifest: Manifest, version: str, aliases: Sequence[str]) -> Manifest:
    for alias in aliases:
        if alias in manifest.versions:
            raise BotCoreError(
                f"{manifest.source}: {alias!r} is a version and cannot be an alias", path=manifest.source
            )
        manifest = manifest.with_alias(alias, version, (version,))
    return manifest


def _without(manifest: Manifest, version: str) -> Manifest:
    manifest.entry(version)
    dangling = manifest.dangling()
    leading = [a for a in manifest.aliases if a not in dangling and manifest.version_of(a) == version]
    is_active = manifest.active == version or manifest.active in leading
    for alias in leading:
        manifest = manifest.with_alias(alias, None, ())
    return (manifest.with_active(None) if is_active else manifest).without_entry(version)


def _new_entry(artifact: ModelArtifact, file: str, saved_at: datetime) -> dict[str, JsonValue]:
    return {
        "file": file,
        "saved_at": format_instant(saved_at),
        "metrics": plain_json(artifact.metrics),
        "metadata": plain_json(artifact.metadata),
        "quality_report": None,
    }
