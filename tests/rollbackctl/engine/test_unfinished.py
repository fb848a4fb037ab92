"""What is unfinished can be continued, called off or closed, and nothing that it held or owes is lost with it."""

from pathlib import Path

import pytest

from tests.harness import INCIDENT, STEPS, Site, names, new_site

HOLD, RELEASE = ("hold", "--incident", INCIDENT), ("hold", "--release")
OTHER = "INC-2099-0001"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws")


@pytest.fixture
def half_released(site: Site) -> Site:
    """A hold whose release was interrupted after its first step."""
    site.ok(*HOLD)
    assert site.interrupted(1, *RELEASE).code == 130
    return site


def is_attached(site: Site) -> bool:
    attached: bool = site.state("var/models/serving.json")["attached"]
    return attached


def test_a_hold_calls_an_unfinished_release_off(half_released: Site) -> None:
    half_released.ok(*HOLD)

    assert not is_attached(half_released)
    assert "Unfinished" not in half_released.ok("status").out
    assert [entry["body"]["reason"] for entry in half_released.entries("abandoned", -1)] == ["called off by a hold"]
    assert half_released.apply().code == 0


def test_an_unfinished_release_names_what_continues_it_and_what_closes_it(half_released: Site) -> None:
    refused = half_released.apply()

    run = half_released.runs()[-1].name
    assert refused.code == 7
    assert (
        names(
            refused.err,
            [
                f"continue it: rollbackctl hold --release --incident {INCIDENT}",
                f"close it, what it holds stays held: rollbackctl abandon {run} --reason TEXT",
            ],
        )
        == []
    )
    half_released.ok("abandon", run, "--reason", "no")
    assert half_released.apply().code == 0


def test_the_release_of_another_incident_does_not_continue_it(half_released: Site) -> None:
    before = half_released.files()

    refused = half_released("hold", "--release", "--incident", OTHER)

    assert (refused.code, f"hold --release --incident {INCIDENT}" in refused.err) == (7, True)
    assert half_released.files() == before
    half_released.ok(*RELEASE)
    assert is_attached(half_released)


@pytest.mark.parametrize("step", range(STEPS - 3, STEPS))
def test_a_run_that_has_moved_everything_is_not_abandoned_without_its_record(step: int, site: Site) -> None:
    assert site.interrupted(step).code == 130
    run = site.runs()[-1].name

    refused = site("abandon", run, "--reason", "enough")

    assert refused.code == 8
    assert (
        names(
            refused.err,
            [
                f"run {run} has made every move; only its record is missing",
                f"continue it: rollbackctl apply var/rollbackctl/runs/{run}/plan.json",
            ],
        )
        == []
    )
    assert "abandon" not in refused.err
    site.ok("apply", str(site.root / f"var/rollbackctl/runs/{run}/plan.json"))
    assert [event["event"] for event in site.events()][-1] == "ai_model_rollback_completed"


def test_a_release_finishes_the_record_of_an_interrupted_hold_first(site: Site) -> None:
    assert site.interrupted(3, *HOLD).code == 130

    site.ok(*RELEASE)

    assert [event["event"] for event in site.events()] == ["ai_model_hold_placed", "ai_model_hold_released"]
    assert is_attached(site)
