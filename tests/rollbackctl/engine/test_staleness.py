"""What a refused plan says of all that has changed."""

from typing import Any

import pytest

from rollbackctl.core.address import Address
from rollbackctl.core.errors import Problem, StalePlanError
from rollbackctl.core.plan import Phase, Plan, Step
from rollbackctl.engine.staleness import differences, require_same


def plan(**fields: Any) -> Plan:
    nothing = {"base": {}, "inputs": {}, "changes": (), "steps": (), "facts": {}}
    return Plan(**{"name": "plan", "incident": "INC-1", "spec": {"spec": {}}, "policy": "p" * 64} | nothing | fields)


def test_a_plan_that_is_still_the_same_is_not_refused() -> None:
    require_same(plan(), plan(), {}, "the world has changed", "make it again")


def test_every_decision_that_is_another_one_now_is_named_with_both() -> None:
    then = plan(
        facts={
            "trigger": "a.json",
            "withdrawn": {"version": "v10"},
            "target": {"version": "v9"},
            "pinned": ["a.json"],
            "serve_as": ["main"],
            "cutoff": "1",
        }
    )
    now = plan(
        facts={
            "trigger": None,
            "withdrawn": {"version": "v11"},
            "target": {"version": "v8"},
            "pinned": ["a.json", "b.json"],
            "serve_as": ["main", "next"],
            "cutoff": "2",
        }
    )

    assert list(differences(then, now, {})) == [
        "trigger: a.json, now None",
        "withdrawn: v10, now v11",
        "target: v9, now v8",
        "pinned: 1 (a.json), now 2 (a.json, b.json)",
        "serve_as: 1 (main), now 2 (main, next)",
    ]


def test_inputs_and_the_policy_are_named_by_the_beginning_of_their_digests() -> None:
    then, now = (
        plan(inputs={"a": "1" * 64, "b": "2" * 64, "c": "3" * 64}),
        plan(inputs={"b": "4" * 64, "c": "3" * 64}, policy="q" * 64),
    )

    assert list(differences(then, now, {})) == [
        "a: sha256 111111111111, now absent",
        "b: sha256 222222222222, now 444444444444",
        "the firm's policy: digest pppppppppppp, now qqqqqqqqqqqq",
    ]


def test_a_refusal_names_each_difference_or_says_that_the_steps_differ() -> None:
    step = Step(1, Phase.HOLD, Address("box", "a"), None, None)

    with pytest.raises(StalePlanError, match=r"^it has changed$") as named:
        require_same(plan(facts={"trigger": "a"}), plan(facts={"trigger": "b"}), {}, "it has changed", "again")
    with pytest.raises(StalePlanError) as unnamed:
        require_same(plan(), plan(steps=(step,)), {}, "it has changed", "again")

    assert (named.value.hint, named.value.problems) == ("again", (Problem("trigger: a, now b"),))
    assert unnamed.value.problems == (Problem("the steps differ"),)
