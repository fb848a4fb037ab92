"""What is known of a model's training rows: its baseline, one made afterwards, or the moments in its artifact."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

from bot_core.ai.baseline import BASELINE_FOLDER, Baseline, baseline_path, load_baseline, save_baseline
from bot_core.ai.drift.ruler import Moments, Profile
from bot_core.foundation.atomic_file import write_atomic
from bot_core.foundation.digest import canonical_json
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen, replace
from bot_core.foundation.safe_file import read_inside_or_none
from bot_core.foundation.strict_json import JsonValue, parse_object

_VERSION = 1
_DIGEST_LENGTH = 64


@frozen
class Known:
    """What is known of a model's training rows.

    Attributes:
        profile: What they looked like.
        files: The files in its repository's folder that tell it, each with its digest.
        is_signed: Whether the artifact tells or names it, so that the artifact's signatures cover it.
    """

    profile: Profile
    files: Mapping[str, str]
    is_signed: bool = True


def known_profile(folder: Path, artifact: Mapping[str, JsonValue], sha256: str) -> Known | None:
    """What is known of the rows that an artifact was trained on.

    The baseline that its metadata name counts before one made afterwards, and that before moments.

    Args:
        folder: The repository's folder.
        artifact: The artifact's raw JSON.
        sha256: Digest of the artifact's bytes.

    Returns:
        None where nothing is known.

    Raises:
        MissingFileError: The baseline that the artifact names is not there.
        IntegrityError: A baseline is not the one that is named.
        FileFormatError: A file is not what it must be.
    """
    metadata = artifact.get("metadata")
    named = metadata.get("feature_baseline") if isinstance(metadata, dict) else None
    if named is not None:
        digest = named.get("sha256") if isinstance(named, dict) else None
        if not _is_sha256(digest):
            raise FileFormatError("metadata.feature_baseline names no sha256")
        return _known(folder, digest, "baseline of its training", {})
    sidecar = read_inside_or_none(folder, _sidecar(sha256))
    if sidecar is not None:
        digest = _read_sidecar(sidecar, _sidecar(sha256), sha256)
        found = _known(folder, digest, "baseline made afterwards, which nobody has signed", {_sidecar(sha256): digest})
        return replace(found, is_signed=False)
    moments = _moments(artifact, metadata if isinstance(metadata, dict) else {})
    return None if moments is None else Known(moments, {})


def add_baseline(folder: Path, baseline: Baseline, *, artifact_sha256: str, source: str) -> Path:
    """Keep a baseline made afterwards, in a file beside the artifact that names the artifact's digest.

    The artifact is not touched, so that its signatures stay. After a crash the sidecar names a whole baseline, or is
    not there.

    Returns:
        The sidecar.
    """
    save_baseline(folder, baseline)
    path = folder / _sidecar(artifact_sha256)
    content: dict[str, JsonValue] = {
        "version": _VERSION,
        "artifact_sha256": artifact_sha256,
        "baseline_sha256": baseline.sha256,
        "source": source,
    }
    write_atomic(path, canonical_json(content))
    return path


def _sidecar(sha256: str) -> str:
    return f"{BASELINE_FOLDER}/of-{sha256}.json"


def _known(folder: Path, digest: str, source: str, files: Mapping[str, str]) -> Known:
    path = baseline_path(folder, digest)
    baseline = load_baseline(path, digest)
    return Known(Profile.of_baseline(baseline, source), {**files, f"{BASELINE_FOLDER}/{path.name}": digest})


def _read_sidecar(data: bytes, name: str, sha256: str) -> str:
    raw = parse_object(data, name)
    digest = raw.get("baseline_sha256")
    if raw.get("version") != _VERSION or raw.get("artifact_sha256") != sha256 or not _is_sha256(digest):
        raise FileFormatError(f"{name} is not a baseline of this artifact", path=name)
    return digest


def _is_sha256(value: JsonValue) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) == _DIGEST_LENGTH and set(value) <= set("0123456789abcdef")


def _moments(artifact: Mapping[str, JsonValue], metadata: Mapping[str, JsonValue]) -> Profile | None:
    names = artifact.get("feature_names")
    if not isinstance(names, list):
        return None
    if not all(isinstance(name, str) for name in names):
        raise FileFormatError("feature_names holds what is no name")
    for source, holder, count in (
        ("mean, stdev, min and max of its training", metadata.get("feature_stats"), metadata.get("row_count")),
        ("mean and stdev of its scalers", artifact.get("feature_scalers"), artifact.get("training_rows")),
    ):
        if isinstance(holder, dict) and all(name in holder for name in names):
            features = {str(name): _feature_moments(holder[str(name)], str(name)) for name in names}
            rows = count if isinstance(count, int) and count > 0 else None
            return Profile(rows, features, {}, source)
    return None


def _feature_moments(value: JsonValue, name: str) -> Moments:
    figures = value if isinstance(value, dict) else {}
    found: dict[str, float] = {}
    for key in ("mean", "stdev", "min", "max"):
        figure = figures.get(key)
        if isinstance(figure, int | float) and not isinstance(figure, bool) and math.isfinite(figure):
            found[key] = float(figure)
    if "mean" not in found or found.get("stdev", -1.0) < 0:
        raise FileFormatError(f"mean and stdev of {name} are not there")
    ends = (found["min"], found["max"]) if {"min", "max"} <= found.keys() else (None, None)
    return Moments(found["mean"], found["stdev"], *ends)
