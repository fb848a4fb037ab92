"""What a hold, an undo or their end came to, as text."""

from collections.abc import Iterable, Sequence

from rollbackctl.core.document import PlanDocument
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.plain import plain
from rollbackctl.core.report import Report
from rollbackctl.render.run import NO_ENGINES, render_holds
from rollbackctl.render.text import one_below_another, shown


def render_hold(
    report: Report | None,
    holds: Sequence[HoldFact],
    problems: Iterable[str],
    exposure: Iterable[str],
    engines: Sequence[str],
    absent: Iterable[str],
    leads: Iterable[str],
) -> str:
    """Return what is held, what could not be, and what is still open in the market."""
    head = f"Held by run {plain(report.run)}." if report else "Already held; nothing was changed."
    listed = list(problems)
    if listed and report is None:
        head = "Held, but not everything." if holds else "Nothing could be held."
    lines = [head, *render_holds(holds)]
    lines += [f"  PROBLEM: {plain(problem)}" for problem in listed]
    lines += [
        f"  {plain(address)} does not exist, so there is nothing to hold; if it lies elsewhere: rollbackctl hold PLAN"
        for address in absent
    ]
    open_lines = [f"  {plain(line)}" for line in exposure]
    if open_lines:
        lines += ["Open exposure", *open_lines]
    reached = not any(problem.startswith("serving/") for problem in listed)
    title = "Engines" if reached else "Engines   the hold has not reached them; what follows is of the state before"
    lines += [title, *(f"  {plain(engine)}" for engine in engines)] if engines else [f"Engines   {NO_ENGINES}"]
    lines.append("This tool closes no position and cancels no order.")
    lines += one_below_another(leads)
    return "\n".join(lines) + "\n"


def render_release(report: Report | None, notes: Iterable[str]) -> str:
    """Return what was put back."""
    listed = [f"  {plain(note)}" for note in notes]
    end = "this is not as it was before:" if listed else "what was there before the hold is back."
    lines = [f"Released by run {plain(report.run)}; {end}" if report else "Nothing is held.", *listed]
    lines.append("Next: rollbackctl status")
    return "\n".join(lines) + "\n"


def render_undo(document: PlanDocument) -> str:
    """Return what an undo leads back and what it leaves."""
    back = [address for address, reason in document.undo if not reason]
    lines = [
        f"Undo of {plain(str(document.plan.facts['undoes']))}: it sets the holds and keeps them; serving ends detached."
    ]
    lines += ["Leads back", *(f"  {plain(address)}" for address in back)] if back else ["Leads nothing back."]
    stays = [(address, reason) for address, reason in document.undo if reason]
    lines += ["Leaves", *(f"  {plain(address)}   {plain(reason)}" for address, reason in stays)] if stays else []
    return "\n".join(lines) + "\n"


def render_abandoned(fact: RunFact, holds: Sequence[HoldFact], leads: Iterable[str]) -> str:
    """Return what is left of an abandoned run."""
    lines = [f"Run {plain(fact.run)} is closed as abandoned (begun by {plain(fact.by)} at {shown(fact.at)})."]
    if holds:
        lines += ["Its holds stay, and the next plan of the incident takes them over:", *render_holds(holds)]
    else:
        lines.append("Nothing is held.")
    lines += one_below_another(leads)
    return "\n".join(lines) + "\n"
