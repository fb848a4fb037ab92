"""The manifest of a model repository: which versions there are, what points to them, and which one is active."""

import re
from collections.abc import Mapping

from bot_core.foundation.errors import FileFormatError, UnresolvedReferenceError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import JsonValue, encode_json, parse_object

VersionKey = tuple[tuple[tuple[int, int, str], ...], str]


def version_key(version: str) -> VersionKey:
    """Sort key of a version: runs of digits count as numbers, so v9 comes before v10.

    Any two different texts have different keys, so that the order is total.
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", version)
    return tuple(map(_part_key, parts)), version


@frozen
class ManifestEntry:
    """One version.

    Attributes:
        file: Artifact file, relative to the repository.
        saved_at: As written; None when the manifest does not say.
        aliases: The aliases this version lists, in the manifest's order.
        raw: The whole entry, unknown keys included.
    """

    file: str
    saved_at: str | None
    aliases: tuple[str, ...]
    metadata: Mapping[str, JsonValue]
    raw: Mapping[str, JsonValue]


@frozen
class Manifest:
    """A manifest that was read; each change gives a new one and keeps unknown keys.

    Attributes:
        source: The file, for errors.
        active: Version (or alias) that `active` names; None when none is active.
        raw: The whole file.
    """

    source: str
    versions: Mapping[str, ManifestEntry]
    aliases: Mapping[str, str]
    active: str | None
    raw: Mapping[str, JsonValue]

    @classmethod
    def parse(cls, data: bytes, source: str) -> "Manifest":
        """The manifest in a file's bytes.

        An alias that leads nowhere is no error here: `dangling` lists it.

        Raises:
            FileFormatError: Not JSON, or a place in it is not what it must be; names file and place.
        """
        return _manifest(parse_object(data, source), source)

    @classmethod
    def empty(cls, source: str) -> "Manifest":
        """The manifest of a repository that has none yet."""
        return _manifest({"active": None, "aliases": {}, "versions": {}}, source)

    def encode(self) -> bytes:
        """The file's bytes as the engine writes them: indent 2, sorted keys, no newline at the end."""
        return encode_json(dict(self.raw), sort_keys=True)

    def ordered(self) -> tuple[str, ...]:
        """The versions, oldest first."""
        return tuple(sorted(self.versions, key=version_key))

    def version_of(self, reference: str | None) -> str:
        """The version that a version, an alias (of an alias …) or None (the active one) leads to.

        Raises:
            UnresolvedReferenceError: Unknown, dangling, cyclic, or nothing is active.
        """
        if reference is None:
            if self.active is None:
                raise UnresolvedReferenceError(f"{self.source}: no version is active", path=self.source)
            reference = self.active
        steps = [reference]
        while (name := steps[-1]) not in self.versions:
            target = self.aliases.get(name)
            if target is None:
                raise self._unresolved(steps)
            steps.append(target)
            if target in steps[:-1]:
                raise UnresolvedReferenceError(
                    f"{self.source}: alias {reference!r} is cyclic: {' -> '.join(steps)}", path=self.source
                )
        return name

    def entry(self, version: str) -> ManifestEntry:
        """The entry of a version (not of an alias).

        Raises:
            UnresolvedReferenceError: The manifest has no such version.
        """
        if version not in self.versions:
            raise self._unresolved([version])
        return self.versions[version]

    def dangling(self) -> tuple[str, ...]:
        """The aliases that lead to no version, sorted; cyclic ones too."""
        return tuple(sorted(alias for alias in self.aliases if not self._leads_somewhere(alias)))

    def alias_listed_by(self, alias: str) -> tuple[str, ...]:
        """The versions whose entry lists the alias, oldest first."""
        return tuple(version for version in self.ordered() if alias in self.versions[version].aliases)

    def with_active(self, version: str | None) -> "Manifest":
        """The same manifest with another active version; None: none is active."""
        return _manifest({**self.raw, "active": version}, self.source)

    def with_alias(self, alias: str, version: str | None, listed_by: tuple[str, ...]) -> "Manifest":
        """The same manifest with the alias at a version, and listed by exactly the entries of `listed_by`.

        None as version takes the alias away. A list that is right already is left as it is.
        """
        aliases: dict[str, JsonValue] = {name: target for name, target in self.aliases.items() if name != alias}
        if version is not None:
            aliases[alias] = version
        for version_listing in listed_by:
            self.entry(version_listing)
        versions: dict[str, JsonValue] = {
            name: _listing(entry, alias, is_listed=name in listed_by) for name, entry in self.versions.items()
        }
        return _manifest({**self.raw, "aliases": aliases, "versions": versions}, self.source)

    def with_entry(self, version: str, raw_entry: Mapping[str, JsonValue]) -> "Manifest":
        """The same manifest with the entry of one version put in or replaced."""
        versions: dict[str, JsonValue] = {name: dict(entry.raw) for name, entry in self.versions.items()}
        return _manifest({**self.raw, "versions": versions | {version: dict(raw_entry)}}, self.source)

    def without_entry(self, version: str) -> "Manifest":
        """The same manifest without a version; what points to it is left, and then dangles."""
        versions: dict[str, JsonValue] = {
            name: dict(entry.raw) for name, entry in self.versions.items() if name != version
        }
        return _manifest({**self.raw, "versions": versions}, self.source)

    def _leads_somewhere(self, alias: str) -> bool:
        try:
            self.version_of(alias)
        except UnresolvedReferenceError:
            return False
        return True

    def _unresolved(self, steps: list[str]) -> UnresolvedReferenceError:
        from difflib import get_close_matches

        near = get_close_matches(steps[-1], [*self.versions, *self.aliases], n=1)
        way = f" (by {' -> '.join(steps)})" if len(steps) > 1 else ""
        return UnresolvedReferenceError(
            f"{self.source}: there is no version or alias {steps[-1]!r}{way}",
            hint=f"did you mean {near[0]}?" if near else "",
            path=self.source,
        )


def _part_key(part: str) -> tuple[int, int, str]:
    if not part[0].isdigit():
        return 1, 0, part
    # By length, then by text: the order of numbers without int(), which refuses very long ones.
    digits = part.lstrip("0")
    return 0, len(digits), digits


def _listing(entry: ManifestEntry, alias: str, *, is_listed: bool) -> dict[str, JsonValue]:
    if (alias in entry.aliases) == is_listed:
        return dict(entry.raw)
    kept: list[JsonValue] = [name for name in entry.aliases if name != alias]
    return {**entry.raw, "aliases": [*kept, alias] if is_listed else kept}


def _manifest(raw: Mapping[str, JsonValue], source: str) -> Manifest:
    if "versions" not in raw:
        # Read as empty, it would be overwritten by the next version that is published.
        raise FileFormatError(f"{source}: versions is missing", path=source)
    versions = _object(raw, "versions", "versions", source)
    aliases = _object(raw, "aliases", "aliases", source)
    return Manifest(
        source=source,
        versions={version: _entry(entry, f"versions.{version}", source) for version, entry in versions.items()},
        aliases={alias: _text(target, f"aliases.{alias}", source) for alias, target in aliases.items()},
        active=_text_or_none(raw.get("active"), "active", source),
        raw=raw,
    )


def _entry(value: JsonValue, place: str, source: str) -> ManifestEntry:
    if not isinstance(value, dict):
        raise _fault(source, place, "an object")
    aliases = value.get("aliases", [])
    if not isinstance(aliases, list):
        raise _fault(source, f"{place}.aliases", "a list")
    return ManifestEntry(
        file=_text(value.get("file"), f"{place}.file", source),
        saved_at=_text_or_none(value.get("saved_at"), f"{place}.saved_at", source),
        aliases=tuple(_text(alias, f"{place}.aliases[{n}]", source) for n, alias in enumerate(aliases)),
        metadata=_object(value, "metadata", f"{place}.metadata", source),
        raw=value,
    )


def _object(holder: Mapping[str, JsonValue], name: str, place: str, source: str) -> dict[str, JsonValue]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _fault(source, place, "an object")
    return value


def _text(value: JsonValue, place: str, source: str) -> str:
    if not isinstance(value, str) or not value:
        raise _fault(source, place, "a text")
    return value


def _text_or_none(value: JsonValue, place: str, source: str) -> str | None:
    return None if value is None else _text(value, place, source)


def _fault(source: str, place: str, wanted: str) -> FileFormatError:
    return FileFormatError(f"{source}: {place} is not {wanted}", path=source)
