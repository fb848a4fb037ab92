"""Reading the evidence: versions, manifests, reports, decision journal, checklist; everything as plain values."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bot_core.ai.checklist import post_incident_section
from bot_core.ai.manifest import Manifest
from bot_core.ai.reports import AuditReport, read_reports
from bot_core.ai.reports import SignOff as ReportSignOff
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.names import legible
from bot_core.foundation.safe_file import read_inside, read_inside_or_none
from bot_core.foundation.strict_json import JsonValue, encode_json, parse_object
from rollbackctl.core.observation import (
    ChecklistFact,
    Observation,
    ReportFact,
    RepositoryFact,
    SignOff,
)
from rollbackctl.core.state import content_id
from rollbackctl.engine.runs import RunStore
from rollbackctl.engine.search import canonical

_LARGE = 16 << 20


def instant_text(moment: datetime | None) -> str | None:
    """Return an instant as ISO 8601 text in UTC; None stays None."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def sign_off_facts(block: Mapping[str, ReportSignOff] | None) -> dict[str, SignOff] | None:
    """Return a report's `sign_off` block as facts; None when it has none."""
    if block is None:
        return None
    return {
        role: SignOff(status=item.status, signed_by=item.signed_by, timestamp=item.timestamp, notes=item.notes)
        for role, item in sorted(block.items())
    }


def observe_reports(root: Path) -> tuple[ReportFact, ...]:
    """Read every drift and data-quality report, newest first by its own time."""
    return tuple(map(_report_fact, read_reports(root)))


def _report_fact(report: AuditReport) -> ReportFact:
    return ReportFact(
        path=report.path,
        kind=report.kind,
        time=instant_text(report.time),
        is_alert=report.is_alert,
        severity=report.severity,
        category=report.category,
        summary=report.summary,
        model_version=report.model_version,
        score=report.score,
        threshold=report.threshold,
        sign_off=sign_off_facts(report.sign_off),
        error=report.error,
        digest=report.digest,
    )


def observe_checklist(root: Path, path: str, incident: str) -> ChecklistFact:
    """Look for the incident's post-incident review and for Risk's approval in it."""
    data = read_inside_or_none(root, path)
    section = post_incident_section(data.decode(errors="replace"), incident) if data is not None else None
    if section is None:
        return ChecklistFact(path=path)
    box = section.box("Risk approved the rollback")
    return ChecklistFact(path=path, line=section.line, risk_approved=box is not None and box.is_ticked)


def repository_fact(root: Path, path: str, manifest: Manifest) -> RepositoryFact:
    """Return a manifest's names and what each version's file holds."""
    return RepositoryFact(
        path=path,
        active=manifest.active,
        aliases=dict(sorted(manifest.aliases.items())),
        files={version: manifest.versions[version].file for version in manifest.ordered()},
        resolved={
            version: canonical(root, f"{path}/{manifest.versions[version].file}") for version in manifest.ordered()
        },
        listed={version: tuple(manifest.versions[version].aliases) for version in manifest.ordered()},
    )


def observe_quality_records(root: Path) -> dict[str, str]:
    """Find the quality monitor's champions: file -> the version that it names. They are shown, never moved."""
    found: dict[str, str] = {}
    base = root / "var" / "models" / "quality"
    for path in sorted(base.glob("*/champion.json")) if base.is_dir() else ():
        relative = path.relative_to(root).as_posix()
        try:
            value = parse_object(read_inside(root, relative), relative)
        except BotCoreError:
            continue
        report = value.get("report")
        version = report.get("version") if isinstance(report, dict) else value.get("version")
        if isinstance(version, str):
            found[legible(relative)] = version
    return found


def file_digest(root: Path, path: str) -> str:
    """Return the SHA-256 of a file's bytes; "absent" when it does not exist."""
    data = read_inside_or_none(root, path)
    return "absent" if data is None else sha256_hex(data)


def secure_evidence(
    root: Path,
    store: RunStore,
    run: str,
    files: Iterable[str],
    observation: Observation,
    *,
    lenient: bool = False,
) -> str:
    """Keep before-images of every file that a run may touch, once, and this invocation's evidence; return its digest.

    What a log already held is recorded by its length and digest as well: its prefix must stay. Of a large file only
    those are kept. `lenient` says that a file which cannot be read is recorded as such; a hold must not fail for it.
    """
    if store.get(run, "evidence/before.json") is None:
        before: dict[str, JsonValue] = {}
        for path in files:
            before[path] = _before_image(root, store, run, path, lenient=lenient)
        store.put(run, "evidence/before.json", encode_json(before, sort_keys=True, newline=True))
    seen = observation.model_dump(mode="json", exclude={"runs", "holds"})
    digest = content_id(seen)
    store.put(run, f"evidence/seen-{digest[:16]}.json", encode_json(seen, sort_keys=True, newline=True))
    return digest


def _before_image(root: Path, store: RunStore, run: str, path: str, *, lenient: bool) -> JsonValue:
    try:
        size = os.lstat(root / path).st_size
        if size > _LARGE:
            with open(root / path, "rb") as file:
                return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size": size}
        data = read_inside_or_none(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BotCoreError as error:
        if not lenient:
            raise
        return {"unreadable": error.problem}
    return None if data is None else {"sha256": _put_blob(store, run, data), "size": len(data)}


def _put_blob(store: RunStore, run: str, data: bytes) -> str:
    digest = sha256_hex(data)
    store.put(run, f"evidence/blobs/{digest}", data)
    return digest
