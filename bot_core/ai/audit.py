"""The audit folder `audit/ai_decision`: where reports and the scheduler's state are, and how they get there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.ai.instant import file_stamp, format_instant, utc_now
from bot_core.ai.report_content import text_at
from bot_core.ai.reports import AUDIT_ROOT, MAX_BYTES, AuditReport, age_order, read_kind
from bot_core.ai.signoff import default_sign_off, pending_sign_offs
from bot_core.ai.walk_forward import WalkForward, read_walk_forward, walk_forward_mapping
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.lock import FileLock
from bot_core.foundation.names import hidden_beside
from bot_core.foundation.safe_file import list_inside, read_inside, read_inside_or_none
from bot_core.foundation.strict_json import encode_json, parse_object

if TYPE_CHECKING:
    from bot_core.ai.artifact import ModelArtifact
    from bot_core.ai.walk_forward_validation import FeatureDataset, WalkForwardResult, WalkForwardValidator

AUDIT_SUBDIRECTORIES = ("walk_forward", "data_quality", "drift")
DEFAULT_AUDIT_ROOT = Path(AUDIT_ROOT)
LOCK_TIMEOUT_S = 10.0
_SCHEDULER_FILE = "scheduler.json"


def audit_folder(audit_root: str | Path | None) -> Path:
    """The audit folder named; for None the default one below the working folder."""
    return DEFAULT_AUDIT_ROOT if audit_root is None else Path(audit_root)


def ensure_audit_structure(audit_root: str | Path | None = None) -> Path:
    """Make the audit folder and its subfolders where they are missing; after a crash some may be there, empty."""
    root = audit_folder(audit_root)
    for name in AUDIT_SUBDIRECTORIES:
        make_folder(root / name)
    return root


def scheduler_state_path(audit_root: str | Path | None = None) -> Path:
    """Where the scheduler's state is."""
    return audit_folder(audit_root) / _SCHEDULER_FILE


def scheduler_lock(path: Path, *, root: Path | None = None) -> FileLock:
    """The lock that writers of the scheduler's state at `path` take; its folder must exist."""
    return FileLock(path.parent / f"{hidden_beside(path.name)}.lock", root=root)


def load_scheduler_state(*, audit_root: str | Path | None = None) -> Mapping[str, object] | None:
    """The scheduler's state as it stands in its file; None when there is no file.

    Raises:
        FileFormatError: The file is not strict JSON with an object at the top.
    """
    path = scheduler_state_path(audit_root)
    data = read_inside_or_none(path.parent, path.name, max_bytes=MAX_BYTES)
    return None if data is None else parse_object(data, str(path))


def save_scheduler_state(state: Mapping[str, object], *, audit_root: str | Path | None = None) -> Path:
    """Make `state` the scheduler's state, durably; after a crash the file holds the old state or this one."""
    path = scheduler_state_path(audit_root)
    data = encode_json(dict(state), newline=True)
    make_folder(path.parent)
    with scheduler_lock(path).hold(timeout_s=LOCK_TIMEOUT_S):
        write_atomic(path, data)
    return path


def save_walk_forward_report(
    result: "WalkForwardResult",
    *,
    job_name: str,
    dataset: "FeatureDataset",
    validator: "WalkForwardValidator | None" = None,
    artifact: "ModelArtifact | None" = None,
    audit_root: str | Path | None = None,
    generated_at: datetime | None = None,
    trainer_backend: str | None = None,
    sign_off: Mapping[str, Mapping[str, object]] | None = None,
) -> Path:
    """Write a walk-forward report as a new file; after a crash it is there whole or not at all.

    Args:
        result: What the validation gave.
        job_name: The job that trained.
        dataset: The rows that were walked through; the report has their number and metadata.
        validator: Gives the windows' lengths; None: the report does not say them.
        artifact: The model that the report is evidence for; None: it names none.
        audit_root: As in `audit_folder`.
        generated_at: None: now.
        trainer_backend: What trained.
        sign_off: None: the decisions of risk and compliance are pending.
    """
    from bot_core.ai.validation import plain_json

    moment = generated_at or utc_now()
    walk: dict[str, object] = {
        "average_directional_accuracy": result.average_directional_accuracy,
        "average_mae": result.average_mae,
        "windows": plain_json(result.windows),
    }
    if validator is not None:
        walk |= {"train_window": validator.train_window, "test_window": validator.test_window, "step": validator.step}
    payload: dict[str, object] = {
        "dataset": {"rows": len(dataset.vectors), "metadata": plain_json(dataset.metadata)},
        "generated_at": format_instant(moment),
        "job_name": job_name,
        "sign_off": default_sign_off() if sign_off is None else plain_json(sign_off),
        "trainer_backend": trainer_backend,
        "walk_forward": walk,
    }
    if artifact is not None:
        payload["model_artifact"] = {
            "trained_at": format_instant(artifact.trained_at),
            "metadata": plain_json(artifact.metadata),
            "metrics": plain_json(artifact.metrics),
        }
    return write_new_report("walk_forward", payload, moment=moment, audit_root=audit_root)


def save_data_quality_report(
    issues: Sequence[Mapping[str, object]] | Mapping[str, object],
    *,
    job_name: str | None = None,
    dataset: "FeatureDataset | None" = None,
    audit_root: str | Path | None = None,
    generated_at: datetime | None = None,
    source: str | None = None,
    summary: Mapping[str, object] | None = None,
    tags: Sequence[str] | None = None,
) -> Path:
    """Write the pipeline's data-quality report as a new file; after a crash it is there whole or not at all.

    With a `dataset` the report has the number of its rows and its metadata too.
    """
    moment = generated_at or utc_now()
    payload: dict[str, object] = {
        "generated_at": format_instant(moment),
        "issues": [issues] if isinstance(issues, Mapping) else list(issues),
        "job_name": job_name,
        "source": source,
        "tags": list(tags or ()),
    }
    if summary is not None:
        payload["summary"] = summary
    payload |= _described(dataset)
    return write_new_report("data_quality", payload, moment=moment, audit_root=audit_root)


def save_drift_report(
    metrics: Mapping[str, Mapping[str, object]],
    *,
    job_name: str | None = None,
    dataset: "FeatureDataset | None" = None,
    audit_root: str | Path | None = None,
    generated_at: datetime | None = None,
    baseline_window: Mapping[str, object] | None = None,
    production_window: Mapping[str, object] | None = None,
    detector: str | None = None,
    threshold: float | None = None,
) -> Path:
    """Write the pipeline's drift report as a new file; after a crash it is there whole or not at all.

    Args:
        metrics: As `measure_feature_drift` gives them.
        job_name: Who looked.
        dataset: The report has the number of its rows and its metadata too; None: it has not.
        audit_root: As in `audit_folder`.
        generated_at: None: now.
        baseline_window: `rows`, `start` and `end` of what the model knows.
        production_window: The same of what it meets now.
        detector: What measured.
        threshold: Of the detector, in nats.
    """
    moment = generated_at or utc_now()
    payload = {
        "baseline_window": baseline_window,
        "detector": detector,
        "generated_at": format_instant(moment),
        "job_name": job_name,
        "metrics": metrics,
        "production_window": production_window,
        "threshold": threshold,
        **_described(dataset),
    }
    return write_new_report("drift", payload, moment=moment, audit_root=audit_root)


def write_new_report(
    subdirectory: str,
    payload: Mapping[str, object],
    *,
    moment: datetime,
    slug: str = "",
    audit_root: str | Path | None = None,
) -> Path:
    """Write `payload` under the first free name for this second; no report is ever overwritten.

    After a crash the report is there whole or not at all.

    Raises:
        BotCoreError: A value is not one that JSON has, a NaN for example; its key is named.
    """
    folder = audit_folder(audit_root) / _known(subdirectory)
    stem = file_stamp(moment) + (f"_{slug}" if slug else "")
    data = _encoded(payload)
    make_folder(folder)
    with FileLock(folder / ".reports.lock").hold(timeout_s=LOCK_TIMEOUT_S) as require_held:
        taken = set(list_inside(folder, "."))
        names = (f"{stem}_{number}.json" if number else f"{stem}.json" for number in count())
        path = folder / next(name for name in names if name not in taken)
        require_held()
        write_atomic(path, data)
    return path


def _encoded(payload: Mapping[str, object]) -> bytes:
    for key, value in payload.items():
        try:
            encode_json(value)
        except (TypeError, ValueError) as error:
            raise BotCoreError(f"{key} cannot stand in a report: {error}") from error
    return encode_json(payload, sort_keys=True)


def list_audit_reports(
    subdirectory: str, *, audit_root: str | Path | None = None, limit: int | None = None, newest_first: bool = True
) -> list[Path]:
    """Paths of the reports in one subfolder, unreadable ones first, then by their own time; reads only."""
    root = audit_folder(audit_root)
    paths = [root / report.path for report in _read(subdirectory, root)]
    return (paths if newest_first else paths[::-1])[:limit]


def load_audit_report(path: str | Path) -> Mapping[str, object]:
    """One report as it stands in its file.

    Raises:
        BotCoreError: It is missing, unsafe, or not strict JSON with an object at the top.
    """
    file = Path(path)
    return parse_object(read_inside(file.parent, file.name, max_bytes=MAX_BYTES), str(file))


def load_recent(
    subdirectory: str,
    *,
    limit: int | None,
    audit_root: str | Path | None,
    wanted: Callable[[AuditReport | WalkForward], bool] = lambda _: True,
) -> tuple[Mapping[str, object], ...]:
    """Reports of one subfolder with their `report_path`, in the order of `list_audit_reports`; reads only.

    An unreadable report is an entry of `report_path` and `error` alone, and always wanted.
    """
    root = audit_folder(audit_root)
    found = (report for report in _read(subdirectory, root) if report.error is not None or wanted(report))
    return tuple(_entry(report, root) for report in islice(found, limit))


def load_recent_walk_forward_reports(
    *, limit: int = 20, audit_root: str | Path | None = None
) -> tuple[Mapping[str, object], ...]:
    """The newest walk-forward reports by their own time; see `load_recent`."""
    return load_recent("walk_forward", limit=limit, audit_root=audit_root)


def load_latest_walk_forward_report(*, audit_root: str | Path | None = None) -> Mapping[str, object] | None:
    """The first of `load_recent_walk_forward_reports`; None when there is none."""
    return next(iter(load_recent("walk_forward", limit=1, audit_root=audit_root)), None)


def load_latest_data_quality_report(*, audit_root: str | Path | None = None) -> Mapping[str, object] | None:
    """The first of `load_recent_data_quality_reports`; None when there is none."""
    return next(iter(load_recent("data_quality", limit=1, audit_root=audit_root)), None)


def load_latest_drift_report(*, audit_root: str | Path | None = None) -> Mapping[str, object] | None:
    """The first of `load_recent_drift_reports`; None when there is none."""
    return next(iter(load_recent("drift", limit=1, audit_root=audit_root)), None)


def summarize_walk_forward_reports(reports: Sequence[Mapping[str, object]] | None) -> Mapping[str, object]:
    """What the reports say together: averages, the extremes over all windows, and the sign-offs that are missing.

    A figure that no report states is None.
    """
    walks = sorted((walk_forward_mapping(raw) for raw in reports or ()), key=age_order)
    readable = [walk for walk in walks if walk.error is None]
    results = [found for walk in readable if isinstance(found := walk.raw.get("walk_forward"), Mapping)]
    windows = [window for result in results for window in _windows(result)]
    maes, accuracies = _numbers(windows, "mae"), _numbers(windows, "directional_accuracy")
    return {
        "total": len(walks),
        "unreadable": len(walks) - len(readable),
        "latest_report_path": walks[0].path or None if walks else None,
        "latest_generated_at": text_at(readable[0].raw, "generated_at") if readable else None,
        "average_mae": _spread(_numbers(results, "average_mae")),
        "average_directional_accuracy": _spread(_numbers(results, "average_directional_accuracy")),
        "window_extremes": {
            "total_windows": len(windows),
            "worst_mae": max(maes, default=None),
            "best_mae": min(maes, default=None),
            "worst_directional_accuracy": min(accuracies, default=None),
            "best_directional_accuracy": max(accuracies, default=None),
        },
        "pending_sign_off": pending_sign_offs(walks, roles=None),
    }


def _described(dataset: "FeatureDataset | None") -> dict[str, object]:
    if dataset is None:
        return {}
    return {"dataset": {"rows": len(dataset.vectors), "metadata": dict(dataset.metadata)}}


def _known(subdirectory: str) -> str:
    if subdirectory not in AUDIT_SUBDIRECTORIES:
        raise BotCoreError(f"{subdirectory!r} is no audit folder", hint=f"one of {', '.join(AUDIT_SUBDIRECTORIES)}")
    return subdirectory


def _read(subdirectory: str, root: Path) -> Sequence[AuditReport | WalkForward]:
    match _known(subdirectory):
        case "drift":
            return read_kind(root, "drift", audit_root=".")
        case "data_quality":
            return read_kind(root, "data_quality", audit_root=".")
        case _:
            return read_walk_forward(root, audit_root=".")


def _entry(report: AuditReport | WalkForward, root: Path) -> Mapping[str, object]:
    path = (root / report.path).as_posix()
    return {**report.raw, "report_path": path} if report.error is None else {"report_path": path, "error": report.error}


def _windows(result: Mapping[str, object]) -> list[Mapping[str, object]]:
    windows = result.get("windows")
    return [window for window in windows if isinstance(window, Mapping)] if isinstance(windows, list) else []


def _numbers(items: Iterable[Mapping[str, object]], key: str) -> list[float]:
    values = (item.get(key) for item in items)
    return [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def _spread(values: Sequence[float]) -> Mapping[str, float | None]:
    return {
        "mean": sum(values) / len(values) if values else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
    }
