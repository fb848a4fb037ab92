"""The checks of a run: the loaded target is tried before anything is released to it."""

from typing import TYPE_CHECKING

from bot_core.foundation.frozen import replace
from rollbackctl.checks import Bench
from rollbackctl.core.commands import abandon_command, continue_command
from rollbackctl.core.errors import CheckFailedError, Problem
from rollbackctl.core.facts import Facts
from rollbackctl.core.gate import Outcome, Result
from rollbackctl.engine.events import Event

if TYPE_CHECKING:
    from rollbackctl.engine.apply import Context


def run_checks(context: "Context") -> None:
    """Try the loaded target; a check that passed in this run is not repeated.

    Raises:
        CheckFailedError: A check failed, or had no answer; it is on record, and the holds are in place.
    """
    if context.facts is None:
        return
    bench = _bench(context, context.facts)
    failed: list[Outcome] = []
    for name in context.plan.checks:
        known = context.run.checkpoint.outcomes.get(name)
        if known is not None and known.result is Result.PASS:
            continue
        outcome = context.run.workspace.registry.checks[name]().run(bench)
        outcome = replace(outcome, summary=outcome.summary.replace(f"{bench.root}/", ""))  # the same on every host
        context.run.record("check", outcome.to_json())
        message = f"check {name}: {outcome.result.value}, {outcome.summary}"
        context.listener(Event("check_outcome", message, fields=outcome.to_json()))
        if outcome.result is not Result.PASS:
            failed.append(outcome)
    if failed:
        lines = [f"{item.check}: {item.result.value}, {item.summary}" for item in failed]
        run, incident, version = context.run.run, context.plan.incident, bench.facts.target.version
        is_condemned = any(item.result is Result.FAIL for item in failed)
        other, why = (
            ("choose another target", f"{version} is passed over")
            if is_condemned
            else ("mend the check", f"under a new metadata.name; {version} stays eligible")
        )
        raise CheckFailedError(
            f"{version} did not pass its checks; the holds are in place",
            problems=tuple(map(Problem, lines)),
            hint=f"retry: {continue_command(run)}\n"
            f"{other}: {abandon_command(run)}   (then plan again: {why})\n"
            f"stay held: nothing to do; {incident} is held\n"
            f"escalate: {context.spec.spec.escalation.to}, {context.spec.spec.escalation.runbook}",
        )


def _bench(context: "Context", facts: Facts) -> Bench:
    artifact = f"{context.spec.spec.serving.model_dir}/artifacts/{facts.target.sha256}.json"
    workspace = context.run.workspace
    limits, inputs = workspace.policy.limits, context.plan.inputs
    return Bench(workspace.root, context.spec, facts, artifact, limits, inputs, workspace.cluster)
