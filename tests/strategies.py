"""Hypothesis strategies for plans, and the toy resource kinds that they are about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import PHASES, Desired, Phase, Plan, Target
from rollbackctl.core.planner import make_changes, make_steps, ranks
from rollbackctl.core.state import State
from rollbackctl.core.target import Candidate


class Box(State):
    """A state with every shape that a field may have."""

    text: str = ""
    number: int = 0
    items: tuple[str, ...] = ()
    names: dict[str, str] = {}


class Flag(State):
    """A state of one field."""

    is_on: bool = False


STATES: Mapping[str, type[State]] = {"box": Box, "crate": Box, "flag": Flag}
REQUIRES = {"box": ("flag",), "crate": (), "flag": ("crate",)}
RUN_VALUES = {"id": "20251118-1", "time": "2025-11-18T08:00:00+00:00", "actor": "anna@host", "signers": "risk, ops"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text("abc./_-", min_size=1, max_size=4)
placeholder_texts = st.builds("".join, st.lists(texts | st.sampled_from([f"${{run.{name}}}" for name in RUN_VALUES])))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)


def boxes(words: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Box]:
    return st.builds(
        Box,
        text=words,
        number=st.integers(0, 3),
        items=st.lists(words, max_size=2).map(tuple),
        names=st.dictionaries(names, words, max_size=2),
    )


def states(kind: str, words: st.SearchStrategy[str] = texts) -> st.SearchStrategy[State]:
    return st.builds(Flag, is_on=st.booleans()) if STATES[kind] is Flag else boxes(words)


def addresses() -> st.SearchStrategy[Address]:
    return st.builds(Address, st.sampled_from(sorted(STATES)), names)


def targets(kind: str, words: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Target]:
    """What a kind may ask: the same state always, the state as it is, or one field of it; each is settled when met."""
    wanted = st.none() | states(kind, words)
    return wanted.map(_always) | st.just(_as_it_is) | states(kind, words).map(_one_field)


def _always(state: State | None) -> Target:
    return lambda _: state


def _as_it_is(base: State | None) -> State | None:
    return base


def _one_field(state: State) -> Target:
    field = next(iter(type(state).model_fields))

    def changed(base: State | None) -> State:
        return (base or type(state)()).model_copy(update={field: getattr(state, field)})

    return changed


@dataclass(frozen=True)
class Case:
    """What kinds desire, and the world in which they do; the world also has resources that nobody asks for."""

    desired: dict[Address, tuple[Desired, ...]]
    base: dict[Address, State | None]

    @property
    def order(self) -> dict[str, int]:
        return ranks(REQUIRES)

    def plan(self, **others: object) -> Plan:
        fields: dict[str, object] = {
            "name": "plan",
            "incident": "INC-1",
            "spec": {},
            "policy": "none",
            "facts": {},
            "inputs": {},
        } | others
        base = {address: self.base[address] for address in self.desired}
        changes, steps = make_changes(self.desired, base), make_steps(self.desired, base, self.order)
        return Plan(base=base, changes=changes, steps=steps, **fields)  # type: ignore[arg-type]


@st.composite
def wishes(draw: Callable, address: Address, *, with_placeholders: bool) -> tuple[Desired, ...]:
    words = placeholder_texts if with_placeholders else texts
    phases = draw(st.lists(st.sampled_from(PHASES), min_size=1, max_size=3, unique=True))
    return tuple(
        Desired(
            address.name,
            phase,
            draw(targets(address.kind, words)),
            hold=draw(st.none() | targets(address.kind)),
            lasting=draw(st.booleans()),
            reversible=draw(st.booleans()),
            note=draw(texts),
            rank=draw(st.integers(0, 2)),
        )
        for phase in phases
    )


@st.composite
def cases(draw: Callable, *, with_placeholders: bool = False) -> Case:
    named = draw(st.lists(addresses(), min_size=1, max_size=5, unique=True))
    asked = draw(st.integers(1, len(named)))
    base = {address: draw(st.none() | states(address.kind)) for address in named}
    desired = {
        address: draw(wishes(address, with_placeholders=with_placeholders))  # type: ignore[call-arg]
        for address in named[:asked]
    }
    return Case(desired, base)


verdicts = st.builds(
    Verdict,
    texts,
    st.sampled_from(PHASES),
    st.sampled_from(Answer),
    texts,
    st.lists(texts, max_size=2).map(tuple),
    st.dictionaries(texts, st.integers(0, 9), max_size=2),
)


@st.composite
def plans(draw: Callable) -> Plan:
    return draw(cases(with_placeholders=True)).plan(
        name=draw(texts),
        incident=draw(st.none() | texts),
        spec=draw(json_objects),
        policy=draw(texts),
        facts=draw(json_objects),
        inputs=draw(st.dictionaries(texts, texts, max_size=3)),
        gates=draw(st.lists(st.tuples(st.sampled_from(Phase), texts), max_size=2).map(tuple)),
        checks=draw(st.lists(texts, max_size=2).map(tuple)),
        expires_after=draw(texts),
        operation=draw(st.sampled_from(["rollback", "hold", "undo"])),
    )


def documents() -> st.SearchStrategy[PlanDocument]:
    some = st.lists
    return st.builds(
        PlanDocument,
        plan=plans(),
        timestamp=texts,
        verdicts=some(verdicts, max_size=2).map(tuple),
        candidates=some(st.builds(Candidate, texts, texts, some(texts, max_size=2).map(tuple)), max_size=2).map(tuple),
        trigger=st.none() | json_objects,
        left_alone=st.dictionaries(texts, texts, max_size=2),
        undo=some(st.tuples(texts, texts), max_size=2).map(tuple),
        diagnostics=some(texts, max_size=2).map(tuple),
        settled_by=st.none() | texts,
        obstacles=some(texts, max_size=2).map(tuple),
        continues=st.none() | texts,
        data_drift=st.none() | json_objects,
        replay=st.none() | json_objects,
    )
