"""What a run did, built from its entries alone."""

from typing import Any

from bot_core.foundation.frozen import frozen
from rollbackctl.core.checkpoint import Checkpoint
from rollbackctl.core.plan import Phase, Plan

_ENDS = {"rollback": "verified", "hold": "held", "undo": "held", "release": "released"}


@frozen
class StepOutcome:
    """One step: `done`, `begun` or `open`, and when it was done."""

    index: int
    phase: Phase
    address: str
    outcome: str
    at: str | None


@frozen
class Report:
    """The audit trail of one run.

    Attributes:
        plan: The plan.
        run: The run's id.
        verdict: verified, held, released, waiting, check failed, interrupted, abandoned or undone.
        started_by: Who made the first call, `user@host`.
        continued_by: Everybody else who made one.
        started_at: When the first call was made.
        ended_at: When the last entry was written.
        steps: Outcome of every step of the plan.
        checkpoint: Everything else: gates when their phase began, checks, entries.
    """

    plan: Plan
    run: str
    verdict: str
    started_by: str
    continued_by: tuple[str, ...]
    started_at: str
    ended_at: str
    steps: tuple[StepOutcome, ...]
    checkpoint: Checkpoint

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "format_version": "1.0",
            "run": self.run,
            "plan": self.plan.id,
            "operation": self.plan.operation,
            "name": self.plan.name,
            "incident": self.plan.incident,
            "verdict": self.verdict,
            "started_by": self.started_by,
            "continued_by": list(self.continued_by),
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "facts": dict(self.plan.facts),
            "steps": [
                {"index": s.index, "phase": s.phase.value, "address": s.address, "outcome": s.outcome, "at": s.at}
                for s in self.steps
            ],
            "gates": [verdict.to_json() for verdicts in self.checkpoint.phases.values() for verdict in verdicts],
            "checks": [outcome.to_json() for outcome in self.checkpoint.outcomes.values()],
            "evidence": [call.evidence for call in self.checkpoint.invocations],
        }


def make_report(plan: Plan, run: str, checkpoint: Checkpoint) -> Report:
    """Build the report of a run that has at least one entry."""
    times = {str(e.body["step"]): e.at for e in checkpoint.entries if e.type == "done"}
    steps = tuple(
        StepOutcome(
            step.index,
            step.phase,
            str(step.address),
            "done" if step.id in times else "begun" if step.id in checkpoint.begun else "open",
            times.get(step.id),
        )
        for step in plan.steps
    )
    people = [f"{call.user}@{call.host}" for call in checkpoint.invocations]
    return Report(
        plan=plan,
        run=run,
        verdict=_verdict(plan, checkpoint),
        started_by=people[0],
        continued_by=tuple(dict.fromkeys(person for person in people[1:] if person != people[0])),
        started_at=checkpoint.entries[0].at,
        ended_at=checkpoint.entries[-1].at,
        steps=steps,
        checkpoint=checkpoint,
    )


def _verdict(plan: Plan, checkpoint: Checkpoint) -> str:
    if checkpoint.status in ("abandoned", "undone"):
        return checkpoint.status
    if checkpoint.is_verified or checkpoint.status == "finished":
        return _ENDS[plan.operation]
    if checkpoint.has_failed_check:
        return "check failed"
    return "waiting" if checkpoint.waiting else "interrupted"
