"""One step: what reaches the disk in which order, and what is looked at before it counts as done."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rollbackctl.core.errors import DriftError
from rollbackctl.core.plan import Step
from rollbackctl.core.state import State
from rollbackctl.engine.history import read_run
from rollbackctl.engine.rollback import stored_spec
from rollbackctl.engine.steps import Run, StepRunner
from rollbackctl.engine.workspace import Workspace, this_actor
from rollbackctl.kinds import Kind
from rollbackctl.kinds.target_file import TargetFile
from tests.harness import PLAN, STORE, Site, SomewhereApp, new_site

KIND = TargetFile.name
JOURNAL = "journal.jsonl"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A run that was interrupted before the step that is looked at here."""
    site = new_site(tmp_path_factory.mktemp("stopped") / "ws")
    steps = json.loads(site.ok("plan", PLAN, "--format", "json").out)["steps"]
    number = next(step["index"] for step in steps if step["address"].startswith(KIND))
    assert site.interrupted(number - 1).code == 130
    return site


@pytest.fixture
def runner(stopped: Site, tmp_path: Path) -> StepRunner:
    """The run in hand, on a workspace of its own."""
    return opened(stopped.copy(tmp_path / "ws"))


def opened(site: Site) -> StepRunner:
    session = SomewhereApp(site).session(Workspace(site.root, lambda: site.now, this_actor()))
    run = site.runs()[0].name
    document, _ = read_run(session.store, run, session.workspace.registry.states)
    in_hand = Run.open(session.workspace, session.store, document, stored_spec(document.plan), run)
    return StepRunner(in_hand, None, {}, lambda name: name)


def the_step(runner: StepRunner) -> Step:
    return next(step for step in runner.run.plan.steps if step.address.kind == KIND)


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is written, renamed and synced, with the name of the file or folder, in order."""
    found: list[tuple[str, str]] = []

    def watched(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def act(first: int | str, *args: object, **kwargs: object) -> object:
            place = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(args[0])
            found.append((name, os.path.basename(place)))
            return real(first, *args, **kwargs)

        return act

    for name in ("write", "pwrite", "replace", "fsync", "fdatasync"):
        monkeypatch.setattr(os, name, watched(name))
    return found


def test_a_step_is_intended_made_and_lasting_before_it_is_done(runner: StepRunner, acts: list[tuple[str, str]]) -> None:
    step = the_step(runner)
    moved = Path(step.address.name)
    entry = [("pwrite", JOURNAL), ("fdatasync", JOURNAL)]

    runner.make(step)

    assert acts[:2] == entry
    assert acts[-4:-2] == [("fsync", moved.name), ("fsync", moved.parent.name)]
    assert acts[-2:] == entry
    assert acts.count(("pwrite", JOURNAL)) == 2
    assert acts.count(("replace", moved.name)) == 1


def test_a_move_that_is_only_seen_is_synced_before_it_is_done(runner: StepRunner, acts: list[tuple[str, str]]) -> None:
    step = the_step(runner)
    moved = Path(step.address.name)
    kind = runner.run.kinds[KIND]
    kind.move(step.address.name, step.before, step.after)  # as a killed process has left it
    acts.clear()

    runner.make(step)

    assert ("replace", moved.name) not in acts
    assert acts[-4:-2] == [("fsync", moved.name), ("fsync", moved.parent.name)]


@dataclass
class Forgetful:
    """A kind whose moves do not arrive."""

    kind: Kind

    def __getattr__(self, name: str) -> object:
        return getattr(self.kind, name)

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Do nothing."""


def forgetful(runner: StepRunner) -> StepRunner:
    kinds = {**runner.run.kinds, KIND: Forgetful(runner.run.kinds[KIND])}
    return replace(runner, run=replace(runner.run, kinds=kinds))  # type: ignore[arg-type]


def test_a_move_that_does_not_lead_where_it_should_is_not_done(runner: StepRunner) -> None:
    step, run = the_step(runner), runner.run

    with pytest.raises(DriftError, match=f"step {step.index} expects"):
        forgetful(runner).make(step)

    entries = run.store.entries(run.run)
    assert (entries[-1].type, entries[-1].body["step"]) == ("begun", step.id)


def test_a_step_that_was_only_intended_is_made_by_the_next_call(stopped: Site, tmp_path: Path) -> None:
    site = stopped.copy(tmp_path / "ws")
    begun = forgetful(opened(site))
    with pytest.raises(DriftError):
        begun.make(the_step(begun))

    site.ok("apply", PLAN, "--yes")

    assert the_step(begun).id in [entry["body"]["step"] for entry in site.entries("done")]
    assert (site.root / the_step(begun).address.name).exists()


def test_the_images_of_what_was_before_a_run_outlive_its_continuation(stopped: Site, tmp_path: Path) -> None:
    site = stopped.copy(tmp_path / "ws")
    images = site.root / STORE / "runs" / site.runs()[0].name / "evidence" / "before.json"
    before = images.read_bytes()

    site.ok("apply", PLAN, "--yes")

    assert images.read_bytes() == before
