"""Somebody writes the schedule at the very moment when a step pauses it: before the move, or before the look after."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot_core.ai.schedule import ScheduleState
from bot_core.ai.scheduler import change_schedule
from bot_core.foundation.frozen import replace
from rollbackctl.core.state import State
from rollbackctl.kinds.retraining_schedule import HELD_UNTIL, RetrainingSchedule
from tests.harness import INCIDENT, NOW, PLAN, Site, new_site

SCHEDULE = "audit/ai_decision/scheduler.json"
HOLD = ("hold", "--incident", INCIDENT)
Stranger = Callable[[int], None]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws")


@pytest.fixture(params=["before the move", "before the look after"])
def stranger(request: pytest.FixtureRequest, site: Site, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    """Called with a number, somebody makes the interval longer in so many of the next moves."""
    real, left = RetrainingSchedule.move, [0]

    def move(self: RetrainingSchedule, name: str, before: State | None, after: State | None) -> None:
        acts = [lambda: real(self, name, before, after)]
        if left[0]:
            left[0] -= 1
            acts.insert(request.param != "before the move", lambda: lengthen(site))
        for act in acts:
            act()

    monkeypatch.setattr(RetrainingSchedule, "move", move)
    return lambda times: left.__setitem__(0, times)


def lengthen(site: Site) -> None:
    def longer(found: ScheduleState | None) -> ScheduleState:
        assert found is not None
        return replace(found, interval_s=found.interval_s + 1)

    change_schedule(site.root / SCHEDULE, longer, now=NOW)


def pause(site: Site) -> tuple[str, float]:
    found = site.state(SCHEDULE)
    return found["paused_reason"], found["interval"]


def events(site: Site) -> list[str]:
    return [event["event"] for event in site.events()]


@pytest.mark.parametrize("times", [1, 3])
def test_a_hold_holds_everything_all_the_same_and_is_recorded_once(times: int, stranger: Stranger, site: Site) -> None:
    (reason, interval) = pause(site)

    stranger(times)
    held = site(*HOLD)
    stranger(0)

    assert held.code == 0, held.err
    assert site.state(SCHEDULE)["paused_until"] == HELD_UNTIL
    assert site.state("var/models/serving.json")["attached"] is False
    assert b"maintenance: true" in (site.root / "config/auto_trader.yaml").read_bytes()
    assert events(site) == ["ai_model_hold_placed"]
    assert pause(site)[1] > interval
    site.ok("hold", "--release")
    assert pause(site)[0] == reason
    assert site.state("var/models/serving.json")["attached"] is True


def test_a_hold_that_was_stopped_and_meets_the_change_then_holds_everything_too(stranger: Stranger, site: Site) -> None:
    stranger(100)
    refused = site(*HOLD)
    stranger(0)

    held = site(*HOLD)

    assert (refused.code, held.code) in {(5, 0), (0, 0)}, held.err
    assert site.state(SCHEDULE)["paused_until"] == HELD_UNTIL
    assert events(site) == ["ai_model_hold_placed"]


def test_a_run_that_is_closed_after_it_leaves_no_pause_that_nobody_ends(stranger: Stranger, site: Site) -> None:
    (reason, interval) = pause(site)

    stranger(1)
    stopped = site.apply()
    site.ok("abandon", site.runs()[0].name, "--reason", "the schedule was changed")
    site.ok("hold", "--release")

    assert stopped.code == 5
    assert pause(site) == (reason, interval + 1)
    assert site.apply().code == 0
    assert pause(site) == (reason, interval + 1)
    assert site("plan", PLAN, "--detailed-exitcode").code == 0


def test_a_run_that_takes_a_hold_over_does_not_overwrite_what_was_changed_beneath_it(site: Site) -> None:
    site.ok(*HOLD)
    site.interrupted(1)
    (_, interval) = pause(site)

    lengthen(site)
    stopped = site.apply()

    assert (stopped.code, "retraining_schedule" in stopped.err) == (5, True)
    assert pause(site)[1] == interval + 1


def test_a_hold_over_what_was_released_ends_though_somebody_has_changed_it_and_the_change_stays(site: Site) -> None:
    (reason, interval) = pause(site)
    site.interrupted(15)
    site.ok(*HOLD)

    lengthen(site)
    done = site.apply()

    assert (done.code, done.err if done.code else "") == (0, "")
    assert pause(site) == (reason, interval + 1)
    assert "Held      nothing" in site.ok("status").out


def test_a_hold_over_what_was_released_and_then_changed_ends_with_the_run_as_well(site: Site) -> None:
    (reason, interval) = pause(site)
    site.interrupted(15)
    lengthen(site)
    site.ok(*HOLD)

    assert site.apply().code == 0
    assert pause(site) == (reason, interval + 1)
    assert "Held      nothing" in site.ok("status").out


def test_a_hold_over_what_was_released_does_not_count_as_ended_before_it_is(stranger: Stranger, site: Site) -> None:
    (reason, interval) = pause(site)
    site.interrupted(15)
    site.ok(*HOLD)

    stranger(1)
    stopped, again = site.apply(), site.apply()

    assert (stopped.code, again.code) == (5, 0)
    assert pause(site) == (reason, interval + 1)
    assert "Held      nothing" in site.ok("status").out


@pytest.mark.parametrize("times", [1, 3])
def test_a_release_takes_the_hold_off_whatever_is_changed_meanwhile(times: int, stranger: Stranger, site: Site) -> None:
    (reason, interval) = pause(site)
    site.ok(*HOLD)

    stranger(times)
    released = site("hold", "--release")

    assert released.code == 0, released.err
    found = pause(site)
    assert found[0] == reason
    assert found[1] > interval
    assert events(site) == ["ai_model_hold_placed", "ai_model_hold_released"]
    status = site.ok("status").out
    assert ("Held      nothing" in status, "Unfinished" in status) == (True, False)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_release_that_was_stopped_goes_on_over_what_was_changed_meanwhile(step: int, site: Site) -> None:
    (reason, interval) = pause(site)
    config = site.root / "config/auto_trader.yaml"
    was = config.read_bytes()
    site.ok(*HOLD)
    assert site.interrupted(step, "hold", "--release").code == 130
    lengthen(site)
    config.write_bytes(config.read_bytes() + b"# mine\n")

    site.ok("hold", "--release")

    assert pause(site) == (reason, interval + 1)
    assert config.read_bytes() == was + b"# mine\n"
    assert site.state("var/models/serving.json")["attached"] is True
    assert events(site) == ["ai_model_hold_placed", "ai_model_hold_released"]
    assert "Held      nothing" in site.ok("status").out


def test_a_release_that_is_disturbed_again_and_again_says_how_to_go_on_and_that_works(
    stranger: Stranger, site: Site
) -> None:
    (reason, _) = pause(site)
    site.ok(*HOLD)
    stranger(100)
    refused = site("hold", "--release")
    stranger(0)

    if refused.code:
        assert refused.code == 5
        assert f"changed it: rollbackctl hold --release --incident {INCIDENT}\n" in refused.err
        site.ok("hold", "--release", "--incident", INCIDENT)
    assert pause(site)[0] == reason
    assert "Held      nothing" in site.ok("status").out


def test_a_hold_that_was_stopped_and_changed_beneath_is_completed_and_then_released(site: Site) -> None:
    (reason, interval) = pause(site)
    assert site.interrupted(2, *HOLD).code == 130
    lengthen(site)

    refused = site("hold", "--release")

    assert (refused.code, f"next: rollbackctl hold --incident {INCIDENT}\n" in refused.err) == (5, True)
    site.ok(*HOLD)
    site.ok("hold", "--release")
    assert pause(site) == (reason, interval + 1)
    assert events(site) == ["ai_model_hold_placed", "ai_model_hold_released"]
