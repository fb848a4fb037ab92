"""Drift and data-quality reports: what each says, whether it counts, and whose decision it still needs."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from bot_core.ai.instant import parse_file_stamp
from bot_core.ai.report_content import (
    drift_limits,
    is_critical,
    is_enforced,
    is_exceeding,
    is_triggered,
    normalize_report_status,
    object_at,
    own_time,
    require_finding,
    require_types,
    summary_line,
    text_at,
)
from bot_core.foundation.digest import canonical_digest, sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, MissingFileError, UnsafePathError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.names import legible
from bot_core.foundation.safe_file import list_inside, read_inside
from bot_core.foundation.strict_json import parse_object

ReportKind = Literal["drift", "data_quality"]
Severity = Literal["critical", "alert", "ok"]

KINDS: tuple[ReportKind, ...] = ("data_quality", "drift")
AUDIT_ROOT = "audit/ai_decision"
MAX_BYTES = 8 * 1024 * 1024  # some hundred times the longest report; a parsed file takes many times its size
DEFAULT_ROLES = ("compliance", "risk")
COMPLETE = frozenset({"approved", "waived"})
SETTLED = COMPLETE | {"rejected"}
# What signing a report changes; the rest of the report is what its digest covers.
SIGNED_KEYS = frozenset({"sign_off", "sign_off_history"})


@frozen
class SignOff:
    """One role's entry in a `sign_off` block; `status` is in lower case and "missing" where the entry has none."""

    status: str
    signed_by: str | None = None
    timestamp: str | None = None
    notes: str | None = None


class Signable(Protocol):
    """Anything that roles sign off: an audit report or a walk-forward report."""

    @property
    def path(self) -> str:
        """Where it is."""

    @property
    def category(self) -> str:
        """What sort it is."""

    @property
    def time(self) -> datetime | None:
        """Its own time; None: undated."""

    @property
    def sign_off(self) -> Mapping[str, SignOff] | None:
        """By role in lower case; None: no block."""

    @property
    def error(self) -> str | None:
        """What makes it unreadable; None: readable."""


@frozen
class AuditReport:
    """A drift or data-quality report, judged.

    Attributes:
        path: Relative to the folder it was read from, with "/".
        time: The report's own: `timestamp`, else `generated_at`, else the stamp in its file name. None: undated.
        is_alert: Whether it counts, so that roles must settle it.
        score, threshold: Of the drift; None where the report states none.
        sign_off: By role in lower case. None: the report has no block.
        error: What makes it unreadable; None when it is readable. An unreadable report never counts as settled.
        digest: Of the canonical JSON without what signing changes; of the bytes where it is unreadable.
        summary: One line for people.
        raw: The report itself; empty where it is unreadable.
    """

    path: str
    kind: ReportKind
    time: datetime | None
    is_alert: bool
    severity: Severity
    category: str
    model_name: str | None
    model_version: str | None
    score: float | None
    threshold: float | None
    sign_off: Mapping[str, SignOff] | None
    error: str | None
    digest: str
    summary: str
    raw: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)


def parse_report(data: bytes, *, path: str, kind: ReportKind) -> AuditReport:
    """Judge the bytes of a report; whatever is wrong with them becomes its `error`."""
    try:
        raw = parse_object(data, path)
        return _judged(raw, path, kind, signed_digest(raw))
    except FileFormatError as error:
        return _unreadable(path, kind, error.problem, sha256_hex(data))


def judge_mapping(raw: Mapping[str, object], kind: ReportKind) -> AuditReport:
    """Judge a report as `load_recent_*` returns it, with its `report_path`; its digest is left empty.

    An entry that says only that a report is unreadable stays unreadable.
    """
    path = str(raw.get("report_path") or "")
    content = {key: value for key, value in raw.items() if key != "report_path"}
    error = content.get("error")
    if isinstance(error, str) and len(content) == 1:
        return _unreadable(path, kind, error, "")
    try:
        return _judged(content, path, kind, "")
    except FileFormatError as fault:
        return _unreadable(path, kind, fault.problem, "")


def read_reports(root: Path, *, audit_root: str = AUDIT_ROOT) -> tuple[AuditReport, ...]:
    """Every report of both kinds below `root`: unreadable and undated ones first, then newest first, ties by path.

    Reads only. A file that cannot be read is an entry with `error`.
    """
    return newest_first(report for kind in KINDS for report in read_kind(root, kind, audit_root=audit_root))


def read_kind(root: Path, kind: ReportKind, *, audit_root: str = AUDIT_ROOT) -> tuple[AuditReport, ...]:
    """Every report of one kind below `root`, in the order of `read_reports`; reads only."""
    found = []
    for path, data in read_folder(root, str(PurePosixPath(audit_root, kind))):
        if isinstance(data, bytes):
            found.append(parse_report(data, path=path, kind=kind))
        else:
            found.append(_unreadable(path, kind, str(data), sha256_hex(b"")))
    return newest_first(found)


def read_folder(root: Path, folder: str) -> Iterable[tuple[str, bytes | Exception]]:
    """Path and bytes of every `*.json` in a folder; in place of the bytes, why a file cannot be read.

    A file that is gone by the time it is its turn is left out.
    """
    for name in list_inside(root, folder, suffix=".json"):
        path = str(PurePosixPath(folder, legible(name)))
        if name != legible(name):
            yield path, UnsafePathError("its name is not UTF-8: rename it", path=path)
            continue
        try:
            yield path, read_inside(root, path, max_bytes=MAX_BYTES)
        except MissingFileError:
            continue
        except (BotCoreError, OSError) as error:
            yield path, error


def newest_first(reports: Iterable[AuditReport]) -> tuple[AuditReport, ...]:
    """Reports in the order of `read_reports`."""
    return tuple(sorted(reports, key=age_order))


def age_order(report: Signable) -> tuple[bool, float, str]:
    """Sort key: unreadable and undated first, then newest first, ties by path."""
    if report.error is not None or report.time is None:
        return False, 0.0, report.path
    return True, -report.time.timestamp(), report.path


def undecided_roles(
    report: Signable, *, roles: Iterable[str], decided: frozenset[str] = SETTLED
) -> tuple[tuple[str, str], ...]:
    """The roles whose decision a report still needs, sorted, each with its present status.

    Args:
        report: Any report; an unreadable one needs every role's, with the status "unreadable".
        roles: Required roles. Every other role in the report's own block is required too.
        decided: Statuses that settle it.
    """
    block = report.sign_off or {}
    required = sorted({normalize_role(role) for role in roles} | set(block))
    absent = SignOff("missing" if report.error is None else "unreadable")
    return tuple((role, status) for role in required if (status := block.get(role, absent).status) not in decided)


def normalize_role(role: str) -> str:
    """A role's name as it is compared: without surrounding space, in lower case."""
    return role.strip().lower()


def signed_digest(raw: Mapping[str, object]) -> str:
    """Digest of a report's canonical JSON without what signing changes."""
    return canonical_digest({key: value for key, value in raw.items() if key not in SIGNED_KEYS})


def read_sign_off(raw: Mapping[str, object], path: str) -> dict[str, SignOff] | None:
    """The `sign_off` block by role in lower case; None when there is none.

    Where two keys differ only in case, the less settled entry stands.

    Raises:
        FileFormatError: The block is not an object.
    """
    if raw.get("sign_off") is None:
        return None
    block: dict[str, SignOff] = {}
    for name, entry in object_at(raw, "sign_off", path).items():
        role, found = normalize_role(name), _sign_off_entry(entry)
        if role not in block or _settledness(found) < _settledness(block[role]):
            block[role] = found
    return block


def _judged(raw: Mapping[str, object], path: str, kind: ReportKind, digest: str) -> AuditReport:
    require_types(raw, path)
    require_finding(raw, path)
    score, threshold = drift_limits(raw, path)
    critical = is_critical(raw, path)
    if kind == "drift":
        is_alert = critical or is_exceeding(raw, path) or is_triggered(raw, path)
    else:
        is_alert = critical or (normalize_report_status(raw.get("status")) == "alert" and is_enforced(raw))
    context = raw.get("context")
    model = raw if kind == "drift" else context if isinstance(context, Mapping) else {}
    return AuditReport(
        path=path,
        kind=kind,
        time=own_time(raw, path),
        is_alert=is_alert,
        severity="critical" if critical else "alert" if is_alert else "ok",
        category=text_at(raw, "category") or ("drift_alert" if kind == "drift" else "unknown"),
        model_name=text_at(model, "model_name") or text_at(model, "model"),
        model_version=text_at(model, "model_version"),
        score=score,
        threshold=threshold,
        sign_off=read_sign_off(raw, path),
        error=None,
        digest=digest,
        summary=summary_line(raw, path),
        raw=raw,
    )


def _unreadable(path: str, kind: ReportKind, problem: str, digest: str) -> AuditReport:
    return AuditReport(
        path=path,
        kind=kind,
        time=parse_file_stamp(PurePosixPath(path).name),
        is_alert=False,
        severity="alert",
        category="unreadable",
        model_name=None,
        model_version=None,
        score=None,
        threshold=None,
        sign_off=None,
        error=problem,
        digest=digest,
        summary=f"unreadable: {problem}",
    )


def _sign_off_entry(entry: object) -> SignOff:
    if not isinstance(entry, Mapping):
        return SignOff("unreadable")
    status = normalize_report_status(entry.get("status")) or "missing"
    return SignOff(status, text_at(entry, "signed_by"), text_at(entry, "timestamp"), text_at(entry, "notes"))


def _settledness(entry: SignOff) -> int:
    return 2 if entry.status in COMPLETE else 1 if entry.status in SETTLED else 0
