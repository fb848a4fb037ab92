"""A fault at every call that touches the disk's state, then apply again: the end of one clean run."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import Done, Site, new_site, quick_folder
from tests.reliability.same_end import require_none, unlike
from tests.reliability.strace import FAULTS, TERMINAL, Call, injection, traced

PARTS = 16
_WORDS = {"EIO": "Input/output error", "ENOSPC": "No space left on device", "EINTR": "Interrupted system call"}


@dataclass(frozen=True)
class Sweep:
    """A workspace, the same after a clean run, and each call of that run that touches the disk's state."""

    before: Site
    clean: Site
    points: list[Call]

    def trials(self, part: int = 0, parts: int = 1) -> list[tuple[int, str]]:
        """Each fault at each point, or at each of a part of them."""
        return [(at, fault) for at in range(part, len(self.points), parts) for fault in FAULTS]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Sweep:
    before = new_site(folder / "before")
    clean = before.copy(folder / "clean")
    done, points = traced(clean, folder / "clean.strace")
    assert done.code == 0, done
    return Sweep(before, clean, points)


def broken_promises(sweep: Sweep, at: int, fault: str, root: Path) -> Iterator[str]:
    """Let one fault come, apply again, and name everything that is not as it should be."""
    point = sweep.points[at]
    shutil.rmtree(root, ignore_errors=True)
    site = sweep.before.copy(root)
    done, calls = traced(site, root.parent / "faulted.strace", injection(fault, point, sweep.points[:at]))
    fired = [call.place(root) for call in calls if call.injected]
    if point.place(sweep.clean.root) not in fired:
        yield f"the fault did not come; {fired} did"
    yield from wrong_end(fault, point, done)
    if done.code == 0:
        yield from (f"it exits 0, but {problem}" for problem in unlike(site, sweep.clean))
    again = site.apply()
    if again.code != 0:
        yield f"the second call exits {again.code}: {again.err}"
    yield from unlike(site, sweep.clean)


def wrong_end(fault: str, point: Call, done: Done) -> Iterator[str]:
    """Say what is wrong with the exit code and the message of a run that met a fault."""
    word = _WORDS.get(fault.split()[0], "")
    if fault == "SIGKILL":
        if done.code != -9:
            yield f"the killed process exits {done.code}"
    elif "Traceback" in done.err:
        yield f"a traceback: {done.err}"
    elif done.code == 0:
        # A terminal that is gone stops no run, and Python makes most calls again that a signal interrupted.
        if point.name != TERMINAL and fault != "EINTR":
            yield "the fault was swallowed"
    elif point.name == TERMINAL:
        yield f"a terminal that fails ends the run: {done}"
    elif done.code != 1 or f"error: {word}" not in done.err or "\nnext: " not in done.err:
        yield f"exit {done.code}: {done.err}"


def swept(sweep: Sweep, trials: list[tuple[int, str]], folder: Path, tell) -> list[str]:
    begun = time.monotonic()
    problems = [
        f"{fault} at {sweep.points[at].place(sweep.clean.root)} (point {at}): {problem}"
        for at, fault in trials
        for problem in broken_promises(sweep, at, fault, folder / "faulted")
    ]
    spent_ms = (time.monotonic() - begun) * 1000
    tell("fault sweep", {"points": len({at for at, _ in trials}), "trials": len(trials), "ms": round(spent_ms)})
    return problems


def test_a_fault_at_some_calls_and_apply_again_lead_to_the_same_end(sweep: Sweep, folder: Path, figures) -> None:
    trials = sweep.trials()

    # 113 shares no factor with the number of faults, so that each has its turn.
    problems = swept(sweep, trials[::113], folder, figures)

    require_none(problems)


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(PARTS))
def test_a_fault_at_any_call_and_apply_again_lead_to_the_same_end(
    part: int, sweep: Sweep, folder: Path, figures
) -> None:
    problems = swept(sweep, sweep.trials(part, PARTS), folder, figures)

    require_none(problems)


def test_every_sort_of_call_is_a_point(sweep: Sweep) -> None:
    names = {point.name for point in sweep.points}

    assert names >= {"openat", "write", "pwrite64", "fsync", "fdatasync", "renameat", "mkdirat", "fchmod", "ftruncate"}
    assert len(sweep.points) > 300


def test_without_strace_the_sweep_fails_and_says_what_to_install(
    sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(folder))

    with pytest.raises(AssertionError, match="apt-get install strace"):
        traced(sweep.before, folder / "none.strace")
