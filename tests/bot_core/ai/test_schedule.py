import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.schedule import ScheduleState, is_paused, mark_executed, mark_failure, next_run, pause, resume
from bot_core.foundation.errors import FileFormatError

FILE = Path(__file__).parents[2] / "fixtures" / "ws_public" / "audit/ai_decision/scheduler.json"
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

moments = st.integers(0, 300_000_000).map(lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))
states = st.builds(
    ScheduleState,
    interval_s=st.floats(1, 1e6),
    last_run=st.none() | moments,
    last_failure=st.none() | moments,
    failure_streak=st.integers(0, 100),
    last_failure_reason=st.none() | st.text(),
    cooldown_until=st.none() | moments,
    paused_until=st.none() | moments,
    paused_reason=st.none() | st.text(),
    extra=st.dictionaries(st.sampled_from(["owner", "tags"]), st.text()),
)


def parsed(**changes: object) -> ScheduleState:
    raw: dict[str, Any] = json.loads(FILE.read_bytes())
    return ScheduleState.parse(json.dumps({**raw, **changes}).encode(), "scheduler.json")


def test_the_engines_file_is_written_as_it_was_read() -> None:
    state = ScheduleState.parse(FILE.read_bytes(), "scheduler.json")
    assert state.updated_at is not None

    assert state.encode(now=state.updated_at) == FILE.read_bytes()


@given(state=states, now=moments)
def test_what_is_written_is_read_again(state: ScheduleState, now: datetime) -> None:
    again = ScheduleState.parse(state.encode(now=now), "scheduler.json")

    assert again == replace(state, updated_at=now, next_run=next_run(state, now))


@given(state=states, now=moments)
def test_no_retraining_before_cooldown_pause_or_interval_have_passed(state: ScheduleState, now: datetime) -> None:
    due = next_run(state, now)

    if now >= due:
        assert not is_paused(state, now)
        assert state.cooldown_until is None or state.cooldown_until <= now
        assert state.last_run is None or state.last_run + timedelta(seconds=state.interval_s) <= now


def test_an_expired_pause_says_nothing() -> None:
    state = ScheduleState(interval_s=3600.0, last_run=NOW - 9 * HOUR, paused_until=NOW - HOUR)

    assert next_run(state, NOW) == NOW - 8 * HOUR


def test_without_a_last_run_the_next_is_now_unless_something_forbids_it() -> None:
    state = ScheduleState(interval_s=3600.0)

    assert next_run(state, NOW) == NOW
    assert next_run(pause(state, NOW + HOUR, None), NOW) == NOW + HOUR
    assert next_run(replace(state, cooldown_until=NOW + HOUR), NOW) == NOW + HOUR


def test_three_failures_give_the_cooldown_of_the_public_workspace() -> None:
    # The decision journal's three failures; by FORMATS.md the cooldown of each starts where the last one ends.
    state = ScheduleState(interval_s=43_200.0, last_run=datetime(2025, 11, 16, 16, 10, tzinfo=UTC))
    for failed_at in ("2025-11-17T04:12:00+00:00", "2025-11-17T16:12:00+00:00", "2025-11-18T04:12:00+00:00"):
        state = mark_failure(state, datetime.fromisoformat(failed_at), "DataQualityException")

    assert state.failure_streak == 3
    assert state.cooldown_until == datetime(2025, 11, 20, 4, 12, tzinfo=UTC)


def test_a_long_streak_adds_at_most_six_intervals() -> None:
    state = ScheduleState(interval_s=3600.0, failure_streak=50)

    assert mark_failure(state, NOW, None).cooldown_until == NOW + 6 * HOUR


def test_a_cooldown_is_never_shorter_than_the_interval_after_the_last_run() -> None:
    state = ScheduleState(interval_s=3600.0, last_run=NOW + HOUR)

    assert mark_failure(state, NOW, None).cooldown_until == NOW + 2 * HOUR


def test_a_success_ends_streak_cooldown_and_pause_and_keeps_the_last_failure() -> None:
    state = mark_executed(parsed(), NOW)

    assert state == replace(
        parsed(), last_run=NOW, failure_streak=0, cooldown_until=None, paused_until=None, paused_reason=None
    )
    assert state.last_failure is not None


def test_resuming_ends_the_pause_and_nothing_else() -> None:
    state = parsed()

    assert resume(pause(state, NOW, "x")) == replace(state, paused_until=None, paused_reason=None)


def test_unknown_keys_are_kept_at_the_end() -> None:
    data = parsed(owner="ops").encode(now=NOW)

    assert list(json.loads(data))[-1] == "owner"


def test_a_last_run_at_the_end_of_time_does_not_break_the_schedule() -> None:
    state = parsed(last_run="9999-12-31T23:00:00+00:00")

    assert next_run(state, NOW).year == 9999


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 6}, "version is 6, newer than 5"),
        ({"version": "5"}, "version is '5', not a whole number"),
        ({"interval": 0}, "interval is 0, not a number of seconds"),
        ({"interval": True}, "interval is True"),
        ({"interval": None}, "interval is None"),
        ({"interval": 1e300}, "interval is 1e\\+300"),
        ({"last_run": "yesterday"}, "last_run is 'yesterday', not an instant"),
        ({"paused_until": 5}, "paused_until is 5, not an instant"),
        ({"failure_streak": -1}, "failure_streak is -1"),
        ({"paused_reason": 1}, "paused_reason is 1, not a text"),
        ({"last_run": 1, "paused_reason": 1}, "last_run is 1, .*; paused_reason is 1"),
    ],
)
def test_a_field_that_is_not_what_it_must_be_is_named(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        parsed(**changes)
