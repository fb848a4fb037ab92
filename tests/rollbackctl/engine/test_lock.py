"""One at a time: who comes second is told who works there; a dead holder holds nothing; another host is refused."""

import os
import re
import socket
from pathlib import Path

import pytest

from bot_core.foundation.lock import FileLock
from rollbackctl import VERSION
from tests.harness import INCIDENT, PLAN, STORE, Site, names, new_site

OPERATIONS = (
    ("apply", PLAN, "--yes"),
    ("abandon", "20251118", "--reason", "no"),
    ("hold", "--release"),
    ("undo", "20251118", "--yes"),
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws")


@pytest.mark.parametrize("command", OPERATIONS, ids=lambda command: command[0])
def test_who_comes_second_is_told_who_works_there(command: tuple[str, ...], site: Site) -> None:
    with site.paused("apply", PLAN, "--yes", event="apply_start", step=9) as first:
        before = site.files()
        refused = site(*command)
        after = site.files()
        first.go()  # type: ignore[attr-defined]
        done = site.finish(first)

    assert refused.code == 7
    told = re.search(r"locked by apply of (\S+) on (\S+), pid (\d+), since (.+), version (\S+)", refused.err)
    assert told is not None, refused.err
    assert told.group(2, 3, 5) == (socket.gethostname(), str(first.pid), VERSION)
    assert "2025-11-18" in told.group(4)
    assert names(refused.err, ["rollbackctl status", "rollbackctl hold"]) == []
    assert before == after
    assert done.code == 0


def test_the_lock_is_waited_for_where_a_timeout_says_so(site: Site, tmp_path: Path) -> None:
    clean = site.copy(tmp_path / "clean")
    clean.ok("apply", PLAN, "--yes")
    with site.paused("apply", PLAN, "--yes", event="apply_start", step=9) as first:
        second = site.start("apply", PLAN, "--yes", "--lock-timeout", "60")
        first.go()  # type: ignore[attr-defined]
        codes = site.finish(first).code, site.finish(second).code

    assert codes[0] == 0
    # It waited for the lock, and then found that the run which it meant to continue had ended.
    assert codes[1] in (0, 7)
    assert site.files() == clean.files()
    assert len(site.keys()) == 2


def test_a_lock_dies_with_its_holder(site: Site) -> None:
    with site.paused("apply", PLAN, "--yes", event="apply_start", step=9) as first:
        assert site.apply().code == 7
        first.kill()
        first.wait()

        done = site.apply()

    assert done.code == 0
    assert len(site.entries("done")) == 18


def test_status_names_the_holder_and_takes_no_lock(site: Site) -> None:
    with site.paused("apply", PLAN, "--yes", event="apply_start", step=9) as first:
        shown = site.ok("status")

    assert names(shown.out, [f"pid {first.pid}", "apply of"]) == []
    assert f"pid {first.pid}" not in site.ok("status").out


def test_an_earlier_holder_is_not_taken_for_the_one_who_has_not_named_itself_yet(site: Site) -> None:
    earlier = site.start("apply", PLAN, "--yes")
    site.finish(earlier)

    with FileLock(site.root / STORE / "lock").hold():
        refused = site("hold", "--release")

    assert f'"pid": {earlier.pid}' in (site.root / STORE / "lock").read_text()
    assert refused.code == 7
    assert f"locked by pid {os.getpid()} on {socket.gethostname()}, who has not begun a run yet" in refused.err


@pytest.mark.parametrize("command", [("plan", PLAN), ("status",), ("runs",), ("observe", PLAN)], ids=str)
def test_looking_is_always_possible(command: tuple[str, ...], site: Site) -> None:
    with site.paused("apply", PLAN, "--yes", event="apply_start", step=9):
        assert site(*command).code == 0


def test_another_host_is_refused_with_the_host_and_the_command_that_can(site: Site) -> None:
    assert site.interrupted(9).code == 130
    before = site.files()

    refused = site.on("db-host-2").apply()

    assert refused.code == 7
    assert names(refused.err, [socket.gethostname(), "db-host-2", "rollbackctl apply", "rollbackctl abandon"]) == []
    assert site.files() == before
    assert site.apply().code == 0


def test_another_host_may_hold_and_abandon(site: Site) -> None:
    assert site.interrupted(9).code == 130
    elsewhere = site.on("db-host-2")

    held = elsewhere("hold", "--incident", INCIDENT)
    closed = elsewhere("abandon", site.runs()[0].name, "--reason", "the host is gone")

    assert (held.code, closed.code) == (0, 0)
    assert site.journal(0)[-1]["type"] == "abandoned"


def test_another_host_may_not_lead_a_run_back(site: Site) -> None:
    site.ok("apply", PLAN, "--yes")

    refused = site.on("db-host-2")("undo", site.runs()[0].name, "--yes")

    assert refused.code == 7
    assert names(refused.err, [socket.gethostname(), "rollbackctl undo"]) == []


def test_an_unfinished_hold_blocks_a_plan_and_says_how_to_go_on(site: Site) -> None:
    hold = site.finish(site.start("hold", "--incident", INCIDENT, at=["apply_start", 2], send=["SIGTERM"]))

    refused = site.apply()

    assert (hold.code, refused.code) == (130, 7)
    assert "continue it: rollbackctl hold" in refused.err
    site.ok("hold", "--incident", INCIDENT)
    assert site.apply().code == 0
