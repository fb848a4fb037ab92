"""A run's journal as values: its entries, what they add up to, and which resources all runs together still hold."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen, replace
from rollbackctl.core.fact import Fact
from rollbackctl.core.gate import Outcome, Result, Verdict
from rollbackctl.core.observation import Holder, HoldFact
from rollbackctl.core.plan import Phase
from rollbackctl.core.state import State

EntryType = Literal[
    "invocation", "phase", "begun", "done", "check", "waiting", "stopped", "failed", "verified", "finished", "released",
    "abandoned", "undone",
]  # fmt: skip
Status = Literal["unfinished", "finished", "abandoned", "undone"]
_BODIES: Mapping[str, Mapping[str, type]] = {
    "invocation": {"order": int, "actor": dict, "evidence": str},
    "phase": {"phase": str, "verdicts": list},
    "begun": {"step": str, "phase": str, "address": str, "pins": dict},
    "done": {"step": str},
    "check": {"check": str, "result": str, "summary": str},
    "waiting": {"verdicts": list},
    "released": {"address": str, "hold": str},
}
_ENDS: Mapping[str, Status] = {"finished": "finished", "abandoned": "abandoned", "undone": "undone"}


class Entry(Fact):
    """One line of a run journal."""

    seq: int
    plan: str
    run: str
    at: str
    type: EntryType
    body: dict[str, JsonValue] = {}


@frozen
class Begun:
    """A step that has begun: the values it uses, the state it started from and the one it leads to (JSON)."""

    phase: Phase
    address: str
    pins: Mapping[str, str]
    found: JsonValue
    after: JsonValue


@frozen
class Invocation:
    """One call of the tool on a run; `order` counts the calls on the whole workspace."""

    order: int
    at: str
    user: str
    host: str
    pid: int
    evidence: str


@frozen
class Checkpoint:
    """What a run's entries add up to; `left` is where its steps have left each resource, by address (JSON)."""

    entries: tuple[Entry, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    begun: Mapping[str, Begun] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    left: Mapping[str, JsonValue] = field(default_factory=dict)
    phases: Mapping[Phase, tuple[Verdict, ...]] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    waiting: tuple[Verdict, ...] = ()
    is_verified: bool = False
    status: Status = "unfinished"

    @property
    def next_seq(self) -> int:
        """The sequence number of the next entry."""
        return len(self.entries) + 1

    @property
    def pins(self) -> dict[str, str]:
        """Every value pinned so far, the newest last."""
        return {name: value for begun in self.begun.values() for name, value in begun.pins.items()}

    @property
    def has_failed_check(self) -> bool:
        """Whether a check failed or was inconclusive, and has not passed since."""
        return any(outcome.result is not Result.PASS for outcome in self.outcomes.values())

    @property
    def has_condemned(self) -> bool:
        """Whether a check failed, and has not passed since: a check without an answer says nothing of the target."""
        return any(outcome.result is Result.FAIL for outcome in self.outcomes.values())


class EntryFaultError(ValueError):
    """An entry that cannot stand where it does; `number` is its line in the run's journal."""

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(fault)
        self.number = number


def fold(
    entries: Iterable[Entry], *, plan: str, run: str, steps: Container[object], onto: Checkpoint | None = None
) -> Checkpoint:
    """Add up a run's entries.

    Args:
        entries: In the order of the file.
        plan: The plan's id; an entry of another plan is an error.
        run: The run's id.
        steps: Ids of the plan's steps; an entry of an unknown step is an error.
        onto: What the entries before these add up to; None when these are the first.

    Raises:
        EntryFaultError: An entry is foreign, out of order, or about a step that the plan does not have.
    """
    checkpoint = onto or Checkpoint()
    for entry in entries:
        number = len(checkpoint.entries) + 1
        fault = _fault(checkpoint, entry, plan, run, steps)
        if fault:
            raise EntryFaultError(number, fault)
        try:
            checkpoint = _added(checkpoint, entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EntryFaultError(number, f"entry {entry.seq} ({entry.type}) lacks a field: {error}") from error
    return checkpoint


def _fault(checkpoint: Checkpoint, entry: Entry, plan: str, run: str, steps: Container[object]) -> str:
    """Say why an entry cannot follow the ones before it; empty when it can."""
    step = entry.body.get("step")
    if (entry.plan, entry.run) != (plan, run):
        return f"entry {entry.seq} belongs to run {entry.run} of plan {entry.plan[:12]}"
    if entry.seq != checkpoint.next_seq:
        return f"entry {entry.seq} stands where entry {checkpoint.next_seq} belongs"
    wrong = [name for name, sort in _BODIES.get(entry.type, {}).items() if not isinstance(entry.body.get(name), sort)]
    if wrong:
        return f"entry {entry.seq} ({entry.type}) lacks a field, or it is of another sort: {', '.join(wrong)}"
    if entry.type in ("begun", "done") and step not in steps:
        return f"entry {entry.seq} is about step {step}, which the plan does not have"
    if entry.type == "done" and step not in checkpoint.begun:
        return f"entry {entry.seq} says that step {step} is done, which has not begun"
    if not checkpoint.entries and entry.type != "invocation":
        return f"entry 1 is {entry.type}, not the call that began the run"
    return ""


def _added(checkpoint: Checkpoint, entry: Entry) -> Checkpoint:
    changes = {"entries": (*checkpoint.entries, entry), **_changes(checkpoint, entry)}
    return replace(checkpoint, **changes)


def _changes(now: Checkpoint, entry: Entry) -> dict[str, Any]:
    """Return the fields that an entry changes."""
    body: dict[str, Any] = entry.body
    match entry.type:
        case "invocation":
            return {"invocations": (*now.invocations, _invocation(body, entry.at)), "waiting": ()}
        case "phase":
            verdicts = tuple(map(Verdict.from_json, body["verdicts"]))
            return {"phases": {**now.phases, Phase(body["phase"]): verdicts}, "waiting": ()}
        case "begun":
            begun = Begun(Phase(body["phase"]), body["address"], body["pins"], body["found"], body["after"])
            return {"begun": {**now.begun, body["step"]: begun}}
        case "done":
            begun = now.begun[body["step"]]
            return {"done": (*now.done, body["step"]), "left": {**now.left, begun.address: begun.after}}
        case "check":
            outcome = Outcome(body["check"], Result(body["result"]), body["summary"])
            return {"outcomes": {**now.outcomes, outcome.check: outcome}}
        case "waiting":
            return {"waiting": tuple(map(Verdict.from_json, body["verdicts"]))}
        case "verified":
            return {"is_verified": True}
        case _:
            return {"status": _ENDS.get(entry.type, now.status)}


def _invocation(body: Mapping[str, Any], at: str) -> Invocation:
    actor = body["actor"]
    return Invocation(body["order"], at, str(actor["user"]), str(actor["host"]), int(actor["pid"]), body["evidence"])


@frozen
class RunRecord:
    """A run as the fold over all runs needs it.

    Attributes:
        put_back: The states that end its holds, by address (JSON).
        joins: Addresses that others held already when it was placed.
    """

    run: str
    operation: str
    incident: str | None
    put_back: Mapping[str, JsonValue]
    checkpoint: Checkpoint
    joins: tuple[str, ...] = ()


def holds_in_force(runs: Sequence[RunRecord]) -> tuple[HoldFact, ...]:
    """Compute which resources are still held, by whom, and what was beneath.

    A step of the hold phase takes hold of its resource; later steps of a run on it change what is held; a step of the
    release phase, or the end of a hold, lets go. The order is that of the calls on the workspace, never that of clocks.
    """
    timeline = sorted(
        ((order, position, record, entry) for record in runs for order, position, entry in _ordered(record.checkpoint)),
        key=lambda item: item[:2],
    )
    holds: dict[str, HoldFact] = {}
    for _, _, record, entry in timeline:
        if entry.type == "done":
            begun = record.checkpoint.begun[str(entry.body["step"])]
            _hold_step(holds, record, begun, entry)
        elif entry.type == "released":
            _let_go(holds, str(entry.body["address"]), str(entry.body["hold"]))
        elif entry.seq == 1:
            _join(holds, record, entry)
    return tuple(holds[address] for address in sorted(holds))


def _ordered(checkpoint: Checkpoint) -> Iterable[tuple[int, int, Entry]]:
    order = 0
    for position, entry in enumerate(checkpoint.entries):
        if entry.type == "invocation":
            order = int(entry.body["order"])  # type: ignore[arg-type]
        yield order, position, entry


def _let_go(holds: dict[str, HoldFact], address: str, run: str) -> None:
    hold = holds.pop(address, None)
    left = None if hold is None else hold.without(run)
    if left is not None:
        holds[address] = left


def _join(holds: dict[str, HoldFact], record: RunRecord, entry: Entry) -> None:
    """A hold counts for what was held already as soon as it is on record; there is nothing to move."""
    by = record.checkpoint.invocations[0].user
    holder = Holder(run=record.run, incident=record.incident, since=entry.at, by=by)
    for address in record.joins:
        if address in holds:
            hold = holds[address]
            holds[address] = hold.model_copy(update={"others": (*hold.others, holder)})


def _hold_step(holds: dict[str, HoldFact], record: RunRecord, begun: Begun, entry: Entry) -> None:
    earlier = holds.get(begun.address)
    if begun.phase is Phase.HOLD:
        first = record.checkpoint.invocations[0]
        base = record.put_back[begun.address]
        if earlier is not None and base == earlier.held:
            base = earlier.base  # placed while the earlier run could not be read, and so taken for what was there
        holds[begun.address] = HoldFact(
            others=earlier.others if earlier is not None else (),
            address=begun.address,
            base=base,
            held=begun.after,
            run=record.run,
            incident=record.incident,
            since=entry.at,
            by=first.user,
            operation=record.operation,
        )
    elif begun.phase is Phase.RELEASE:
        holds.pop(begun.address, None)
    elif earlier is not None:
        holds[begun.address] = earlier.model_copy(update={"held": begun.after})


def beneath(now: State | None, held: State | None, base: State | None) -> State | None:
    """Return what is under a hold: the fields that the hold changed and that still stand go back, all others stay.

    Somebody may have changed other fields of a held resource meanwhile; that change stays, and the hold still ends.

    Args:
        now: The state as it is; the same object is returned when nothing of the hold is left in it.
        held: The state that the hold led to.
        base: The state before the hold.
    """
    if now == held:
        return base
    if now is None or held is None or base is None:
        return now
    changed = {
        name: getattr(base, name)
        for name in type(held).model_fields
        if getattr(held, name) != getattr(base, name) and getattr(now, name) == getattr(held, name)
    }
    return now.model_copy(update=changed) if changed else now
