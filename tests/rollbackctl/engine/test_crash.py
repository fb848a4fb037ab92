"""A crash at any act of any command, and the same command again: the end of one clean run, each step moved once."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import Acts, Crash, When, crashing, every_crash
from tests.harness import INCIDENT, PLAN, Site, new_site, quick_folder, unlike_once

HOLD = ("hold", "--incident", INCIDENT, "--reason", "drift alert 5.12")
THE_RUN = "the run that was prepared"


@dataclass(frozen=True)
class Operation:
    """A command that is crashed: what comes before it, and the exit codes of the same command when all is done."""

    prepare: Callable[[Site], object]
    command: tuple[str, ...]
    codes_when_done: tuple[int, ...] = (0,)

    def on(self, before: Site) -> tuple[str, ...]:
        """Return the command, with the run's id where it names one."""
        return tuple(before.runs()[0].name if arg == THE_RUN else arg for arg in self.command)


def nothing(_: Site) -> None:
    """The workspace as it came."""


def unsigned(site: Site) -> None:
    assert site.apply().code == 3


def held_run(site: Site) -> None:
    """A hold, then a run of the incident's plan on top of it."""
    site.ok(*HOLD)


OPERATIONS = {
    "apply": Operation(nothing, ("apply", PLAN, "--yes")),
    "apply_on_a_hold": Operation(held_run, ("apply", PLAN, "--yes")),
    "hold": Operation(nothing, HOLD),
    "release": Operation(held_run, ("hold", "--release")),
    "undo": Operation(lambda site: site.ok("apply", PLAN, "--yes"), ("undo", THE_RUN, "--yes"), (0, 8)),
    "undo_unfinished": Operation(unsigned, ("undo", THE_RUN, "--yes"), (0, 8)),
    "abandon": Operation(unsigned, ("abandon", THE_RUN, "--reason", "another target"), (0, 8)),
    "sign_off": Operation(
        nothing,
        ("sign-off", "--plan", PLAN, "--role", "compliance", "--status", "approved", "--by", "M. Nowak"),
        (0, 64),
    ),
}
UNSIGNED = ("undo_unfinished", "abandon", "sign_off")


@dataclass(frozen=True)
class Clean:
    """An operation, the workspace before it, and the same after one clean run of it."""

    operation: Operation
    before: Site
    after: Site
    places: tuple[tuple[int, When], ...]
    acts: Acts


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="session")
def clean(folder: Path) -> Callable[[str], Clean]:
    """Make the clean run of an operation once."""
    known: dict[str, Clean] = {}

    def made(name: str) -> Clean:
        if name not in known:
            operation = OPERATIONS[name]
            before = new_site(folder / name / "before", signed=name not in UNSIGNED)
            operation.prepare(before)
            after = before.copy(folder / name / "after")
            with crashing() as acts:
                after.ok(*operation.on(before))
            known[name] = Clean(operation, before, after, tuple(every_crash(acts)), acts)
        return known[name]

    return made


def broken_promises(run: Clean, at: int, when: When, root: Path) -> Iterator[str]:
    """Crash at one place, call again, and name everything that differs from the clean run."""
    shutil.rmtree(root, ignore_errors=True)
    site = run.before.copy(root)
    with crashing(at=at, when=when) as acts, suppress(Crash):
        site(*run.operation.on(run.before))
    if not acts.crashed:
        yield "the crash did not come"
    again = site(*run.operation.on(run.before))
    if again.code not in run.operation.codes_when_done:
        yield f"the second call exits {again.code}: {again.err}"
    found, wanted = site.files(), run.after.files()
    yield from (f"{name} differs" for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name))
    if site.keys() != run.after.keys():
        yield f"the decision journal has {site.keys()}"
    if [path.name for path in site.runs()] != [path.name for path in run.after.runs()]:
        yield f"the runs are {[path.name for path in site.runs()]}"
    yield from unlike_once(site, run.after)


def sweep(run: Clean, places: tuple[tuple[int, When], ...], root: Path) -> list[str]:
    return [
        f"{when} act {at} ({run.acts.names[at - 1]}): {problem}"
        for at, when in places
        for problem in broken_promises(run, at, when, root)
    ]


@pytest.mark.parametrize("name", OPERATIONS)
def test_after_a_crash_at_some_acts_the_same_command_leads_to_the_same_end(
    name: str, clean: Callable[[str], Clean], folder: Path
) -> None:
    run = clean(name)

    # 41 shares no factor with the acts of one write, so that each sort of act has its turn.
    problems = sweep(run, run.places[::41], folder / "crashed")

    assert "\n".join(problems) == ""


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("name", OPERATIONS)
def test_after_a_crash_at_any_act_the_same_command_leads_to_the_same_end(
    name: str, part: int, clean: Callable[[str], Clean], folder: Path
) -> None:
    run = clean(name)

    problems = sweep(run, run.places[part::8], folder / "crashed")

    assert "\n".join(problems) == ""


def test_a_whole_apply_has_hundreds_of_acts(clean: Callable[[str], Clean]) -> None:
    run = clean("apply")

    assert len(run.acts.names) > 300
    assert len(run.places) > 2 * len(run.acts.names)


def test_an_undo_that_is_cut_off_when_it_has_only_closed_the_run_can_be_called_again(
    clean: Callable[[str], Clean], folder: Path
) -> None:
    run = clean("undo")
    closed = [at for at, name in enumerate(run.acts.names, 1) if name == "pwrite"][1]

    problems = sweep(run, tuple((at, "after") for at in range(closed, closed + 20, 4)), folder / "crashed")

    assert "\n".join(problems) == ""
