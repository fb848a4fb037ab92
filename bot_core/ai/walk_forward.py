"""Walk-forward reports: the evidence that a version was validated, linked to its artifact, and signed."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from pathlib import Path, PurePosixPath

from bot_core.ai.instant import parse_file_stamp, parse_instant
from bot_core.ai.report_content import object_at, own_time, require_types, text_at
from bot_core.ai.reports import (
    AUDIT_ROOT,
    COMPLETE,
    DEFAULT_ROLES,
    SignOff,
    age_order,
    read_folder,
    read_sign_off,
    signed_digest,
    undecided_roles,
)
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import parse_object


@frozen
class WalkForward:
    """A walk-forward report.

    Attributes:
        path: Relative to the folder it was read from, with "/".
        trained_at: Of the artifact it is about, as written; "" where it names none.
        model_version: Of the artifact; None where the trainer set none.
        metadata, metrics: The artifact's, as the report repeats them.
        sign_off: By role in lower case. None: the report has no block.
        digest: Of the canonical JSON without what signing changes; of the bytes where it is unreadable.
        error: What makes it unreadable; None when it is readable.
        category: The job's name.
        time: The report's own; None: undated.
        raw: The report itself; empty where it is unreadable.
    """

    path: str
    trained_at: str
    model_version: str | None
    metadata: Mapping[str, object]
    metrics: Mapping[str, object]
    sign_off: Mapping[str, SignOff] | None
    digest: str
    error: str | None
    category: str
    time: datetime | None
    raw: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)


def read_walk_forward(root: Path, *, audit_root: str = AUDIT_ROOT) -> tuple[WalkForward, ...]:
    """Every walk-forward report below `root`: unreadable and undated ones first, then newest first, ties by path.

    Reads only. A file that cannot be read is an entry with `error`.
    """
    found = []
    for path, data in read_folder(root, str(PurePosixPath(audit_root, "walk_forward"))):
        if isinstance(data, bytes):
            found.append(parse_walk_forward(data, path=path))
        else:
            found.append(_unreadable(path, str(data), sha256_hex(b"")))
    return tuple(sorted(found, key=age_order))


def parse_walk_forward(data: bytes, *, path: str) -> WalkForward:
    """The report in `data`; whatever is wrong with it becomes its `error`."""
    try:
        raw = parse_object(data, path)
        return _read(raw, path, signed_digest(raw))
    except FileFormatError as error:
        return _unreadable(path, error.problem, sha256_hex(data))


def walk_forward_mapping(raw: Mapping[str, object]) -> WalkForward:
    """A report as `load_recent_walk_forward_reports` returns it, with its `report_path`; its digest is left empty."""
    path = str(raw.get("report_path") or "")
    content = {key: value for key, value in raw.items() if key != "report_path"}
    error = content.get("error")
    if isinstance(error, str) and len(content) == 1:
        return _unreadable(path, error, "")
    try:
        return _read(content, path, "")
    except FileFormatError as fault:
        return _unreadable(path, fault.problem, "")


def linked_reports(
    walks: Iterable[WalkForward], artifact_raw: Mapping[str, object], version: str
) -> tuple[WalkForward, ...]:
    """The readable reports about this artifact: same `trained_at`, and `version` where they name a version."""
    trained_at = artifact_raw.get("trained_at")
    return tuple(
        walk
        for walk in walks
        if walk.error is None and _same_instant(walk.trained_at, trained_at) and walk.model_version in (None, version)
    )


def link_problems(
    walk: WalkForward, artifact_raw: Mapping[str, object], version: str, *, roles: Iterable[str] = DEFAULT_ROLES
) -> tuple[str, ...]:
    """Why this report does not vouch for this artifact; () when it does.

    It vouches when it is about this training, repeats the artifact's metadata and each section of its metrics
    unchanged, and is approved or waived by `roles` and every other role in its block.
    """
    if walk.error is not None:
        return (f"{walk.path} is unreadable: {walk.error}",)
    problems = []
    trained_at = artifact_raw.get("trained_at")
    if not _same_instant(walk.trained_at, trained_at):
        problems.append(f"trained_at is {walk.trained_at or 'missing'}, the artifact's is {trained_at or 'missing'}")
    if walk.model_version not in (None, version):
        problems.append(f"metadata.model_version is {walk.model_version}, not {version}")
    problems += _differences(walk, artifact_raw)
    problems += [f"{role} is {status}" for role, status in undecided_roles(walk, roles=roles, decided=COMPLETE)]
    return tuple(problems)


def _differences(walk: WalkForward, artifact_raw: Mapping[str, object]) -> list[str]:
    problems = []
    metadata = artifact_raw.get("metadata")
    if not isinstance(metadata, Mapping):
        problems.append("the artifact has no metadata")
    else:
        problems += [
            f"metadata.{key} differs from the artifact's"
            for key in sorted({*metadata, *walk.metadata})
            if not _same_value(metadata, walk.metadata, key)
        ]
    metrics = artifact_raw.get("metrics")
    if not isinstance(metrics, Mapping) or not metrics:
        problems.append("the artifact has no metrics")
    else:
        problems += [
            f"metrics.{section} differs from the artifact's"
            for section in sorted(metrics)
            if not _same_value(metrics, walk.metrics, section)
        ]
    return problems


def _same_value(left: Mapping[str, object], right: Mapping[str, object], key: str) -> bool:
    # As canonical JSON, since to Python 1, 1.0 and True are equal.
    return key in left and key in right and canonical_json(left[key]) == canonical_json(right[key])


def _same_instant(left: object, right: object) -> bool:
    moment = parse_instant(left)
    return moment is not None and moment == parse_instant(right)


def _read(raw: Mapping[str, object], path: str, digest: str) -> WalkForward:
    require_types(raw, path)
    artifact = object_at(raw, "model_artifact", path)
    metadata = object_at(artifact, "metadata", path)
    return WalkForward(
        path=path,
        trained_at=text_at(artifact, "trained_at") or "",
        model_version=text_at(metadata, "model_version"),
        metadata=metadata,
        metrics=object_at(artifact, "metrics", path),
        sign_off=read_sign_off(raw, path),
        digest=digest,
        error=None,
        category=text_at(raw, "job_name") or "walk_forward",
        time=own_time(raw, path),
        raw=raw,
    )


def _unreadable(path: str, problem: str, digest: str) -> WalkForward:
    return WalkForward(
        path=path,
        trained_at="",
        model_version=None,
        metadata={},
        metrics={},
        sign_off=None,
        digest=digest,
        error=problem,
        category="unreadable",
        time=parse_file_stamp(PurePosixPath(path).name),
    )
