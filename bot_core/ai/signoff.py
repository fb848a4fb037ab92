"""Sign-offs: a role's decision in a report, and which decisions are still missing."""

import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from bot_core.ai.instant import format_instant, utc_now
from bot_core.ai.report_content import normalize_report_status, object_at
from bot_core.ai.reports import (
    COMPLETE,
    DEFAULT_ROLES,
    MAX_BYTES,
    ReportKind,
    Signable,
    judge_mapping,
    newest_first,
    normalize_role,
    undecided_roles,
)
from bot_core.foundation.atomic_file import write_atomic
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.lock import FileLock
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import encode_json, parse_object

STATUSES = ("pending", "investigating", "escalated", "rejected", "approved", "waived")
_LOCK_NAME = ".sign_off.lock"
_LOCK_TIMEOUT_S = 10.0

Pending = Mapping[str, tuple[Mapping[str, object], ...]]


class SignOffError(BotCoreError, ValueError):
    """A decision that cannot be recorded as asked for."""


class ComplianceSignOffError(BotCoreError):
    """Reports that need a decision have none.

    Attributes:
        pending: By role, the reports it has not signed.
    """

    def __init__(self, pending: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        lacking = [(role, entries) for role, entries in sorted(pending.items()) if entries]
        counts = ", ".join(f"{role}: {len(entries)}" for role, entries in lacking)
        first = "".join(
            f"; {role}: {entries[0].get('report_path')} is {entries[0].get('status')}" for role, entries in lacking
        )
        super().__init__(
            f"audit reports lack required sign-offs ({counts}){first}",
            hint="each role approves or waives them; a rejected report is settled, but not approved",
        )
        self.pending = pending


@frozen
class _Decision:
    role: str
    status: str
    signed_by: str | None
    notes: str | None
    roles: tuple[str, ...]
    time: datetime
    recorded_by: Mapping[str, str] | None


def get_supported_sign_off_statuses() -> tuple[str, ...]:
    """Every status a sign-off can have; approved and waived are the complete ones."""
    return STATUSES


def normalize_sign_off_status(value: object) -> str | None:
    """A status in its supported spelling; None when it is no supported status."""
    status = normalize_report_status(value)
    return status if status in STATUSES else None


def normalize_compliance_sign_off_roles(roles: Sequence[str] | None) -> tuple[str, ...]:
    """Role names in lower case, each once, in the order given; risk and compliance when none are named."""
    given = [roles] if isinstance(roles, str) else roles or ()
    return tuple(dict.fromkeys(role for name in given if (role := normalize_role(name)))) or DEFAULT_ROLES


def default_sign_off(roles: Iterable[str] = DEFAULT_ROLES) -> dict[str, dict[str, object]]:
    """The block of a new report, in which every role's decision is pending."""
    return {role: _pending_entry(role) for role in roles}


def update_sign_off(
    report: MutableMapping[str, object],
    *,
    role: str,
    status: str,
    signed_by: str | None = None,
    notes: str | None = None,
    recorded_by: Mapping[str, str] | None = None,
    roles: Sequence[str] | None = None,
    now: datetime | None = None,
) -> MutableMapping[str, object]:
    """Record a role's decision in a report, and in its file when the report says where that is (`report_path`).

    The file is read again under a lock, so that no other decision is lost; nothing but the decision is taken from
    `report`. After a crash the file holds the old or the new decision. Without `notes` the earlier ones stay. What was
    superseded is kept in `sign_off_history`.

    Args:
        report: Changed in place.
        role: In any case.
        status: One of `get_supported_sign_off_statuses()`.
        signed_by: The person who decided.
        notes: Why.
        recorded_by: Who recorded it where, for example user and host.
        roles: Who gets an entry in a report without a block; risk and compliance when None.
        now: The instant of the decision; the present when None.

    Raises:
        SignOffError: The role is empty or the status not supported.
        BotCoreError: The file is missing, unsafe or not a report. OSError where it cannot be written.
    """
    decision = _decision(role, status, signed_by, notes, roles, now or utc_now(), recorded_by)
    path = report.get("report_path")
    if isinstance(path, str) and path:
        file = Path(path)
        updated: Mapping[str, object] = _update_file(file.parent, file.name, decision)
    else:
        updated = _signed(report, decision, "")
    for key in ("sign_off", "sign_off_history"):
        if key in updated:
            report[key] = updated[key]
    return report


def update_sign_off_file(
    root: Path,
    report: str,
    *,
    role: str,
    status: str,
    signed_by: str,
    notes: str | None,
    roles: Sequence[str],
    now: datetime,
    recorded_by: Mapping[str, str],
) -> None:
    """Record a person's decision in the file of one report, in the format it has; unknown keys are kept.

    After a crash the file holds the old or the new decision. See `update_sign_off` for the arguments.

    Raises:
        SignOffError: The role or the person is empty, the status is not supported, or waived without notes.
        BotCoreError: The file is missing, unsafe or not a report. OSError where it cannot be written.
    """
    decision = _decision(role, status, signed_by, notes, roles, now, recorded_by)
    if not signed_by.strip():
        raise SignOffError(f"{report}: a sign-off needs the name of the person who decided")
    if decision.status == "waived" and not (notes or "").strip():
        raise SignOffError(f"{report}: waived needs notes that say why")
    _update_file(root, report, decision)


def collect_pending_compliance_sign_offs(
    *,
    data_quality_reports: Sequence[Mapping[str, object]] | None = None,
    drift_reports: Sequence[Mapping[str, object]] | None = None,
    roles: Sequence[str] | None = None,
) -> Pending:
    """By role, the alerts that it has neither approved nor waived: data quality first, each kind newest first.

    Args:
        data_quality_reports: As `load_recent_data_quality_reports` returns them.
        drift_reports: As `load_recent_drift_reports` returns them.
        roles: Only these. None: risk, compliance, and every other role in a report's own block.

    Returns:
        An entry for each role, also for one with nothing pending. An unreadable report is pending for every role.
    """
    pending: dict[str, tuple[Mapping[str, object], ...]] = {}
    given: tuple[tuple[ReportKind, Sequence[Mapping[str, object]]], ...] = (
        ("data_quality", data_quality_reports or ()),
        ("drift", drift_reports or ()),
    )
    for kind, reports in given:
        judged = newest_first(judge_mapping(raw, kind) for raw in reports)
        counting = [report for report in judged if report.is_alert or report.error is not None]
        for role, entries in pending_sign_offs(counting, roles=roles).items():
            pending[role] = pending.get(role, ()) + entries
    return pending


def ensure_compliance_sign_offs(
    *,
    data_quality_reports: Sequence[Mapping[str, object]] | None = None,
    drift_reports: Sequence[Mapping[str, object]] | None = None,
    roles: Sequence[str] | None = None,
) -> Pending:
    """Like `collect_pending_compliance_sign_offs`, and an error unless nothing is pending.

    Raises:
        ComplianceSignOffError: Something is pending; carries it.
    """
    pending = collect_pending_compliance_sign_offs(
        data_quality_reports=data_quality_reports, drift_reports=drift_reports, roles=roles
    )
    if any(pending.values()):
        raise ComplianceSignOffError(pending)
    return pending


def pending_sign_offs(
    reports: Iterable[Signable], *, roles: Sequence[str] | None
) -> dict[str, tuple[Mapping[str, object], ...]]:
    """By role, what it has neither approved nor waived among `reports`, all of which are taken to need a decision."""
    required = normalize_compliance_sign_off_roles(roles)
    pending: dict[str, list[Mapping[str, object]]] = {role: [] for role in required}
    for report in reports:
        for role, status in undecided_roles(report, roles=required, decided=COMPLETE):
            if roles is None or role in required:
                pending.setdefault(role, []).append(_pending_item(report, status))
    return {role: tuple(entries) for role, entries in pending.items()}


def _pending_item(report: Signable, status: str) -> Mapping[str, object]:
    item: dict[str, object] = {
        "category": report.category,
        "status": status,
        "report_path": report.path or None,
        "timestamp": None if report.time is None else format_instant(report.time),
    }
    return item if report.error is None else {**item, "error": report.error}


def _decision(
    role: str,
    status: str,
    signed_by: str | None,
    notes: str | None,
    roles: Sequence[str] | None,
    time: datetime,
    recorded_by: Mapping[str, str] | None,
) -> _Decision:
    supported = normalize_sign_off_status(status)
    if supported is None:
        raise SignOffError(f"{status!r} is not a sign-off status", hint=f"one of {', '.join(STATUSES)}")
    if not normalize_role(role):
        raise SignOffError("a sign-off needs a role")
    known = normalize_compliance_sign_off_roles(roles)
    return _Decision(normalize_role(role), supported, signed_by, notes, known, time, recorded_by)


def _update_file(root: Path, report: str, decision: _Decision) -> dict[str, object]:
    path = root / PurePosixPath(report)
    _read_signed(root, report, decision)  # what is refused is refused before a lock file is made beside it
    with FileLock(path.parent / _LOCK_NAME, root=root).hold(timeout_s=_LOCK_TIMEOUT_S) as require_held:
        data, updated = _read_signed(root, report, decision)
        require_held()
        write_atomic(path, _encode_like(data, updated), root=root)
    return updated


def _read_signed(root: Path, report: str, decision: _Decision) -> tuple[bytes, dict[str, object]]:
    data = read_inside(root, report, max_bytes=MAX_BYTES)
    return data, _signed(parse_object(data, report), decision, report)


def _signed(report: Mapping[str, object], decision: _Decision, path: str) -> dict[str, object]:
    """The report with the decision in it."""
    block = dict(object_at(report, "sign_off", path))
    if report.get("sign_off") is None:
        block = dict(default_sign_off(decision.roles))
    history = list(_history(report, path))
    keys = [key for key in block if normalize_role(key) == decision.role] or [decision.role]
    for key in keys:
        earlier = block.get(key, {})
        entry = dict(earlier) if isinstance(earlier, Mapping) else {"value": earlier}
        if key in block and report.get("sign_off") is not None:
            history.append({"role": key, **entry, "superseded_at": format_instant(decision.time)})
        block[key] = _entry(decision, entry.get("notes"))
    updated = {**report, "sign_off": block}
    return {**updated, "sign_off_history": history} if history else updated


def _entry(decision: _Decision, earlier_notes: object) -> dict[str, object]:
    entry: dict[str, object] = {
        "status": decision.status,
        "signed_by": decision.signed_by,
        "timestamp": format_instant(decision.time),
        "notes": earlier_notes if decision.notes is None else decision.notes,
    }
    return entry if decision.recorded_by is None else {**entry, "recorded_by": dict(decision.recorded_by)}


def _history(report: Mapping[str, object], path: str) -> Sequence[object]:
    history = report.get("sign_off_history")
    if history is None:
        return ()
    if not isinstance(history, Sequence) or isinstance(history, str):
        raise SignOffError(f"{path}: sign_off_history is not a list", path=path or None)
    return history


def _pending_entry(role: str) -> dict[str, object]:
    words = "Awaiting Risk review" if role == "risk" else f"Awaiting {role.replace('_', ' ').title()} sign-off"
    return {"status": "pending", "signed_by": None, "timestamp": None, "notes": words}


def _encode_like(original: bytes, value: Mapping[str, object]) -> bytes:
    """`value` in the engine's layout, with the final newline and the escapes that `original` has."""
    newline = original.endswith(b"\n")
    if original.isascii() and b"\\u" in original:
        return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n" * newline).encode()
    return encode_json(value, sort_keys=True, newline=newline)
