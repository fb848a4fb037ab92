"""A run as text for a person: how it ended, and its whole report."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rollbackctl.core.observation import Holder, HoldFact, RunFact
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import Phase
from rollbackctl.core.report import Report
from rollbackctl.render.text import shown

NO_ENGINES = "none has acknowledged serving.json; an engine that is older than this file does not obey it: stop it"


def render_end(report: Report) -> str:
    """Return what a finished run came to."""
    lines = [f"Run {plain(report.run)}: {report.verdict}."]
    facts: Any = report.plan.facts
    if report.plan.operation == "rollback":
        target = facts["target"]
        names = ", ".join(facts["serve_as"])
        lines.append(
            f"{plain(target['version'])} (sha256 {shown(target['sha256'])}) serves as {plain(names)}; "
            f"{plain(facts['withdrawn']['version'])} is withdrawn."
        )
    lines += _people(report)
    lines.append(f"Next: rollbackctl report {plain(report.run)}")
    return "\n".join(lines) + "\n"


def render_report(report: Report) -> str:
    """Return a run's whole report."""
    plan = report.plan
    lines = [
        "   ".join(map(plain, (f"Run {report.run}", f"{plan.operation} {plan.name}", plan.incident or "no incident"))),
        f"Verdict   {report.verdict}",
        f"Plan id   {plan.id}",
        *_people(report),
        "",
        "Gates, as they were when their phase began",
        *_gates(report),
        "",
        "Steps",
        *_steps(report),
    ]
    if report.checkpoint.outcomes:
        lines += ["", "Checks"]
        lines += [
            f"  {o.result.value:<12}  {plain(o.check)}: {plain(o.summary)}" for o in report.checkpoint.outcomes.values()
        ]
    if report.checkpoint.waiting:
        lines += ["", "Waits for"]
        lines += [f"  {plain(v.gate)}: {plain(v.summary)}" for v in report.checkpoint.waiting]
    return "\n".join(lines) + "\n"


def _people(report: Report) -> Iterator[str]:
    yield f"Started   {plain(report.started_by)} at {shown(report.started_at)}"
    for person in report.continued_by:
        yield f"Continued by   {plain(person)}"
    yield f"Last entry at  {shown(report.ended_at)}"


def _gates(report: Report) -> Iterator[str]:
    found = False
    for phase, verdicts in report.checkpoint.phases.items():
        for verdict in verdicts:
            found = True
            yield f"  {phase.value:<8}  {verdict.answer.value:<6}  {plain(verdict.gate)}: {plain(verdict.summary)}"
    if not found:
        yield "  none"


def _steps(report: Report) -> Iterator[str]:
    phase: Phase | None = None
    for step in report.steps:
        if step.phase is not phase:
            phase = step.phase
            yield f"  {phase.value}"
        at = f"   {shown(step.at)}" if step.at else ""
        yield f"    {step.outcome:<6}  {step.index:>2}  {plain(step.address)}{at}"


def render_runs(facts: Iterable[RunFact]) -> str:
    """Return the list of all runs, newest first."""
    rows = [
        (
            f.run,
            f.operation,
            f.status,
            f.incident or "-",
            f"{f.withdrawn or '-'} -> {f.target or '-'}",
            f.by,
            shown(f.at),
        )
        for f in facts
    ]
    if not rows:
        return "No runs yet.\n"
    head = ("RUN", "OPERATION", "STATUS", "INCIDENT", "VERSIONS", "BY", "BEGUN")
    table = [head, *[tuple(map(plain, row)) for row in reversed(rows)]]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return (
        "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)
        + "\n"
    )


def render_holds(holds: Iterable[HoldFact]) -> Iterator[str]:
    """Return the holds in force, grouped by the run that placed them."""
    for _, group in groupby(sorted(holds, key=lambda hold: (hold.run, hold.address)), key=lambda hold: hold.run):
        held = list(group)
        first = min(held, key=lambda hold: hold.since)
        yield f"  by {_whom(first)}"
        for hold in held:
            yield f"    {plain(hold.address)}"
            yield from (f"      also by {_whom(other)}" for other in hold.others)


def _whom(holder: Holder) -> str:
    incident = plain(holder.incident or "no incident")
    return f"{plain(holder.by)} since {shown(holder.since)} for {incident} (run {plain(holder.run)})"
