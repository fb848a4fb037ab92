"""Clocks that are wrong, odd, or of another zone: what is refused says why, and nothing that lasts depends on them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.harness import INCIDENT, NOW, PLAN, SAVED, STEPS, Site, edited, names, new_site, quick_folder

ODD = {
    "leap day": datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC),
    "before a leap second": datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "the last instant there is": datetime.max.replace(tzinfo=UTC),
    "the epoch": datetime(1970, 1, 1, tzinfo=UTC),
}
ALERT = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"


@pytest.fixture(scope="module")
def signed() -> Iterator[Site]:
    """A workspace in which every role has decided."""
    with quick_folder() as folder:
        yield new_site(folder / "ws")


@pytest.fixture
def site(signed: Site) -> Iterator[Site]:
    with quick_folder() as folder:
        yield signed.copy(folder / "ws")


def plan_id(site: Site) -> str:
    found: str = json.loads(site.ok("plan", PLAN, "--format", "json").out)["id"]
    return found


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(now, id=name, marks=[] if "the last" in name else pytest.mark.reliability)
        for name, now in ODD.items()
    ],
)
def test_a_rollback_works_at_any_instant(site: Site, now: datetime) -> None:
    expected = plan_id(site)
    site = site.at(now)

    assert plan_id(site) == expected
    assert "verified" in site.apply().out
    for command in (("status",), ("runs",), ("report", site.runs()[0].name)):
        assert site.ok(*command).out
    assert site.apply().out.startswith("No changes.")


def test_the_zone_of_a_clock_changes_no_byte(site: Site, signed: Site) -> None:
    with quick_folder() as folder:
        utc = signed.copy(folder / "ws")
        utc.apply()

        site.at(NOW.astimezone(timezone(timedelta(hours=14)))).apply()

        assert site.files() == utc.files()
        assert [run.name for run in site.runs()] == [run.name for run in utc.runs()]


def test_the_zone_of_an_account_changes_no_byte(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = site.ok("plan", PLAN).out
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")

    assert site.finish(site.start("plan", PLAN)).out == expected


def test_a_phase_does_not_begin_by_a_clock_that_ran_backwards(site: Site) -> None:
    site.save()
    site = site.at(NOW + timedelta(hours=2))
    assert site.interrupted(7, "apply", SAVED).code == 130  # all that comes before the release
    before, run = site.files(), site.runs()[0].name

    # After the plan was made, and before what the run has done.
    done = site.at(NOW + timedelta(hours=1))("apply", SAVED)

    assert done.code == 4
    assert done.err.endswith(
        f"error: the clock has run backwards: the latest entry of run {run} is of 2025-11-18T10:00:00+00:00, "
        "and it is 2025-11-18T09:00:00+00:00 by the clock of this host\n"
        f"next: mend the clock, then: rollbackctl apply var/rollbackctl/runs/{run}/plan.json\n"
        f"      or, if it is right now, close the run and plan again: rollbackctl abandon {run} --reason TEXT\n"
    )
    assert site.files() == before
    assert site.apply().code == 0


def test_a_phase_that_has_begun_is_continued_by_any_clock(site: Site) -> None:
    assert site.interrupted(STEPS - 1).code == 130

    assert "verified" in site.at(NOW - timedelta(days=400)).apply().out


def test_holds_follow_the_order_of_calls_whatever_the_clock_says(site: Site) -> None:
    for days in range(3):
        site.at(NOW - timedelta(days=2 * days)).ok("hold", "--incident", INCIDENT)
        assert site.state("var/models/serving.json")["attached"] is False
        site.at(NOW - timedelta(days=2 * days + 1)).ok("hold", "--release")

    assert "\nHeld      nothing\n" in site.at(NOW - timedelta(days=9)).ok("status").out


def test_a_sign_off_from_a_host_that_is_ahead_counts(tmp_path: Path) -> None:
    site = new_site(tmp_path / "ws", signed=False)
    site.at(NOW + timedelta(days=3)).sign()

    assert site.apply().code == 0


def test_a_saved_plan_from_a_host_that_is_ahead_is_refused_with_both_times(site: Site) -> None:
    site.at(NOW + timedelta(minutes=5)).save()
    before = site.files()

    done = site("apply", SAVED)

    assert done.code == 4
    assert names(done.err, ["2025-11-18T08:05:00+00:00", "2025-11-18T08:00:00+00:00", "next: mend the clock"]) == []
    assert site.files() == before


def test_a_report_written_in_a_leap_second_is_not_lost(site: Site) -> None:
    edited(site.root / ALERT, lambda report: {**report, "timestamp": "2025-11-17T23:59:60+00:00"})

    pinned = json.loads(site.ok("plan", PLAN, "--format", "json").out)["facts"]["pinned"]

    assert ALERT in pinned
