"""The decision journal's events that a rollback asks about; large files are searched once and remembered."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from bot_core.foundation.cache import DerivedCache, user_cache_folder
from bot_core.foundation.frozen import frozen
from bot_core.runtime.journal_scan import journal_files, scan_file
from rollbackctl.core.observation import JournalFact

_REPORT_EVENTS = ("ai_drift_report", "ai_data_quality_report")
_NEEDLES = (b'"ai_drift_report"', b'"ai_data_quality_report"', b'"model_change"')
_LARGE = 4 << 20


@frozen
class Journal:
    """What was found: the fact for planning, and the records of model changes."""

    fact: JournalFact
    changes: tuple[Mapping[str, Any], ...]


def observe_journal(root: Path, relative: str) -> Journal:
    """Search the journal for report events and model changes.

    Files of 4 MiB and more are remembered in the user's cache folder, by device, inode, size and modification time;
    a cache that is missing or broken costs time and changes nothing.
    """
    events, malformed, changes = [], [], []
    files = journal_files(root, relative)
    for name in files:
        found = _index(root, name)
        malformed += [f"{name}:{line}" for line in found["malformed"]]
        for line, record in found["records"]:
            if record.get("event") in _REPORT_EVENTS and isinstance(record.get("report_path"), str):
                events.append((str(record["event"]), str(record["report_path"]), f"{name}:{line}"))
            elif record.get("event") == "model_change":
                changes.append(record)
    return Journal(JournalFact(events=tuple(events), malformed=tuple(malformed), files=len(files)), tuple(changes))


def served_versions(journal: Journal) -> dict[str, str]:
    """Say when each version came into service and when it left, as far as the journal's model changes tell."""
    served: dict[str, str] = {}
    for record in sorted(journal.changes, key=lambda item: str(item.get("timestamp"))):
        at, new, old = (str(record.get(key) or "") for key in ("timestamp", "model_version", "model_previous_version"))
        if old:
            served[old] = f"{served.get(old, 'served')} until {at}"
        if new:
            served[new] = f"served since {at}"
    return served


def _index(root: Path, name: str) -> dict[str, Any]:
    try:
        status = os.stat(root / name, follow_symlinks=False)
    except FileNotFoundError:
        return {"malformed": [], "records": []}
    if status.st_size < _LARGE:
        return _scan(root, name)
    cache, key = DerivedCache(user_cache_folder(os.environ)), f"journal-1:{DerivedCache.file_key(status)}"
    known = cache.get(key)
    if _is_index(known):
        return known
    found = _scan(root, name)
    cache.put(key, found)
    return found


def _is_index(known: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a row of the cache is what `_scan` gives; anything else is a miss."""
    return (
        isinstance(known, dict)
        and known.keys() == {"malformed", "records"}
        and all(isinstance(rows, list) for rows in known.values())
        and all(isinstance(line, int) for line in known["malformed"])
        and all(isinstance(row, list) and list(map(type, row)) == [int, dict] for row in known["records"])
    )


def _scan(root: Path, name: str) -> dict[str, Any]:
    found = scan_file(root, name, needles=_NEEDLES)
    return {
        "malformed": [line for _, line in found.malformed],
        "records": [[line, record] for _, line, record in found.records],
    }
