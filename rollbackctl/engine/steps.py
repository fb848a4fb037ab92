"""The step protocol: intent on record, move, look, sync, done on record."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bot_core.foundation.atomic_file import sync
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_inside_or_none
from rollbackctl.core.address import Address
from rollbackctl.core.checkpoint import Checkpoint, Entry, EntryType, beneath, fold
from rollbackctl.core.commands import abandon_command, continuing
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import DriftError, InvalidInputError, Problem
from rollbackctl.core.facts import Facts
from rollbackctl.core.observation import HoldFact
from rollbackctl.core.plan import Phase, Plan, Step
from rollbackctl.core.state import State, matches, placeholders, resolve, state_json
from rollbackctl.engine.runs import RunStore
from rollbackctl.engine.workspace import Workspace
from rollbackctl.kinds import Binding, Kind
from rollbackctl.spec.document import Spec

Signature = tuple[tuple[str, tuple[int, ...] | None], ...]


@dataclass
class Run:
    """One run in hand: its plan and when that was made, its journal so far, and the kinds tied to it."""

    workspace: Workspace
    store: RunStore
    plan: Plan
    run: str
    timestamp: str
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)

    @classmethod
    def open(cls, workspace: Workspace, store: RunStore, document: PlanDocument, spec: Spec, run: str) -> "Run":
        """Tie kinds to a run and read its journal."""
        plan = document.plan
        self = cls(workspace, store, plan, run, document.timestamp)
        values = {"id": run, "plan": plan.id}
        binding = Binding(root=workspace.root, spec=spec, fetch=self.fetch, now=workspace.clock, run=values)
        self.kinds = workspace.registry.bind(binding)
        self.checkpoint = fold(store.entries(run), plan=plan.id, run=run, steps=self._steps)
        return self

    def record(self, kind: EntryType, body: dict[str, JsonValue]) -> Entry:
        """Write one entry; when this returns it survives a power loss."""
        entry = Entry(
            seq=self.checkpoint.next_seq,
            plan=self.plan.id,
            run=self.run,
            at=self.workspace.now(),
            type=kind,
            body=body,
        )
        self.store.append(self.run, entry)
        self.checkpoint = fold((entry,), plan=entry.plan, run=self.run, steps=self._steps, onto=self.checkpoint)
        return entry

    def fetch(self, digest: str) -> bytes:
        """Return the bytes with a digest, from the plan's inputs or the run's evidence.

        Raises:
            InvalidInputError: Neither has them any more.
        """
        for path, known in self.plan.inputs.items():
            if known == digest:
                data = read_inside_or_none(self.workspace.root, path)
                if data is not None and sha256_hex(data) == digest:
                    return data
        data = self.store.get(self.run, f"evidence/blobs/{digest}")
        if data is None or sha256_hex(data) != digest:
            raise InvalidInputError(
                f"no file holds the bytes with sha256 {digest}",
                hint="restore the artifact that the plan names, then apply again",
            )
        return data

    def parse(self, address: Address, value: Any) -> State | None:
        """Read a state of the address's kind."""
        return None if value is None else self.kinds[address.kind].state.model_validate(value)

    def expected(self, address: Address) -> State | None:
        """Return where the run's own steps have left a resource; its state in the base world before the first."""
        left, name = self.checkpoint.left, str(address)
        return self.parse(address, left[name]) if name in left else self.plan.base[address]

    def kept(self) -> dict[Address, Step]:
        """Return the last step made of each resource that must still be where that step has left it.

        What was released is others' again: an engine writes its schedule, a person the trader's configuration. Only
        what the plan changes for good is looked at until that has been verified; the record then says what was so.
        """
        done = set(self.checkpoint.done)
        last = {step.address: step for step in self.plan.steps if step.id in done}
        changes = () if self.checkpoint.is_verified else self.plan.changes
        lasting = {change.address for change in changes if change.lasting and change.before != change.after}
        return {key: step for key, step in last.items() if step.phase is not Phase.RELEASE or key in lasting}

    def adopted(self, holds: Iterable[HoldFact]) -> dict[str, HoldFact]:
        """Return the holds of this incident by other runs, by address: the run takes them over."""
        return {
            hold.address: hold for hold in holds if hold.run != self.run and hold.incident in (None, self.plan.incident)
        }

    def misplaced(self, holds: Mapping[str, HoldFact]) -> dict[Address, State | None]:
        """Return what is not where it must still be, with what is found there beneath the holds that are taken over."""
        wrong = {}
        for address in sorted(self.kept()):
            found, hold = self.kinds[address.kind].observe(address.name), holds.get(str(address))
            if hold is not None:
                found = beneath(found, self.parse(address, hold.held), self.parse(address, hold.base))
            if found != self.expected(address):
                wrong[address] = found
        return wrong

    @property
    def ways_on(self) -> str:
        """What leads on once somebody else has changed a resource, one way a line."""
        operation = self.plan.operation
        first = "" if operation in ("hold", "release") else "put it back, then: "  # these are done anew over any change
        go_on = continuing(operation, self.run, self.plan.incident)
        has_left = any(s.phase is not Phase.RECORD and s.id not in self.checkpoint.done for s in self.plan.steps)
        end = "close the run" if has_left else "close the run without its record"
        return f"{first}{go_on}\nor {end}: {abandon_command(self.run)}"

    @cached_property
    def _steps(self) -> frozenset[str]:
        return frozenset(step.id for step in self.plan.steps)


@frozen
class StepRunner:
    """Makes single steps of a run.

    Attributes:
        run: The run.
        facts: Whether the plan has them; None for a hold.
        holds: Holds in force by address: a resource held by somebody else's hold of the incident is taken over.
        values: Gives the value of a placeholder at the time of asking.
    """

    run: Run
    facts: Facts | None
    holds: Mapping[str, HoldFact]
    values: Callable[[str], str]
    looked: dict[Address, tuple[Signature, State | None]] = field(default_factory=dict)

    def require_undisturbed(self) -> None:
        """See that nobody else has changed a resource that the run has yet to move, or that it keeps.

        One whose files are as before is not read again.

        Raises:
            DriftError: Somebody has; nothing more was moved.
        """
        begun, done, last = self.run.checkpoint.begun, set(self.run.checkpoint.done), self.run.kept()
        following = {step.address: step for step in reversed(self.run.plan.steps) if step.id not in done}
        for address in sorted(last | following):
            allowed, found = [self.run.expected(address)], self._look(address)
            step = following.get(address)
            if step is not None and matches(step.after, found):
                continue  # somebody made the very move
            if step is not None and step.id in begun:
                states = begun[step.id].found, begun[step.id].after
                allowed += [self.run.parse(address, state) for state in states]
            self._require(step or last[address], found, tuple(allowed))

    def _look(self, address: Address) -> State | None:
        kind, known = self.run.kinds[address.kind], self.looked.get(address)
        if known is None or known[0] != self._signature(dict(known[0])):
            signature = self._signature(kind.files(address.name))  # first: what changes meanwhile is seen next time
            known = self.looked[address] = signature, kind.observe(address.name)
        return known[1]

    def _signature(self, files: Iterable[str]) -> "Signature":
        root = self.run.workspace.root
        return tuple((path, _stamp(root / path)) for path in files)

    def make(self, step: Step) -> None:
        """Make one step, whatever part of it was made before.

        After a crash at any point the resource is in `before` or in `after`, and the same call again leads on.

        Raises:
            DriftError: The resource is in neither; nothing was moved.
            LockedError: The workspace's lock was broken; nothing was moved.
        """
        kind, name = self.run.kinds[step.address.kind], step.address.name
        found = kind.observe(name)
        begun = self.run.checkpoint.begun.get(step.id)
        if begun is None:
            pins = {key: self.values(key) for key in sorted(placeholders(step.after))}
            after = resolve(step.after, pins)
            self._require(step, found, (self.run.expected(step.address), after))
            self._begin(step, pins, found, after)
        else:
            after = self.run.parse(step.address, begun.after)
            self._require(step, found, (self.run.parse(step.address, begun.found), after))
        if found != after:
            self.run.store.require_held()
            kind.move(name, found, after)
        seen = kind.observe(name)
        if seen != after:
            raise self._drift(step, seen, (after,))
        for path in kind.files(name):
            # Also when nothing was moved: after a kill the bytes may have been seen in the page cache only.
            sync(self.run.workspace.root / path)
        self.run.record("done", {"step": step.id})

    def _begin(self, step: Step, pins: Mapping[str, str], found: State | None, after: State | None) -> None:
        self.run.record(
            "begun",
            {
                "step": step.id,
                "index": step.index,
                "phase": step.phase.value,
                "address": str(step.address),
                "pins": dict(pins),
                "found": state_json(found),
                "after": state_json(after),
            },
        )

    def _require(self, step: Step, found: State | None, allowed: tuple[State | None, ...]) -> None:
        if found in allowed:
            return
        hold = self.holds.get(str(step.address))
        if hold is not None:
            held, base = self.run.parse(step.address, hold.held), self.run.parse(step.address, hold.base)
            under = beneath(found, held, base)
            ours = (*allowed, self.run.plan.base.get(step.address))  # it may have been laid over this run's own hold
            if under != found and under in ours:
                return
        raise self._drift(step, found, allowed)

    def _drift(self, step: Step, found: State | None, wanted: tuple[State | None, ...]) -> DriftError:
        files = ", ".join(self.run.kinds[step.address.kind].files(step.address.name))
        expected = " or ".join(dict.fromkeys(describe(state) for state in wanted))
        where = f"step {step.index} {'left' if step.id in self.run.checkpoint.done else 'expects'}"
        return DriftError(
            f"{step.address} ({files}) is not where {where} it",
            problems=(Problem(f"expected {expected}"), Problem(f"found    {describe(found)}")),
            hint=f"somebody else changed it: {self.run.ways_on}",
        )


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does; None when there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def describe(state: State | None) -> str:
    """Return a state as one line of text; fields that are empty are left out."""
    if state is None:
        return "(absent)"
    fields = {key: value for key, value in state.to_json().items() if value not in (None, [], {})}
    return ", ".join(f"{key} {value}" for key, value in fields.items())
