"""The plan as a value: desired states, changes, steps and the content id that names them."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.address import Address
from rollbackctl.core.state import State, content_id, state_json

World: TypeAlias = Mapping[Address, State | None]
"""The states of all resources named; None = absent."""

Target: TypeAlias = Callable[[State | None], State | None]
"""What is asked of a resource, as a pure function of its state beneath any hold."""


def constant(state: State | None) -> Target:
    """Return the target that asks for this state, whatever there is."""
    return lambda _: state


class Phase(StrEnum):
    """The phases of a run, in their order."""

    SECURE = "secure"
    HOLD = "hold"
    RESTORE = "restore"
    CHECK = "check"
    RELEASE = "release"
    RECORD = "record"


PHASES = tuple(Phase)


class Action(StrEnum):
    """The net effect on a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NO_OP = "no-op"


@frozen
class Desired:
    """What the plan asks of one resource.

    Attributes:
        name: The resource's name within its kind.
        phase: The phase in which `after` is reached.
        after: The state asked for, given the state beneath any hold.
        hold: The state in which the resource is held from the hold phase until `phase`, a later one; None = it is not
            held.
        lasting: False for one-shot effects (events, entries, ticks), which belong to a run: they are no reason for one.
        reversible: False when `undo` leaves the resource as it is.
        note: What an operator should know about the move and cannot see in the states.
        rank: Order among the resources of a kind within a phase; then by name.
    """

    name: str
    phase: Phase
    after: Target
    hold: Target | None = None
    lasting: bool = True
    reversible: bool = True
    note: str = ""
    rank: int = 0


def action_of(before: State | None, after: State | None) -> Action:
    """Name the effect of going from one state to another."""
    if before == after:
        return Action.NO_OP
    if before is None:
        return Action.CREATE
    return Action.DELETE if after is None else Action.UPDATE


@frozen
class Change:
    """The net effect of the plan on one resource."""

    address: Address
    before: State | None
    after: State | None
    lasting: bool = True
    reversible: bool = True

    @property
    def action(self) -> Action:
        """Create, update, delete or no-op."""
        return action_of(self.before, self.after)

    def inverse(self) -> "Change":
        """Return the change that leads back."""
        return Change(self.address, self.after, self.before, self.lasting, self.reversible)

    def identity(self) -> list[JsonValue]:
        """Return what the plan's id is computed from: a reviewer sees the changes, and an undo follows them."""
        states = [state_json(self.before), state_json(self.after)]
        return [str(self.address), *states, self.lasting, self.reversible]


@frozen
class Step:
    """One move of one resource; it starts where the last step on that address ended."""

    index: int
    phase: Phase
    address: Address
    before: State | None
    after: State | None
    note: str = ""

    @property
    def action(self) -> Action:
        """Create, update, delete or no-op."""
        return action_of(self.before, self.after)

    @cached_property
    def id(self) -> str:
        """Content id of the move: the same step has the same id in every plan and version of the tool."""
        return content_id([self.index, self.phase, str(self.address), state_json(self.before), state_json(self.after)])[
            :16
        ]


@frozen
class Plan:
    """Every step in order, and all that the steps were computed from.

    Attributes:
        name: The rollback plan's name, or the operation's (hold, undo).
        incident: The incident it serves; None when a hold names none.
        spec: The rollback plan as JSON, defaults left out.
        policy: Digest of the firm's policy file; "none" when there is no file.
        facts: What was decided from the evidence: trigger, withdrawn and target version, pinned reports, candidates.
        base: The states of all resources named, beneath any hold.
        inputs: Digest of every input by its path in the workspace.
        changes: Net effects, by address.
        steps: All moves, in the order in which they are made.
        gates: Names of the gates, by the phase that they guard.
        checks: Names of the checks.
        expires_after: ISO 8601 duration counted from the plan's timestamp.
        operation: rollback, hold or undo.
    """

    name: str
    incident: str | None
    spec: Mapping[str, JsonValue]
    policy: str
    facts: Mapping[str, JsonValue]
    base: World
    inputs: Mapping[str, str]
    changes: tuple[Change, ...]
    steps: tuple[Step, ...]
    gates: tuple[tuple[Phase, str], ...] = ()
    checks: tuple[str, ...] = ()
    expires_after: str = "PT24H"
    operation: str = "rollback"

    @property
    def spec_digest(self) -> str:
        """Content id of the rollback plan that the operator wrote."""
        return content_id(self.spec)

    @cached_property
    def id(self) -> str:
        """Content id of everything that steers the run; the same on every machine and at every time."""
        return content_id(self.identity())

    def identity(self) -> dict[str, JsonValue]:
        """Return what the id is computed from."""
        return {
            "operation": self.operation,
            "name": self.name,
            "incident": self.incident,
            "spec": dict(self.spec),
            "policy": self.policy,
            "facts": dict(self.facts),
            "prior_state": {str(address): state_json(state) for address, state in sorted(self.base.items())},
            "inputs": dict(self.inputs),
            "changes": [change.identity() for change in self.changes],
            "steps": [step.id for step in self.steps],
            "gates": [[phase.value, name] for phase, name in self.gates],
            "checks": list(self.checks),
            "expires_after": self.expires_after,
        }
