"""The status of a workspace as one screen."""

from collections.abc import Iterator

from rollbackctl.core.gate import Answer
from rollbackctl.core.plain import plain
from rollbackctl.core.report import Report
from rollbackctl.core.status import Status
from rollbackctl.render.run import NO_ENGINES, render_holds
from rollbackctl.render.text import one_below_another, shown


def render(status: Status) -> str:
    """Return the screen; the commands that lead on are its last lines."""
    lines = [*_serving(status), "", *_holds(status), *_engines(status), "", *_runs(status)]
    lines += [f"Problem   {plain(problem)}" for problem in status.problems]
    if status.holder:
        lines.append(f"Working now   {plain(status.holder)}")
        return "\n".join([*lines, "Next: rollbackctl status   (somebody is at work)"]) + "\n"
    lines += one_below_another(status.leads)
    return "\n".join(lines) + "\n"


def _serving(status: Status) -> Iterator[str]:
    state = "attached" if status.attached else "detached: nothing scores"
    if status.attached is None:
        state = "unknown, and nothing scores: see Problem"
    yield f"Serving   {state}"
    for name, (version, digest) in sorted(status.models.items()):
        default = "   default" if name == status.default_model else ""
        yield f"  {plain(name)}   {plain(version)}   sha256 {shown(digest)}{default}"
    if not status.models and status.attached is not None:
        yield "  no model is loaded by name"
    for path, active in sorted(status.active.items()):
        remark = "   quarantined" if path in status.quarantined else ""
        yield f"Active    {plain(str(active))}   {plain(path)}{remark}"


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
        yield f"  {_position(report)}; {status.verdict}; begun by {plain(fact.by)} at {shown(fact.at)}"
        for verdict in status.waiting:
            yield f"  waits for {plain(verdict.gate)}: {plain(verdict.summary)}"
            yield from (f"    {plain(reason)}" for reason in verdict.reasons if verdict.answer is Answer.BLOCK)
    if status.last is not None:
        yield f"Last run     {plain(status.last.run)}   {status.last.operation}, {status.last.status}"


def _position(report: Report) -> str:
    done = sum(step.outcome == "done" for step in report.steps)
    following = next((step for step in report.steps if step.outcome != "done"), None)
    where = f", next: {plain(following.address)} ({following.phase.value})" if following else ""
    return f"{done} of {len(report.steps)} steps done{where}"
