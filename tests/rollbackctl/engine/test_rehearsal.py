"""Rehearsing a plan: what an operator learns from it, and what it leaves alone."""

import json
import os
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.acknowledgement import write_ack
from rollbackctl.checks import Bench
from rollbackctl.checks.inference_ready import InferenceReady
from rollbackctl.core.gate import Outcome, Result
from rollbackctl.core.rehearsal import NOBODY
from rollbackctl.kinds.maintenance import Maintenance
from tests.harness import INCIDENT, NOW, PLAN, SAVED, STEPS, Done, Site, new_site, quick_folder


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which a rehearsal's own files lie in `tmp`."""
    with quick_folder() as path:
        (path / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(path / "tmp"))
        yield path


@pytest.fixture
def unsigned(folder: Path) -> Site:
    return new_site(folder / "ws", signed=False)


@pytest.fixture
def near_its_end(folder: Path) -> Site:
    """A run that was interrupted before its last two steps."""
    site = new_site(folder / "ws")
    assert site.interrupted(STEPS - 2).code == 130
    return site


def traces(root: Path) -> dict[str, tuple[int, ...]]:
    """Everything that reading, writing or locking leaves behind, and how often it has been read."""
    paths = [root, *sorted(root.rglob("*"))]
    for path in paths:
        status = os.lstat(path)
        if status.st_atime_ns >= status.st_mtime_ns:
            os.utime(path, ns=(status.st_mtime_ns - 10**9, status.st_mtime_ns))
    found = [os.lstat(path) for path in paths]
    return {
        str(path): (s.st_ino, s.st_mode, s.st_size, s.st_atime_ns, s.st_mtime_ns)
        for path, s in zip(paths, found, strict=True)
    }


def left_alone(site: Site, *command: str) -> Done:
    """Call a command; the workspace stays as it was, and the folder of the copies empty."""
    before = traces(site.root)
    inodes = {path: os.lstat(path).st_ctime_ns for path in before}

    done = site(*command)

    after = {path: os.lstat(path) for path in before}
    assert {path: s.st_ctime_ns for path, s in after.items()} == inodes
    assert {path: (s.st_ino, s.st_mode, s.st_size, s.st_atime_ns, s.st_mtime_ns) for path, s in after.items()} == before
    assert sorted(before) == sorted(map(str, [site.root, *site.root.rglob("*")]))
    assert list((site.root.parent / "tmp").iterdir()) == []
    return done


def rehearsal(done: Done) -> dict[str, Any]:
    (found,) = [event for event in map(json.loads, done.out.splitlines()) if event["type"] == "rehearsal_summary"]
    return dict(found)


def test_a_plan_that_waits_survives_three_crashes_at_every_step(unsigned: Site) -> None:
    # An engine of the workspace that lives and obeys an older state: a real apply would wait for it, then exit 6.
    write_ack(unsigned.root / "var/models", 0, NOW)

    done = left_alone(unsigned, "--json", "rehearse", PLAN)

    assert done.code == 0
    found = rehearsal(done)
    crashes = [event["place"] for event in map(json.loads, done.out.splitlines()) if event["type"] == "rehearsal_crash"]
    assert (found["survived"], found["steps"], found["differing"], found["repeated"]) == (True, STEPS, [], [])
    assert found["taken_as_given"] == {"compliance": 6, "risk": 4, "data_governance": 2}
    assert [check["result"] for check in found["checks"]] == ["pass", "pass"]
    assert found["crashes"] == len(crashes) == len(set(crashes))
    for place in ("after begun", "before done", "after done"):
        assert len([crash for crash in crashes if crash.startswith(f"{place} ")]) == STEPS
    assert f'signed as "{NOBODY}"' in done.err
    assert "the real run waits for people" in done.err


def test_an_unfinished_run_is_continued_in_the_rehearsal(near_its_end: Site) -> None:
    done = left_alone(near_its_end, "rehearse", PLAN)

    assert done.code == 0, done.err
    assert "each step was made once" in done.out
    assert NOBODY not in done.out
    assert done.err.endswith(f"next: rollbackctl apply {near_its_end.root / PLAN}\n")


def test_a_kind_that_leaves_a_trace_at_each_look_does_not_survive(
    near_its_end: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = Maintenance.observe

    def leave_a_trace(self: Maintenance, name: str) -> object:
        with (self._binding.root / "logs/looked.log").open("a") as file:
            file.write("looked\n")
        return observe(self, name)

    monkeypatch.setattr(Maintenance, "observe", leave_a_trace)

    done = left_alone(near_its_end, "rehearse", PLAN)

    assert done.code == 6
    assert "Differs   logs/looked.log\n" in done.out
    assert "the plan did not survive its rehearsal: 1 files and 0 steps" in done.err
    assert "next: nothing in the workspace was changed" in done.err


def test_a_plan_without_changes_needs_no_rehearsal(near_its_end: Site) -> None:
    near_its_end.apply()

    done = left_alone(near_its_end, "rehearse", PLAN)

    assert (done.code, done.out) == (0, "No changes. There is nothing to rehearse.\n")


def test_a_saved_plan_that_has_expired_ends_its_rehearsal_as_it_would_an_apply(unsigned: Site) -> None:
    unsigned.save()

    done = left_alone(unsigned.at(NOW + timedelta(hours=25)), "rehearse", SAVED)

    assert done.code == 4
    assert "error: in the rehearsal, on a copy: the plan expired" in done.err
    assert "next: nothing in the workspace was changed; after such an apply:\n" in done.err


def test_a_target_that_fails_its_check_ends_the_rehearsal_with_the_same_code(
    unsigned: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: InferenceReady, bench: Bench) -> Outcome:
        return Outcome(self.name, Result.FAIL, "it is not")

    monkeypatch.setattr(InferenceReady, "run", fail)

    done = left_alone(unsigned, "rehearse", PLAN)

    assert done.code == 6
    assert "error: in the rehearsal, on a copy: v9 did not pass its checks" in done.err
    assert "next: nothing in the workspace was changed; after such an apply:\n" in done.err


def test_what_blocks_the_first_phase_blocks_the_rehearsal(unsigned: Site) -> None:
    checklist = unsigned.root / "docs/compliance/ai_pipeline_signoff.md"
    checklist.write_text(checklist.read_text().replace("[x] Risk", "[ ] Risk"))

    done = left_alone(unsigned, "rehearse", PLAN)

    assert done.code == 3
    assert "the runbook's preconditions do not hold" in done.err
    assert f"rollbackctl hold --incident {INCIDENT}" in done.err


def test_a_hard_link_that_an_apply_refuses_is_refused_in_the_rehearsal(near_its_end: Site, folder: Path) -> None:
    os.link(near_its_end.root / "audit/ai_decision/incident_journal.md", folder / "second-name")

    done = left_alone(near_its_end, "rehearse", PLAN)

    assert done.code == near_its_end.apply().code == 8
    assert "has 2 hard links, not one" in done.err


def test_a_signal_ends_a_rehearsal_and_removes_the_copies(unsigned: Site) -> None:
    site = unsigned
    before = site.files()

    done = site.interrupted(None, "rehearse", PLAN)

    assert done.code == 130
    assert "the rehearsal was ended; nothing in the workspace was changed" in done.err
    assert site.files() == before
    assert list((site.root.parent / "tmp").iterdir()) == []


def test_a_folder_for_temporary_files_in_the_workspace_is_refused(
    unsigned: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(unsigned.root / "var"))

    done = left_alone(unsigned, "rehearse", PLAN)

    assert done.code == 64
    assert "lies in the workspace" in done.err
