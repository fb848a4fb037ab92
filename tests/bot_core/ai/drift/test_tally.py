"""Tallies add up to the same however the rows were divided, and collapse to what one model alone would have counted."""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_core.ai.drift.assess import assess
from bot_core.ai.drift.ruler import Profile
from bot_core.ai.drift.tally import NAMED_NEW, Counter, EdgeSet, Tally, collapsed
from tests.data_drift import batch_of, moments_of, profile_of

RANDOM = np.random.default_rng(0)
TRAINING = {"a": RANDOM.normal(size=300), "b": np.round(RANDOM.exponential(size=300), 1)}
PROFILE = profile_of(TRAINING, {"side": ["buy", "sell", None] * 100})
EDGES = EdgeSet.of([PROFILE], ["symbol"])
COUNTER = Counter(EDGES)

numbers = st.one_of(st.floats(-5, 5), st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -0.0, 0.5]))
rows = st.tuples(
    numbers, numbers, st.sampled_from(["buy", "sell", "short", None]), st.sampled_from(["BTC", "ETH", None])
)
many_rows = st.lists(rows, max_size=60)


def tally_of(some: Sequence[Any]) -> Tally:
    if not some:
        return COUNTER.nothing()
    a, b, side, symbol = zip(*some, strict=True)
    return COUNTER.count(batch_of({"a": np.array(a), "b": np.array(b)}, {"side": side, "symbol": symbol}))


@settings(max_examples=60)
@given(many_rows, st.lists(st.integers(0, 60)), st.randoms())
def test_any_parts_in_any_order_add_up_to_the_whole(some: list[Any], cuts: list[int], random: Any) -> None:
    ends = [0, *sorted(min(cut, len(some)) for cut in cuts), len(some)]
    shuffled = random.sample(some, len(some))
    parts = [tally_of(shuffled[start:end]) for start, end in pairwise(ends)]
    random.shuffle(parts)

    assert reduce(add, parts).to_json() == tally_of(some).to_json()


@settings(max_examples=30)
@given(many_rows, many_rows, many_rows)
def test_addition_is_associative_and_commutative_and_nothing_changes_nothing(
    first: list[Any], second: list[Any], third: list[Any]
) -> None:
    one, two, three = (tally_of(part) for part in (first, second, third))

    assert ((one + two) + three).to_json() == (one + (two + three)).to_json()
    assert (one + two).to_json() == (two + one).to_json()
    assert (one + COUNTER.nothing()).to_json() == one.to_json()


@settings(max_examples=60)
@given(many_rows)
def test_a_tally_counts_every_row_once(some: list[Any]) -> None:
    tally = tally_of(some)

    assert tally.rows == len(some)
    for item in tally.features.values():
        assert int(item.counts.sum()) + item.missing == len(some)
    side = tally.categories["side"]
    assert sum(side.counts.values()) + side.new + side.missing == len(some)
    assert side.counts["buy"] == sum(row[2] == "buy" for row in some)
    assert (side.new, side.new_names) == (
        sum(row[2] == "short" for row in some),
        ("short",) if any(row[2] == "short" for row in some) else (),
    )
    for value in ("BTC", "ETH"):
        there = [row for row in some if row[3] == value]
        part = tally.segments["symbol"].get(value)
        assert (part.rows if part else 0) == len(there)
        if part:
            assert part.to_json()["features"] == tally_of(there).to_json()["features"]


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40, unique=True).map(sorted),
    st.lists(st.floats(-1e3, 1e3), max_size=60),
    st.data(),
)
def test_collapsing_gives_the_counts_at_the_edges_that_are_left(
    edges: list[float], values: list[float], data: st.DataObject
) -> None:
    left = sorted(data.draw(st.lists(st.sampled_from(edges), min_size=1, unique=True)))

    def counted(at: list[float]) -> list[int]:
        return np.bincount(np.searchsorted(at, values), minlength=len(at) + 1).tolist()

    assert collapsed(np.cumsum(counted(edges)), np.array(edges), np.array(left)).tolist() == counted(left)


def candidates() -> list[Profile]:
    random = np.random.default_rng(7)
    made = []
    for number in range(6):
        rows = {
            "a": random.normal(number, 1 + number, size=500),
            "b": np.round(random.lognormal(size=500), 1),
            "c": random.integers(0, 2, 500).astype(float),
        }
        made.append(moments_of(rows) if number % 3 == 2 else profile_of(rows, {"side": ["buy", f"way {number}"] * 250}))
    return made


def test_one_pass_for_all_candidates_gives_each_what_a_pass_of_its_own_gives() -> None:
    random = np.random.default_rng(8)
    window = batch_of(
        {
            "a": np.append(random.standard_t(2, size=999), np.nan),
            "b": np.round(random.lognormal(0.3, size=1000), 1),
            "c": random.integers(0, 3, 1000).astype(float),
        },
        {"side": ["buy", "way 1", None, "way 9"] * 250},
    )
    profiles = candidates()
    union = EdgeSet.of(profiles)
    together = Counter(union).count(window)

    for profile in profiles:
        alone = EdgeSet.of([profile])
        own = Counter(alone).count(window)
        for name in profile.features:
            counts = collapsed(together.features[name].up_to, union.features[name], profile.edges[name])
            assert counts.tolist() == own.features[name].counts.tolist()
        assert assess(profile, union, together) == assess(profile, alone, own)


def test_the_digest_of_what_is_counted_depends_on_nothing_else() -> None:
    profiles = candidates()

    assert EdgeSet.of(profiles).digest == EdgeSet.of(reversed(profiles)).digest
    assert EdgeSet.of(profiles).digest != EdgeSet.of(profiles[:-1]).digest
    assert EdgeSet.of(profiles).digest != EdgeSet.of(profiles, ["symbol"]).digest


def test_zero_and_minus_zero_are_one_edge() -> None:
    plus, minus = (EdgeSet.of([profile_of({"x": np.array([zero, 1.0, 2.0])})]) for zero in (0.0, -0.0))

    assert plus.digest == minus.digest


@pytest.mark.parametrize("split", [1, 13, 40])
def test_the_same_new_values_are_named_however_many_there_are(split: int) -> None:
    names = [f"new {number:02}" for number in range(50)][::-1]
    edges = EdgeSet.of([Profile(2, {}, {"side": ({"buy": 2}, 0)}, "test")])
    count = Counter(edges).count
    parts = [batch_of({}, {"side": part}) for part in (names[:split], names[split:])]

    found = reduce(add, map(count, parts)).categories["side"]

    assert (found.new, found.new_names) == (50, tuple(sorted(names)[:NAMED_NEW]))
