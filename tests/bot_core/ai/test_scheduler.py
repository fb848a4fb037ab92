import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.schedule import ScheduleState
from bot_core.ai.scheduler import RETRAINING_PROMOTION_EVENT, RetrainingScheduler, change_schedule, read_schedule
from bot_core.foundation.errors import BotCoreError, FileFormatError, UnsafePathError

FIXTURES = Path(__file__).parents[2] / "fixtures"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected_public.json").read_bytes())
FILE = Path("audit/ai_decision/scheduler.json")
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
SIX_HOURS = timedelta(hours=6)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FIXTURES / "ws_public", tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def scheduler(**changes: Any) -> RetrainingScheduler:
    return RetrainingScheduler(**{"interval": SIX_HOURS, "clock": lambda: NOW, **changes})


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_bytes())
    return found


def test_the_files_interval_wins_and_the_one_asked_for_is_remembered(workspace: Path) -> None:
    found = scheduler()

    expected = EXPECTED["scheduler_loaded"]
    assert found.interval.total_seconds() == expected["interval_s"]
    assert found.configured_interval.total_seconds() == expected["configured_interval_s"]
    assert found.next_run(NOW).isoformat() == expected["next_run(now)"]
    assert found.should_retrain(NOW) is expected["should_retrain(now)"]


def test_reading_never_writes_not_even_when_a_pause_has_expired(workspace: Path) -> None:
    before = (FILE.read_bytes(), FILE.stat(), sorted(os.listdir(FILE.parent)))
    found = scheduler()

    found.next_run(datetime(2026, 1, 1, tzinfo=UTC))
    found.should_retrain(datetime(2026, 1, 1, tzinfo=UTC))
    found.export_state()

    assert (FILE.read_bytes(), FILE.stat(), sorted(os.listdir(FILE.parent))) == before
    assert stored() == EXPECTED["scheduler_state_after_read_only_next_run"]


def test_the_state_is_exported_as_the_file_has_it(workspace: Path) -> None:
    assert scheduler().export_state() == EXPECTED["scheduler_state_before"]


def test_marking_as_the_runbook_does_ends_pause_cooldown_and_streak(workspace: Path) -> None:
    found = scheduler()

    found.mark_executed(NOW)

    assert stored() == EXPECTED["scheduler_after_runbook_mark_executed"]
    assert list(stored()) == list(EXPECTED["scheduler_state_before"])
    assert FILE.read_bytes() == json.dumps(stored(), indent=2).encode() + b"\n"
    assert found.export_state() == stored()


def test_a_changed_interval_holds_from_then_on(workspace: Path) -> None:
    found = scheduler()

    found.mark_executed(NOW)
    found.update_interval(SIX_HOURS)

    assert stored() == EXPECTED["scheduler_after_mark_executed_and_update_interval_6h"]
    assert found.interval == found.configured_interval == SIX_HOURS


def test_a_pause_made_by_another_process_is_obeyed_before_the_next_retraining(workspace: Path) -> None:
    found, other = scheduler(), scheduler()
    found.mark_executed(NOW - timedelta(days=1))
    assert found.should_retrain()

    other.pause(until=datetime(2999, 12, 31, tzinfo=UTC), reason="held")

    assert not found.should_retrain()
    assert found.paused_reason == "held"


def test_a_change_keeps_what_another_process_has_written_meanwhile(workspace: Path) -> None:
    found, other = scheduler(), scheduler()
    other.pause(duration=timedelta(days=9), reason="held")

    found.mark_failure(NOW, "boom")

    assert (stored()["paused_reason"], stored()["last_failure_reason"]) == ("held", "boom")
    assert stored()["failure_streak"] == 4


def test_resuming_ends_the_pause_only(workspace: Path) -> None:
    scheduler().resume()

    assert (stored()["paused_until"], stored()["paused_reason"]) == (None, None)
    assert stored()["cooldown_until"] == "2025-11-20T04:12:00+00:00"


def test_without_a_file_what_is_given_holds_and_is_written_on_the_first_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = scheduler(last_run=NOW - timedelta(hours=2))

    assert found.next_run() == NOW + timedelta(hours=4)
    assert os.listdir(tmp_path) == []
    found.mark_failure(reason="boom")
    assert stored()["last_run"] == "2025-11-18T06:00:00+00:00"
    assert stored()["interval"] == 21_600.0


def test_a_file_named_by_the_caller_is_the_one_used(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "other/state.json"

    scheduler(persistence_path=path).mark_executed()

    assert path.exists()
    assert stored() == EXPECTED["scheduler_state_before"]


def test_a_corrupt_file_is_refused_and_left_alone(workspace: Path) -> None:
    FILE.write_text("{")

    with pytest.raises(FileFormatError, match=r"scheduler\.json"):
        scheduler()

    assert FILE.read_text() == "{"


def test_an_error_to_write_is_raised_and_the_old_state_stands(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scheduler()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    with pytest.raises(OSError, match="No space left"):
        found.mark_executed(NOW)

    assert stored() == EXPECTED["scheduler_state_before"]


def test_changes_made_at_once_are_all_kept(workspace: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: scheduler().mark_failure(NOW), range(8)))

    assert stored()["failure_streak"] == 3 + 8


def test_a_change_that_is_refused_leaves_no_trace(tmp_path: Path) -> None:
    def refuse(_: ScheduleState | None) -> ScheduleState:
        raise BotCoreError("no")

    with pytest.raises(BotCoreError):
        change_schedule(tmp_path / "audit/scheduler.json", refuse, now=NOW, root=tmp_path)

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["scheduler.json", "audit/ai_decision/scheduler.json"])
def test_a_schedule_below_a_root_is_changed(tmp_path: Path, name: str) -> None:
    def start(found: ScheduleState | None) -> ScheduleState:
        return replace(found or ScheduleState(interval_s=60.0), last_run=NOW)

    written = change_schedule(tmp_path / name, start, now=NOW, root=tmp_path)

    found = read_schedule(tmp_path / name, root=tmp_path)
    assert found is not None
    assert replace(found, next_run=None) == written


def test_a_schedule_that_leaves_its_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafePathError):
        read_schedule(tmp_path.parent / "scheduler.json", root=tmp_path)


def test_a_pause_needs_one_end(workspace: Path) -> None:
    calls: list[Callable[[], None]] = [
        lambda: scheduler().pause(),
        lambda: scheduler().pause(until=NOW, duration=SIX_HOURS),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="either"):
            call()


def test_an_interval_is_above_zero(workspace: Path) -> None:
    with pytest.raises(BotCoreError, match="above zero"):
        scheduler(interval=timedelta(0))


def test_a_promotion_is_told_to_whoever_listens(workspace: Path) -> None:
    heard: list[object] = []

    scheduler(event_emitter=lambda event, payload: heard.append((event, payload))).emit_promotion_event({"v": 1})
    scheduler().emit_promotion_event({"v": 2})

    assert heard == [(RETRAINING_PROMOTION_EVENT, {"v": 1})]
