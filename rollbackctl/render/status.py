"""The status of a workspace as one screen."""

from collections.abc import Iterator

from rollbackctl.core.report import Report
from rollbackctl.core.status import Status
from rollbackctl.render.escape import plain
from rollbackctl.render.run import NO_ENGINES, render_holds
from rollbackctl.render.text import shown


def render(status: Status) -> str:
    """Return the screen; the next command is its last line."""
    lines = [*_serving(status), "", *_holds(status), *_engines(status), "", *_runs(status)]
    lines += [f"Problem   {plain(problem)}" for problem in status.problems]
    if status.holder:
        lines.append(f"Working now   {plain(status.holder)}")
    lines.append(f"Next: {next_command(status)}")
    return "\n".join(lines) + "\n"


def next_command(status: Status) -> str:
    """Return the command that leads on from here."""
    if status.holder:
        return "rollbackctl status   (somebody is at work)"
    if status.unfinished is not None:
        fact, report = status.unfinished
        if fact.operation != "rollback":
            commands = {"hold": "rollbackctl hold", "release": "rollbackctl hold --release"}
            return commands.get(fact.operation, f"rollbackctl undo {plain(fact.run)} --yes")
        waits = sorted({role for verdict in report.checkpoint.waiting for role in verdict.waits_for})
        if waits:
            return f"rollbackctl sign-off --plan PLAN --role {plain(waits[0])} …, then: rollbackctl apply PLAN"
        return "rollbackctl apply PLAN"
    if status.holds:
        return "rollbackctl plan PLAN, or put back what was: rollbackctl hold --release"
    return "nothing is held or unfinished; for an incident: rollbackctl init, then rollbackctl plan PLAN"


def _serving(status: Status) -> Iterator[str]:
    state = "attached" if status.attached else "detached: nothing scores"
    yield f"Serving   {state}"
    for name, (version, digest) in sorted(status.models.items()):
        default = "   default" if name == status.default_model else ""
        yield f"  {plain(name)}   {plain(version)}   sha256 {shown(digest)}{default}"
    if not status.models:
        yield "  no model is loaded by name"
    for path, active in sorted(status.active.items()):
        yield f"Active    {plain(str(active))}   {plain(path)}"


def _holds(status: Status) -> Iterator[str]:
    yield "Held" if status.holds else "Held      nothing"
    yield from render_holds(status.holds)


def _engines(status: Status) -> Iterator[str]:
    if status.engines:
        yield "Engines"
        yield from (f"  {plain(engine)}" for engine in status.engines)
    else:
        yield f"Engines   {NO_ENGINES}"


def _runs(status: Status) -> Iterator[str]:
    if status.unfinished is not None:
        fact, report = status.unfinished
        yield f"Unfinished   {plain(fact.run)}   {fact.operation} {plain(fact.name)} for {plain(str(fact.incident))}"
        yield f"  {_position(report)}; {report.verdict}; begun by {plain(fact.by)} at {shown(fact.at)}"
        yield from (f"  waits for {v.gate}: {plain(v.summary)}" for v in report.checkpoint.waiting)
    if status.last is not None:
        yield f"Last run     {plain(status.last.run)}   {status.last.operation}, {status.last.status}"


def _position(report: Report) -> str:
    done = sum(step.outcome == "done" for step in report.steps)
    following = next((step for step in report.steps if step.outcome != "done"), None)
    where = f", next: {plain(following.address)} ({following.phase.value})" if following else ""
    return f"{done} of {len(report.steps)} steps done{where}"
