"""A hold while a run is live, or interrupted: the run stops, the hold is placed, and the run goes on to its end."""

from pathlib import Path

import pytest

from bot_core.foundation.lock import FileLock
from tests.harness import INCIDENT, PLAN, STEPS, STORE, Site, names, new_site, until

HOLD = ("hold", "--incident", INCIDENT, "--reason", "drift alert 5.12")
# Steps after which the run is stopped: within the hold, before the release, within it, all released, being recorded.
MOMENTS = (1, 2, 4, 7, 10, 13, 14, 15, 16, 17)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws")


@pytest.fixture
def clean(site: Site, tmp_path: Path) -> Site:
    """The same workspace after a run that nothing disturbed."""
    done = site.copy(tmp_path / "clean")
    done.ok("apply", PLAN, "--yes")
    return done


def is_held(site: Site) -> bool:
    return (
        site.state("var/models/serving.json")["attached"] is False
        and site.state("audit/ai_decision/scheduler.json")["paused_until"] == "2999-12-31T00:00:00+00:00"
        and b"maintenance: true" in (site.root / "config/auto_trader.yaml").read_bytes()
    )


def status(site: Site) -> str:
    return site.ok("status").out


@pytest.mark.parametrize("step", [2, 9, 14])
def test_a_live_run_stops_after_its_step_and_the_hold_is_placed(step: int, site: Site) -> None:
    with site.paused("apply", PLAN, "--yes", event="apply_start", step=step) as run:
        holding = site.start(*HOLD)
        until((site.root / STORE / "stop-request").exists)
        run.go()  # type: ignore[attr-defined]
        stopped, held = site.finish(run), site.finish(holding)

    assert (stopped.code, held.code) == (130, 0)
    assert len(site.entries("done", 0)) == step
    assert names(stopped.err, [f"stopped after step {step} of {STEPS}", "asks for a hold", "rollbackctl apply"]) == []
    assert is_held(site)
    assert not (site.root / STORE / "stop-request").exists()


@pytest.mark.parametrize("had_holder", [False, True])
def test_a_hold_also_stops_a_run_that_has_not_named_itself_yet(had_holder: bool, site: Site) -> None:
    if had_holder:
        site.interrupted(1)
    else:
        (site.root / STORE).mkdir(mode=0o700)

    with FileLock(site.root / STORE / "lock").hold():
        holding = site.start(*HOLD)
        until((site.root / STORE / "stop-request").exists)
    held = site.finish(holding)

    assert held.code == 0, held
    assert is_held(site)


def test_a_run_that_begins_while_a_hold_waits_does_not_forget_it(site: Site) -> None:
    (site.root / STORE).mkdir(mode=0o700)
    request = site.root / STORE / "stop-request"

    with FileLock(site.root / STORE / "lock").hold():
        holding = site.start(*HOLD)
        until(request.exists)
        request.unlink()  # as a run does that has just taken the lock
        until(request.exists)
    held = site.finish(holding)

    assert held.code == 0, held


@pytest.mark.parametrize("hold", [HOLD, ("hold",)])
@pytest.mark.parametrize("step", MOMENTS)
def test_after_a_hold_the_run_goes_on_and_ends_verified_with_the_holds_gone(
    step: int, hold: tuple[str, ...], site: Site, clean: Site
) -> None:
    assert site.interrupted(step).code == 130
    site.ok(*hold)
    assert is_held(site)

    done = site.apply()

    assert (done.code, done.err if done.code else "") == (0, "")
    assert "Held      nothing" in status(site)
    assert [entry["type"] for entry in site.journal(0)][-1] == "finished"
    assert not is_held(site)
    assert unlike(site, clean) == []
    assert site.apply().out.startswith("No changes.")


def unlike(site: Site, clean: Site) -> list[str]:
    """Files that differ from the clean run's; the hold's event and serving's generation do not count."""
    found, wanted = without_hold(site), without_hold(clean)
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))


def without_hold(site: Site) -> dict[str, object]:
    return {
        **site.files(),
        "logs/decision_journal/rollback.log": [event for event in site.events() if "rollback" in event["event"]],
        "var/models/serving.json": {**site.state("var/models/serving.json"), "generation": None},
    }


@pytest.mark.parametrize("step", [1, 2, 13, 14, 15, 16, 17])
def test_a_hold_of_another_incident_stops_the_run_and_nothing_more_moves(step: int, site: Site) -> None:
    assert site.interrupted(step).code == 130
    site.ok("hold", "--incident", "INC-2099-0001")
    before = site.files()

    refused = site.apply()

    assert refused.code == 7
    assert names(refused.err, ["INC-2099-0001", "is held", "rollbackctl hold --release"]) == []
    assert site.files() == before


def test_a_hold_that_was_interrupted_and_meets_a_broken_file_says_what_it_holds_all_the_same(site: Site) -> None:
    assert site.interrupted(1, *HOLD).code == 130
    config = site.root / "config/auto_trader.yaml"
    config.write_text("maintenance: [\n")

    held = site(*HOLD)

    assert held.code == 8
    assert held.out.startswith("Held, but not everything.\n")
    assert names(held.out, ["serving/var/models", "scheduler.json", "PROBLEM: maintenance/config/"]) == []
