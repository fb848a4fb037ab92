"""Finding everything in a workspace that names models: manifests of versions, and serving states."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from bot_core.ai.manifest import Manifest
from bot_core.ai.serving import SERVING_FILE, read_serving
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.errors import BotCoreError, UnresolvedReferenceError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.names import legible
from bot_core.foundation.safe_file import read_inside, read_inside_or_none
from bot_core.foundation.strict_json import parse_json, parse_object
from rollbackctl.core.errors import InvalidInputError, Problem
from rollbackctl.core.observation import ServedFact
from rollbackctl.core.plain import plain
from rollbackctl.engine.runs import STORE

_MANIFEST = "manifest.json"
_SKIPPED = frozenset({"node_modules", "__pycache__"})


@frozen
class Found:
    """Folders of a workspace, relative to it, by what they hold.

    Attributes:
        manifests: With a manifest.json.
        serving: With a serving.json.
        outside: Links to folders outside the workspace that hold one of them: what they serve is not looked at.
    """

    manifests: tuple[str, ...]
    serving: tuple[str, ...]
    outside: tuple[str, ...]


def search(root: Path) -> Found:
    """Walk through the workspace once, following no link; the run store and hidden folders are passed over.

    Raises:
        InvalidInputError: A folder that holds one of the files has a name that is not UTF-8.
    """
    found: dict[str, list[str]] = {_MANIFEST: [], SERVING_FILE: [], "": []}
    for name, folder in _walk(root, ""):
        found[name].append(folder)
    unnamed = sorted({legible(folder) for folders in found.values() for folder in folders if folder != legible(folder)})
    if unnamed:
        raise InvalidInputError(
            f"models lie in folders whose names are not UTF-8, so that no plan can name them: {', '.join(unnamed)}",
            hint="rename them: until then nobody can tell which model they serve",
        )
    return Found(*(tuple(sorted(found[name])) for name in (_MANIFEST, SERVING_FILE, "")))


def _walk(root: Path, relative: str) -> Iterator[tuple[str, str]]:
    """Yield what a folder holds, and the folder; "" for a link that leads out of the workspace."""
    with os.scandir(root / relative) as entries:
        listed = list(entries)
    for entry in listed:
        path = f"{relative}/{entry.name}" if relative else entry.name
        if entry.name in (_MANIFEST, SERVING_FILE) and not entry.is_dir(follow_symlinks=False):
            yield entry.name, relative or "."
        elif entry.is_symlink():
            if _leads_out(root, Path(entry.path)):
                yield "", path
        elif entry.is_dir(follow_symlinks=False) and not _is_skipped(path, entry.name):
            yield from _walk(root, path)


def _is_skipped(path: str, name: str) -> bool:
    return name in _SKIPPED or name.startswith(".") or path == STORE


def _leads_out(root: Path, link: Path) -> bool:
    holds = any((link / name).is_file() for name in (_MANIFEST, SERVING_FILE))
    return holds and not link.resolve().is_relative_to(root.resolve())


def find_manifests(root: Path, found: Found | None = None) -> dict[str, Manifest]:
    """Read every manifest of model versions in the workspace, by the folder that holds it.

    Raises:
        InvalidInputError: A file `manifest.json` is not readable: nobody can tell which model it serves.
    """
    manifests: dict[str, Manifest] = {}
    for folder in (found or search(root)).manifests:
        path = _MANIFEST if folder == "." else f"{folder}/{_MANIFEST}"
        data = read_inside_or_none(root, path)
        if data is not None and "versions" in _object(data, path):
            manifests[folder] = Manifest.parse(data, path)
    return manifests


def require_whole(manifests: Mapping[str, Manifest]) -> None:
    """See that every alias leads to a version.

    Raises:
        InvalidInputError: One leads nowhere or in a circle; each is named with its file.
    """
    found = []
    for manifest in manifests.values():
        for alias in manifest.dangling():
            try:
                manifest.version_of(alias)
            except UnresolvedReferenceError as error:
                found.append(error)
    if found:
        raise InvalidInputError(
            "an alias leads to no version",
            hint=f"mend {plain(', '.join(sorted({str(error.path) for error in found})))}\n"
            "stop a bad model meanwhile: rollbackctl hold",
            problems=tuple(Problem(error.problem) for error in found),
        )


def _object(data: bytes, path: str) -> Mapping[str, object]:
    try:
        return parse_object(data, path)
    except BotCoreError as error:
        raise InvalidInputError(
            f"{error.problem}", hint=f"mend {plain(path)}: until then nobody can tell which model it serves"
        ) from error


def read_served(root: Path, found: Found, known: Mapping[str, str | None]) -> tuple[ServedFact, ...]:
    """Read what every serving.json of the workspace serves.

    Args:
        root: The workspace.
        found: Where they are.
        known: Canonical digests by the SHA-256 of the bytes, as far as they are known.

    Raises:
        InvalidInputError: A serving.json is not readable.
    """
    facts = []
    for folder in found.serving:
        try:
            serving = read_serving(root / folder)
        except BotCoreError as error:
            problem = error.problem.replace(f"{root}/", "")
            raise InvalidInputError(
                problem, hint=f"mend {plain(folder)}/{SERVING_FILE}: until then nobody can tell which model it serves"
            ) from error
        for name, model in sorted(serving.models.items()):
            digest = model.sha256
            content = known.get(digest) or canonical(root, f"{folder}/artifacts/{digest}.json")
            facts.append(ServedFact(model_dir=folder, name=name, sha256=digest, canonical=content))
    return tuple(facts)


def canonical(root: Path, path: str) -> str | None:
    """Return the digest of a JSON file's content, whatever its layout; None when it cannot be read."""
    try:
        return canonical_digest(parse_json(read_inside(root, path), path))
    except BotCoreError:
        return None
