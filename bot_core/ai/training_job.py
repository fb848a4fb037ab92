"""Retraining jobs: a model trained by a schedule, put on record, and promoted unless an incident forbids it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.ai.audit import save_walk_forward_report
from bot_core.ai.instant import as_utc, format_instant
from bot_core.ai.quarantine import read_quarantines
from bot_core.ai.schedule import SCHEDULE_VERSION
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    from bot_core.ai.artifact import ModelArtifact
    from bot_core.ai.repository import ModelRepository
    from bot_core.ai.scheduler import RetrainingScheduler
    from bot_core.ai.walk_forward_validation import (
        FeatureDataset,
        ModelTrainer,
        WalkForwardResult,
        WalkForwardValidator,
    )
    from bot_core.runtime.journal import TradingDecisionJournal

DEFAULT_JOURNAL_ENVIRONMENT = "ai-training"
DEFAULT_JOURNAL_RISK_PROFILE = "ai-research"


class PromotionBlockedError(BotCoreError):
    """A retrained version may not become the champion while a version is quarantined."""


@frozen
class TrainingRunRecord:
    """One retraining that succeeded.

    Attributes:
        metrics: The summary's measures.
        dataset_rows: How many rows it was trained on.
        validation: None where the job does not validate.
    """

    trained_at: datetime
    metrics: Mapping[str, float]
    backend: str
    dataset_rows: int
    validation: "WalkForwardResult | None" = None


@dataclass
class ScheduledTrainingJob:
    """A retraining that is due by a schedule.

    Attributes:
        name: The job's name, also in reports and in the journal.
        scheduler: Says when, and keeps what happened.
        trainer_factory: Gives a trainer for each training.
        dataset_provider: Gives what to train on.
        validator_factory: Gives the validator of a data set; its result is written as a report. None: no validation.
        on_completed: Called with the model and the validation, after both are on record.
        history: The runs of this process that succeeded, oldest first.
        audit_root: The audit folder; None: the default one.
        decision_journal: Where runs are recorded; None: nowhere.
        decision_journal_context: `environment`, `portfolio`, `risk_profile` and `strategy` of those records, where
            they are others than the three below and the job's name.
        journal_portfolio: None: the job's name.
    """

    name: str
    scheduler: "RetrainingScheduler"
    trainer_factory: "Callable[[], ModelTrainer]"
    dataset_provider: "Callable[[], FeatureDataset]"
    validator_factory: "Callable[[FeatureDataset], WalkForwardValidator] | None" = None
    on_completed: "Callable[[ModelArtifact, WalkForwardResult | None], None] | None" = None
    history: list[TrainingRunRecord] = field(default_factory=list)
    audit_root: str | Path | None = None
    decision_journal: "TradingDecisionJournal | None" = None
    decision_journal_context: Mapping[str, str] | None = None
    journal_environment: str = DEFAULT_JOURNAL_ENVIRONMENT
    journal_portfolio: str | None = None
    journal_risk_profile: str = DEFAULT_JOURNAL_RISK_PROFILE

    def is_due(self, now: datetime | None = None) -> bool:
        """Whether the schedule lets it run at `now`; writes nothing."""
        return self.scheduler.should_retrain(now)

    def run(self, now: datetime | None = None) -> "ModelArtifact":
        """Retrain, whether it is due or not, and put the run on record; nothing is published or promoted.

        A pause that was made meanwhile stays. After a crash during the training nothing is on record.

        Args:
            now: The instant of the run; None: that of the model's training, or the present where it fails.

        Raises:
            Exception: Whatever the training or its validation raised, after the failure is on record.
        """
        try:
            dataset = self.dataset_provider()
            artifact = self.trainer_factory().train(dataset)
            validator = None if self.validator_factory is None else self.validator_factory(dataset)
            validation = None if validator is None else validator.validate(self.trainer_factory)
        except Exception as error:
            self._record_failure(now, error)
            raise
        moment = as_utc(now or artifact.trained_at)
        if validation is not None:
            save_walk_forward_report(
                validation,
                job_name=self.name,
                dataset=dataset,
                validator=validator,
                artifact=artifact,
                audit_root=self.audit_root,
                generated_at=moment,
                trainer_backend=artifact.backend,
            )
        self.scheduler.mark_executed(moment, keep_pause=True)
        summary = _summary(artifact)
        record = TrainingRunRecord(artifact.trained_at, summary, artifact.backend, len(dataset.vectors), validation)
        self.history.append(record)
        figures = {f"metric_{key}": value for key, value in summary.items()}
        self._log("ai_retraining", moment, {"dataset_rows": record.dataset_rows, **figures})
        if self.on_completed is not None:
            self.on_completed(artifact, validation)
        return artifact

    def promote(self, repository: "ModelRepository", version: str, *, aliases: Sequence[str] | None = None) -> None:
        """Make a retrained version the champion, and tell so; refused while the repository quarantines a version.

        As long as an incident keeps a version out, a person decides what comes next: `repository.promote_version`.

        Args:
            repository: Holds the version.
            version: As the manifest has it.
            aliases: Aliases that move to it.

        Raises:
            PromotionBlockedError: A version is quarantined; nothing has changed.
            UnresolvedReferenceError: There is no such version.
        """
        moment = as_utc(self.scheduler.clock())
        if quarantines := read_quarantines(repository.base_path):
            reasons = "; ".join(f"{each.version} is {each.words()}" for each in quarantines)
            self._log("ai_retraining_promotion_blocked", moment, {"model_version": version, "reason": reasons})
            raise PromotionBlockedError(
                f"{version} is not promoted by the job {self.name}: {reasons}",
                hint="promote it by hand once the incident is settled",
            )
        repository.promote_version(version, aliases=aliases)
        self.scheduler.emit_promotion_event(
            {"job_name": self.name, "version": version, "promoted_at": format_instant(moment)}
        )

    def _record_failure(self, now: datetime | None, error: Exception) -> None:
        moment = as_utc(now or self.scheduler.clock())
        self.scheduler.mark_failure(moment, reason=f"{type(error).__name__}: {error}")
        self._log("ai_retraining_failed", moment, {"error_type": type(error).__name__})

    def _log(self, event: str, moment: datetime, metadata: Mapping[str, object]) -> None:
        if self.decision_journal is None:
            return
        from bot_core.runtime.journal import TradingDecisionEvent

        context = dict(self.decision_journal_context or {})
        self.decision_journal.record(
            TradingDecisionEvent(
                event_type=event,
                timestamp=moment,
                environment=context.get("environment", self.journal_environment),
                portfolio=context.get("portfolio", self.journal_portfolio or self.name),
                risk_profile=context.get("risk_profile", self.journal_risk_profile),
                schedule=self.name,
                strategy=context.get("strategy", self.name),
                schedule_run_id=f"{self.name}:{format_instant(moment)}",
                telemetry_namespace=f"ai.scheduler.{self.name}",
                metadata={"scheduler_version": SCHEDULE_VERSION, **metadata},
            )
        )


class TrainingScheduler:
    """The jobs of one process, each by its own schedule."""

    def __init__(self) -> None:
        self._jobs: dict[str, ScheduledTrainingJob] = {}

    def register(self, job: ScheduledTrainingJob) -> None:
        """Take a job in, in place of an earlier one of its name."""
        self._jobs[job.name] = job

    def unregister(self, name: str) -> None:
        """Leave a job out from now on; an unknown name is fine."""
        self._jobs.pop(name, None)

    def due_jobs(self, now: datetime | None = None) -> Sequence[ScheduledTrainingJob]:
        """The jobs that may run at `now`, in the order in which they were taken in."""
        return [job for job in self._jobs.values() if job.is_due(now)]

    def run_due_jobs(self, now: datetime | None = None) -> "Sequence[tuple[ScheduledTrainingJob, ModelArtifact]]":
        """Run what is due, each asked again just before: a pause or another job's run may have come between.

        Raises:
            Exception: What a job raised. It is on record, the job cools down, and the same call again runs the rest.
        """
        return [(job, job.run(now)) for job in self.due_jobs(now) if job.is_due(now)]


def _summary(artifact: "ModelArtifact") -> Mapping[str, float]:
    from bot_core.ai.artifact import ModelMetrics

    return ModelMetrics(artifact.metrics).summary()
