import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackctl.core.address import Address
from rollbackctl.core.plan import PHASES, Action, Change, Desired, Phase, Step, World
from rollbackctl.core.planner import (
    is_settled,
    make_changes,
    make_steps,
    ranks,
    simulate,
    stays_on_undo,
    undo_desired,
)
from rollbackctl.core.state import State, resolve
from tests.strategies import RUN_VALUES, Box, Case, Flag, cases

ALIAS = Address("box", "alias")
SERVING = Address("box", "serving")
TRADER = Address("flag", "trader")


def after_run(case: Case) -> dict[Address, State | None]:
    """Give the world after a run: every step made, every placeholder with its value."""
    end = simulate(case.plan().steps, case.base)
    return {address: resolve(state, RUN_VALUES) for address, state in end.items()}


def last_wish(case: Case, address: Address) -> Desired:
    return max(case.desired[address], key=lambda wish: PHASES.index(wish.phase))


def to(state: State | None, phase: Phase = Phase.RELEASE, **fields: object) -> Desired:
    return Desired("name", phase, lambda _: state, **fields)  # type: ignore[arg-type]


@given(cases(with_placeholders=True))
def test_a_plan_ends_at_the_desired_states_and_leaves_everything_else(case: Case) -> None:
    end = simulate(case.plan().steps, case.base)

    wanted = {address: last_wish(case, address).after(case.base[address]) for address in case.desired}
    assert end == case.base | wanted


@given(cases())
def test_a_hold_is_in_force_when_the_hold_phase_is_over(case: Case) -> None:
    until_hold = [step for step in case.plan().steps if step.phase in (Phase.SECURE, Phase.HOLD)]

    world = simulate(until_hold, case.base)

    for address, wishes in case.desired.items():
        held_until_later = all(wish.hold and wish.phase not in (Phase.SECURE, Phase.HOLD) for wish in wishes)
        if held_until_later:
            first = min(wishes, key=lambda wish: PHASES.index(wish.phase))
            assert first.hold is not None
            assert world[address] == first.hold(case.base[address])


@given(cases())
def test_a_resource_that_is_only_held_ends_as_it_was(case: Case) -> None:
    held = {
        address: tuple(Desired(wish.name, wish.phase, lambda base: base, hold=wish.hold) for wish in wishes)
        for address, wishes in case.desired.items()
    }

    end = simulate(make_steps(held, case.base, case.order), case.base)

    assert end == case.base


@given(cases(with_placeholders=True))
def test_planning_after_applying_finds_nothing(case: Case) -> None:
    assert is_settled(make_changes(case.desired, after_run(case)))


@given(cases())
def test_inverse_changes_lead_back(case: Case) -> None:
    world = simulate(case.plan().steps, case.base)

    for change in case.plan().changes:
        back = change.inverse()
        assert world[back.address] == back.before
        world[back.address] = back.after

    assert world == case.base


@given(cases())
def test_the_inverse_of_the_inverse_is_the_change(case: Case) -> None:
    changes = case.plan().changes

    assert tuple(change.inverse().inverse() for change in changes) == changes


@given(cases(with_placeholders=True))
def test_an_undo_leads_back_what_lasts_and_can_be_led_back(case: Case) -> None:
    end = after_run(case)
    changes = [
        Change(c.address, c.before, resolve(c.after, RUN_VALUES), c.lasting, c.reversible) for c in case.plan().changes
    ]

    desired, _, _ = undo_desired(changes, end, {}, frozenset())
    undone = simulate(make_steps(desired, end, case.order), end)

    led_back = {change.address for change in changes if change.lasting and change.reversible}
    assert undone == {address: case.base[address] if address in led_back else end[address] for address in end}


@given(cases(with_placeholders=True), st.randoms(use_true_random=False))
def test_the_same_input_in_another_order_gives_the_same_steps_and_id(case: Case, dice: random.Random) -> None:
    desired, base = list(case.desired.items()), list(case.base.items())
    dice.shuffle(desired)
    dice.shuffle(base)
    shuffled = Case({address: tuple(dice.sample(wishes, len(wishes))) for address, wishes in desired}, dict(base))

    plan, again = case.plan(), shuffled.plan()

    assert (again.changes, again.steps, again.id) == (plan.changes, plan.steps, plan.id)


@given(cases())
def test_steps_are_numbered_in_the_order_of_phases_and_start_where_the_last_one_ended(case: Case) -> None:
    steps = case.plan().steps
    now = dict(case.base)

    for step in steps:
        assert step.before == now[step.address]
        assert step.action is not Action.NO_OP
        now[step.address] = step.after

    assert [step.index for step in steps] == list(range(1, len(steps) + 1))
    assert [PHASES.index(step.phase) for step in steps] == sorted(PHASES.index(step.phase) for step in steps)


@given(cases())
def test_the_steps_change_what_the_changes_say(case: Case) -> None:
    plan = case.plan()

    end = simulate(plan.steps, case.base)

    assert {change.address: change.after for change in plan.changes} == {
        change.address: end[change.address] for change in plan.changes
    }
    assert {change.address: change.before for change in plan.changes} == dict(plan.base)


def test_within_a_phase_a_kind_comes_after_those_it_requires_and_then_rank_and_name_decide() -> None:
    base: World = {Address(kind, name): None for kind in ("box", "crate", "flag") for name in "ab"}
    desired = {
        address: (to(Flag() if address.kind == "flag" else Box(), rank=1 if address == Address("box", "a") else 0),)
        for address in base
    }

    steps = make_steps(desired, base, ranks({"box": ("flag",), "flag": ("crate",), "crate": ()}))

    assert [str(step.address) for step in steps] == ["crate/a", "crate/b", "flag/a", "flag/b", "box/b", "box/a"]


def test_a_kind_may_require_one_that_is_not_there() -> None:
    assert ranks({"b": ("gone",), "a": ("b",)}) == {"b": 0, "a": 1}


def test_kinds_that_require_each_other_in_a_circle_are_refused() -> None:
    with pytest.raises(ValueError, match=r"in a circle: (a -> b -> a|b -> a -> b)"):
        ranks({"a": ("b",), "b": ("a",)})


def test_a_wish_before_the_hold_moves_first() -> None:
    early = to(Box(text="early"), Phase.SECURE)
    late = to(Box(text="late"), Phase.RELEASE, hold=lambda _: Box(text="held"))

    steps = make_steps({ALIAS: (late, early)}, {ALIAS: None}, {})

    assert [(step.phase, step.after) for step in steps] == [
        (Phase.SECURE, Box(text="early")),
        (Phase.HOLD, Box(text="held")),
        (Phase.RELEASE, Box(text="late")),
    ]
    assert simulate(steps, {ALIAS: None}) == {ALIAS: Box(text="late")}


def test_of_two_wishes_in_one_phase_changes_and_steps_take_the_same_one() -> None:
    desired = {ALIAS: (to(Box(text="one")), to(Box(text="two")))}

    changes, steps = make_changes(desired, {ALIAS: None}), make_steps(desired, {ALIAS: None}, {})

    assert changes[0].after == steps[-1].after == Box(text="two")


def test_a_one_shot_effect_is_no_reason_for_a_run() -> None:
    changes = make_changes({ALIAS: (to(Box(), lasting=False),), TRADER: (to(None),)}, {ALIAS: None, TRADER: None})

    assert [change.action for change in changes] == [Action.CREATE, Action.NO_OP]
    assert is_settled(changes)


def test_a_lasting_difference_is_a_reason_for_a_run() -> None:
    assert not is_settled(make_changes({ALIAS: (to(Box()),)}, {ALIAS: None}))


def test_one_wish_that_lasts_makes_the_change_last_and_one_that_cannot_be_undone_makes_it_stay() -> None:
    wishes = (to(Box(), Phase.RESTORE, lasting=False), to(Box(), Phase.RELEASE, reversible=False))

    (change,) = make_changes({ALIAS: wishes}, {ALIAS: None})

    assert (change.lasting, change.reversible) == (True, False)


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        (None, None, Action.NO_OP),
        (Box(), Box(), Action.NO_OP),
        (None, Box(), Action.CREATE),
        (Box(), Box(number=1), Action.UPDATE),
        (Box(), None, Action.DELETE),
    ],
)
def test_an_action_names_the_effect(before: State | None, after: State | None, action: Action) -> None:
    assert Change(ALIAS, before, after).action is action
    assert Step(1, Phase.HOLD, ALIAS, before, after).action is action


@pytest.mark.parametrize("world", [{ALIAS: Box(text="other")}, {ALIAS: None}, {}])
def test_a_step_that_does_not_start_where_its_resource_is_stops_the_simulation(world: World) -> None:
    step = Step(7, Phase.RELEASE, ALIAS, Box(), Box(number=1))

    with pytest.raises(ValueError, match=r"step 7 starts from .*, but box/alias is "):
        simulate([step], world)


def test_the_id_of_a_step_depends_on_its_move_and_not_on_its_note() -> None:
    step = Step(1, Phase.RELEASE, ALIAS, None, Box(), "note")

    assert step.id == Step(1, Phase.RELEASE, ALIAS, None, Box()).id
    others = [
        Step(2, Phase.RELEASE, ALIAS, None, Box()),
        Step(1, Phase.RECORD, ALIAS, None, Box()),
        Step(1, Phase.RELEASE, SERVING, None, Box()),
        Step(1, Phase.RELEASE, ALIAS, Box(), Box()),
        Step(1, Phase.RELEASE, ALIAS, None, Box(number=1)),
    ]
    assert step.id not in {other.id for other in others}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change(ALIAS, None, Box()), ""),
        (Change(ALIAS, Box(text="v9"), Box()), ""),
        (Change(ALIAS, Box(text="v1"), Box()), ""),
        (Change(ALIAS, None, Box(), reversible=False), "a quarantine is not lifted by an undo"),
        (Change(ALIAS, Box(text="v10"), Box()), "it would name the withdrawn version again"),
        (Change(ALIAS, Box(items=("v10",)), Box()), "it would name the withdrawn version again"),
        (Change(ALIAS, Box(names={"v10": ""}), Box()), "it would name the withdrawn version again"),
        (Change(ALIAS, Box(names={"x": "v10"}), Box()), "it would name the withdrawn version again"),
    ],
)
def test_what_would_name_the_withdrawn_version_again_stays_on_undo(change: Change, reason: str) -> None:
    assert stays_on_undo(change, frozenset({"v10"})) == reason


def test_an_undo_names_what_stays_and_does_not_touch_it() -> None:
    changes = [
        Change(ALIAS, Box(text="v10"), Box(text="v9")),
        Change(SERVING, Box(text="old"), Box(text="new")),
        Change(Address("box", "event"), None, Box(), lasting=False),
        Change(Address("box", "same"), Box(), Box()),
        Change(Address("box", "file"), None, Box(text="v9")),
    ]
    world = {change.address: change.after for change in changes} | {SERVING: Box(text="somebody else's")}

    desired, _, stays = undo_desired(changes, world, {}, frozenset({"v10"}))

    assert stays == {ALIAS: "it would name the withdrawn version again", SERVING: "it has changed since the run"}
    assert set(desired) == {Address("box", "file")}


def test_an_undo_ends_with_its_holds_in_place_and_says_what_is_beneath_them() -> None:
    changes = [Change(SERVING, Box(text="old"), Box(text="new"))]
    world: World = {SERVING: Box(text="new"), TRADER: Flag()}
    holds = {SERVING: lambda base: base.model_copy(update={"number": 1}), TRADER: lambda _: Flag(is_on=True)}

    desired, beneath, stays = undo_desired(changes, world, holds, frozenset({"v10"}))  # type: ignore[arg-type]
    steps = make_steps(desired, world, {})

    assert beneath == {SERVING: Box(text="old"), TRADER: Flag()}
    assert simulate(steps, world) == {SERVING: Box(text="old", number=1), TRADER: Flag(is_on=True)}
    assert {step.phase for step in steps} == {Phase.HOLD}
    assert stays == {}


def test_an_undo_of_a_model_that_was_withdrawn_keeps_the_target_beneath_the_hold() -> None:
    changes = [Change(SERVING, Box(text="v10"), Box(text="v9"))]
    world: World = {SERVING: Box(text="v9")}

    _, beneath, stays = undo_desired(changes, world, {SERVING: lambda base: base}, frozenset({"v10"}))

    assert beneath == {SERVING: Box(text="v9")}
    assert stays == {SERVING: "it would name the withdrawn version again"}


def test_a_kind_that_the_order_does_not_know_comes_last() -> None:
    desired = {ALIAS: (to(Box()),), TRADER: (to(Flag()),)}

    steps = make_steps(desired, {ALIAS: None, TRADER: None}, {"flag": 0})

    assert [step.address for step in steps] == [TRADER, ALIAS]


@pytest.mark.parametrize("phase", [Phase.RESTORE, Phase.RELEASE, Phase.RECORD])
def test_a_hold_lasts_from_the_hold_phase_to_any_later_one(phase: Phase) -> None:
    steps = make_steps({ALIAS: (to(Box(text="v9"), phase, hold=lambda _: Box(text="held")),)}, {ALIAS: None}, {})

    assert [step.phase for step in steps] == [Phase.HOLD, phase]


def test_of_two_holds_of_a_resource_that_of_the_first_phase_is_in_force() -> None:
    early = to(Box(text="one"), Phase.RESTORE, hold=lambda _: Box(text="held early"))
    late = to(Box(text="two"), Phase.RELEASE, hold=lambda _: Box(text="held late"))

    steps = make_steps({ALIAS: (late, early)}, {ALIAS: None}, {})

    assert [step.after for step in steps] == [Box(text="held early"), Box(text="one"), Box(text="two")]


def test_what_an_undo_asks_for_has_the_names_of_its_resources_and_their_states_before() -> None:
    world: World = {ALIAS: Box(text="new"), TRADER: Flag()}

    desired, _, _ = undo_desired(
        [Change(ALIAS, Box(text="old"), Box(text="new"))], world, {TRADER: lambda _: Flag(is_on=True)}, frozenset()
    )

    assert {address: wish.name for address, (wish,) in desired.items()} == {ALIAS: "alias", TRADER: "trader"}
    assert desired[ALIAS][0].after(None) == Box(text="old")


def test_a_wish_asks_for_no_more_than_it_says() -> None:
    wish = Desired("alias", Phase.RELEASE, lambda base: base)

    assert (wish.hold, wish.lasting, wish.reversible, wish.note, wish.rank) == (None, True, True, "", 0)
    assert Step(1, Phase.RELEASE, ALIAS, None, None).note == ""
