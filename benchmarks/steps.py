"""What the step protocol costs by itself: intent on record, look, move, look, sync, done on record."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from benchmarks.dbos_peer import NotInstalledError, Peer
from benchmarks.measure import Row
from benchmarks.workspace import make_workspace
from rollbackctl.core.address import Address
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase, Plan, Step
from rollbackctl.core.state import State
from rollbackctl.engine.runs import FileRunStore
from rollbackctl.engine.steps import Run, StepRunner
from rollbackctl.engine.workspace import Actor, Workspace
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec

_STEPS = 100
_RECORDS = 2  # a step's begun and done
_BLOCK = b"x" * 4095 + b"\n"
_FILE = "var/benchmark.txt"


class Switch(State):
    """A number."""

    position: int


class Switches:
    """Resources that cost nothing to read and to move; only what the engine does around them is left."""

    name: ClassVar[str] = "switch"
    requires: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[type[State]] = Switch

    def __init__(self, _: Binding | None = None) -> None:
        self._states: dict[str, State | None] = {}

    def desire(self, _spec: Spec, _facts: Facts) -> Iterable[Desired]:
        """Nothing: the benchmark makes its own steps."""
        return ()

    def observe(self, name: str) -> State | None:
        """Look it up."""
        return self._states.get(name)

    def move(self, name: str, _before: State | None, after: State | None) -> None:
        """Set it."""
        self._states[name] = after

    def files(self, _name: str) -> tuple[str, ...]:
        """One real file, which the engine syncs after the move."""
        return (_FILE,)


def measure(folder: Path) -> Iterator[Row]:
    """Measure a step, a record, a plain durable append and a step of DBOS in turn, so that all meet the same disk."""
    root = make_workspace(folder / "steps")
    problem = ""
    try:
        with Peer(folder / "dbos") as peer:
            times = _times(root, {"dbos": peer.step})
    except NotInstalledError as error:
        problem = str(error)
        times = _times(make_workspace(folder / "steps-alone"), {})
    step, record, append = times["step"], times["record"], times["append"]
    yield Row("4 KiB append + fdatasync", append)
    yield Row("one record of a run (append, fsync)", record, "durable append", append, 3)
    yield Row("a step's own overhead, by record", step / _RECORDS, "durable append", append, 3)
    if problem:
        yield Row("a step's own overhead", step, "a DBOS step", note=problem)
    else:
        yield Row("a step's own overhead", step, "a DBOS step, SQLite", times["dbos"], 3, cheaper=True)


def _times(root: Path, peers: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The medians in ms of a step, of one more record, of a plain durable append, and of each peer's step.

    Before each of them the file system is made to write what the one before it has left in its journal: the next sync,
    whosever it is, would have to wait for that too.
    """
    (root / _FILE).write_bytes(_BLOCK)
    run = _open_run(root)
    runner = StepRunner(run, None, {}, lambda name: name)
    descriptor = os.open(root / "var" / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    run.record("invocation", {"order": 1, "actor": {**run.workspace.actor.to_json()}, "evidence": "none"})
    acts = {
        "record": lambda: _ms(lambda: run.record("stopped", {"reason": "benchmark"})),
        "append": lambda: _ms(lambda: _append(descriptor)),
        **peers,
    }
    times: dict[str, list[float]] = {name: [] for name in ("step", *acts)}
    for step in run.plan.steps:
        _append(descriptor)
        times["step"].append(_ms(partial(runner.make, step)))
        for name, act in acts.items():
            _append(descriptor)
            times[name].append(act())
    os.close(descriptor)
    return {name: statistics.median(values) for name, values in times.items()}


def _open_run(root: Path) -> Run:
    addresses = [Address("switch", f"s{number}") for number in range(_STEPS)]
    plan = Plan(
        name="benchmark",
        incident=None,
        spec={},
        policy="none",
        facts={},
        base=dict.fromkeys(addresses),
        inputs={},
        changes=(),
        steps=tuple(
            Step(number, Phase.RESTORE, address, None, Switch(position=number))
            for number, address in enumerate(addresses, 1)
        ),
    )
    workspace = Workspace(root, lambda: datetime.now(UTC), Actor("bench", os.getuid(), "host", os.getpid()))
    store = FileRunStore(root)
    store.create("benchmark", {})
    return Run(workspace, store, plan, "benchmark", workspace.now(), kinds={"switch": Switches()})


def _append(descriptor: int) -> None:
    os.write(descriptor, _BLOCK)
    os.fdatasync(descriptor)


def _ms(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1e3
