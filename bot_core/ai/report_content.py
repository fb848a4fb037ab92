"""What the fields of a drift or data-quality report say.

A field of the wrong type is a FileFormatError that names the file and the field; an absent one says nothing.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath

from bot_core.ai.instant import parse_file_stamp, parse_instant
from bot_core.foundation.errors import FileFormatError

_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})
_SORTS: tuple[tuple[str, type | tuple[type, ...], tuple[str, ...]], ...] = (
    (
        "a text",
        str,
        (
            *("timestamp", "generated_at", "status", "category", "model_name", "model_version", "backend"),
            *("job_name", "detector", "source", "trainer_backend"),
        ),
    ),
    (
        "a list",
        (list, tuple),
        (
            *("expected_features", "missing_features", "null_features", "unexpected_features"),
            *("monitored_features", "violations", "tags"),
        ),
    ),
    (
        "an object",
        Mapping,
        (
            *("context", "policy", "extra", "summary", "metrics", "sign_off", "baseline_window", "production_window"),
            *("dataset", "walk_forward", "model_artifact"),
        ),
    ),
)


def require_types(raw: Mapping[str, object], path: str) -> None:
    """Raise where a known field of a report is neither absent, null nor what the format says.

    Raises:
        FileFormatError: Names every such field.
    """
    faults = [
        f"{key} is not {wanted}"
        for wanted, sort, keys in _SORTS
        for key in keys
        if raw.get(key) is not None and not isinstance(raw[key], sort)
    ]
    if faults:
        raise _fault(path, "; ".join(faults))


def require_finding(raw: Mapping[str, object], path: str) -> None:
    """Raise where a report has none of the fields that say whether it is an alert: then it is none of ours.

    Raises:
        FileFormatError: It has none.
    """
    found = (raw.get("drift_score"), raw.get("status"), raw.get("issues"), raw.get("summary"))
    if object_at(raw, "metrics", path).get("triggered") is None and all(value is None for value in found):
        raise _fault(path, "it says neither drift_score, metrics.triggered, status, issues nor summary: no report")


def is_enforced(raw: Mapping[str, object]) -> bool:
    """Whether a data-quality alert counts: unless its policy says in so many words that it is not enforced."""
    policy = raw.get("policy")
    return not isinstance(policy, Mapping) or normalize_policy_enforcement(policy.get("enforce")) is not False


def is_exceeding(raw: Mapping[str, object], path: str) -> bool:
    """Whether a drift score is at or over its threshold; a score without a threshold counts as over."""
    score, threshold = number_at(raw, "drift_score", path), number_at(raw, "threshold", path)
    return score is not None and (threshold is None or score >= threshold)


def is_triggered(raw: Mapping[str, object], path: str) -> bool:
    """Whether the pipeline's detector triggered (`metrics.triggered.value`)."""
    value = object_at(raw, "metrics", path).get("triggered")
    if isinstance(value, Mapping):
        value = value.get("value")
    if value is None or isinstance(value, bool | int | float):
        return bool(value)
    raise _fault(path, "metrics.triggered.value is not true or false")


def is_critical(raw: Mapping[str, object], path: str) -> bool:
    """Whether the status, the summary's status or an issue's severity is critical."""
    statuses = [raw.get("status"), object_at(raw, "summary", path).get("status")]
    statuses += [issue.get("severity") for issue in _issues(raw, path)]
    return any(normalize_report_status(status) == "critical" for status in statuses)


def drift_limits(raw: Mapping[str, object], path: str) -> tuple[float | None, float | None]:
    """Drift score and threshold, the alert's own or the pipeline's feature drift; None where not stated."""
    if "drift_score" in raw:
        return number_at(raw, "drift_score", path), number_at(raw, "threshold", path)
    drift = object_at(object_at(raw, "metrics", path), "feature_drift", path)
    threshold = number_at(drift, "threshold", path)
    return number_at(drift, "score", path), number_at(raw, "threshold", path) if threshold is None else threshold


def summary_line(raw: Mapping[str, object], path: str) -> str:
    """What a report found, in one line for people."""
    parts = []
    score, threshold = drift_limits(raw, path)
    if score is not None:
        parts += [f"drift score {score:.2f}", "no limit" if threshold is None else f"limit {threshold:.2f}"]
    if is_triggered(raw, path):
        parts.append("triggered")
    for key, words in (
        ("missing_features", ("feature missing", "features missing")),
        ("null_features", ("feature null", "features null")),
        ("violations", ("value out of bounds", "values out of bounds")),
    ):
        value = raw.get(key)
        if isinstance(value, Sequence) and value:
            parts.append(f"{len(value)} {words[len(value) > 1]}")
    status = normalize_report_status(object_at(raw, "summary", path).get("status"))
    if status is not None:
        parts.append(f"summary {status}")
    status = normalize_report_status(raw.get("status"))
    if status is not None and (status == "critical" or not parts):
        parts.append(f"status {status}")
    return ", ".join(parts) or "no finding"


def own_time(raw: Mapping[str, object], path: str) -> datetime | None:
    """A report's own time: `timestamp`, else `generated_at`, else the stamp in its file name; None when undated."""
    for value in (raw.get("timestamp"), raw.get("generated_at")):
        if (moment := parse_instant(value)) is not None:
            return moment
    return parse_file_stamp(PurePosixPath(path).name)


def normalize_report_status(value: object) -> str | None:
    """A status as it is compared; None when it is no text or an empty one."""
    return (value.strip().lower() or None) if isinstance(value, str) else None


def normalize_policy_enforcement(value: object) -> bool | None:
    """What `policy.enforce` says; None when it says neither yes nor no."""
    word = str(value).strip().lower() if isinstance(value, str | bool | int) else ""
    return True if word in _YES else False if word in _NO else None


def object_at(raw: Mapping[str, object], key: str, path: str) -> Mapping[str, object]:
    """The object under a key; empty when the key is absent or null; FileFormatError when it is anything else."""
    value = raw.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _fault(path, f"{key} is not an object")
    return value


def text_at(raw: Mapping[str, object], key: str) -> str | None:
    """The text under a key; None when it is absent, empty or no text."""
    value = raw.get(key)
    return value if isinstance(value, str) and value else None


def number_at(raw: Mapping[str, object], key: str, path: str) -> float | None:
    """The finite number under a key; None when it is absent or null; FileFormatError when it is anything else."""
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _fault(path, f"{key} is not a number")
    return float(value)


def _issues(raw: Mapping[str, object], path: str) -> Sequence[Mapping[str, object]]:
    issues = raw.get("issues") or []
    if isinstance(issues, Mapping):
        issues = [issues]
    if not isinstance(issues, Sequence) or not all(isinstance(issue, Mapping) for issue in issues):
        raise _fault(path, "issues is not a list of objects")
    return issues


def _fault(path: str, problem: str) -> FileFormatError:
    return FileFormatError(f"{path}: {problem}" if path else problem, path=path or None)
