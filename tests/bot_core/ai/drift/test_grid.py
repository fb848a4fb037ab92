"""A grid counts what numpy counts, whatever the values and the edges are."""

import math
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_core.ai.drift.grid import Grid

SMALLEST = sys.float_info.min * sys.float_info.epsilon
finite = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-3, 3).map(float),
    st.sampled_from([0.0, -0.0, SMALLEST, -SMALLEST, 1e300, -1e300, sys.float_info.max, -sys.float_info.max, 2.0**53]),
)
# As close together as floats can be, too.
neighbours = st.tuples(finite, st.integers(1, 40)).map(lambda at: [at[0] + k * math.ulp(at[0]) for k in range(at[1])])
edge_lists = st.one_of(st.lists(finite, min_size=1, max_size=60), neighbours).map(
    lambda values: np.unique(np.array(values)[np.isfinite(values)])
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any, tuple[float, float] | None]:
    edges = draw(edge_lists.filter(len))
    near = [math.nextafter(edge, to) for edge in edges.tolist() for to in (-math.inf, math.inf)]
    values = st.one_of(finite, st.sampled_from([np.nan, np.inf, -np.inf]), st.sampled_from([*edges.tolist(), *near]))
    inner = st.tuples(finite, finite).map(lambda ends: (min(ends), max(ends)))
    return edges, np.array(draw(st.lists(values, max_size=80)), float), draw(st.none() | inner)


def plain(edges: Any, values: Any) -> list[int]:
    """Counts by comparing every value with every edge."""
    first, last = edges[0], edges[-1]
    inside = [np.count_nonzero((values > low) & (values <= high)) for low, high in pairwise(edges)]
    return [np.count_nonzero(values <= first), *inside, np.count_nonzero(values > last)]


@settings(max_examples=400)
@given(cases())
def test_counts_are_those_of_comparing_every_value_with_every_edge(case: Any) -> None:
    edges, values, inner = case

    counts, missing = Grid(edges, inner).count(values)

    assert counts.tolist() == plain(edges, values)
    assert missing == np.count_nonzero(np.isnan(values))


@settings(max_examples=60)
@given(cases(), st.integers(0, 80), st.randoms())
def test_counts_do_not_depend_on_order_or_parts(case: Any, cut: int, random: Any) -> None:
    edges, values, inner = case
    grid = Grid(edges, inner)
    shuffled = values.tolist()
    random.shuffle(shuffled)
    parts = [grid.count(np.array(part, float)) for part in (shuffled[:cut], shuffled[cut:])]

    counts, missing = grid.count(values)

    assert (parts[0][0] + parts[1][0]).tolist() == counts.tolist()
    assert parts[0][1] + parts[1][1] == missing


@pytest.mark.parametrize("width", [3, 120, 5000])
@pytest.mark.parametrize("shape", ["normal", "lognormal", "cauchy", "ticks", "zeros", "wide", "offset"])
def test_counts_of_many_values_over_several_chunks(shape: str, width: int) -> None:
    random = np.random.default_rng(width)
    normal = random.normal(size=50_000)
    values = {
        "normal": normal,
        "lognormal": np.exp(3 * normal),
        "cauchy": random.standard_cauchy(size=50_000),
        "ticks": np.round(normal, 2),
        "zeros": normal * (random.uniform(size=50_000) < 0.1),
        "wide": normal * 10.0 ** random.integers(-300, 300, size=50_000),
        "offset": 2.0**53 + np.round(1000 * normal),
    }[shape]
    edges = np.unique(random.choice(values, width))
    values[::97] = np.nan
    low, high = np.nanquantile(values, [0.01, 0.99])

    counts, missing = Grid(edges, (float(low), float(high))).count(values[::-1])

    there = values[~np.isnan(values)]
    assert counts.tolist() == np.bincount(np.searchsorted(edges, there), minlength=len(edges) + 1).tolist()
    assert missing == len(values) - len(there)


def test_a_value_far_below_cells_as_narrow_as_floats_is_below_them() -> None:
    # The distance of such a value, counted in floats, does not fit in 64 bits.
    grid = Grid(np.array([1.0, 2.0]), (1.0, 1.0))

    counts, _ = grid.count(np.array([-1e300, -np.inf, -1.0, 1e300, np.inf]))

    assert counts.tolist() == [3, 0, 2]


def test_whole_numbers_beyond_the_53_bits_of_a_float_fall_where_their_float_falls() -> None:
    edge = float(2**53)

    counts, _ = Grid(np.array([edge])).count(np.array([2**53 - 1, 2**53 + 1, 2**53 + 2]).astype(float))

    # 2**53 + 1 is no float: the nearest is 2**53, which is not above the edge.
    assert counts.tolist() == [2, 1]
