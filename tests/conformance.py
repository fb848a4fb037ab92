"""The laws that every resource kind, gate and check obeys; a law yields one text for each breach of it.

What is found by entry point is tried on the real plan of a real workspace: a new kind, gate or check needs no wiring.
"""

import builtins
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import BuiltinFunctionType
from typing import Any, NamedTuple

from pydantic import ValidationError

from rollbackctl.checks import Bench, Check
from rollbackctl.core.address import Address
from rollbackctl.core.facts import Facts
from rollbackctl.core.gate import Answer, Outcome, Result, Verdict
from rollbackctl.core.observation import Observation
from rollbackctl.core.plan import Phase, Plan
from rollbackctl.core.planner import simulate
from rollbackctl.core.state import State, resolve
from rollbackctl.engine.history import History
from rollbackctl.engine.observe import observe
from rollbackctl.engine.planning import Planner, facts_of
from rollbackctl.engine.workspace import Actor, Workspace
from rollbackctl.gates import Case, Gate
from rollbackctl.kinds import Binding, Kind
from rollbackctl.spec.document import Policy, Spec
from tests.examples import FIXTURE, NOW, RUN, VALUES, make_spec
from tests.faults import Crash, crashing, every_crash
from tests.windows import write_window

# Files that hold nothing of their own: locks, and copies whose name is the digest of what they hold.
_LOCKS = ".*.lock"
_COPIES = "*/artifacts/" + "[0-9a-f]" * 64 + ".json"
# Functions of `os` that only look at their arguments.
_HARMLESS = ("fspath", "fsencode", "fsdecode")


class Node(NamedTuple):
    """One file or folder: its bytes (None for a folder), when it was changed, and its mode."""

    data: bytes | None
    mtime_ns: int
    mode: int


@dataclass(frozen=True)
class Move:
    """One move, and a workspace (never changed: it is copied) in which everything before it is done."""

    start: Path
    phase: Phase
    address: Address
    before: State | None
    after: State | None

    def __str__(self) -> str:
        """Return the phase and the address."""
        return f"{self.phase} {self.address}"


@dataclass(frozen=True)
class Scene:
    """A plan on a workspace, with every move of the plan and of the way back."""

    spec: Spec
    observation: Observation
    facts: Facts
    plan: Plan
    moves: tuple[Move, ...]

    @property
    def case(self) -> Case:
        """What a gate judges."""
        end = simulate(self.plan.steps, self.plan.base)
        return Case(self.spec, Policy(), self.facts, self.observation, end)

    def start_of(self, phase: Phase) -> Path:
        """Return the workspace as it is when a phase of the plan begins."""
        return next(move.start for move in self.moves if move.phase is phase)

    def bind(self, kind: type[Kind], root: Path) -> Kind:
        """Tie a kind to a workspace, within the run."""
        return kind(_binding(self.spec, self.plan, root))


def set_scene(folder: Path) -> Scene:
    """Make the plan of a copy of `ws_public`, and walk it to its end and back, keeping a copy before every move.

    There are rows of now in it, against which the plan measures.
    """
    root = copy_tree(FIXTURE, folder / "work")
    window = {"path": write_window(root / "data/live.csv").relative_to(root).as_posix()}
    gates = {"data_drift": {"window": window}, "replay": {"window": window}}
    workspace = Workspace(root, lambda: NOW, Actor("ops", 1000, "host-1", 1))
    spec = make_spec(gates=gates, checks={"data_drift": {}})
    observation = observe(workspace, spec, History())
    plan = Planner(workspace.registry, workspace.policy).make(spec, observation, workspace.now()).plan
    kinds = workspace.registry.bind(_binding(spec, plan, root))
    there = [(step.phase, step.address, step.before, step.after) for step in plan.steps]
    back = [
        (Phase.RESTORE, change.address, change.after, change.before)
        for change in reversed(plan.changes)
        if change.reversible and change.before != change.after
    ]
    moves: list[Move] = []
    for phase, address, before, after in (*there, *back):
        values = VALUES | {"plan": plan.id}
        start = copy_tree(root, folder / f"{len(moves):02}")
        move = Move(start, phase, address, resolve(before, values), resolve(after, values))
        kinds[address.kind].move(address.name, move.before, move.after)
        moves.append(move)
    return Scene(spec, observation, facts_of(plan, observation), plan, tuple(moves))


def points(group: str) -> list[EntryPoint]:
    """Return the entry points of `kinds`, `gates` or `checks`, by name."""
    return sorted(entry_points(group=f"rollbackctl.{group}"), key=lambda point: point.name)


def copy_tree(source: Path, target: Path) -> Path:
    """Copy a workspace, times included; what was at `target` is gone."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def snapshot(root: Path) -> dict[str, Node]:
    """Read everything below a folder; reading again gives the same unless something was written."""
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.stat()
        data = path.read_bytes() if path.is_file() else None
        found[path.relative_to(root).as_posix()] = Node(data, status.st_mtime_ns, status.st_mode)
    return found


def differences(one: Mapping[str, Node], two: Mapping[str, Node], *, times: bool = True) -> list[str]:
    """Name what differs: bytes, and with `times` modes and times of change as well; locks do not count."""
    return [
        path
        for path in sorted({*one, *two})
        if not fnmatch(Path(path).name, _LOCKS) and _key(one.get(path), times) != _key(two.get(path), times)
    ]


@contextmanager
def os_calls_told() -> Iterator[list[str]]:
    """Tell every call of a function of `os`, and every file opened."""
    told: list[str] = []
    places: list[tuple[Any, str]] = [(builtins, "open"), (io, "open")]
    places += [
        (os, name)
        for name, function in vars(os).items()
        if isinstance(function, BuiltinFunctionType) and name not in _HARMLESS
    ]
    real = [(owner, name, getattr(owner, name)) for owner, name in places]
    for owner, name, function in real:
        setattr(owner, name, _telling(told, f"{owner.__name__}.{name}", function))
    try:
        yield told
    finally:
        for owner, name, function in real:
            setattr(owner, name, function)


# --- the laws of a resource kind ------------------------------------------------------------------------------------


def its_states_are_frozen_json(kind: type[Kind], scene: Scene, folder: Path) -> Iterator[str]:
    """A state is compared, saved and read again."""
    for move in _moves(kind, scene):
        for state in filter(None, (move.before, move.after)):
            if type(state) is not kind.state:
                yield f"{move}: a state is a {type(state).__name__}, not a {kind.state.__name__}"
            if kind.state.model_validate_json(state.model_dump_json()) != state:
                yield f"{move}: a state is not the same when it was written as JSON and read again"
            yield from _open_to_change(state)


def what_it_desires_is_pure(kind: type[Kind], scene: Scene, folder: Path) -> Iterator[str]:
    """Planning works without the workspace."""
    bound = scene.bind(kind, Path("/nonexistent"))
    with os_calls_told() as told:
        wishes = [_wishes(bound, scene), _wishes(bound, scene)]
    yield from (f"calls {name}" for name in told)
    if wishes[0] != wishes[1]:
        yield "desires something else when it is asked again"


def observing_changes_nothing(kind: type[Kind], scene: Scene, folder: Path) -> Iterator[str]:
    """`plan` writes nothing, ever; and a state is the same until somebody moves it."""
    for move in _moves(kind, scene):
        root = copy_tree(move.start, folder / "ws")
        was = snapshot(root)
        bound = scene.bind(kind, root)
        seen = [bound.observe(move.address.name), bound.observe(move.address.name)]
        bound.files(move.address.name)
        yield from (f"{move}: changes {path}" for path in differences(was, snapshot(root)))
        if seen != [move.before] * 2:
            yield f"{move}: sees {seen}, not {move.before}"


def a_move_leads_to_after_and_a_second_one_changes_nothing(
    kind: type[Kind], scene: Scene, folder: Path
) -> Iterator[str]:
    """A step is done when `observe` says so, and may be made again."""
    for move in _moves(kind, scene):
        root = copy_tree(move.start, folder / "ws")
        bound, name = scene.bind(kind, root), move.address.name
        with os_calls_told() as told:
            bound.move(name, move.before, move.after)
        if not {"io.open", "builtins.open"}.isdisjoint(told):
            yield f"{move}: opens a file past `os.open`, where no crash can be tried"
        if bound.observe(name) != move.after:
            yield f"{move}: leads to {bound.observe(name)}, not to {move.after}"
        once = snapshot(root)
        bound.move(name, move.before, move.after)
        yield from (f"{move}: a second move changes {path}" for path in differences(once, snapshot(root)))


def its_files_are_named(kind: type[Kind], scene: Scene, folder: Path) -> Iterator[str]:
    """What is saved before a move and synced after it is what the move changes."""
    for move in _moves(kind, scene):
        root = copy_tree(move.start, folder / "ws")
        bound, name = scene.bind(kind, root), move.address.name
        was, before = snapshot(root), bound.files(name)
        bound.move(name, move.before, move.after)
        now, after = snapshot(root), bound.files(name)
        changed = [path for path in differences(was, now) if (now.get(path) or was[path]).data is not None]
        if not changed:
            yield f"{move}: changes no file"
        for path in changed:
            if path not in before and not (path not in was and fnmatch(path, _COPIES)):
                yield f"{move}: changes {path}, which it did not name before"
            if path not in after:
                yield f"{move}: changed {path}, which it does not name afterwards"


def a_crash_at_any_act_is_mended_by_moving_again(kind: type[Kind], scene: Scene, folder: Path) -> Iterator[str]:
    """Killed anywhere, a resource is in `before` or in `after`, and the next move ends as one clean move does."""
    for move in _moves(kind, scene):
        name = move.address.name
        root = copy_tree(move.start, folder / "ws")
        with crashing() as clean:
            scene.bind(kind, root).move(name, move.before, move.after)
        wanted = snapshot(root)
        if not clean.names:
            yield f"{move}: does nothing"
        for at, when in every_crash(clean):
            copy_tree(move.start, root)
            with suppress(Crash), crashing(at=at, when=when) as acts:
                scene.bind(kind, root).move(name, move.before, move.after)
            where = f"{move}: a crash {when} act {at} ({acts.names[-1]})"
            if not acts.crashed:
                yield f"{where} does not come"
            bound = scene.bind(kind, root)
            seen = bound.observe(name)
            if seen not in (move.before, move.after):
                yield f"{where} leaves {seen}"
            bound.move(name, seen, move.after)
            yield from (f"{where}: then {path} differs" for path in differences(wanted, snapshot(root), times=False))


KindLaw = Callable[[type[Kind], Scene, Path], Iterator[str]]
KIND_LAWS: tuple[KindLaw, ...] = (
    its_states_are_frozen_json,
    what_it_desires_is_pure,
    observing_changes_nothing,
    a_move_leads_to_after_and_a_second_one_changes_nothing,
    its_files_are_named,
    a_crash_at_any_act_is_mended_by_moving_again,
)


# --- the laws of gates and checks -----------------------------------------------------------------------------------


def gate_breaches(gate: type[Gate], scene: Scene) -> Iterator[str]:
    """A gate answers under its own name, for its own phase, from values alone, with reasons where it does not pass."""
    case = scene.case
    with os_calls_told() as told:
        verdicts = [gate().judge(case), gate().judge(case)]
    yield from (f"calls {name}" for name in told)
    verdict = verdicts[0]
    if not isinstance(verdict, Verdict) or verdicts[1] != verdict:
        yield f"answers {verdicts[0]}, then {verdicts[1]}"
    if (verdict.gate, verdict.guards) != (gate.name, gate.guards):
        yield f"answers as {verdict.gate} for {verdict.guards}"
    if verdict.answer is not Answer.PASS and not verdict.reasons:
        yield f"answers {verdict.answer} without a reason"
    if Verdict.from_json(verdict.to_json()) != verdict:
        yield "its answer is not the same when it was written as JSON and read again"


def check_breaches(check: type[Check], scene: Scene, folder: Path) -> Iterator[str]:
    """A check answers under its own name, changes nothing, passes the target, and never one that is gone or damaged."""
    artifact = f"{scene.spec.spec.serving.model_dir}/artifacts/{scene.facts.target.sha256}.json"
    root = copy_tree(scene.start_of(Phase.RELEASE), folder / "ws")
    bench = Bench(root, scene.spec, scene.facts, artifact)
    yield from _trial(check, bench, "the target", {Result.PASS, Result.NO_DATA})
    (root / artifact).write_bytes(b"{}")
    yield from _trial(check, bench, "a damaged copy", {Result.FAIL, Result.INCONCLUSIVE, Result.NO_DATA})
    (root / artifact).unlink()
    yield from _trial(check, bench, "a copy that is gone", {Result.FAIL, Result.INCONCLUSIVE, Result.NO_DATA})


def _trial(check: type[Check], bench: Bench, what: str, allowed: set[Result]) -> Iterator[str]:
    was = snapshot(bench.root)
    outcome = check().run(bench)
    yield from (f"{what}: changes {path}" for path in differences(was, snapshot(bench.root)))
    if not isinstance(outcome, Outcome) or outcome.check != check.name:
        yield f"{what}: answers {outcome}"
    elif outcome.result not in allowed or not outcome.summary:
        yield f"{what}: {outcome.result}, {outcome.summary or 'without a word'}"


# --- what they share ------------------------------------------------------------------------------------------------


def _binding(spec: Spec, plan: Plan, root: Path) -> Binding:
    # Read beforehand: what a kind does is watched, what it is handed is not.
    blobs = {digest: (FIXTURE / path).read_bytes() for path, digest in plan.inputs.items()}
    return Binding(root=root, spec=spec, fetch=blobs.__getitem__, now=lambda: NOW, run={"id": RUN, "plan": plan.id})


def _moves(kind: type[Kind], scene: Scene) -> Iterator[Move]:
    """The moves of a kind; a kind without one in this plan is a breach of its own."""
    moves = [move for move in scene.moves if move.address.kind == kind.name]
    if not moves:
        raise LookupError(f"the plan of ws_public moves nothing of the kind {kind.name}: widen `set_scene`")
    return iter(moves)


def _wishes(kind: Kind, scene: Scene) -> list[tuple[str, Phase, State | None, State | None]]:
    found = []
    for wish in kind.desire(scene.spec, scene.facts):
        base = scene.plan.base[Address(kind.name, wish.name)]
        found.append((wish.name, wish.phase, wish.hold(base) if wish.hold else None, wish.after(base)))
    return found


def _open_to_change(state: State) -> Iterator[str]:
    """A state must not be changed after it was compared."""
    for name in type(state).model_fields:
        with suppress(ValidationError):
            setattr(state, name, getattr(state, name))
            yield f"{type(state).__name__}.{name} can be changed"


def _key(node: Node | None, times: bool) -> object:
    if node is None:
        return None
    return node if times else (node.data,)


def _telling(told: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        told.append(name)
        return real(*args, **kwargs)

    return call
