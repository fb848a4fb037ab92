import json
from pathlib import Path
from typing import Any

import pytest

from bot_core.foundation.errors import FileFormatError
from rollbackctl.core.state import State
from rollbackctl.kinds.retraining_schedule import HELD_UNTIL, RetrainingSchedule, ScheduleFields
from tests.examples import RUN, VALUES, aims, bind, make_facts, make_spec

NAME = "audit/ai_decision/scheduler.json"
PAUSE = {"paused_until": "2025-11-19T06:00:00+00:00", "paused_reason": "incident INC-2025-1117: data drift freeze"}
HOLD = {"paused_until": HELD_UNTIL, "paused_reason": f"held by rollbackctl run {RUN}"}
BASE = ScheduleFields(
    interval_s=43200.0,
    last_run="2025-11-16T16:10:00+00:00",
    last_failure="2025-11-18T04:12:00+00:00",
    failure_streak=3,
    last_failure_reason="DataQualityException: Data quality checks failed",
    cooldown_until="2025-11-20T04:12:00+00:00",
    paused_until=PAUSE["paused_until"],
    paused_reason=PAUSE["paused_reason"],
)


@pytest.fixture
def kind(workspace: Path) -> RetrainingSchedule:
    return RetrainingSchedule(bind(workspace))


def read(workspace: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((workspace / NAME).read_text())
    return value


def change(workspace: Path, **fields: Any) -> None:
    (workspace / NAME).write_text(json.dumps(read(workspace) | fields))


def states(base: State | None, **scheduler: Any) -> tuple[State | None, State | None]:
    """Held, released."""
    spec = make_spec(scheduler=scheduler)
    (wish,) = RetrainingSchedule(bind(Path("/nonexistent"), spec)).desire(spec, make_facts())
    return aims(wish, base)


def carry_out(kind: RetrainingSchedule, base: State | None, *moves: State | None) -> None:
    now = base
    for then in moves:
        kind.move(NAME, now, then)
        assert kind.observe(NAME) == then
        now = then


def test_what_the_engine_refreshes_by_itself_is_no_part_of_the_state(workspace: Path, kind: RetrainingSchedule) -> None:
    change(workspace, updated_at="2025-11-18T07:45:00+00:00", next_run=None)

    assert kind.observe(NAME) == BASE


def test_the_hold_is_a_pause_whose_reason_names_the_run() -> None:
    assert states(BASE)[0] == BASE.model_copy(update=HOLD)


def test_marked_as_executed_streak_and_cooldown_end_and_a_persons_pause_comes_back() -> None:
    done = {"last_run": VALUES["time"], "failure_streak": 0, "cooldown_until": None}

    assert states(BASE)[1] == BASE.model_copy(update=done)


def test_the_person_is_told_that_the_pause_comes_back() -> None:
    (wish,) = RetrainingSchedule(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())

    assert "paused" in wish.note


def test_an_interval_is_set_where_one_is_stated() -> None:
    state = states(BASE, interval="PT6H", mark_executed=False)[1]

    assert state == BASE.model_copy(update={"interval_s": 21600.0})


def test_a_plan_that_asks_nothing_only_pauses() -> None:
    assert states(BASE, mark_executed=False) == (BASE.model_copy(update=HOLD), BASE)


def test_a_whole_run_leaves_the_pause_and_the_last_failure_in_the_file(
    workspace: Path, kind: RetrainingSchedule
) -> None:
    carry_out(kind, BASE, *states(BASE))

    assert read(workspace) == {
        "version": 5,
        "last_run": "2025-11-18T08:00:00+00:00",
        "next_run": "2025-11-19T06:00:00+00:00",
        "interval": 43200.0,
        "updated_at": "2025-11-18T08:00:00+00:00",
        "last_failure": "2025-11-18T04:12:00+00:00",
        "failure_streak": 0,
        "last_failure_reason": "DataQualityException: Data quality checks failed",
        "cooldown_until": None,
        **PAUSE,
    }


def test_while_it_is_held_nothing_is_due(workspace: Path, kind: RetrainingSchedule) -> None:
    carry_out(kind, BASE, states(BASE)[0])

    assert read(workspace)["next_run"] == HELD_UNTIL


def test_an_absent_file_is_made_for_the_hold_and_removed_again(workspace: Path, kind: RetrainingSchedule) -> None:
    (workspace / NAME).unlink()
    held, released = states(None, mark_executed=False)

    carry_out(kind, None, held)
    paused = read(workspace)
    carry_out(kind, held, released)

    assert (paused["interval"], paused["paused_until"]) == (21600.0, HELD_UNTIL)
    assert released is None
    assert not (workspace / NAME).exists()


def test_an_absent_file_stays_when_the_run_marks_it_as_executed(workspace: Path, kind: RetrainingSchedule) -> None:
    (workspace / NAME).unlink()
    held, released = states(None)

    carry_out(kind, None, held, released)

    assert released == ScheduleFields(interval_s=21600.0, last_run=VALUES["time"])


def test_keys_that_nobody_here_knows_are_kept(workspace: Path, kind: RetrainingSchedule) -> None:
    change(workspace, owner={"team": "quant"})
    base = kind.observe(NAME)

    carry_out(kind, base, *states(base))

    assert read(workspace)["owner"] == {"team": "quant"}


def test_a_strangers_change_of_such_a_key_is_another_state(workspace: Path, kind: RetrainingSchedule) -> None:
    change(workspace, owner={"team": "quant"})
    base = kind.observe(NAME)

    change(workspace, owner={"team": "ops"})

    assert kind.observe(NAME) != base


def test_the_same_instant_in_another_zone_is_the_same_state(workspace: Path, kind: RetrainingSchedule) -> None:
    change(workspace, paused_until="2025-11-19T07:00:00+01:00")

    assert kind.observe(NAME) == BASE


def test_a_pause_that_has_expired_is_kept_by_looking(workspace: Path, kind: RetrainingSchedule) -> None:
    change(workspace, paused_until="2025-11-17T00:00:00+00:00")
    before = (workspace / NAME).read_bytes()

    state = kind.observe(NAME)

    assert state == BASE.model_copy(update={"paused_until": "2025-11-17T00:00:00+00:00"})
    assert (workspace / NAME).read_bytes() == before


def test_a_file_that_cannot_be_read_is_refused(workspace: Path, kind: RetrainingSchedule) -> None:
    change(workspace, interval=0)

    with pytest.raises(FileFormatError, match="interval is 0"):
        kind.observe(NAME)
