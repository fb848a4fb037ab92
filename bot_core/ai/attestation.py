"""What the bundles of a workspace say about an artifact: attested, unattested or failed."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from bot_core.ai.instant import parse_instant
from bot_core.foundation.digest import canonical_digest, canonical_json, sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, UnsafePathError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import list_inside, read_inside
from bot_core.foundation.strict_json import JsonValue, parse_object

BUNDLES_FOLDER = "audit/ai_decision/models"
CHECKSUMS = "checksums.sha256"
ALGORITHM = "HMAC-SHA256"

HmacState = Literal["ok", "not configured", "unknown key", "failed", "no signature"]


@frozen
class Attestation:
    """What the bundles say about an artifact.

    Attributes:
        state: attested; unattested: no bundle speaks of it; failed: one does, and it is not true.
        folder: The bundle, relative to the root; None when unattested.
        hmac: ok; not configured: no key is at hand; unknown key: others are; failed; no signature.
        key_id: As the signature names it; None without a signature.
        problems: Why it failed; () otherwise.
        digests: SHA-256 of each file of the bundle, by path relative to the root.
    """

    state: Literal["attested", "unattested", "failed"]
    folder: str | None
    hmac: HmacState
    key_id: str | None
    problems: tuple[str, ...]
    digests: Mapping[str, str]


@frozen
class Signature:
    """The signature file of a bundle."""

    target: str
    value: bytes
    key_id: str | None


@frozen
class BundleContent:
    """A bundle as it was read once, before any artifact is held against it.

    Attributes:
        folder: Relative to the root.
        name: Name of the artifact file; None when it cannot be told.
        artifact: None when it is missing or no JSON object.
        sha256: Canonical digest of the artifact; None without one.
        claims: The (training time, model version) pairs it speaks of, in artifact and metadata.
        signature: None when there is none.
        problems: What is wrong with the bundle itself.
        digests: SHA-256 of each of its files, by path relative to the root.
        is_link: Whether the folder is a link; then nothing of it was read.
    """

    folder: str
    name: str | None
    artifact: Mapping[str, JsonValue] | None
    sha256: str | None
    metadata: Mapping[str, JsonValue]
    claims: frozenset[tuple[datetime, str]]
    signature: Signature | None
    problems: tuple[str, ...]
    digests: Mapping[str, str]
    is_link: bool = False


def find_bundle_folders(root: Path) -> tuple[str, ...]:
    """The bundle folders of a workspace, relative to it, sorted; stray files are passed over.

    A link to a folder stands for the bundles behind it, at whatever depth: they are not looked at, see `judge`.
    """
    found = [BUNDLES_FOLDER]
    for _ in ("models", "bundles"):
        found = [
            path
            for folder in found
            for path in (
                [folder] if _is_link(root, folder) else [f"{folder}/{name}" for name in _entries(root, folder)]
            )
        ]
    return tuple(sorted(folder for folder in found if _is_link(root, folder) or _entries(root, folder)))


def attest(root: Path, artifact: JsonValue, *, folders: Iterable[str], keys: Mapping[str, bytes]) -> Attestation:
    """What the bundles in `folders` say about an artifact; writes nothing.

    The bundle whose artifact is equal as canonical JSON attests it, if the checksums hold over the bundle's own files
    and the signature holds where its key is in `keys`. A bundle that speaks of the same training time and model
    version but holds something else makes it fail, whatever other bundles say.

    Args:
        root: The workspace.
        artifact: The raw JSON of the artifact in question.
        folders: Bundle folders relative to the root.
        keys: HMAC keys by key id.
    """
    return judge(tuple(read_bundle(root, folder) for folder in sorted(set(folders))), artifact, keys=keys)


def judge(bundles: Sequence[BundleContent], artifact: JsonValue, *, keys: Mapping[str, bytes]) -> Attestation:
    """Like `attest`, over bundles that were read before: for many artifacts each bundle is read once.

    Where no bundle speaks of an artifact, a link among them makes it fail: its bundle may lie behind it.
    """
    digest, claim = canonical_digest(artifact), _claim(artifact)
    found = Attestation("unattested", None, "no signature", None, (), {})
    for bundle in bundles:
        if bundle.artifact is not None and bundle.sha256 == digest:
            said = _attestation(bundle, bundle.artifact, keys)
        elif claim is not None and claim in bundle.claims:
            problems = ("the repository's artifact differs from its bundle", *bundle.problems)
            said = _failed(bundle, "failed" if bundle.signature else "no signature", problems)
        else:
            continue
        if said.state == "failed":
            return said
        if found.state == "unattested":
            found = said
    linked = [bundle for bundle in bundles if bundle.is_link]
    if found.state == "unattested" and linked:
        return _failed(linked[0], "no signature", ("it is a link; what it holds is not looked at",))
    return found


def bundle_of_version(
    bundles: Iterable[BundleContent], version: str, metadata: Mapping[str, JsonValue]
) -> BundleContent | None:
    """The bundle that speaks of a version whose own file does not tell what it held.

    Args:
        bundles: All of the workspace.
        version: The version's name.
        metadata: What the manifest says of the artifact; its metadata must say the same.

    Returns:
        The bundle, to be judged like any other; None when there is none, or bundles of different artifacts speak of
        the version, or one may lie behind a link.
    """
    known = tuple(bundles)
    found = [
        bundle
        for bundle in known
        if any(name == version for _, name in bundle.claims) and _says(bundle.artifact, metadata)
    ]
    is_one = len({bundle.sha256 for bundle in found}) == 1
    return found[0] if is_one and not any(bundle.is_link for bundle in known) else None


def _says(artifact: Mapping[str, JsonValue] | None, metadata: Mapping[str, JsonValue]) -> bool:
    own = artifact.get("metadata") if artifact is not None else None
    return isinstance(own, dict) and all(name in own and own[name] == value for name, value in metadata.items())


def read_bundle(root: Path, folder: str) -> BundleContent:
    """A bundle's files, read once, with what is wrong with them; writes nothing and raises for no content."""
    problems: list[str] = []
    data: dict[str, bytes] = {}
    is_link = _is_link(root, folder)
    for name in () if is_link else _entries(root, folder):
        try:
            data[name] = read_inside(root, f"{folder}/{name}")
        except BotCoreError as error:
            problems.append(error.problem)
    parsed = {name: _object(data[name], name, problems) for name in data if name.endswith((".json", ".sig"))}
    names = [name for name in parsed if name.endswith(".json") and not name.endswith(".metadata.json")]
    problems += _checksum_problems(data) + ([] if len(names) == 1 else [f"it holds {len(names)} artifacts, not one"])
    stem = names[0].removesuffix(".json") if len(names) == 1 else ""
    artifact, signature = parsed.get(f"{stem}.json"), parsed.get(f"{stem}.sig")
    return BundleContent(
        folder=folder,
        name=names[0] if len(names) == 1 else None,
        artifact=artifact,
        sha256=None if artifact is None else canonical_digest(artifact),
        metadata=parsed.get(f"{stem}.metadata.json") or {},
        claims=frozenset(claim for value in parsed.values() if (claim := _claim(value)) is not None),
        signature=None if signature is None else _signature(signature, problems),
        problems=tuple(problems),
        digests={str(Path(folder, file)): sha256_hex(content) for file, content in data.items()},
        is_link=is_link,
    )


def _attestation(bundle: BundleContent, artifact: Mapping[str, JsonValue], keys: Mapping[str, bytes]) -> Attestation:
    state = hmac_state(bundle, artifact, keys, None)
    problems = bundle.problems + (("the signature does not hold",) if state == "failed" else ())
    if problems:
        return _failed(bundle, state, problems)
    return Attestation("attested", bundle.folder, state, _key_id(bundle), (), bundle.digests)


def _failed(bundle: BundleContent, state: HmacState, problems: tuple[str, ...]) -> Attestation:
    return Attestation("failed", bundle.folder, state, _key_id(bundle), problems, bundle.digests)


def _key_id(bundle: BundleContent) -> str | None:
    return None if bundle.signature is None else bundle.signature.key_id


def hmac_state(
    bundle: BundleContent, artifact: Mapping[str, JsonValue], keys: Mapping[str, bytes], any_key: bytes | None
) -> HmacState:
    """Whether the signature holds; `any_key` counts whatever key the signature names."""
    signature = bundle.signature
    if signature is None:
        return "no signature"
    key = any_key if any_key is not None else keys.get(signature.key_id or "")
    if key is None:
        return "unknown key" if keys else "not configured"
    # The running engine's files do not tell whether it escapes what is not ASCII; both say the same.
    escaped = json.dumps(artifact, sort_keys=True, separators=(",", ":")).encode()
    values = [hmac_of(key, message) for message in (canonical_json(artifact), escaped)]
    is_right = any(hmac.compare_digest(signature.value, value) for value in values)
    return "ok" if is_right and signature.target == bundle.name else "failed"


def hmac_words(state: HmacState, key_id: str | None) -> str:
    """Say how it stands with a signature; an unknown key is named."""
    return f"{state} {key_id or '(unnamed)'}" if state == "unknown key" else state


def hmac_of(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA256 of a message."""
    return hmac.new(key, message, hashlib.sha256).digest()


def _signature(raw: Mapping[str, JsonValue], problems: list[str]) -> Signature | None:
    given = raw.get("signature")
    fields = given if isinstance(given, dict) else {}
    target, value, key_id = raw.get("target"), fields.get("value"), fields.get("key_id")
    if fields.get("algorithm") != ALGORITHM or not isinstance(target, str) or not isinstance(value, str):
        problems.append(f"the signature file is not one of {ALGORITHM}")
        return None
    try:
        return Signature(target, base64.b64decode(value, validate=True), key_id if isinstance(key_id, str) else None)
    except (binascii.Error, ValueError):
        problems.append("the signature is not base64")
        return None


def _checksum_problems(data: Mapping[str, bytes]) -> list[str]:
    """What does not hold of `checksums.sha256`; it must list the artifact, its metadata and its signature."""
    if CHECKSUMS not in data:
        return [f"{CHECKSUMS} is missing"]
    listed: dict[str, str] = {}
    for number, line in enumerate(data[CHECKSUMS].decode(errors="replace").splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if not name or name in listed:
            return [f"{CHECKSUMS}, line {number}: not one more `sha256  name`"]
        listed[name] = digest
    unlisted = [name for name in data if name.endswith((".json", ".sig")) and name not in listed]
    differing = [name for name, digest in listed.items() if name in data and sha256_hex(data[name]) != digest]
    return [
        *(f"{name} is not in {CHECKSUMS}" for name in unlisted),
        *(f"{name} is in {CHECKSUMS} but missing" for name in listed if name not in data),
        *(f"{name} differs from {CHECKSUMS}" for name in differing),
    ]


def _claim(value: JsonValue) -> tuple[datetime, str] | None:
    """The training time and model version that an artifact or a metadata file speaks of; "" without a version."""
    if not isinstance(value, dict):
        return None
    moment, metadata = parse_instant(value.get("trained_at")), value.get("metadata")
    version = value.get("model_version") or (metadata.get("model_version") if isinstance(metadata, dict) else None)
    return None if moment is None else (moment, str(version or ""))


def _object(data: bytes, name: str, problems: list[str]) -> dict[str, JsonValue] | None:
    try:
        return parse_object(data, name)
    except FileFormatError as error:
        problems.append(error.problem)
        return None


def _is_link(root: Path, folder: str) -> bool:
    path = root / folder
    return path.is_symlink() and path.is_dir()


def _entries(root: Path, folder: str) -> tuple[str, ...]:
    """The names in a folder; () when it is absent, a link or no folder."""
    try:
        return list_inside(root, folder)
    except UnsafePathError:
        return ()
