"""What a run has released is others' again: their writes do not keep it from its record, and each way out works."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.schedule import ScheduleState
from bot_core.ai.scheduler import change_schedule
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.frozen import replace
from rollbackctl.kinds.retraining_schedule import HELD_UNTIL, RetrainingSchedule
from tests.harness import NOW, PLAN, Done, Site, edited, names, new_site, quick_folder
from tests.rollbackctl.engine.test_strangers import CHANGES, appended

SCHEDULE, CONFIG = "audit/ai_decision/scheduler.json", "config/auto_trader.yaml"
ENTRIES, CHECKLIST = "audit/ai_decision/incident_journal.md", "docs/compliance/ai_pipeline_signoff.md"
TARGET_FILE = "models/decision_engine/rollback_target.json"
# The steps that release the schedule and, last of all moves, the maintenance flag; then those that write the record.
SCHEDULE_DONE, ALL_MOVED, ENTRY_DONE, BOXES_DONE = 14, 15, 16, 17
LASTING = ("model_alias/active", "model_alias/champion", "serving/var/models")
COMPLETED = "ai_model_rollback_completed"


@pytest.fixture(scope="module")
def prepared() -> Iterator[Callable[[int], Site]]:
    """Gives a workspace whose run was interrupted after a step; 0: it has not begun."""
    with quick_folder() as folder:
        sites = {0: new_site(folder / "0")}

        def at(step: int) -> Site:
            if step not in sites:
                sites[step] = sites[0].copy(folder / str(step))
                assert sites[step].interrupted(step).code == 130
            return sites[step].copy(folder / f"{step}-{len(list(folder.iterdir()))}")

        yield at


def a_job_finishes(root: Path) -> None:
    """What the scheduler writes when a retraining is over."""

    def finished(found: ScheduleState | None) -> ScheduleState:
        assert found is not None
        return replace(found, last_run=NOW.replace(hour=9), failure_streak=1, last_failure_reason="no rows")

    change_schedule(root / SCHEDULE, finished, now=NOW)


def the_next_run_moves(root: Path) -> None:
    """What the scheduler writes at each look."""
    edited(root / SCHEDULE, lambda content: {**content, "next_run": "2025-11-19T06:00:00+00:00"})


def the_trader_is_configured(root: Path) -> None:
    """What a person writes."""
    appended("more: 1\n")(root / CONFIG)


def events(site: Site) -> list[str]:
    return [event["event"] for event in site.events()]


def close(site: Site) -> Done:
    return site("abandon", site.runs()[0].name, "--reason", "somebody changed it")


@pytest.mark.parametrize(
    ("write", "path", "step"),
    [
        (a_job_finishes, SCHEDULE, ALL_MOVED),
        (a_job_finishes, SCHEDULE, BOXES_DONE),
        (the_next_run_moves, SCHEDULE, ALL_MOVED),
        (the_trader_is_configured, CONFIG, ALL_MOVED),
        (the_trader_is_configured, CONFIG, ENTRY_DONE),
    ],
)
def test_a_write_to_what_was_released_stays_and_does_not_keep_the_run_from_its_record(
    write: Callable[[Path], None], path: str, step: int, prepared: Callable[[int], Site]
) -> None:
    site = prepared(step)
    write(site.root)
    written = site.files()[path]

    done = site.apply()

    assert (done.code, events(site)[1:]) == (0, [COMPLETED]), done.err
    assert site.files()[path] == written
    assert site.apply().out.startswith("No changes.")


@pytest.mark.parametrize("step", [SCHEDULE_DONE, ENTRY_DONE])
def test_a_job_that_finishes_while_the_run_goes_on_does_not_stop_it(step: int, prepared: Callable[[int], Site]) -> None:
    site = prepared(0)

    done = site.disturbed(step, lambda: a_job_finishes(site.root))

    assert (done.code, events(site)[1:]) == (0, [COMPLETED]), done.err
    assert site.state(SCHEDULE)["failure_streak"] == 1


@pytest.mark.parametrize("address", [f"maintenance/{CONFIG}", f"retraining_schedule/{SCHEDULE}"])
def test_a_write_to_what_is_still_held_stops_the_run(address: str, prepared: Callable[[int], Site]) -> None:
    site, change = prepared(SCHEDULE_DONE - 1), CHANGES[address]
    change.make(site.root / change.file)
    before = site.files()

    stopped = site.apply()

    assert (stopped.code, address in stopped.err, site.files() == before) == (5, True, True)


@pytest.mark.parametrize("address", LASTING)
def test_what_the_plan_changes_for_good_is_looked_at_before_anything_is_recorded(
    address: str, prepared: Callable[[int], Site]
) -> None:
    site, change = prepared(ALL_MOVED), CHANGES[address]
    original = (site.root / change.file).read_bytes()
    change.make(site.root / change.file)
    before, run = site.files(), site.runs()[0].name

    stopped = site.apply()

    assert (stopped.code, site.files() == before) == (5, True)
    wanted = [
        f"{address} ({change.file}",
        change.found,
        f"put it back, then: rollbackctl apply var/rollbackctl/runs/{run}/plan.json\n",
        f"or close the run without its record: rollbackctl abandon {run} --reason TEXT\n",
    ]
    assert names(stopped.err, wanted) == []
    closed = close(site.copy(site.root.with_name(f"closed-{site.root.name}")))
    assert (closed.code, "Nothing is held." in closed.out) == (0, True), closed.err
    (site.root / change.file).write_bytes(original)
    assert site.apply().code == 0
    assert events(site)[1:] == [COMPLETED]


def test_where_somebody_has_undone_the_end_of_a_closed_run_the_next_one_makes_and_records_it(
    prepared: Callable[[int], Site],
) -> None:
    site, change = prepared(ALL_MOVED), CHANGES["model_alias/active"]
    change.make(site.root / change.file)
    assert (site.apply().code, close(site).code) == (5, 0)

    assert site.at(NOW.replace(hour=9)).apply().code == 0

    assert events(site)[2:] == [COMPLETED]


@pytest.mark.parametrize("address", LASTING)
def test_what_has_been_verified_is_not_looked_at_again(address: str, prepared: Callable[[int], Site]) -> None:
    site = prepared(ENTRY_DONE)
    CHANGES[address].make(site.root / CHANGES[address].file)

    assert site.apply().code == 0
    assert events(site)[1:] == [COMPLETED]


def lose_the_entry(root: Path) -> None:
    (root / ENTRIES).write_text("")


def clear_a_box(root: Path) -> None:
    path = root / CHECKLIST
    path.write_text(path.read_text().replace("[x] Incident entry added", "[ ] Incident entry added"))


def change_the_target_file(root: Path) -> None:
    appended(" ")(root / TARGET_FILE)


@pytest.mark.parametrize(
    ("change", "address"),
    [
        (lose_the_entry, f"incident_entry/{ENTRIES}"),
        (clear_a_box, f"signoff_checklist/{CHECKLIST}"),
        (change_the_target_file, f"target_file/{TARGET_FILE}"),
    ],
)
def test_what_was_recorded_or_never_released_is_looked_at_to_the_end_and_both_ways_out_work(
    change: Callable[[Path], None], address: str, prepared: Callable[[int], Site]
) -> None:
    site = prepared(BOXES_DONE)
    original = site.files()
    change(site.root)

    stopped = site.apply()

    assert (stopped.code, address in stopped.err, COMPLETED in events(site)) == (5, True, False)
    assert close(site.copy(site.root.with_name(f"closed-{site.root.name}"))).code == 0
    for path in (ENTRIES, CHECKLIST, TARGET_FILE):
        (site.root / path).write_bytes(original[path])
    assert site.apply().code == 0


def test_a_change_at_the_very_moment_of_the_release_stops_the_run_with_a_way_out_that_works(
    prepared: Callable[[int], Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, real = prepared(SCHEDULE_DONE - 1), RetrainingSchedule.move

    def move(self: RetrainingSchedule, name: str, before: Any, after: Any) -> None:
        real(self, name, before, after)
        assert after.paused_until != HELD_UNTIL
        a_job_finishes(site.root)

    with monkeypatch.context() as patch:
        patch.setattr(RetrainingSchedule, "move", move)
        stopped = site.apply()

    assert (stopped.code, "or close the run: rollbackctl abandon" in stopped.err) == (5, True)
    assert close(site).code == 0
    assert site.at(NOW.replace(hour=9)).apply().code == 0
    assert "Held      nothing" in site.ok("status").out


def expire(site: Site) -> Site:
    return site.at(NOW.replace(day=28))


def run_the_clock_backwards(site: Site) -> Site:
    return site.at(NOW.replace(day=17))


def change_the_policy(site: Site) -> Site:
    (site.root / "config/rollbackctl.yaml").write_text("reports: 6\n")
    return site


def quarantine_the_target(site: Site) -> Site:
    folder = site.root / "models/decision_engine"
    known, target = (json.loads((folder / name).read_bytes()) for name in ("quarantine/v10.json", "model-v9.json"))
    known |= {"version": "v9", "sha256": canonical_digest(target)}
    (folder / "quarantine/v9.json").write_text(json.dumps(known))
    return site


@pytest.mark.parametrize("happen", [expire, run_the_clock_backwards, change_the_policy, quarantine_the_target])
def test_what_has_been_made_is_recorded_whatever_would_keep_it_from_being_made_now(
    happen: Callable[[Site], Site], prepared: Callable[[int], Site]
) -> None:
    site = prepared(ALL_MOVED)

    done = happen(site).apply()

    assert (done.code, events(site)[1:]) == (0, [COMPLETED]), done.err


@pytest.mark.parametrize(("happen", "code"), [(change_the_policy, 8), (quarantine_the_target, 3)])
def test_while_something_is_left_to_release_the_same_stops_the_run_which_can_then_be_closed(
    happen: Callable[[Site], Site], code: int, prepared: Callable[[int], Site]
) -> None:
    site = prepared(SCHEDULE_DONE)

    stopped = happen(site).apply()

    assert (stopped.code, "rollbackctl abandon" in stopped.err) == (code, True)
    assert close(site).code == 0


def test_nobody_is_told_to_close_a_run_that_only_lacks_its_record(prepared: Callable[[int], Site]) -> None:
    site = prepared(ALL_MOVED)
    run, other = site.runs()[0].name, site.root / "plans/other.yaml"
    text = (site.root / PLAN).read_text().replace("inc-2025-1117-drift", "another")
    other.write_text(text.replace("model: {}", "model: {serve_as: [other, rollback]}"))
    calls = (("apply", str(other), "--yes"), ("plan", str(other)), ("hold", "--release"), ("status",))

    told = [site(*argv) for argv in calls] + [site.on("elsewhere").apply()]

    assert [done.code for done in told] == [7, 0, 7, 0, 7]
    commands = [f"rollbackctl apply var/rollbackctl/runs/{run}/plan.json" in done.out + done.err for done in told]
    assert commands == [True] * 5
    site.ok("hold", "--incident", "INC-2099-0001")
    told += [site("status"), site("plan", str(other))]
    assert [done for done in told if "abandon" in done.out + done.err] == []
