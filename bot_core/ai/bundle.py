"""The signed bundle that a training leaves next to its reports: writing one, and loading one that is whole."""

import base64
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.attestation import ALGORITHM, CHECKSUMS, hmac_of, hmac_state, hmac_words, read_bundle
from bot_core.ai.instant import format_instant, utc_now
from bot_core.ai.quarantine import plain_name
from bot_core.ai.validation import plain_json, validate_model_artifact_schema
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.errors import IntegrityError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import encode_json


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
            "value": base64.b64encode(hmac_of(signing_key, canonical_json(artifact.to_dict()))).decode(),
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
        state = hmac_state(content, content.artifact, signing_keys or {}, signing_key)
        key_id = content.signature.key_id if content.signature else None
        problems += [] if state == "ok" else [f"HMAC: {hmac_words(state, key_id)}"]
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
