from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rollbackctl.core import state
from rollbackctl.core.state import State, content_id, matches, placeholders, resolve, state_json
from tests.strategies import RUN_VALUES, Box, Flag, boxes, json_objects, placeholder_texts, texts

plain_texts = texts.filter(lambda text: "${" not in text)
run_values = st.fixed_dictionaries({name: plain_texts.filter(bool) for name in RUN_VALUES})


@given(boxes(placeholder_texts), run_values)
def test_a_planned_state_matches_what_it_becomes_in_a_run(planned: Box, values: Mapping[str, str]) -> None:
    assert matches(planned, resolve(planned, values))


@given(boxes(placeholder_texts), run_values)
def test_no_placeholder_is_left_when_all_have_a_value(planned: Box, values: Mapping[str, str]) -> None:
    assert placeholders(resolve(planned, values)) == frozenset()


@given(boxes(plain_texts), run_values)
def test_a_state_without_placeholders_stays_as_it_is(planned: Box, values: Mapping[str, str]) -> None:
    assert resolve(planned, values) == planned


@given(boxes(plain_texts), boxes(plain_texts))
def test_without_placeholders_only_the_equal_state_matches(planned: Box, found: Box) -> None:
    assert matches(planned, found) == (planned == found)


def test_placeholders_are_found_at_every_depth() -> None:
    planned = Box(text="${run.time}", items=("a ${run.id}/x",), names={"by": "${run.actor}"})

    assert placeholders(planned) == {"time", "id", "actor"}
    assert resolve(planned, RUN_VALUES) == Box(
        text="2025-11-18T08:00:00+00:00", items=("a 20251118-1/x",), names={"by": "anna@host"}
    )


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="time"):
        resolve(Box(text="${run.time}"), {"id": "1"})


@pytest.mark.parametrize(
    ("planned", "found"),
    [
        (Box(text="${run.id}/requested"), Box(text="7/completed")),
        (Box(text="${run.id}"), Box(text="")),
        (Box(text="${run.id}", number=1), Box(text="7", number=2)),
        (Box(text="${run.id}", items=("a",)), Box(text="7")),
        (Box(text="${run.id}", names={"a": "b"}), Box(text="7", names={"c": "b"})),
        (Box(text="a.c ${run.id}"), Box(text="abc 7")),
        (Box(text="${run.id}"), Flag()),
        (Box(text="${run.id}"), None),
        (None, Box(text="7")),
    ],
)
def test_a_placeholder_stands_for_its_own_text_only(planned: State | None, found: State | None) -> None:
    assert not matches(planned, found)


def test_a_placeholder_stands_for_text_of_several_lines() -> None:
    assert matches(Box(text="by ${run.signers}."), Box(text="by a\nb."))


def test_absent_matches_absent() -> None:
    assert matches(None, None)
    assert resolve(None, {}) is None
    assert placeholders(None) == frozenset()
    assert state_json(None) is None


@given(json_objects)
def test_the_content_id_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    assert content_id(dict(reversed(value.items()))) == content_id(value)


def test_the_content_id_is_the_digest_of_the_canonical_json() -> None:
    # printf '{"a":[1,"é"],"b":null}' | sha256sum
    assert content_id({"b": None, "a": [1, "é"]}) == "1e02bc81a26af2f027329541e97eef36f3290bedc6dfe043dbe66b057ecb13ba"


def test_a_number_that_is_not_finite_has_no_content_id() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        content_id(float("nan"))


def test_a_state_without_placeholders_is_returned_itself() -> None:
    planned = Box(text="v9")

    assert resolve(planned, {}) is planned


def test_what_only_a_run_can_know_has_a_placeholder_each() -> None:
    known = (state.RUN_ID, state.RUN_TIME, state.RUN_ACTOR, state.RUN_SIGNERS, state.RUN_ENGINE, state.RUN_NOT_HELD)

    assert known == tuple(f"${{run.{name}}}" for name in ("id", "time", "actor", "signers", "engine", "not_held"))
    assert resolve(Box(text=state.HELD_BY), {"id": "r1"}) == Box(text="held by rollbackctl run r1")


def test_a_state_cannot_be_changed_and_holds_no_more_than_its_fields() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Flag().is_on = True
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Flag.model_validate({"is_on": True, "more": 1})
