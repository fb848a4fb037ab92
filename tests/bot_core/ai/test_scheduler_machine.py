"""The schedule's rules, held over any order of events, each seen by a process that has only the file."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot_core.ai.scheduler import RetrainingScheduler

START = datetime(2025, 11, 18, tzinfo=UTC)
spans = st.integers(1, 72 * 3600).map(lambda seconds: timedelta(seconds=seconds))


class Schedule(RuleBasedStateMachine):
    """Beside the scheduler: what the two rules of the file format say."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = START
        self.last_run: datetime | None = None
        self.cooldown: datetime | None = None
        self.pause: datetime | None = None
        self.streak = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    def fresh(self) -> RetrainingScheduler:
        path = Path(self.folder.name) / "scheduler.json"
        return RetrainingScheduler(timedelta(days=9), persistence_path=path, clock=lambda: self.now)

    @initialize(interval=spans)
    def begin(self, interval: timedelta) -> None:
        self.interval = interval
        self.fresh().update_interval(interval)

    @rule(span=spans)
    def time_passes(self, span: timedelta) -> None:
        self.now += span

    @rule()
    def a_retraining_succeeds(self) -> None:
        self.fresh().mark_executed()
        self.last_run, self.cooldown, self.pause, self.streak = self.now, None, None, 0

    @rule()
    def a_retraining_succeeds_during_a_pause(self) -> None:
        self.fresh().mark_executed(keep_pause=True)
        self.last_run, self.cooldown, self.streak = self.now, None, 0

    @rule()
    def a_retraining_fails(self) -> None:
        self.fresh().mark_failure(reason="x")
        self.streak += 1
        begin = self.now if self.cooldown is None else max(self.cooldown, self.now)
        self.cooldown = begin + self.interval * min(self.streak, 6)
        if self.last_run is not None:
            self.cooldown = max(self.cooldown, self.last_run + self.interval)

    @rule(span=spans)
    def somebody_pauses_it(self, span: timedelta) -> None:
        self.fresh().pause(duration=span, reason="held")
        self.pause = self.now + span

    @rule()
    def somebody_resumes_it(self) -> None:
        self.fresh().resume()
        self.pause = None

    @rule(interval=spans)
    def the_interval_changes(self, interval: timedelta) -> None:
        self.fresh().update_interval(interval)
        self.interval = interval

    @invariant()
    def the_next_run_is_the_latest_of_interval_cooldown_and_pause(self) -> None:
        found = self.fresh()
        due = self.now if self.last_run is None else self.last_run + self.interval
        pause = self.pause if self.pause is not None and self.now < self.pause else None
        expected = max(moment for moment in (due, self.cooldown, pause) if moment is not None)

        assert found.next_run() == expected
        assert found.should_retrain() is (self.now >= expected)
        assert (found.interval, found.failure_streak) == (self.interval, self.streak)
        assert found.export_state()["next_run"] == expected.isoformat()


TestSchedule = Schedule.TestCase
TestSchedule.settings = settings(max_examples=40, stateful_step_count=20)
