import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.audit import load_latest_walk_forward_report, save_walk_forward_report
from bot_core.ai.quarantine import Quarantine, quarantine_file
from bot_core.ai.repository import ModelRepository
from bot_core.ai.scheduler import (
    RETRAINING_PROMOTION_EVENT,
    PromotionBlockedError,
    RetrainingScheduler,
    ScheduledTrainingJob,
    TrainingScheduler,
    WalkForwardPlan,
    WalkForwardResult,
    WalkForwardValidator,
)
from bot_core.ai.walk_forward import link_problems, read_walk_forward
from bot_core.foundation.errors import BotCoreError
from bot_core.runtime.journal import JsonlTradingDecisionJournal

PUBLIC = Path(__file__).parents[2] / "fixtures" / "ws_public"
MODELS = PUBLIC / "models/decision_engine"
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
V9 = ModelRepository(MODELS).load("v9")


@dataclass(frozen=True)
class Row:
    target_bps: float
    features: Mapping[str, float] = field(default_factory=lambda: {"momentum": 0.0})


@dataclass(frozen=True)
class Rows:
    vectors: Sequence[Row]
    metadata: Mapping[str, object] = field(default_factory=dict)

    def subset(self, indices: Sequence[int]) -> "Rows":
        stamps = {"start_timestamp": float(indices[0]), "end_timestamp": float(indices[-1])}
        return Rows([self.vectors[index] for index in indices], stamps)


class MeanTrainer:
    """Learns the mean of the targets, and nothing of the features."""

    def train(self, dataset: Rows) -> ModelArtifact:
        mean = fmean(row.target_bps for row in dataset.vectors)
        state = {"weights": [0.0], "bias": mean}
        return replace(
            V9, backend="sequential_td", feature_names=("momentum",), model_state=state, metadata={}, trained_at=NOW
        )


ROWS = Rows([Row(float(i % 5 - 1)) for i in range(20)], {"symbols": ["BTCUSDT"]})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PUBLIC, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def make_job(**changes: Any) -> ScheduledTrainingJob:
    scheduler = RetrainingScheduler(timedelta(hours=6), clock=lambda: NOW)
    given = {
        "name": "decision_core",
        "scheduler": scheduler,
        "trainer_factory": MeanTrainer,
        "dataset_provider": lambda: ROWS,
        "decision_journal": JsonlTradingDecisionJournal("journal/retraining.log"),
    }
    return ScheduledTrainingJob(**{**given, **changes})


def journal() -> list[dict[str, str]]:
    return [json.loads(line) for line in Path("journal/retraining.log").read_text().splitlines()]


def quarantine_v10() -> Path:
    path = Path("models/decision_engine") / quarantine_file("v10")
    path.parent.mkdir()
    path.write_bytes(Quarantine("v10", "0" * 64, "INC-2025-1117", "data drift").encode())
    return path


def test_a_run_leaves_a_report_an_event_a_record_and_the_next_date(workspace: Path) -> None:
    done: list[object] = []
    validator = lambda rows: WalkForwardValidator(rows, plan=WalkForwardPlan(10, 5))  # noqa: E731
    job = make_job(validator_factory=validator, on_completed=lambda *found: done.append(found))

    artifact = job.run()

    report = load_latest_walk_forward_report()
    assert report is not None
    assert report["report_path"] == "audit/ai_decision/walk_forward/20251118T080000Z.json"
    assert report["dataset"] == {"rows": 20, "metadata": {"symbols": ["BTCUSDT"]}}
    (walk,) = [walk for walk in read_walk_forward(workspace) if walk.path == report["report_path"]]
    assert link_problems(walk, artifact.to_dict(), "v11") == ("compliance is pending", "risk is pending")
    (record,) = job.history
    assert (record.dataset_rows, record.backend, record.trained_at) == (20, "sequential_td", NOW)
    assert done == [(artifact, record.validation)]
    assert (job.scheduler.last_run, job.scheduler.failure_streak) == (NOW, 0)
    (event,) = journal()
    assert (event["event"], event["dataset_rows"]) == ("ai_retraining", "20")
    assert event["metric_mae"] == f"{V9.metrics['mae']:.10f}"


def test_failures_are_recorded_as_the_engine_records_them(workspace: Path) -> None:
    lines = [line for path in Path("logs/decision_journal").iterdir() for line in path.read_text().splitlines()]
    engines = sorted(line for line in lines if line.startswith('{"event":"ai_retraining_failed"'))
    Path("audit/ai_decision/scheduler.json").unlink()
    scheduler = RetrainingScheduler(timedelta(hours=12), last_run=datetime(2025, 11, 16, 16, 10, tzinfo=UTC))

    def failing() -> Rows:
        raise TimeoutError("no data")

    job = make_job(scheduler=scheduler, dataset_provider=failing)
    for line in engines:
        with pytest.raises(TimeoutError, match="no data"):
            job.run(datetime.fromisoformat(json.loads(line)["timestamp"]))

    assert len(engines) == 3
    assert Path("journal/retraining.log").read_text().splitlines() == engines
    assert scheduler.cooldown_until == datetime(2025, 11, 20, 4, 12, tzinfo=UTC)
    assert scheduler.last_failure_reason == "TimeoutError: no data"
    assert job.history == []


def test_a_validation_that_fails_is_a_failure_of_the_run(workspace: Path) -> None:
    job = make_job(validator_factory=lambda rows: WalkForwardValidator(rows, plan=WalkForwardPlan(100, 5)))

    with pytest.raises(BotCoreError, match="20 rows are too few"):
        job.run()

    assert job.scheduler.failure_streak == 4


def test_a_pause_made_during_the_training_stays(workspace: Path) -> None:
    def paused_meanwhile() -> Rows:
        other = RetrainingScheduler(timedelta(hours=6), clock=lambda: NOW)
        other.pause(until=datetime(2999, 12, 31, tzinfo=UTC), reason="held")
        return ROWS

    job = make_job(dataset_provider=paused_meanwhile)
    job.run()

    assert (job.scheduler.paused_reason, job.scheduler.cooldown_until) == ("held", None)
    assert not job.is_due(datetime(2026, 1, 1, tzinfo=UTC))


def test_the_journal_speaks_of_the_context_given(workspace: Path) -> None:
    make_job(decision_journal_context={"portfolio": "desk", "environment": "paper"}).run()

    (event,) = journal()
    assert (event["portfolio"], event["environment"], event["risk_profile"]) == ("desk", "paper", "ai-research")


def test_nothing_is_promoted_while_a_version_is_quarantined(workspace: Path) -> None:
    heard: list[object] = []
    repository = ModelRepository("models/decision_engine")
    repository.publish(MeanTrainer().train(ROWS), version="v11", activate=False)
    job = make_job()
    job.scheduler.event_emitter = lambda *event: heard.append(event)
    quarantine = quarantine_v10()
    before = repository.get_manifest()

    with pytest.raises(PromotionBlockedError, match=r"v11 .*v10 is quarantined by incident INC-2025-1117: data drift"):
        job.promote(repository, "v11", aliases=["champion"])

    assert (repository.get_manifest(), heard) == (before, [])
    (event,) = journal()
    assert (event["event"], event["model_version"]) == ("ai_retraining_promotion_blocked", "v11")

    quarantine.unlink()
    job.promote(repository, "v11", aliases=["champion"])

    assert repository.get_active_version() == repository.get_alias_target("champion") == "v11"
    assert heard == [
        (
            RETRAINING_PROMOTION_EVENT,
            {"job_name": "decision_core", "version": "v11", "promoted_at": "2025-11-18T08:00:00+00:00"},
        )
    ]


def test_jobs_run_when_they_are_due_and_one_schedule_is_not_used_twice(workspace: Path) -> None:
    jobs = TrainingScheduler()
    for name in ("first", "second"):
        jobs.register(make_job(name=name))
    assert jobs.run_due_jobs(NOW) == []

    make_job().scheduler.mark_executed(NOW - timedelta(days=1))

    assert [job.name for job in jobs.due_jobs(NOW)] == ["first", "second"]
    assert [job.name for job, _ in jobs.run_due_jobs(NOW)] == ["first"]
    jobs.unregister("second")
    assert [job.name for job in jobs.due_jobs(NOW + timedelta(days=1))] == ["first"]


def test_a_walk_forward_report_has_the_bytes_of_the_engine(tmp_path: Path) -> None:
    original = PUBLIC / "audit/ai_decision/walk_forward/20251029T041045Z.json"
    raw = json.loads(original.read_bytes())
    walk = raw["walk_forward"]
    plan = WalkForwardPlan(walk["train_window"], walk["test_window"], walk["step"])
    rows = Rows([Row(0.0)] * raw["dataset"]["rows"], raw["dataset"]["metadata"])

    path = save_walk_forward_report(
        WalkForwardResult(walk["windows"], walk["average_mae"], walk["average_directional_accuracy"]),
        job_name=raw["job_name"],
        dataset=rows,
        validator=WalkForwardValidator(rows, plan=plan),
        artifact=V9,
        audit_root=tmp_path,
        generated_at=datetime.fromisoformat(raw["generated_at"]),
        trainer_backend=raw["trainer_backend"],
        sign_off=raw["sign_off"],
    )

    assert path == tmp_path / "walk_forward" / original.name
    assert path.read_bytes() == original.read_bytes()


def test_the_figures_of_a_walk_are_those_computed_by_hand() -> None:
    rows = Rows([Row(target) for target in (1.0, 3.0, 4.0, -2.0, 6.0)])

    found = WalkForwardValidator(rows, plan=WalkForwardPlan(2, 1)).validate(MeanTrainer)

    # Means of two rows: 2, 3.5, 1; the rows after them: 4, -2, 6. As V9's metadata are left out, nothing is calibrated.
    assert [window["mae"] for window in found.windows] == [2.0, 5.5, 5.0]
    assert [window["directional_accuracy"] for window in found.windows] == [1.0, 0.0, 1.0]
    assert [window["start_timestamp"] for window in found.windows] == [2.0, 3.0, 4.0]
    assert (found.average_mae, found.average_directional_accuracy) == (12.5 / 3, 2 / 3)


sizes = st.integers(1, 12)


@given(rows=st.integers(0, 60), train=sizes, test=sizes, step=st.none() | sizes)
def test_no_window_is_tried_on_rows_that_it_was_trained_on(rows: int, train: int, test: int, step: int | None) -> None:
    dataset: Any = SimpleNamespace(vectors=range(rows))
    if rows < train + test:
        with pytest.raises(BotCoreError, match="too few"):
            WalkForwardValidator(dataset, plan=WalkForwardPlan(train, test, step))
        return

    windows = list(WalkForwardValidator(dataset, plan=WalkForwardPlan(train, test, step)).windows())

    assert len(windows) == (rows - train - test) // (step or test) + 1
    for trained, tried in windows:
        assert (len(trained), len(tried), trained.stop) == (train, test, tried.start)
        assert tried.stop <= rows


@pytest.mark.parametrize("plan", [WalkForwardPlan(0, 1), WalkForwardPlan(1, 0), WalkForwardPlan(1, 1, -1)])
def test_windows_and_steps_are_above_zero(plan: WalkForwardPlan) -> None:
    with pytest.raises(BotCoreError, match="above zero"):
        WalkForwardValidator(ROWS, plan=plan)
