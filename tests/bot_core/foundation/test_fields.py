import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.fields import Fields


def fields(**values: Any) -> Fields:
    return Fields(values, "costs.json", "total")


@given(st.one_of(st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_finite_number_is_read_as_it_is(value: float) -> None:
    assert fields(cost_bps=value).number("cost_bps") == float(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", [1], {}])
def test_what_is_no_finite_number_is_named_with_file_and_place(value: Any) -> None:
    with pytest.raises(FileFormatError) as caught:
        fields(cost_bps=value).number("cost_bps")

    assert caught.value.problem == f"costs.json: total.cost_bps is {value!r}, not a finite number"
    assert caught.value.path == "costs.json"


def test_a_number_that_is_left_out_has_its_default_or_is_missed() -> None:
    assert fields().number("cost_bps", 2.0) == 2.0
    assert fields(cost_bps=None).number("cost_bps", 2.0) == 2.0
    assert fields(cost_bps=None).optional_number("cost_bps") is None
    with pytest.raises(FileFormatError, match=r"^costs.json: total.cost_bps is missing$"):
        fields(cost_bps=None).number("cost_bps")


def test_a_number_below_the_least_is_refused() -> None:
    assert fields(cost_bps=0).number("cost_bps", at_least=0.0) == 0.0
    with pytest.raises(FileFormatError, match=r"total.cost_bps is -0.5, less than 0$"):
        fields(cost_bps=-0.5).optional_number("cost_bps", at_least=0.0)


@pytest.mark.parametrize(("value", "fault"), [(None, "missing"), ("", "'', not a text"), (3, "3, not a text")])
def test_a_text_must_be_there(value: Any, fault: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        fields(name=value).text("name")

    assert caught.value.problem == f"costs.json: total.name is {fault}"


def test_a_flag_is_true_only_where_it_says_so() -> None:
    assert [fields(on=value).flag("on") for value in (True, False, None)] == [True, False, False]
    with pytest.raises(FileFormatError, match="neither true nor false"):
        fields(on="yes").flag("on")


def test_places_are_named_from_the_top() -> None:
    whole = Fields({"profiles": {"balanced": {"cost_bps": "x"}}, "other": None}, "costs.json")

    assert whole.inner("other").values == {}
    ((name, inner),) = whole.inner("profiles").each()
    assert name == "balanced"
    with pytest.raises(FileFormatError, match=r"profiles\.balanced\.cost_bps is 'x'"):
        inner.number("cost_bps")
    with pytest.raises(FileFormatError, match=r"profiles\.balanced\.cost_bps is 'x', not a mapping"):
        inner.inner("cost_bps")
