"""What every released version left in a workspace is read, shown, and continued to its end by the present one."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from rollbackctl import VERSION
from rollbackctl.cli.show_plan import FORMATS
from tests.harness import NOW, PLAN, SAVED, STEPS, Site, names
from tests.reliability.write_old_runs import CASES, OLD_RUNS, PUBLIC, restore

WRITTEN = [path for version in sorted(OLD_RUNS.iterdir()) for path in sorted(version.glob("*.json"))]
ENDS = ("ai_model_rollback_requested", "ai_model_rollback_completed")


def of(*cases: str) -> pytest.MarkDecorator:
    """Those cases of every version that has them."""
    written = [path for path in WRITTEN if path.stem in cases]
    assert {path.stem for path in written} == set(cases)
    return pytest.mark.parametrize("written", written, ids=lambda path: f"{path.parent.name}-{path.stem}")


def statuses(site: Site) -> list[str]:
    """What `runs` says of each run, newest first."""
    return [line.split()[2] for line in site.ok("runs").out.splitlines()[1:]]


def assert_rolled_back(site: Site) -> None:
    """The last run is at its end: each step made once, each event written once."""
    assert statuses(site)[0] == "finished"
    for kind in ("begun", "done"):
        assert Counter(str(entry["body"]["step"]) for entry in site.entries(kind)).most_common(1)[0][1] == 1
        assert len(site.entries(kind)) == STEPS
    assert Counter(event["event"] for event in site.events() if event["event"] in ENDS) == dict.fromkeys(ENDS, 1)
    assert site.ok("apply", PLAN, "--yes").out.startswith("No changes.")


def test_the_present_version_has_left_every_case() -> None:
    found = {path.stem for path in (OLD_RUNS / VERSION).glob("*.json")}

    assert found == CASES.keys(), "write them before the release: python -m tests.reliability.write_old_runs"


def instants_apart(path: Path) -> str:
    """A file's text without the instant of its last change."""
    return re.sub(r'"updated_at": "[^"]*"', "", path.read_text())


@pytest.mark.parametrize("written", WRITTEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_old_run_is_shown_and_looking_changes_nothing(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    before = {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()}

    status = site.ok("status")
    site.ok("plan", PLAN)
    shown = [site.ok("report", run.name) for run in site.runs()]
    plans = [site.ok("show", str(run / "plan.json"), "--format", form).out for run in site.runs() for form in FORMATS]

    assert status.out
    assert all(plans)
    assert [names(done.out, ["Verdict", "Steps", "Plan id"]) for done in shown] == [[]] * len(site.runs())
    assert {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()} == before


@of("finished")
def test_after_an_old_run_that_ended_there_is_nothing_to_do(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")

    assert "verified" in site.ok("report", site.runs()[0].name).out
    assert_rolled_back(site)


@of("waiting", "interrupted", "crashed")
def test_an_old_unfinished_run_is_continued_to_its_end(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    assert statuses(site) == ["unfinished"]
    if written.stem == "waiting":
        site.sign()

    assert "verified" in site.ok("apply", PLAN, "--yes").out

    assert len(site.runs()) == 1
    assert_rolled_back(site)


@of("waiting", "interrupted", "crashed")
def test_an_old_unfinished_run_can_be_led_back(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")

    assert "held" in site.ok("undo", site.runs()[0].name, "--yes").out

    assert site.state("var/models/serving.json")["attached"] is False


@of("held")
def test_an_old_hold_can_be_released(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    assert "detached" in site.ok("status").out

    site.ok("hold", "--release")

    assert "\nHeld      nothing\n" in site.ok("status").out
    for name in ("config/auto_trader.yaml", "audit/ai_decision/scheduler.json"):
        assert instants_apart(site.root / name) == instants_apart(PUBLIC / name)


@of("held", "abandoned")
def test_old_holds_are_taken_over_by_a_plan(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    site.sign()

    site.ok("apply", PLAN, "--yes")

    assert "\nHeld      nothing\n" in site.ok("status").out
    assert statuses(site)[0] == "finished"


@of("undone")
def test_after_an_old_undo_the_plan_leads_back_to_the_target(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    assert statuses(site)[1] == "undone"

    site.ok("apply", PLAN, "--yes")

    assert statuses(site)[0] == "finished"


@of("saved")
def test_an_old_saved_plan_is_applied(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    assert "v10 -> v9" in site.ok("show", SAVED).out
    site.sign()

    assert "verified" in site.ok("apply", SAVED).out

    assert_rolled_back(site)


@of("saved_and_begun")
def test_the_run_of_an_old_saved_plan_is_continued_by_it(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws")
    site.sign()

    assert "verified" in site.ok("apply", SAVED).out

    assert_rolled_back(site)


@of("saved")
def test_an_old_saved_plan_that_has_expired_is_refused_with_a_reason(written: Path, tmp_path: Path) -> None:
    site = restore(written, tmp_path / "ws").at(NOW + timedelta(hours=25))
    before = site.files()

    done = site("apply", SAVED)

    assert done.code == 4
    assert "error: the plan expired" in done.err
    assert "next: make the plan again" in done.err
    assert site.files() == before
