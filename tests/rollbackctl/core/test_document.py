import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument, read_document
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Action, Change, Desired, Phase, Plan
from rollbackctl.core.state import content_id
from tests.strategies import STATES, Box, Case, Flag, documents, json_values

# What decides about the run. The rest is shown: it has no part in the id.
STEERING = [
    "id", "operation", "name", "incident", "spec", "policy", "facts", "inputs", "prior_state", "resource_changes",
    "steps", "guards", "checks", "expires_after",
]  # fmt: skip


def parsed(document: PlanDocument) -> Any:
    return json.loads(json.dumps(document.to_json(), sort_keys=True))


def sample() -> PlanDocument:
    base = {Address("box", "alias"): Box(text="v10"), Address("flag", "trader"): Flag()}
    desired = {
        Address("box", "alias"): (Desired("alias", Phase.RELEASE, lambda _: Box(text="${run.id}"), note="a note"),),
        Address("flag", "trader"): (
            Desired("trader", Phase.RELEASE, lambda base: base, hold=lambda _: Flag(is_on=True)),
        ),
    }
    plan = Case(desired, base).plan(gates=((Phase.RELEASE, "report_signoff"),), checks=("probe_score",))  # type: ignore[arg-type]
    verdicts = (
        Verdict("preconditions", Phase.SECURE, Answer.PASS, "pass"),
        Verdict("report_signoff", Phase.RELEASE, Answer.WAITS, "12 decisions", ("a",), {"risk": 4}),
    )
    return PlanDocument(plan, "2025-11-18T08:00:00+00:00", verdicts)


@given(documents())
def test_a_plan_is_read_back_as_it_was_saved(document: PlanDocument) -> None:
    assert read_document(parsed(document), STATES) == document


@given(documents())
def test_a_plan_that_is_read_back_has_the_same_bytes(document: PlanDocument) -> None:
    value = parsed(document)

    assert parsed(read_document(value, STATES)) == value


@given(documents(), st.data())
def test_an_edited_plan_is_refused_or_does_the_same(document: PlanDocument, data: st.DataObject) -> None:
    value = parsed(document)
    key = data.draw(st.sampled_from(STEERING))
    edited = value | {key: _edited(value[key], data.draw)}

    try:
        read = read_document(edited, STATES)
    except ValueError:
        return

    assert (read.plan.identity(), read.plan.changes) == (document.plan.identity(), document.plan.changes)
    assert read.plan.id == value["id"]


def _edited(value: Any, draw: Callable[..., Any]) -> Any:
    """Replace, remove or add something somewhere in a JSON value."""
    if isinstance(value, dict | list) and value and draw(st.booleans()):
        changed = copy.copy(value)
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        if draw(st.booleans()):
            changed[key] = _edited(value[key], draw)
        else:
            del changed[key]
        return changed
    return draw(json_values)


@given(
    documents(),
    st.sampled_from(["", "resource_changes", "steps", "gates", "candidates", "undo"]),
    st.sampled_from(["1.7", "1.7.2"]),
)
def test_unknown_keys_are_ignored_within_the_major_version(document: PlanDocument, where: str, version: str) -> None:
    value = parsed(document) | {"format_version": version}
    for item in value[where] if where else [value]:
        item["later"] = {"a": 1}

    assert read_document(value, STATES) == document


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0", "", None, 2])
def test_a_plan_of_another_major_version_is_refused(version: object) -> None:
    value = parsed(sample()) | {"format_version": version}

    with pytest.raises(ValueError, match=r"^format_version is .*, this version reads 1\.0$"):
        read_document(value, STATES)


@pytest.mark.parametrize("key", sorted(parsed(sample()).keys() - {"format_version"}))
@pytest.mark.parametrize("wrong", ["missing", None, 7, [7], ["x"], {"x": 7}, "x"])
def test_no_damage_is_more_than_a_refusal(key: str, wrong: object) -> None:
    value = parsed(sample())
    if wrong == "missing":
        del value[key]
    else:
        value[key] = wrong

    try:
        read = read_document(value, STATES)
    except ValueError:
        return

    assert key not in STEERING or read == sample()


def edit(value: Any, *place: str | int, to: object) -> Any:
    inner = value
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = to
    return value


@pytest.mark.parametrize(
    ("place", "to", "problem"),
    [
        (("steps", 0, "after", "is_on"), False, "does not have the id it states"),
        (("steps", 0, "phase"), "release", "does not have the id it states"),
        (("steps", 0, "after", "new"), 1, "Extra inputs are not permitted"),
        (
            ("steps", 0, "index"),
            "1",
            r"is missing or wrong: steps\.0\.index: Input should be a valid integer$",
        ),
        (("steps", 0, "address"), "rocket/x", "there is no resource kind rocket"),
        (("steps", 0, "address"), "flag", "'flag' is not kind/name"),
        (("resource_changes", 0, "after", "text"), "v11", "it was edited, or another version"),
        (("resource_changes", 0, "reversible"), False, "it was edited, or another version"),
        (("resource_changes", 1, "lasting"), False, "it was edited, or another version"),
        (("resource_changes",), [], "it was edited, or another version"),
        (("steps",), [], "it was edited, or another version"),
        (("prior_state", "box/alias", "text"), "v9", "it was edited, or another version"),
        (("guards",), [], "it was edited, or another version"),
        (("guards", 0, 0), "record", "it was edited, or another version"),
        (("checks",), [], "it was edited, or another version"),
        (("expires_after",), "PT999H", "it was edited, or another version"),
        (("facts",), {"target": "v8"}, "it was edited, or another version"),
        (("operation",), "undo", "it was edited, or another version"),
        (("id",), "0" * 64, "^its content .* id it states: it was edited, or another version of this tool wrote it$"),
    ],
)
def test_an_edit_is_refused_and_named(place: tuple[str | int, ...], to: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_document(edit(parsed(sample()), *place, to=to), STATES)


def test_a_step_without_one_of_its_states_is_refused_by_the_name_of_that() -> None:
    value = parsed(sample())
    del value["steps"][0]["before"]

    with pytest.raises(ValueError, match=r"^a field is missing or wrong: 'before'$"):
        read_document(value, STATES)


def test_a_step_as_json_tells_its_id_and_what_it_does() -> None:
    document = sample()

    assert [(step["index"], step["id"], step["action"], step["note"]) for step in parsed(document)["steps"]] == [
        (1, document.plan.steps[0].id, "update", ""),
        (2, document.plan.steps[1].id, "update", ""),
        (3, document.plan.steps[2].id, "update", "a note"),
    ]


def test_plan_and_steps_have_the_ids_that_every_version_of_the_tool_gives_them() -> None:
    plan = sample().plan

    # The runs and saved plans of earlier versions name their plan and steps by these; a change of them is a new format.
    assert plan.id == "079763eda4239e87679f98e69b2262d536ec276d3d36378494d09f9780b0f662"
    assert [step.id for step in plan.steps] == ["a3487ad83a1ae04a", "bb414b63e5ddf172", "e8565b485c4c803e"]
    assert plan.spec_digest == content_id({})


def test_what_is_only_shown_has_no_part_in_the_id() -> None:
    one = sample()
    other = PlanDocument(one.plan, "2026-01-01T00:00:00+00:00", diagnostics=("x",), settled_by="run")

    assert parsed(other)["id"] == parsed(one)["id"]


def test_everything_that_steers_the_run_has_a_part_in_the_id() -> None:
    plan = sample().plan
    changed: list[dict[str, object]] = [
        {"operation": "undo"},
        {"name": "x"},
        {"incident": None},
        {"spec": {"a": 1}},
        {"policy": "x"},
        {"facts": {"a": 1}},
        {"base": {}},
        {"inputs": {"a": "b"}},
        {"changes": ()},
        {"steps": ()},
        {"gates": ()},
        {"checks": ()},
        {"expires_after": "PT1H"},
    ]
    fields = {name: getattr(plan, name) for name in Plan.__dataclass_fields__}

    ids = [Plan(**fields | change).id for change in changed]

    assert {next(iter(change)) for change in changed} == set(fields)
    assert len({plan.id, *ids}) == len(ids) + 1


def test_a_value_that_only_the_run_can_know_is_named_as_unknown() -> None:
    alias, trader = parsed(sample())["resource_changes"]

    assert alias["after_unknown"] == ["text"]
    assert (alias["kind"], alias["action"]) == ("box", "update")
    assert trader["after_unknown"] == []


def test_counts_are_of_resources_and_none_when_nothing_is_to_do() -> None:
    plan = sample().plan
    some = [
        Change(Address("box", "new"), None, Box()),
        Change(Address("box", "old"), Box(), None),
        Change(Address("box", "same"), Box(), Box()),
        *plan.changes,
    ]
    fields = {name: getattr(plan, name) for name in Plan.__dataclass_fields__} | {"changes": tuple(some)}

    counts = PlanDocument(Plan(**fields), "").counts()
    settled = PlanDocument(Plan(**fields | {"steps": ()}), "")

    assert counts == {Action.CREATE: 1, Action.UPDATE: 1, Action.DELETE: 1}
    assert settled.counts() == {Action.CREATE: 0, Action.UPDATE: 0, Action.DELETE: 0}
    assert not settled.has_changes


def test_verdicts_that_do_not_pass_are_blocking() -> None:
    assert [verdict.gate for verdict in sample().blocking] == ["report_signoff"]
