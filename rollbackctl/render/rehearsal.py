"""A rehearsal as text for a person: whether the plan survives comes first, then what was taken as given."""

from collections.abc import Iterator

from rollbackctl.core.plain import plain
from rollbackctl.core.rehearsal import NOBODY, Rehearsal


def render_rehearsal(rehearsal: Rehearsal) -> str:
    """Return what a rehearsal came to."""
    return "\n".join([*_lines(rehearsal), ""])


def _lines(rehearsal: Rehearsal) -> Iterator[str]:
    plan = rehearsal.document.plan
    if not rehearsal.document.has_changes:
        yield "No changes. There is nothing to rehearse."
        return
    yield f"Rehearsal of {plain(plan.name)} for {plain(str(plan.incident))}, on a copy; the workspace was not touched"
    crashes = f"{len(plan.steps)} steps, {rehearsal.crashes} crashes in {rehearsal.duration_s:.1f} s"
    if rehearsal.has_survived:
        yield f"Survived  {crashes}; each step was made once"
        yield f"          {rehearsal.files} files end as in a run that nothing disturbed; apply again changes nothing"
    else:
        yield f"Failed    {crashes}"
    for path in rehearsal.differing:
        yield f"Differs   {plain(path)}"
    for step in rehearsal.repeated:
        yield f"Repeated  {plain(step)}"
    for outcome in rehearsal.outcomes:
        yield f"Check     {outcome.result.value}  {outcome.check}: {plain(outcome.summary)}"
    if rehearsal.waited_for:
        owed = ", ".join(f"{plain(role)} {number}" for role, number in sorted(rehearsal.waited_for.items()))
        yield f"Waits     for {sum(rehearsal.waited_for.values())} decisions: {owed}"
        yield f'  taken as given, on the copy only, signed as "{NOBODY}"; the real run waits for people'
