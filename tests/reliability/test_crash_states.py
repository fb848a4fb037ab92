"""Every state that a power loss may leave of a run: nothing torn, nothing acknowledged lost, and apply goes on."""

import itertools
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import STORE, Site, new_site, quick_folder
from tests.reliability.crash_states import JOURNAL, Change, Disk, Tree, is_lock, is_passing, laid_out
from tests.reliability.same_end import require_none, unlike
from tests.reliability.strace import Call, traced

PARTS = 16
# Of the states after a second process, so many of each kill are gone on from; all are looked at.
PER_KILL = 4
# After so many wrong states there is no need to look at more.
ENOUGH = 20
_STEP = re.compile(rb"^\[ *(\d+)/\d+\]", re.MULTILINE)


@dataclass(frozen=True)
class Recorded:
    """A workspace, the same after a clean run, and the calls of that run."""

    before: Site
    clean: Site
    calls: list[Call]

    def disk(self, calls: int) -> Disk:
        """The disk after so many calls."""
        disk = Disk(self.before.root)
        for call in self.calls[:calls]:
            disk.see(call, self.clean.root)
        return disk


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Recorded:
    before = new_site(folder / "before")
    clean = before.copy(folder / "clean")
    done, calls = traced(clean, folder / "clean.strace")
    assert done.code == 0, done
    return Recorded(before, clean, calls)


def violations(disk: Disk, tree: Tree, *, ended: bool) -> Iterator[str]:
    """Name what a state has torn or lost of what was acknowledged before the power went; `ended`: also exit 0 was."""
    held = {path: data for path, (data, _) in tree.items() if data is not None}
    for path in {*held, *disk.versions} - disk.grown:
        if not is_passing(path) and held.get(path) not in disk.versions.get(path, {None}):
            yield f"{path} is torn or lost: {held.get(path, b'(absent)')[:80]!r}"
    for path, data in disk.lasting.items():
        if not held.get(path, b"").startswith(data):
            yield f"{path} has lost what was synced"
    journal = next((data for path, data in held.items() if path.endswith(JOURNAL)), b"")
    lines = journal.splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith(b"\n") and b"\0" not in line]
    printed = max((int(step) for step in _STEP.findall(disk.said)), default=0)
    done = [entry for entry in entries if entry["type"] == "done"]
    if len(done) < printed:
        yield f"step {printed} was printed as done, the journal has {len(done)}"
    if ended:
        if not entries or entries[-1]["type"] != "finished":
            yield "the process has exited 0, and the run is not finished"
        yield from (f"the process has exited 0, and {path} is not there" for path in _differing(disk, held))


def _differing(disk: Disk, held: dict[str, bytes]) -> list[str]:
    seen = {path: data for path, (data, _) in disk.seen.tree().items() if data is not None}
    return [path for path in sorted({*seen, *held}) if not is_lock(path) and seen.get(path) != held.get(path)]


def gone_on(tree: Tree, clean: Site, root: Path) -> Iterator[str]:
    """Make a state real, apply, and name what differs from the clean run."""
    shutil.rmtree(root, ignore_errors=True)
    laid_out(tree, root)
    site = Site(root)
    left = site.files()
    again = site.apply()
    if again.code != 0:
        yield f"apply exits {again.code}: {again.err}"
    else:
        yield from unlike(site, clean, left)


def key(tree: Tree) -> int:
    """The same for states that differ in locks only."""
    return hash(frozenset(item for item in tree.items() if not is_lock(item[0])))


def single(recorded: Recorded) -> Iterator[tuple[str, Tree, list[str]]]:
    """Each state that differs from those before it, where it comes from, and what is wrong with it at first sight."""
    disk, known = Disk(recorded.before.root), set[int]()
    for number, call in enumerate(recorded.calls, 1):
        disk.see(call, recorded.clean.root)
        for kept, how, tree in disk.states():
            faults = list(violations(disk, tree, ended=number == len(recorded.calls)))
            if faults or key(tree) not in known:
                known.add(key(tree))
                yield f"after call {number}, {call.place(recorded.clean.root)}, kept {kept}, {how}", tree, faults


def joined(recorded: Recorded, kill: int, root: Path) -> Iterator[tuple[str, Tree, list[str]]]:
    """As `single`, of a run that is killed before a call and continued, while what it left has not been synced yet."""
    disk = recorded.disk(kill)
    shutil.rmtree(root, ignore_errors=True)
    laid_out(disk.seen.tree(), root)
    owed: list[Change] = list(disk.waiting)
    done, calls = traced(Site(root), root.parent / "continued.strace")
    assert done.code == 0, done
    for number, call in enumerate(calls, 1):
        disk.see(call, root)
        if not any(change in disk.waiting for change in owed):
            owed = []
        for kept, how, tree in disk.states() if owed or number == len(calls) else ():
            where = f"killed at call {kill}, after call {number}, {call.place(root)}, kept {kept}, {how}"
            yield where, tree, list(violations(disk, tree, ended=number == len(calls)))


def until_enough(states: Iterator[tuple[str, Tree, list[str]]]) -> Iterator[tuple[str, Tree, list[str]]]:
    """The states, up to the one at which enough of them have turned out wrong."""
    wrong = 0
    for state in states:
        yield state
        wrong += bool(state[2])
        if wrong == ENOUGH:
            return


def judged(states: list[tuple[str, Tree, list[str]]], clean: Site, folder: Path) -> list[str]:
    return [
        f"{where}: {problem}"
        for where, tree, faults in states
        for problem in (*faults, *gone_on(tree, clean, folder / "state"))
    ]


def spread(states: list[tuple[str, Tree, list[str]]], number: int) -> list[tuple[str, Tree, list[str]]]:
    """So many of the states, the first and the last among them, and all that look wrong."""
    different = list({key(tree): (where, tree, faults) for where, tree, faults in states}.values())
    places = {round(place * (len(different) - 1) / max(1, number - 1)) for place in range(number)} if different else ()
    chosen = [different[place] for place in sorted(places)]
    return chosen + [state for state in states if state[2] and state not in chosen]


def test_the_model_of_the_disk_ends_where_the_disk_does(recorded: Recorded, folder: Path) -> None:
    seen = recorded.disk(len(recorded.calls)).seen.tree()

    found = {
        path.relative_to(recorded.clean.root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in recorded.clean.root.rglob("*")
    }
    assert {path: data for path, (data, _) in seen.items()} == found


def test_after_a_power_loss_at_some_calls_apply_leads_to_the_same_end(
    recorded: Recorded, folder: Path, figures
) -> None:
    begun = time.monotonic()
    states = list(until_enough(single(recorded)))

    problems = judged(states[::29], recorded.clean, folder)

    require_none(problems + [f"{where}: {fault}" for where, _, faults in states for fault in faults])
    spent_ms = round((time.monotonic() - begun) * 1000)
    figures("crash states", {"states": len(states), "trials": len(states[::29]), "ms": spent_ms})


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(PARTS))
def test_after_a_power_loss_at_any_call_apply_leads_to_the_same_end(
    part: int, recorded: Recorded, folder: Path, figures
) -> None:
    begun = time.monotonic()
    states = list(until_enough(single(recorded)))[part::PARTS]

    problems = judged(states, recorded.clean, folder)

    require_none(problems)
    spent_ms = round((time.monotonic() - begun) * 1000)
    figures("crash states", {"states": len(states), "trials": len(states), "ms": spent_ms})


def double(recorded: Recorded, kills: list[int], folder: Path, figures) -> list[str]:
    begun = time.monotonic()
    problems, seen, continued = [], 0, 0
    for kill in kills:
        states = list(until_enough(joined(recorded, kill, folder / "joined")))
        chosen = spread(states, PER_KILL)
        seen, continued = seen + len(states), continued + len(chosen)
        problems += judged(chosen, recorded.clean, folder)
    spent_ms = round((time.monotonic() - begun) * 1000)
    figures("double fault", {"kills": len(kills), "states": seen, "trials": continued, "ms": spent_ms})
    return problems


def moved_not_synced(recorded: Recorded) -> list[int]:
    """The calls before which a kill leaves a move of the run that is seen, and that nothing has made lasting."""
    return [
        number
        for number, (before, call) in enumerate(itertools.pairwise(recorded.calls), 1)
        if (before.name, call.name) in (("renameat", "fsync"), ("write", "fsync"))
        and STORE not in call.path
        and not is_passing(call.path)
    ]


def test_after_a_kill_then_a_power_loss_at_some_calls_apply_leads_to_the_same_end(
    recorded: Recorded, folder: Path, figures
) -> None:
    problems = double(recorded, moved_not_synced(recorded)[::4], folder, figures)

    require_none(problems)


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(PARTS))
def test_after_a_kill_then_a_power_loss_at_any_call_apply_leads_to_the_same_end(
    part: int, recorded: Recorded, folder: Path, figures
) -> None:
    problems = double(recorded, list(range(part, len(recorded.calls), PARTS)), folder, figures)

    require_none(problems)
