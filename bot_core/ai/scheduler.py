"""The retraining scheduler: the schedule in its file, changed durably and never by reading it.

Its jobs are in `bot_core.ai.training_job`; their names are importable from here too, since existing callers do.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bot_core.ai import schedule
from bot_core.ai.audit import LOCK_TIMEOUT_S, scheduler_lock, scheduler_state_path
from bot_core.ai.instant import as_utc, utc_now
from bot_core.ai.reports import MAX_BYTES
from bot_core.ai.schedule import ScheduleState
from bot_core.ai.training_job import (
    DEFAULT_JOURNAL_ENVIRONMENT,
    DEFAULT_JOURNAL_RISK_PROFILE,
    PromotionBlockedError,
    ScheduledTrainingJob,
    TrainingRunRecord,
    TrainingScheduler,
)
from bot_core.ai.walk_forward_validation import WalkForwardPlan, WalkForwardResult, WalkForwardValidator
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import replace
from bot_core.foundation.safe_file import read_inside_or_none

__all__ = [
    "DEFAULT_JOURNAL_ENVIRONMENT",
    "DEFAULT_JOURNAL_RISK_PROFILE",
    "RETRAINING_PROMOTION_EVENT",
    "PromotionBlockedError",
    "RetrainingEventEmitter",
    "RetrainingScheduler",
    "ScheduledTrainingJob",
    "TrainingRunRecord",
    "TrainingScheduler",
    "WalkForwardPlan",
    "WalkForwardResult",
    "WalkForwardValidator",
    "change_schedule",
    "read_schedule",
]

RETRAINING_PROMOTION_EVENT = "ai.retraining.champion_promoted"

RetrainingEventEmitter = Callable[[str, Mapping[str, object]], None]


def read_schedule(path: Path, *, root: Path | None = None) -> ScheduleState | None:
    """The schedule in the file at `path`; None when there is none. Writes nothing.

    Args:
        path: The file.
        root: `path` must lie below it, and no component may be a link. None: the folder is trusted.

    Raises:
        FileFormatError: The content is not a schedule.
    """
    base = path.parent if root is None else root
    data = read_inside_or_none(base, os.path.relpath(path, base), max_bytes=MAX_BYTES)
    return None if data is None else ScheduleState.parse(data, str(path))


def change_schedule(
    path: Path,
    change: Callable[[ScheduleState | None], ScheduleState],
    *,
    now: datetime,
    root: Path | None = None,
) -> ScheduleState:
    """Make `change` of the schedule in the file at `path` its content, under the schedule's lock.

    After a crash the file holds the old schedule or the new one. What is refused is refused before anything is written.

    Args:
        path: The file; its folder is made when it is missing.
        change: From what the file holds, None when there is no file, to what it shall hold; or that very state where
            nothing is to change, and nothing is then written.
        now: The instant of the change.
        root: As in `read_schedule`.

    Returns:
        The schedule as written.
    """
    change(read_schedule(path, root=root))
    make_folder(path.parent, root=root)
    with scheduler_lock(path, root=root).hold(timeout_s=LOCK_TIMEOUT_S) as require_held:
        before = read_schedule(path, root=root)
        after = change(before)
        if after is before:
            return after
        state = replace(after, updated_at=now)
        require_held()
        write_atomic(path, state.encode(now=now), root=root)
    return state


@dataclass
class RetrainingScheduler:
    """Says when to retrain, and keeps what happened in `scheduler.json`.

    Where the file exists, what it says wins over what is given here, the interval included (`configured_interval` keeps
    the one given). Every question reads the file again, so that a pause made by another process is obeyed; none writes
    it. A change is durable when the method returns, and an error to write it is raised.

    Attributes:
        persistence_path: The file; `audit/ai_decision/scheduler.json` below the working folder when None.
        event_emitter: Called with an event's name and payload.
        clock: Gives the present instant.
    """

    interval: timedelta
    last_run: datetime | None = None
    updated_at: datetime | None = None
    last_failure: datetime | None = None
    failure_streak: int = 0
    last_failure_reason: str | None = None
    cooldown_until: datetime | None = None
    paused_until: datetime | None = None
    paused_reason: str | None = None
    persistence_path: str | Path | None = None
    event_emitter: RetrainingEventEmitter | None = None
    clock: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        self._configured_interval = _positive(self.interval)
        self._refresh()

    @property
    def configured_interval(self) -> timedelta:
        """The interval asked for here; the file's, in `interval`, is the one that holds."""
        return self._configured_interval

    def next_run(self, now: datetime | None = None) -> datetime:
        """When the next retraining may start, seen from `now`; writes nothing."""
        return schedule.next_run(self._refresh(), self._moment(now))

    def should_retrain(self, now: datetime | None = None) -> bool:
        """Whether a retraining is due at `now`; writes nothing."""
        moment = self._moment(now)
        return moment >= schedule.next_run(self._refresh(), moment)

    def export_state(self) -> Mapping[str, object]:
        """The state with the file's keys, `next_run` as it is now; writes nothing."""
        return self._refresh().to_mapping(now=self._moment(None))

    def mark_executed(self, when: datetime | None = None, *, keep_pause: bool = False) -> None:
        """Record a retraining that succeeded at `when`: failure streak and cooldown end, and the pause unless kept."""

        def executed(state: ScheduleState) -> ScheduleState:
            after = schedule.mark_executed(state, self._moment(when))
            if not keep_pause:
                return after
            return replace(after, paused_until=state.paused_until, paused_reason=state.paused_reason)

        self._change(executed)

    def mark_failure(self, when: datetime | None = None, reason: str | None = None) -> None:
        """Record a retraining that failed at `when`: the cooldown grows with the streak."""
        self._change(lambda state: schedule.mark_failure(state, self._moment(when), reason))

    def pause(
        self, *, until: datetime | None = None, duration: timedelta | None = None, reason: str | None = None
    ) -> None:
        """Let no retraining start before `until`, or for `duration` from now."""
        if (until is None) == (duration is None):
            raise ValueError("a pause needs either until or duration")
        end = as_utc(until) if until is not None else self._moment(None) + (duration or timedelta())
        self._change(lambda state: schedule.pause(state, end, reason))

    def resume(self, when: datetime | None = None) -> None:
        """End the pause, recorded as of `when`; a cooldown stays in force."""
        self._change(schedule.resume, when)

    def update_interval(self, interval: timedelta) -> None:
        """Make `interval` the one that holds, in the file too."""
        seconds = _positive(interval).total_seconds()
        self._change(lambda state: replace(state, interval_s=seconds))
        self._configured_interval = interval

    def emit_promotion_event(self, payload: Mapping[str, object]) -> None:
        """Tell the event emitter, where there is one, that a retrained model became the champion."""
        if self.event_emitter is not None:
            self.event_emitter(RETRAINING_PROMOTION_EVENT, payload)

    @property
    def _path(self) -> Path:
        return scheduler_state_path() if self.persistence_path is None else Path(self.persistence_path)

    def _moment(self, given: datetime | None) -> datetime:
        return as_utc(self.clock() if given is None else given)

    def _refresh(self) -> ScheduleState:
        found = read_schedule(self._path)
        return self._own_state() if found is None else self._adopt(found)

    def _change(self, change: Callable[[ScheduleState], ScheduleState], when: datetime | None = None) -> None:
        own = self._own_state()
        self._adopt(change_schedule(self._path, lambda found: change(found or own), now=self._moment(when)))

    def _own_state(self) -> ScheduleState:
        return ScheduleState(
            interval_s=self.interval.total_seconds(),
            last_run=_utc(self.last_run),
            last_failure=_utc(self.last_failure),
            failure_streak=self.failure_streak,
            last_failure_reason=self.last_failure_reason,
            cooldown_until=_utc(self.cooldown_until),
            paused_until=_utc(self.paused_until),
            paused_reason=self.paused_reason,
            updated_at=_utc(self.updated_at),
        )

    def _adopt(self, state: ScheduleState) -> ScheduleState:
        self.interval = timedelta(seconds=state.interval_s)
        self.last_run = state.last_run
        self.last_failure = state.last_failure
        self.failure_streak = state.failure_streak
        self.last_failure_reason = state.last_failure_reason
        self.cooldown_until = state.cooldown_until
        self.paused_until = state.paused_until
        self.paused_reason = state.paused_reason
        self.updated_at = state.updated_at
        return state


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else as_utc(moment)


def _positive(interval: timedelta) -> timedelta:
    if interval <= timedelta():
        raise BotCoreError(f"the interval is {interval}, not above zero")
    return interval
