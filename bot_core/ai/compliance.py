"""Whether the models of a workspace may go on: reports, sign-offs and the retraining schedule in one summary."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from bot_core.ai import schedule
from bot_core.ai.audit import (
    load_recent_walk_forward_reports,
    scheduler_state_path,
    summarize_walk_forward_reports,
)
from bot_core.ai.data_monitoring import (
    load_recent_data_quality_reports,
    load_recent_drift_reports,
    summarize_data_quality_reports,
    summarize_drift_reports,
)
from bot_core.ai.instant import as_utc, utc_now
from bot_core.ai.scheduler import read_schedule

_SECTIONS = ("data_quality", "drift", "walk_forward")


def collect_pipeline_compliance_summary(
    *,
    audit_root: str | Path | None = None,
    data_quality_limit: int = 5,
    drift_limit: int = 5,
    walk_forward_limit: int = 3,
    include_scheduler: bool = True,
    now: datetime | None = None,
) -> Mapping[str, object]:
    """What keeps the pipeline from being ready; writes nothing.

    Args:
        audit_root: The audit folder; None: the default one below the working folder.
        data_quality_limit: How many of the newest data-quality reports are looked at.
        drift_limit: How many of the newest drift reports.
        walk_forward_limit: How many of the newest walk-forward reports.
        include_scheduler: Whether the retraining schedule counts too.
        now: None: the present.

    Returns:
        `issues` (sorted names; `ready` is whether there are none), the summaries `data_quality`, `drift` and
        `walk_forward`, `pending_sign_off` by role over all three, and `scheduler`: `state` as in its file (None: there
        is no file), `is_overdue`, `cooldown_active`, `paused`, and in seconds `seconds_since_last_run`,
        `seconds_until_next_run` (0 when it is due) and `interval_seconds`, each None where nothing is known.

    Raises:
        FileFormatError: The scheduler's file is not a schedule.
    """
    summaries: dict[str, Mapping[str, object]] = {
        "data_quality": summarize_data_quality_reports(
            load_recent_data_quality_reports(limit=data_quality_limit, audit_root=audit_root)
        ),
        "drift": summarize_drift_reports(load_recent_drift_reports(limit=drift_limit, audit_root=audit_root)),
        "walk_forward": summarize_walk_forward_reports(
            load_recent_walk_forward_reports(limit=walk_forward_limit, audit_root=audit_root)
        ),
    }
    pending = _pending(summaries)
    scheduler = _scheduler(scheduler_state_path(audit_root), as_utc(now or utc_now())) if include_scheduler else None
    issues = _issues(summaries, pending, scheduler or {})
    return {
        "issues": issues,
        "ready": not issues,
        **summaries,
        "pending_sign_off": pending,
        **({} if scheduler is None else {"scheduler": scheduler}),
    }


def _issues(
    summaries: Mapping[str, Mapping[str, object]],
    pending: Mapping[str, tuple[object, ...]],
    scheduler: Mapping[str, object],
) -> list[str]:
    found = {
        "data_quality_alerts": summaries["data_quality"]["must_be_settled"],
        "drift_alerts": summaries["drift"]["must_be_settled"],
        "missing_sign_offs": any(pending.values()),
        "scheduler_cooldown": scheduler.get("cooldown_active"),
        "scheduler_overdue": scheduler.get("is_overdue"),
        "scheduler_paused": scheduler.get("paused"),
        "unreadable_reports": any(summary["unreadable"] for summary in summaries.values()),
    }
    return sorted(name for name, is_found in found.items() if is_found)


def _pending(summaries: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[object, ...]]:
    pending: dict[str, tuple[object, ...]] = {}
    for section in _SECTIONS:
        by_role = summaries[section]["pending_sign_off"]
        for role, entries in by_role.items() if isinstance(by_role, Mapping) else ():
            pending[role] = (*pending.get(role, ()), *entries)
    return pending


def _scheduler(path: Path, now: datetime) -> Mapping[str, object]:
    state = read_schedule(path)
    if state is None:
        absent = dict.fromkeys(("seconds_since_last_run", "seconds_until_next_run", "interval_seconds"))
        return {"state": None, "is_overdue": False, "cooldown_active": False, "paused": False, **absent}
    due = schedule.next_run(state, now)
    return {
        "state": state.to_mapping(now=now),
        "is_overdue": state.last_run is not None and now > due,
        "cooldown_active": state.cooldown_until is not None and now < state.cooldown_until,
        "paused": schedule.is_paused(state, now),
        "seconds_since_last_run": None if state.last_run is None else (now - state.last_run).total_seconds(),
        "seconds_until_next_run": max(0.0, (due - now).total_seconds()),
        "interval_seconds": state.interval_s,
    }
