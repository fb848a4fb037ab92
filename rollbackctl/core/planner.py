"""From desired states and the world to steps; and from a finished plan to the plan that undoes it."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from rollbackctl.core.address import Address
from rollbackctl.core.plan import PHASES, Change, Desired, Phase, Step, Target, World, constant
from rollbackctl.core.state import State, matches


def ranks(requires: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Order kinds so that each comes after those it requires; ties by name.

    Raises:
        ValueError: The kinds require each other in a circle.
    """
    sorter = TopologicalSorter({kind: sorted(set(needs) & set(requires)) for kind, needs in sorted(requires.items())})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"kinds require each other in a circle: {' -> '.join(error.args[1])}") from error
    order: dict[str, int] = {}
    while sorter.is_active():
        for kind in sorted(sorter.get_ready()):
            order[kind] = len(order)
            sorter.done(kind)
    return order


def make_changes(desired: Mapping[Address, Sequence[Desired]], base: World) -> tuple[Change, ...]:
    """Compute the net effect on each address, in address order."""
    changes = []
    for address, wishes in sorted(desired.items()):
        last = max(reversed(wishes), key=lambda wish: PHASES.index(wish.phase))  # of equals the one asked for last
        changes.append(
            Change(
                address,
                base[address],
                last.after(base[address]),
                lasting=any(wish.lasting for wish in wishes),
                reversible=all(wish.reversible for wish in wishes),
            )
        )
    return tuple(changes)


def is_settled(changes: Iterable[Change]) -> bool:
    """Tell whether no lasting state differs: the plan then says that there are no changes."""
    return all(matches(change.after, change.before) for change in changes if change.lasting)


def make_steps(desired: Mapping[Address, Sequence[Desired]], base: World, order: Mapping[str, int]) -> tuple[Step, ...]:
    """Compute every move, in the order of phases, then of kinds, then of names.

    Each step on an address starts where the last one ended. A wish that leaves a resource as it is makes no step.
    """
    moves = [move for address, wishes in desired.items() for move in _moves(address, wishes, base[address])]
    rank = {address: max(wish.rank for wish in wishes) for address, wishes in desired.items()}
    moves.sort(key=lambda move: (PHASES.index(move[0]), order.get(move[1].kind, len(order)), rank[move[1]], move[1]))
    return tuple(Step(index, *move) for index, move in enumerate(moves, 1))


def _moves(
    address: Address, wishes: Sequence[Desired], base: State | None
) -> list[tuple[Phase, Address, State | None, State | None, str]]:
    ordered = sorted(wishes, key=lambda wish: PHASES.index(wish.phase))
    later = PHASES[PHASES.index(Phase.HOLD) + 1 :]
    holds = [wish.hold for wish in ordered if wish.hold and wish.phase in later]
    targets: list[tuple[Phase, Target, str]] = [(Phase.HOLD, hold, "") for hold in holds[:1]]
    targets += [(wish.phase, wish.after, wish.note) for wish in ordered]
    targets.sort(key=lambda target: PHASES.index(target[0]))
    moves, now = [], base
    for phase, target, note in targets:
        then = target(base)
        if then != now:
            moves.append((phase, address, now, then, note))
            now = then
    return moves


def simulate(steps: Iterable[Step], world: World) -> dict[Address, State | None]:
    """Apply steps to a world of values.

    Raises:
        ValueError: A step does not start where its resource is.
    """
    states = dict(world)
    for step in steps:
        found = states.get(step.address)
        if found != step.before:
            raise ValueError(f"step {step.index} starts from {step.before}, but {step.address} is {found}")
        states[step.address] = step.after
    return states


def undo_desired(
    changes: Iterable[Change], world: World, holds: Mapping[Address, Target], withdrawn: frozenset[str]
) -> tuple[dict[Address, tuple[Desired, ...]], dict[Address, State | None], dict[Address, str]]:
    """Compute what leads a finished run back, and what stays.

    Args:
        changes: The run's changes with their placeholders resolved.
        world: The states now, beneath any hold.
        holds: The hold of each kind that has one; kept when the undo ends.
        withdrawn: Version and digests of the withdrawn model: a state that names one of them stays away.

    Returns:
        What is desired; the states beneath the holds when it is done; why each other lasting state stays.
    """
    desired: dict[Address, tuple[Desired, ...]] = {}
    beneath: dict[Address, State | None] = {}
    stays: dict[Address, str] = {}
    for change in changes:
        if not change.lasting or change.before == change.after:
            continue
        reason = stays_on_undo(change, withdrawn)
        if not reason and world[change.address] != change.after:
            reason = "it has changed since the run"
        if reason:
            stays[change.address] = reason
        elif change.address not in holds:
            desired[change.address] = (Desired(change.address.name, Phase.RESTORE, constant(change.before)),)
        else:
            beneath[change.address] = change.before
    for address, hold in holds.items():
        beneath.setdefault(address, world[address])
        desired[address] = (Desired(address.name, Phase.HOLD, constant(hold(beneath[address]))),)
    return desired, beneath, stays


def stays_on_undo(change: Change, withdrawn: frozenset[str]) -> str:
    """Say why an undo leaves a resource as it is; empty when it leads it back."""
    if not change.reversible:
        return "a quarantine is not lifted by an undo"
    return "it would name the withdrawn version again" if _names(change.before, withdrawn) else ""


def _names(state: State | None, withdrawn: frozenset[str]) -> bool:
    def walk(value: object) -> bool:
        match value:
            case str():
                return value in withdrawn
            case dict():
                return any(walk(key) or walk(item) for key, item in value.items())
            case list():
                return any(map(walk, value))
            case _:
                return False

    return state is not None and walk(state.to_json())
