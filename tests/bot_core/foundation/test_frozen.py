"""`frozen` makes of a class what the standard library's frozen dataclass does, only sooner."""

import copy
from dataclasses import FrozenInstanceError, dataclass, field
from functools import cached_property

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.foundation.frozen import frozen, replace


def make(decorate):
    @decorate
    class Point:
        x: int
        y: float = 0.0
        names: tuple[str, ...] = field(default=(), repr=False)
        seen: dict[str, int] = field(default_factory=dict, compare=False)

        @cached_property
        def size(self) -> float:
            return self.x * self.y

    return Point


Ours, Theirs = make(frozen), make(dataclass(frozen=True))


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0]), st.tuples(st.text())), min_size=2))
def test_compares_hashes_and_shows_as_the_standard_one_does(values):
    ours, theirs = ([cls(*value, {str(n): n}) for n, value in enumerate(values)] for cls in (Ours, Theirs))

    assert [a == b for a in ours for b in ours] == [a == b for a in theirs for b in theirs]
    assert [hash(item) for item in ours] == [hash(item) for item in theirs]
    assert [repr(item) for item in ours] == [repr(item) for item in theirs]


def test_a_value_is_never_equal_to_one_of_another_class():
    assert Ours(1) != Theirs(1)
    assert Ours(1) != (1, 0.0, ())


@pytest.mark.parametrize("change", [lambda p: setattr(p, "x", 2), lambda p: delattr(p, "x")])
def test_a_field_is_set_once(change):
    point = Ours(1)

    with pytest.raises(FrozenInstanceError, match=r"Point\.x is set once"):
        change(point)

    assert point.x == 1


def test_replace_makes_another_value():
    point = Ours(1, 2.0, seen={"a": 1})

    assert replace(point, x=3) == Ours(3, 2.0)
    assert replace(point, x=3).seen is point.seen
    assert point == Ours(1, 2.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        replace(point, z=1)


def test_what_is_computed_once_is_no_field():
    point = Ours(2, 3.0)

    assert point.size == 6.0
    assert point == Ours(2, 3.0)
    assert hash(point) == hash(Ours(2, 3.0))
    assert copy.deepcopy(point) == point
