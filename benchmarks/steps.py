"""What the step protocol costs by itself: intent on record, look, move, look, sync, done on record."""

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from benchmarks import dbos_peer
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

STEPS = 60
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
    """Measure a step against a durable append in the same rounds, and against a step of DBOS."""
    step, record, append = _times(make_workspace(folder / "steps"))
    yield Row("4 KiB append + fdatasync", append)
    yield Row("one record of a run (append, fsync)", record, "durable append", append, 3)
    yield Row("a step's own overhead, by record", step / _RECORDS, "durable append", append, 3)
    dbos, problem = dbos_peer.measure(folder / "dbos")
    if dbos is None:
        yield Row("a step's own overhead", step, "a DBOS step", note=problem)
    else:
        yield Row("a step's own overhead", step, "a DBOS step (SQLite)", dbos, 3, cheaper=True)


def _times(root: Path) -> tuple[float, float, float]:
    """The medians in ms of a step, of a single record and of a plain durable append."""
    (root / _FILE).write_bytes(_BLOCK)
    run = _open_run(root)
    runner = StepRunner(run, None, {}, lambda name: name)
    descriptor = os.open(root / "var" / "appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    steps, records, appends = [], [], []
    run.record("invocation", {"order": 1, "actor": run.workspace.actor.to_json() | {}, "evidence": "none"})
    for step in run.plan.steps:
        steps.append(_ms(lambda step=step: runner.make(step)))
        records.append(_ms(lambda: run.record("stopped", {"reason": "benchmark"})))
        appends.append(_ms(lambda: _append(descriptor)))
    os.close(descriptor)
    return statistics.median(steps), statistics.median(records), statistics.median(appends)


def _open_run(root: Path) -> Run:
    addresses = [Address("switch", f"s{number}") for number in range(STEPS)]
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


def _ms(act: object) -> float:
    begun = time.perf_counter()
    act()  # type: ignore[operator]
    return (time.perf_counter() - begun) * 1e3
