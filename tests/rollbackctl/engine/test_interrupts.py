"""Signals, a dead stdout and a blocked terminal during a run of a real process."""

import os
import signal
from pathlib import Path

import pytest

from tests.harness import NOW, PLAN, STEPS, Site, names, new_site, until

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws")


@pytest.fixture
def clean(site: Site, tmp_path: Path) -> Site:
    """The same workspace after a run that nothing disturbed."""
    done = site.copy(tmp_path / "clean")
    done.ok("apply", PLAN, "--yes")
    return done


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("event", ["apply_start", "apply_complete"])
def test_a_signal_stops_the_run_after_its_step_and_the_command_it_prints_continues(
    name: str, event: str, site: Site, clean: Site
) -> None:
    stopped = site.finish(site.start("apply", PLAN, "--yes", at=[event, 9], send=[name]))

    assert stopped.code == 130
    assert len(site.entries("done")) == 9
    assert site.entries("stopped")[0]["body"]["reason"] == f"signal {name}"
    assert (
        names(stopped.err, [f"stopped after step 9 of {STEPS}: signal {name}", f"rollbackctl apply {site.root / PLAN}"])
        == []
    )
    assert site.apply().code == 0
    assert (site.files(), site.keys()) == (clean.files(), clean.keys())


@pytest.mark.parametrize("step", range(1, STEPS))
def test_after_an_interrupt_at_any_step_the_end_is_that_of_an_undisturbed_run(
    step: int, site: Site, clean: Site
) -> None:
    stopped = site.interrupted(step)

    assert stopped.code == 130
    assert len(site.entries("done")) == step
    assert site.apply().code == 0
    assert (site.files(), site.keys()) == (clean.files(), clean.keys())


def test_a_signal_at_the_last_step_does_not_keep_a_run_from_ending(site: Site, clean: Site) -> None:
    done = site.interrupted(STEPS)

    assert done.code == 0
    assert site.files() == clean.files()


def test_a_signal_while_the_run_is_planned_moves_nothing(site: Site, clean: Site) -> None:
    before = site.files()

    stopped = site.interrupted(0)

    assert stopped.code == 130
    assert f"rollbackctl apply {site.root / PLAN}" in stopped.err
    assert site.files() == before
    assert site.apply().code == 0
    assert site.files() == clean.files()


def test_a_second_ctrl_c_ends_the_process_in_the_middle_of_a_step(site: Site, clean: Site) -> None:
    stopped = site.finish(site.start("apply", PLAN, "--yes", at=["apply_start", 9], send=["SIGINT", "SIGINT"]))

    assert stopped.code == 130
    assert len(site.entries("done")) == 8
    assert site.entries("stopped") == []
    assert site.apply().code == 0
    assert (site.files(), site.keys()) == (clean.files(), clean.keys())


def test_ctrl_c_ends_at_once_a_run_that_was_already_asked_to_stop_by_another_signal(site: Site) -> None:
    stopped = site.finish(site.start("apply", PLAN, "--yes", at=["apply_start", 9], send=["SIGTERM", "SIGINT"]))

    assert stopped.code == 130
    assert len(site.entries("done")) == 8


def test_a_second_sigterm_does_not_cut_a_step(site: Site) -> None:
    stopped = site.finish(site.start("apply", PLAN, "--yes", at=["apply_start", 9], send=["SIGTERM", "SIGTERM"]))

    assert stopped.code == 130
    assert len(site.entries("done")) == 9


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_dead_readers_do_not_stop_a_run(options: list[str], site: Site, clean: Site) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    process = site.start("apply", PLAN, "--yes", *options, stdout=writer, stderr=writer)
    os.close(writer)

    assert site.finish(process).code == 0
    assert site.files() == clean.files()


def test_a_full_disk_behind_stdout_does_not_stop_a_run(site: Site, clean: Site) -> None:
    with Path("/dev/full").open("w") as full:
        process = site.start("apply", PLAN, "--yes", "--json", stdout=full)

    assert site.finish(process).code == 0
    assert site.files() == clean.files()


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_closed_standard_streams_do_not_stop_a_run_and_nothing_is_written_in_their_stead(
    closed: list[int], site: Site, clean: Site
) -> None:
    process = site.start("apply", PLAN, "--yes", "--json", closed=closed)

    assert site.finish(process).code == 0
    assert site.files() == clean.files()


def test_a_signal_while_the_terminal_is_blocked_does_not_break_the_run(site: Site, clean: Site) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(writer, "wb", buffering=0, closefd=False) as pipe:
        while pipe.write(b"." * 4096):
            pass
    os.set_blocking(writer, True)
    process = site.start("apply", PLAN, "--yes", stdout=writer, stderr=writer)
    os.close(writer)
    until(site.runs)  # what it tells next, it cannot write

    process.send_signal(signal.SIGTERM)
    with open(reader, "rb") as terminal:
        said = terminal.read()

    assert site.finish(process).code == 130
    assert b"signal SIGTERM" in said
    assert site.apply().code == 0
    assert site.files() == clean.files()


def test_a_hold_that_is_interrupted_is_continued_by_the_same_command(site: Site) -> None:
    hold = ("hold", "--incident", "INC-2025-1117")
    stopped = site.finish(site.start(*hold, at=["apply_start", 2], send=["SIGTERM"]))

    done = site.ok(*hold)

    assert stopped.code == 130
    assert "rollbackctl hold" in stopped.err
    assert len(site.runs()) == 1
    assert site.journal()[-1]["type"] == "finished"
    assert len(site.keys()) == 1
    assert names(done.out, ["serving/var/models", "config/auto_trader.yaml"]) == []


def test_an_undo_that_is_interrupted_names_the_command_that_continues_it(site: Site) -> None:
    site.ok("apply", PLAN, "--yes")
    run = site.runs()[0].name

    stopped = site.finish(site.start("undo", run, "--yes", at=["apply_start", 1], send=["SIGTERM"]))

    assert stopped.code == 130
    assert f"rollbackctl undo {run} --yes" in stopped.err
    assert site("undo", run, "--yes").code == 0
    assert site.journal()[-1]["type"] == "finished"


def test_time_passes_between_an_interrupt_and_its_continuation(site: Site) -> None:
    site.interrupted(17)
    later = site.at(NOW.replace(hour=12))

    assert later.apply().code == 0

    requested, completed = site.events()
    assert (requested["timestamp"], completed["timestamp"]) == (
        "2025-11-18T08:00:00+00:00",
        "2025-11-18T12:00:00+00:00",
    )
