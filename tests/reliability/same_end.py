"""Whether a workspace that was disturbed has come to the end of a clean run: bytes, modes, events, runs, evidence."""

import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness import STORE, Site, unlike_once

# Each invocation writes its own line, evidence and name; the report tells of all invocations.
_OWN = re.compile(r"(journal\.jsonl|report\.json|lock|\.?seen-.*)")
LOGS = ("logs/decision_journal/rollback.log", "audit/ai_decision/incident_journal.md")


def require_none(problems: Iterable[str], shown: int = 20) -> None:
    """Fail where there is a problem, with the first ones only: a grave fault has thousands."""
    found = list(problems)
    if found:
        pytest.fail("\n".join([*found[:shown], f"{len(found)} in all"]), pytrace=False)


def unlike(site: Site, clean: Site, left: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """Name everything in which a workspace differs from that of a clean run.

    Args:
        site: The workspace, after the run has ended.
        clean: The same after a run that nothing disturbed.
        left: The files as a power loss left them; a log may keep what was torn in it, for nothing is ever cut there.
    """
    found, wanted = site.files(), clean.files()
    for name in sorted({*found, *wanted}):
        here, there = found.get(name), wanted.get(name)
        torn = (left or {}).get(name)
        if here != there and not (name in LOGS and here and there and torn and _is_continued(here, there, torn)):
            yield f"{name} differs"
    if modes(site.root) != modes(clean.root):
        changed = sorted({*modes(site.root).items()} ^ {*modes(clean.root).items()})
        yield f"modes differ: {changed}"
    if keys(site.root) != keys(clean.root):
        yield f"the decision journal has {keys(site.root)}"
    if [path.name for path in site.runs()] != [path.name for path in clean.runs()]:
        yield f"the runs are {[path.name for path in site.runs()]}"
    yield from unlike_once(site, clean)
    for entry in site.entries("invocation"):
        evidence = f"evidence/seen-{entry['body']['evidence'][:16]}.json"
        if not (site.runs()[-1] / evidence).exists():
            yield f"{evidence} is named by entry {entry['seq']} and not there"
    kept, wanted = kept_files(site.root), kept_files(clean.root)
    yield from (f"{name} differs" for name in sorted({*kept, *wanted}) if kept.get(name) != wanted.get(name))


def _is_continued(here: bytes, there: bytes, torn: bytes) -> bool:
    """Whether a log holds all that a power loss left of it, and then what a clean one holds from some line on."""
    ends = [0, *(match.end() for match in re.finditer(rb"\n", there))]
    rests = [there[end:].lstrip(b"\n") for end in ends if torn.startswith(there[:end])]
    return here.startswith(torn) and here[len(torn) :].lstrip(b"\n") in rests


def keys(root: Path) -> list[str]:
    """The keys of the tool's events; a torn line has none."""
    data = (root / LOGS[0]).read_bytes() if (root / LOGS[0]).exists() else b""
    return sorted(json.loads(line).get("rollback_key", "") for line in data.splitlines() if _is_json(line))


def _is_json(line: bytes) -> bool:
    with suppress(ValueError):
        json.loads(line)
        return True
    return False


def modes(root: Path) -> dict[str, str]:
    """The mode of every file and folder but the locks."""
    return {
        path.relative_to(root).as_posix(): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in root.rglob("*")
        if not path.name.endswith("lock") and not path.name.startswith((".seen", "seen"))
    }


def kept_files(root: Path) -> dict[str, bytes]:
    """What the run store keeps, but for what tells of single invocations."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / STORE).rglob("*")
        if path.is_file() and not _OWN.fullmatch(path.name)
    }
