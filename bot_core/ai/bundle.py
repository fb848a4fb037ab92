"""The signed bundle that a training leaves next to its reports, and what it says about an artifact."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.instant import format_instant, parse_instant, utc_now
from bot_core.ai.quarantine import plain_name
from bot_core.ai.validation import plain_json, validate_model_artifact_schema
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.digest import canonical_digest, canonical_json, sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, IntegrityError, UnsafePathError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import list_inside, read_inside
from bot_core.foundation.strict_json import JsonValue, encode_json, parse_object

BUNDLES_FOLDER = "audit/ai_decision/models"
CHECKSUMS = "checksums.sha256"
ALGORITHM = "HMAC-SHA256"

HmacState = Literal["ok", "not configured", "failed", "no signature"]


class ModelArtifactIntegrityError(IntegrityError, ValueError):
    """A bundle is not what was signed."""


@frozen
class ModelArtifactBundle:
    """A bundle on disk. `signature_path` is None when it is not signed."""

    artifact: ModelArtifact
    artifact_path: Path
    metadata_path: Path
    checksums_path: Path
    signature_path: Path | None
    metadata_payload: Mapping[str, object]
    checksums: Mapping[str, str]


@frozen
class Attestation:
    """What the bundles say about an artifact.

    Attributes:
        state: attested; unattested: no bundle speaks of it; failed: one does, and it is not true.
        folder: The bundle, relative to the root; None when unattested.
        hmac: ok; not configured: the key is not at hand; failed; no signature.
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


def generate_model_artifact_bundle(
    artifact: ModelArtifact,
    output_dir: str | Path,
    *,
    name: str | Path | None = None,
    signing_key: bytes | None = None,
    signing_key_id: str | None = None,
    metadata_overrides: Mapping[str, object] | None = None,
    signed_at: datetime | None = None,
) -> ModelArtifactBundle:
    """Write a bundle and give it as it was written.

    The checksums come last: after a crash in the middle they are missing or do not hold, and the same call repairs it.

    Args:
        artifact: A valid artifact.
        output_dir: The bundle's own folder; it is made.
        name: Name of the files, with or without .json; None: model-<metadata.model_version>.
        signing_key: None: the bundle is not signed.
        signing_key_id: The key's public name.
        metadata_overrides: Put over the metadata file's own keys.
        signed_at: None: now.

    Raises:
        ModelArtifactValidationError: The artifact breaks its schema.
    """
    validate_model_artifact_schema(artifact)
    folder, stem = Path(output_dir), _stem(artifact, name)
    metadata = {**_metadata(artifact), **(metadata_overrides or {})}
    files = {
        f"{stem}.json": _encoded(artifact.to_dict()),
        f"{stem}.metadata.json": _encoded(plain_json(metadata)),
    }
    if signing_key is not None:
        signature = {
            "algorithm": ALGORITHM,
            "key_id": signing_key_id,
            "value": base64.b64encode(_hmac(signing_key, canonical_json(artifact.to_dict()))).decode(),
        }
        moment = format_instant(signed_at or utc_now())
        files[f"{stem}.sig"] = _encoded({"signature": signature, "signed_at": moment, "target": f"{stem}.json"})
    checksums = {file: sha256_hex(data) for file, data in files.items()}
    files[CHECKSUMS] = "".join(f"{digest}  {file}\n" for file, digest in checksums.items()).encode()
    make_folder(folder)
    for file, data in files.items():
        write_atomic(folder / file, data, root=folder)
    return _bundle(folder, stem, artifact, metadata, checksums, is_signed=signing_key is not None)


def load_model_artifact_bundle(
    bundle_dir: str | Path,
    *,
    expected_artifact: str | None = None,
    signing_key: bytes | None = None,
    signing_keys: Mapping[str, bytes] | None = None,
) -> ModelArtifactBundle:
    """Read a bundle and hold it against its checksums and, where a key is given, its signature.

    Args:
        bundle_dir: The bundle's own folder.
        expected_artifact: Name that its artifact file must have; None: any.
        signing_key: The key it must be signed with, whatever the key is called.
        signing_keys: Keys by key id; it must be signed with one of them.

    Raises:
        ModelArtifactIntegrityError: It is not what was signed, or not signed with a key at hand.
        FileFormatError: Its artifact is not a valid artifact.
    """
    folder = Path(bundle_dir)
    content = read_bundle(folder, ".")
    problems = list(content.problems)
    if expected_artifact is not None and content.name != expected_artifact:
        problems.append(f"its artifact is {content.name}, not {expected_artifact}")
    if content.artifact is not None and (signing_key is not None or signing_keys):
        state = _hmac_state(content, content.artifact, signing_keys or {}, signing_key)
        problems += [] if state == "ok" else [f"HMAC: {state}"]
    if problems or content.artifact is None or content.name is None:
        raise ModelArtifactIntegrityError(f"bundle {folder}: {'; '.join(problems)}", path=str(folder))
    return _bundle(
        folder,
        content.name.removesuffix(".json"),
        ModelArtifact.from_mapping(content.artifact, str(folder / content.name)),
        content.metadata,
        {name: digest for name, digest in content.digests.items() if name != CHECKSUMS},
        is_signed=content.signature is not None,
    )


def find_bundle_folders(root: Path) -> tuple[str, ...]:
    """The bundle folders of a workspace, relative to it, sorted; links and stray files are passed over."""
    models = (f"{BUNDLES_FOLDER}/{name}" for name in _entries(root, BUNDLES_FOLDER))
    folders = (f"{model}/{name}" for model in models for name in _entries(root, model))
    return tuple(sorted(folder for folder in folders if _entries(root, folder)))


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


def judge(bundles: Iterable[BundleContent], artifact: JsonValue, *, keys: Mapping[str, bytes]) -> Attestation:
    """Like `attest`, over bundles that were read before: for many artifacts each bundle is read once."""
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
    return found


def read_bundle(root: Path, folder: str) -> BundleContent:
    """A bundle's files, read once, with what is wrong with them; writes nothing and raises for no content."""
    problems: list[str] = []
    data: dict[str, bytes] = {}
    for name in _entries(root, folder):
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
    )


def _attestation(bundle: BundleContent, artifact: Mapping[str, JsonValue], keys: Mapping[str, bytes]) -> Attestation:
    state = _hmac_state(bundle, artifact, keys, None)
    problems = bundle.problems + (("the signature does not hold",) if state == "failed" else ())
    if problems:
        return _failed(bundle, state, problems)
    return Attestation("attested", bundle.folder, state, _key_id(bundle), (), bundle.digests)


def _failed(bundle: BundleContent, state: HmacState, problems: tuple[str, ...]) -> Attestation:
    return Attestation("failed", bundle.folder, state, _key_id(bundle), problems, bundle.digests)


def _key_id(bundle: BundleContent) -> str | None:
    return None if bundle.signature is None else bundle.signature.key_id


def _hmac_state(
    bundle: BundleContent, artifact: Mapping[str, JsonValue], keys: Mapping[str, bytes], any_key: bytes | None
) -> HmacState:
    """Whether the signature holds; `any_key` counts whatever key the signature names."""
    signature = bundle.signature
    if signature is None:
        return "no signature"
    key = any_key if any_key is not None else keys.get(signature.key_id or "")
    if key is None:
        return "not configured"
    # The running engine's files do not tell whether it escapes what is not ASCII; both say the same.
    escaped = json.dumps(artifact, sort_keys=True, separators=(",", ":")).encode()
    values = [_hmac(key, message) for message in (canonical_json(artifact), escaped)]
    is_right = any(hmac.compare_digest(signature.value, value) for value in values)
    return "ok" if is_right and signature.target == bundle.name else "failed"


def _hmac(key: bytes, message: bytes) -> bytes:
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


def _entries(root: Path, folder: str) -> tuple[str, ...]:
    """The names in a folder; () when it is absent, a link or no folder."""
    try:
        return list_inside(root, folder)
    except UnsafePathError:
        return ()


def _stem(artifact: ModelArtifact, name: str | Path | None) -> str:
    version = artifact.metadata.get("model_version")
    default = f"model-{version}" if isinstance(version, str) else "model"
    return plain_name(default if name is None else str(name).removesuffix(".json"))


def _metadata(artifact: ModelArtifact) -> dict[str, object]:
    given = artifact.to_dict()
    kept = ("backend", "feature_names", "feature_scalers", "metrics", "target_scale", "trained_at")
    return {name: given[name] for name in kept} | {
        "decision_journal_entry_id": artifact.decision_journal_entry_id,
        "model_version": artifact.metadata.get("model_version"),
        "rows": {
            "train": artifact.training_rows,
            "validation": artifact.validation_rows,
            "test": artifact.test_rows,
        },
        "source_metadata": given["metadata"],
    }


def _encoded(value: object) -> bytes:
    return encode_json(value, sort_keys=True, newline=True)


def _bundle(
    folder: Path,
    stem: str,
    artifact: ModelArtifact,
    metadata: Mapping[str, object],
    checksums: Mapping[str, str],
    *,
    is_signed: bool,
) -> ModelArtifactBundle:
    return ModelArtifactBundle(
        artifact=artifact,
        artifact_path=folder / f"{stem}.json",
        metadata_path=folder / f"{stem}.metadata.json",
        checksums_path=folder / CHECKSUMS,
        signature_path=folder / f"{stem}.sig" if is_signed else None,
        metadata_payload=metadata,
        checksums=checksums,
    )
