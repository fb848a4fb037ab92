import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackctl.core.checkpoint import (
    Begun,
    Checkpoint,
    Entry,
    EntryFaultError,
    Invocation,
    RunRecord,
    beneath,
    fold,
    holds_in_force,
)
from rollbackctl.core.gate import Answer, Outcome, Result, Verdict
from rollbackctl.core.observation import HoldFact
from rollbackctl.core.plan import Phase
from tests.strategies import Box, boxes

PLAN = "p" * 64
STEPS = ("s1", "s2", "s3", "s4")
SERVING = "serving/var-models"
TRADER = "maintenance/auto_trader"
WAITING = Verdict("report_signoff", Phase.RELEASE, Answer.WAITS, "12 decisions", ("a",), {"risk": 4})

Line = tuple[str, dict[str, Any]]


def call(order: int, user: str = "anna") -> Line:
    return "invocation", {"order": order, "actor": {"user": user, "host": "host", "pid": 7, "uid": 0}, "evidence": "e"}


def move(step: str, phase: str, address: str, after: object, found: object = None, **pins: str) -> tuple[Line, Line]:
    begun = {"step": step, "phase": phase, "address": address, "pins": pins, "found": found, "after": after}
    return ("begun", begun), ("done", {"step": step})


def journal(run: str, *lines: Line, hour: int = 8) -> list[Entry]:
    return [
        Entry(seq=seq, plan=PLAN, run=run, at=f"2025-11-18T{hour:02}:00:{seq:02}+00:00", type=kind, body=body)
        for seq, (kind, body) in enumerate(lines, 1)
    ]


def folded(entries: Sequence[Entry], run: str = "r1") -> Checkpoint:
    return fold(entries, plan=PLAN, run=run, steps=STEPS)


def record(
    run: str,
    *lines: Line,
    put_back: dict[str, Any],
    operation: str = "rollback",
    incident: str | None = "INC-1",
    hour: int = 8,
    joins: tuple[str, ...] = (),
) -> RunRecord:
    return RunRecord(run, operation, incident, put_back, folded(journal(run, *lines, hour=hour), run), joins)


def test_a_journal_adds_up_to_what_was_begun_and_done() -> None:
    first, second = move("s1", "hold", SERVING, {"attached": False}, found={"attached": True}, time="08:00", id="r1")
    entries = journal(
        "r1",
        call(3),
        ("phase", {"phase": "hold", "verdicts": [WAITING.to_json()]}),
        first,
        second,
        move("s2", "restore", SERVING, {"attached": False, "models": {}}, time="09:00")[0],
    )

    checkpoint = folded(entries)

    assert checkpoint.invocations == (Invocation(3, "2025-11-18T08:00:01+00:00", "anna", "host", 7, "e"),)
    assert checkpoint.phases == {Phase.HOLD: (WAITING,)}
    assert checkpoint.begun["s1"] == Begun(
        Phase.HOLD, SERVING, {"time": "08:00", "id": "r1"}, {"attached": True}, {"attached": False}
    )
    assert set(checkpoint.begun) == {"s1", "s2"}
    assert checkpoint.done == ("s1",)
    assert checkpoint.pins == {"time": "09:00", "id": "r1"}
    assert (checkpoint.status, checkpoint.next_seq) == ("unfinished", 6)


def test_nothing_adds_up_to_an_unfinished_run_that_begins_at_one() -> None:
    assert folded([]) == Checkpoint()
    assert Checkpoint().next_seq == 1
    assert (Checkpoint().waiting, Checkpoint().is_verified) == ((), False)


@pytest.mark.parametrize(
    ("kind", "status"), [("finished", "finished"), ("abandoned", "abandoned"), ("undone", "undone")]
)
def test_a_run_ends_in_the_way_its_last_word_says(kind: str, status: str) -> None:
    assert folded(journal("r1", call(1), (kind, {}), ("released", {"address": SERVING, "hold": "h1"}))).status == status


@pytest.mark.parametrize("kind", ["stopped", "failed", "verified", "released"])
def test_a_stop_does_not_end_a_run(kind: str) -> None:
    assert folded(journal("r1", call(1), (kind, {"address": SERVING, "hold": "h1"}))).status == "unfinished"


def test_a_finished_run_may_be_undone() -> None:
    assert folded(journal("r1", call(1), ("finished", {}), ("undone", {}))).status == "undone"


@pytest.mark.parametrize("next_line", [call(2), ("phase", {"phase": "release", "verdicts": []})])
def test_waiting_is_over_when_the_run_goes_on(next_line: Line) -> None:
    waiting: Line = ("waiting", {"verdicts": [WAITING.to_json()]})

    assert folded(journal("r1", call(1), waiting)).waiting == (WAITING,)
    assert folded(journal("r1", call(1), waiting, next_line)).waiting == ()


def test_the_last_answer_of_a_check_counts() -> None:
    failed: Line = ("check", {"check": "probe", "result": "fail", "summary": "0.4"})
    passed: Line = ("check", {"check": "probe", "result": "pass", "summary": "0.7"})

    before, after = folded(journal("r1", call(1), failed)), folded(journal("r1", call(1), failed, passed))

    assert before.has_failed_check
    assert before.outcomes == {"probe": Outcome("probe", Result.FAIL, "0.4")}
    assert not after.has_failed_check
    assert not Checkpoint().has_failed_check


@pytest.mark.parametrize(
    ("results", "has_condemned"),
    [
        ([], False),
        (["pass"], False),
        (["inconclusive"], False),
        (["no data"], False),
        (["fail"], True),
        (["fail", "inconclusive"], False),
        (["inconclusive", "fail"], True),
    ],
)
def test_only_a_check_that_failed_condemns_the_target(results: list[str], has_condemned: bool) -> None:
    lines: list[Line] = [("check", {"check": "probe", "result": result, "summary": ""}) for result in results]

    assert folded(journal("r1", call(1), *lines)).has_condemned is has_condemned


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (("check", {"check": "probe"}), r"^entry 2 \(check\) lacks a field.*result"),
        (("check", {"check": "probe"}), "^entry 2 .* of another sort: result, summary$"),
        (("phase", {"phase": "later", "verdicts": []}), r"^entry 2 \(phase\) lacks a field: 'later' is not a valid"),
        (("done", {"step": "s1"}), "^entry 2 says that step s1 is done, which has not begun$"),
        (("invocation", {"order": "2", "actor": {}, "evidence": ""}), "of another sort: order$"),
        (("phase", {"phase": "hold", "verdicts": {}}), "of another sort: verdicts$"),
        (("begun", {"step": 7, "phase": None, "address": "a/b", "pins": []}), "of another sort: step, phase, pins$"),
        (("done", {"step": ["s1"]}), "of another sort: step$"),
        (("waiting", {"verdicts": "none"}), "of another sort: verdicts$"),
    ],
)
def test_a_fault_names_the_line_that_it_is_in(line: Line, fault: str) -> None:
    entries = journal("r1", call(1), line)

    with pytest.raises(EntryFaultError, match=fault) as whole:
        folded(entries)
    with pytest.raises(EntryFaultError, match=fault) as continued:
        fold(entries[1:], plan=PLAN, run="r1", steps=STEPS, onto=folded(entries[:1]))

    assert (whole.value.number, continued.value.number) == (2, 2)


def test_an_entry_may_have_nothing_to_add() -> None:
    assert Entry.model_validate({"seq": 1, "plan": PLAN, "run": "r1", "at": "", "type": "finished"}).body == {}


def test_a_release_that_does_not_say_whose_hold_ends_is_refused() -> None:
    with pytest.raises(EntryFaultError, match=r"entry 2 \(released\) lacks a field.*: hold"):
        folded(journal("r1", call(1), ("released", {"address": SERVING})))


def test_a_run_is_verified_when_its_journal_says_so() -> None:
    assert not folded(journal("r1", call(1))).is_verified
    assert folded(journal("r1", call(1), ("verified", {}))).is_verified


def test_an_entry_of_another_run_or_plan_is_refused() -> None:
    entries = journal("r2", call(1))

    with pytest.raises(ValueError, match=r"entry 1 belongs to run r2 of plan pppppppppppp$"):
        folded(entries)
    with pytest.raises(ValueError, match="entry 1 belongs to run r2"):
        fold(entries, plan="q" * 64, run="r2", steps=STEPS)


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ([0, 2], "entry 3 stands where entry 2 belongs"),
        ([1, 2], "entry 2 stands where entry 1 belongs"),
        ([0, 0], "entry 1 stands where entry 2 belongs"),
        ([0, 2, 1], "entry 3 stands where entry 2 belongs"),
    ],
)
def test_a_gap_a_repetition_and_a_swap_are_refused(order: list[int], problem: str) -> None:
    entries = journal("r1", call(1), *move("s1", "hold", SERVING, None))

    with pytest.raises(ValueError, match=problem):
        folded([entries[position] for position in order])


@pytest.mark.parametrize("position", [0, 1])
def test_a_step_that_the_plan_does_not_have_is_refused(position: int) -> None:
    entries = journal("r1", call(1), move("s9", "hold", SERVING, None)[position])

    with pytest.raises(ValueError, match="entry 2 is about step s9, which the plan does not have"):
        folded(entries)


def test_a_step_that_is_done_without_having_begun_is_refused() -> None:
    with pytest.raises(ValueError, match="entry 2 says that step s1 is done, which has not begun"):
        folded(journal("r1", call(1), ("done", {"step": "s1"})))


def test_a_journal_that_does_not_begin_with_a_call_is_refused() -> None:
    with pytest.raises(ValueError, match="entry 1 is begun, not the call that began the run"):
        folded(journal("r1", *move("s1", "hold", SERVING, None)))


def test_an_entry_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="type"):
        Entry.model_validate({"seq": 1, "plan": PLAN, "run": "r1", "at": "", "type": "skipped", "body": {}})


def test_a_step_of_the_hold_phase_takes_hold() -> None:
    run = record(
        "r1", call(1), *move("s1", "hold", SERVING, {"attached": False}), put_back={SERVING: {"attached": True}}
    )

    assert holds_in_force([run]) == (
        HoldFact(
            address=SERVING,
            base={"attached": True},
            held={"attached": False},
            run="r1",
            incident="INC-1",
            since="2025-11-18T08:00:03+00:00",
            by="anna",
            operation="rollback",
        ),
    )


def test_a_step_that_has_only_begun_holds_nothing() -> None:
    begun, _ = move("s1", "hold", SERVING, "held")

    assert holds_in_force([record("r1", call(1), begun, put_back={SERVING: "base"})]) == ()


def test_a_later_step_changes_what_is_held_and_not_who_holds_it() -> None:
    lines = (*move("s1", "hold", SERVING, "held"), *move("s2", "restore", SERVING, "held, loaded"))

    (hold,) = holds_in_force([record("r1", call(1), *lines, put_back={SERVING: "base"})])

    assert (hold.base, hold.held, hold.since) == ("base", "held, loaded", "2025-11-18T08:00:03+00:00")


def test_a_step_on_a_resource_that_is_not_held_holds_nothing() -> None:
    run = record("r1", call(1), *move("s1", "restore", "target_file/x", "x"), put_back={"target_file/x": None})

    assert holds_in_force([run]) == ()


def test_the_release_lets_go_of_its_own_resource_only() -> None:
    lines = (
        *move("s1", "hold", SERVING, "held"),
        *move("s2", "hold", TRADER, "on"),
        *move("s3", "release", SERVING, "attached"),
    )

    (hold,) = holds_in_force([record("r1", call(1), *lines, put_back={SERVING: "base", TRADER: "off"})])

    assert hold.address == TRADER


def test_a_run_adopts_a_hold_with_what_was_beneath() -> None:
    placed = record(
        "h1", call(1, "ben"), *move("s1", "hold", SERVING, "held"), ("finished", {}),
        put_back={SERVING: "base"}, operation="hold", incident=None,
    )  # fmt: skip
    adopting = record("r2", call(2), *move("s1", "hold", SERVING, "held, again"), put_back={SERVING: "base"})

    (hold,) = holds_in_force([placed, adopting])

    assert (hold.run, hold.by, hold.incident, hold.operation) == ("r2", "anna", "INC-1", "rollback")
    assert (hold.base, hold.held) == ("base", "held, again")


def test_a_run_that_adopts_a_hold_without_a_step_of_its_own_ends_it_with_its_release() -> None:
    placed = record("h1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "base"}, operation="hold")
    run = record("r2", call(2), *move("s2", "release", SERVING, "attached"), put_back={SERVING: "base"})

    assert [hold.run for hold in holds_in_force([placed])] == ["h1"]
    assert holds_in_force([placed, run]) == ()


@pytest.mark.parametrize("end", ["abandoned", "undone", "finished", "failed", "stopped"])
def test_the_end_of_a_run_hands_its_holds_on(end: str) -> None:
    run = record("r1", call(1), *move("s1", "hold", SERVING, "held"), (end, {}), put_back={SERVING: "base"})

    assert [(hold.run, hold.base) for hold in holds_in_force([run])] == [("r1", "base")]


def test_a_hold_that_is_released_by_a_person_is_over() -> None:
    lines = (
        *move("s1", "hold", SERVING, "held"),
        ("finished", {}),
        call(2),
        ("released", {"address": SERVING, "hold": "h1"}),
    )

    assert holds_in_force([record("h1", call(1), *lines, put_back={SERVING: "base"}, operation="hold")]) == ()


def joined(*ends: tuple[str, str]) -> tuple[HoldFact, ...]:
    """A hold that h1 placed for INC-1 and h2 joined for INC-2, after some of them have let go of it."""
    released = [("released", {"address": SERVING, "hold": hold}) for _, hold in ends]
    return holds_in_force(
        [
            record("h1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "base"}, operation="hold"),
            record("h2", call(2, "bert"), put_back={}, operation="hold", incident="INC-2", joins=(SERVING,)),
            record("e1", call(3), *released, put_back={}, operation="release"),
        ]
    )


def test_a_resource_that_two_incidents_hold_has_both_as_holders() -> None:
    (hold,) = joined()

    assert [(holder.run, holder.incident, holder.by) for holder in hold.holders] == [
        ("h1", "INC-1", "anna"),
        ("h2", "INC-2", "bert"),
    ]
    assert hold.incidents == {"INC-1", "INC-2"}


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ([("e1", "h1")], ("h2", "INC-2", "bert")),
        ([("e1", "h2")], ("h1", "INC-1", "anna")),
        ([("e1", "h3")], ("h1", "INC-1", "anna")),
    ],
)
def test_when_one_holder_lets_go_the_other_still_holds(ends: list[tuple[str, str]], left: tuple[str, ...]) -> None:
    (hold,) = joined(*ends)

    assert (hold.run, hold.incident, hold.by) == left
    assert (hold.base, hold.held) == ("base", "held")


@pytest.mark.parametrize("order", [("h1", "h2"), ("h2", "h1")])
def test_when_all_holders_have_let_go_nothing_is_held(order: tuple[str, ...]) -> None:
    assert joined(*(("e1", run) for run in order)) == ()


def test_a_hold_that_has_ended_ends_once_more_without_harm() -> None:
    assert joined(("e1", "h1"), ("e1", "h2"), ("e1", "h1")) == ()


def test_a_run_that_takes_a_hold_over_keeps_those_who_joined_it() -> None:
    (before,) = joined()
    takes_over = record("r3", call(4), *move("s1", "hold", SERVING, "held, again"), put_back={SERVING: "base"})

    (hold,) = holds_in_force(
        [
            record("h1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "base"}, operation="hold"),
            record("h2", call(2, "bert"), put_back={}, operation="hold", incident="INC-2", joins=(SERVING,)),
            takes_over,
        ]
    )

    assert hold.run == "r3"
    assert hold.others == before.others


def test_a_hold_that_took_an_earlier_hold_for_what_was_there_puts_back_what_was_beneath_both() -> None:
    earlier = record("r1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "base"})
    later = record("h2", call(2), *move("s1", "hold", SERVING, "held, again"), put_back={SERVING: "held"})

    (hold,) = holds_in_force([earlier, later])

    assert (hold.base, hold.held) == ("base", "held, again")


def test_runs_that_claim_the_same_call_count_in_the_order_in_which_they_are_read() -> None:
    one = record("r1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "base"})
    other = record("r2", call(1), *move("s1", "hold", SERVING, "held, again"), put_back={SERVING: "base"})

    assert [hold.run for hold in holds_in_force([one, other])] == ["r2"]
    assert [hold.run for hold in holds_in_force([other, one])] == ["r1"]


def test_a_hold_that_finds_nothing_held_joins_nothing() -> None:
    assert holds_in_force([record("h2", call(1), put_back={}, operation="hold", joins=(SERVING,))]) == ()


def test_the_hold_of_an_undo_puts_back_what_the_undo_restored_beneath_it() -> None:
    run = record("r1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "before the run"})
    undo = record("u1", call(2), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "led back"}, operation="undo")

    (hold,) = holds_in_force([run, undo])

    assert (hold.base, hold.operation) == ("led back", "undo")


def test_the_order_is_that_of_the_calls_and_not_that_of_clocks() -> None:
    early = record("r1", call(1), *move("s1", "hold", SERVING, "held"), put_back={SERVING: "base"}, hour=23)
    late = record("r2", call(2), *move("s3", "release", SERVING, "attached"), put_back={SERVING: "base"}, hour=1)

    assert holds_in_force([early, late]) == ()


def test_a_run_that_is_continued_later_counts_at_each_of_its_calls() -> None:
    first = record(
        "r1", call(1), *move("s1", "hold", SERVING, "by r1"), call(3), *move("s3", "release", SERVING, "attached"),
        put_back={SERVING: "base"},
    )  # fmt: skip
    between = record("h2", call(2), *move("s1", "hold", SERVING, "by h2"), put_back={SERVING: "base"}, operation="hold")

    assert holds_in_force([first, between]) == ()


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_runs_are_read_does_not_matter(dice: random.Random) -> None:
    runs = [
        record(
            f"r{order}",
            call(order),
            *move("s1", dice.choice(["hold", "restore", "release"]), dice.choice([SERVING, TRADER]), order),
            put_back={SERVING: order, TRADER: order},
        )
        for order in range(1, 6)
    ]

    assert holds_in_force(dice.sample(runs, len(runs))) == holds_in_force(runs)


@given(st.integers(0, 9))
def test_a_journal_that_ends_anywhere_adds_up(length: int) -> None:
    entries = journal(
        "r1",
        call(1),
        ("phase", {"phase": "hold", "verdicts": []}),
        *move("s1", "hold", SERVING, "held"),
        ("check", {"check": "probe", "result": "pass", "summary": ""}),
        ("waiting", {"verdicts": [WAITING.to_json()]}),
        call(2),
        ("verified", {}),
        ("finished", {}),
    )

    checkpoint = folded(entries[:length])

    assert checkpoint.entries == tuple(entries[:length])
    assert checkpoint.next_seq == length + 1


@given(st.integers(0, 8))
def test_entries_added_to_a_checkpoint_give_what_the_whole_journal_gives(length: int) -> None:
    entries = journal(
        "r1",
        call(1),
        ("phase", {"phase": "hold", "verdicts": []}),
        *move("s1", "hold", SERVING, "held"),
        ("waiting", {"verdicts": [WAITING.to_json()]}),
        call(2),
        *move("s2", "release", SERVING, "released"),
    )

    continued = fold(entries[length:], plan=PLAN, run="r1", steps=STEPS, onto=folded(entries[:length]))

    assert continued == folded(entries)


HELD, BASE = Box(text="held", number=1), Box(text="base", number=1)


@pytest.mark.parametrize(
    ("now", "held", "base", "expected"),
    [
        (HELD, HELD, BASE, BASE),
        (HELD, HELD, None, None),
        (None, None, BASE, BASE),
        (Box(text="held", number=7), HELD, BASE, Box(text="base", number=7)),
        (Box(text="other", number=1), HELD, BASE, Box(text="other", number=1)),
        (Box(text="other", number=7), HELD, None, Box(text="other", number=7)),
        (None, HELD, BASE, None),
    ],
)
def test_beneath_a_hold_is_what_it_changed_and_what_others_changed_since(
    now: Box | None, held: Box | None, base: Box | None, expected: Box | None
) -> None:
    assert beneath(now, held, base) == expected


def test_where_nothing_of_a_hold_is_left_the_state_is_returned_itself() -> None:
    now = Box(text="other", number=7)

    assert beneath(now, HELD, BASE) is now


@given(boxes(), boxes(), boxes())
def test_what_a_stranger_changed_is_never_taken_back_with_the_hold(now: Box, held: Box, base: Box) -> None:
    found = beneath(now, held, base)

    assert found is not None
    for name, value in found:
        was_held = getattr(now, name) == getattr(held, name)
        assert value == getattr(base if was_held else now, name)
