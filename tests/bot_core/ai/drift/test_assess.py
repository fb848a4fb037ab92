"""What is called drifted has drifted; what has not is left in peace, whatever its shape."""

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.drift_rows import DRIFTED, VENUES, draw
from bot_core.ai.baseline import FeatureBaseline
from bot_core.ai.drift.assess import NOTABLE, assess, assess_segments, worst
from bot_core.ai.drift.ruler import Moments, Profile
from bot_core.ai.drift.tally import Counter, EdgeSet
from bot_core.foundation.frozen import replace
from tests.data_drift import batch_of, found, moments_of, profile_of


def rows_of(seed: int, rows: int, *, drifted: bool) -> tuple[Any, Any]:
    numbers, texts = draw(seed, rows, drifted=drifted)
    return numbers, {name: [VENUES[code] for code in codes] for name, codes in texts.items()}


@pytest.fixture(scope="module")
def market() -> Profile:
    return profile_of(*rows_of(0, 50_000, drifted=False))


@pytest.mark.parametrize("rows", [10_000, 100_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_fifty_features_exactly_the_eight_that_have_drifted_are_named(market: Profile, seed: int, rows: int) -> None:
    items = found(market, *rows_of(seed, rows, drifted=True))

    assert len(items) == 50
    assert {name for name, item in items.items() if item.has_drifted} == set(DRIFTED)
    assert {item.feature for item in worst([*items.values()], 8)} == set(DRIFTED)


@pytest.mark.parametrize("rows", [1, 5, 30, 100, 1_000, 20_000])
def test_where_nothing_has_moved_no_feature_has_drifted_however_few_the_rows(market: Profile, rows: int) -> None:
    windows = [found(market, *rows_of(seed, rows, drifted=False)).values() for seed in range(10, 15)]

    assert not [item for items in windows for item in items if item.has_drifted]
    # Of a hundred windows one may hold a feature that is certain by chance.
    assert sum(any(item.is_certain for item in items) for items in windows) <= 1


def test_features_are_ranked_by_effect_not_by_certainty(market: Profile) -> None:
    numbers, texts = rows_of(4, 100_000, drifted=True)
    numbers = {**numbers, "normal_0": numbers["normal_0"] + 0.05}  # certain, and too little to care about

    items = found(market, numbers, texts)

    effects = [item.effect for item in items.values()]
    assert effects == sorted(effects, reverse=True)
    assert items["normal_0"].is_certain
    assert not items["normal_0"].has_drifted


def test_a_limit_counts_where_the_change_is_certain() -> None:
    random = np.random.default_rng(0)
    profile = profile_of({"x": random.normal(size=1_000)})
    limits = {"psi": 0.25, "ks": 0.9}

    many, few = (found(profile, {"x": random.normal(2, size=rows)})["x"] for rows in (1_000, 3))

    assert many.beyond(limits) == {"psi": many.measures["psi"]}
    assert few.measures["psi"] > 0.25
    assert few.beyond(limits) == {}


@pytest.mark.parametrize("make", [profile_of, moments_of])
def test_a_constant_that_is_still_the_same_has_not_moved_and_another_one_has(make: Any) -> None:
    # 0.1 has no exact float: the standard deviation of many is not quite 0.
    profile = make({"x": np.full(1_000, 0.1)})

    same, other = (found(profile, {"x": np.full(1_000, value)})["x"] for value in (0.1, 0.1000001))

    assert (same.effect, same.has_drifted, other.has_drifted) == (0.0, False, True)
    assert "wasserstein" not in other.measures


@pytest.mark.parametrize("make", [profile_of, moments_of])
def test_a_feed_that_is_stuck_at_the_mean_has_drifted(make: Any) -> None:
    profile = make({"x": np.random.default_rng(0).normal(size=10_000)})

    assert found(profile, {"x": np.zeros(1_000)})["x"].has_drifted


@pytest.mark.parametrize("make", [profile_of, moments_of])
def test_a_feature_that_is_missing_everywhere_has_drifted_and_has_no_other_measure(make: Any) -> None:
    profile = make({"x": np.random.default_rng(0).normal(size=10_000)})

    item = found(profile, {"x": np.full(1_000, np.nan)})["x"]

    assert (item.measures, item.values, item.has_drifted) == ({"missing": 1.0}, 0, True)


@pytest.mark.parametrize("make", [profile_of, moments_of])
def test_of_no_rows_nothing_is_said(make: Any) -> None:
    item = found(make({"x": np.arange(10.0)}), {"x": np.array([])})["x"]

    assert (item.measures, item.p_value, item.has_drifted) == ({}, None, False)


def test_what_was_missing_in_training_as_often_is_no_change() -> None:
    gaps = np.tile([1.0, 2.0, 3.0, np.nan], 1_000)

    item = found(profile_of({"x": gaps}), {"x": gaps})["x"]

    assert item.measures["missing"] == 0
    assert item.effect == 0


def test_a_sample_against_itself_has_moved_by_nothing() -> None:
    random = np.random.default_rng(0)
    numbers = {"few": random.integers(0, 200, 5_000).astype(float), "many": random.lognormal(size=5_000)}
    texts = {"side": ["buy", "sell", "sell", None, "hold"] * 1_000}

    items = found(profile_of(numbers, texts), numbers, texts)

    assert set(items["few"].measures.values()) == {0.0}
    assert set(items["side"].measures.values()) == {0.0}
    many = dict(items["many"].measures)
    # Between the edges of training the values are taken to be spread out.
    assert many.pop("wasserstein") < 0.002
    assert set(many.values()) == {0.0}
    assert {item.p_value for item in items.values()} == {1.0}


def test_new_categories_are_measured_and_named() -> None:
    profile = profile_of({"x": np.zeros(1_000)}, {"side": ["buy", "sell"] * 500})

    item = found(profile, {"x": np.zeros(1_000)}, {"side": ["buy"] * 400 + ["sell"] * 400 + ["short"] * 200})["side"]

    assert item.measures["new_categories"] == pytest.approx(0.2)
    assert item.new_names == ("short",)
    assert item.has_drifted
    # By hand, half a row added to each of the three: shares 500.5, 500.5, 0.5 of 1001.5; 400.5, 400.5, 200.5.
    expected = 2 * (100 / 1001.5) * math.log(500.5 / 400.5) + (200 / 1001.5) * math.log(200.5 / 0.5)
    assert item.measures["psi"] == pytest.approx(expected)


def test_one_new_value_among_a_thousand_is_nothing_certain() -> None:
    profile = Profile(1_000_000, {}, {"side": ({"buy": 500_000, "sell": 500_000}, 0)}, "test")

    item = found(profile, {}, {"side": ["buy", "sell"] * 499 + ["buy", "short"]})["side"]

    assert (item.new_names, item.is_certain) == (("short",), False)


def test_a_column_of_text_that_was_missing_in_training_is_new_altogether() -> None:
    profile = Profile(1_000, {}, {"side": ({}, 1_000)}, "test")

    item = found(profile, {}, {"side": ["buy"] * 100})["side"]

    assert item.measures == {"missing": 0.0, "new_categories": 1.0}
    assert item.has_drifted


def test_moments_tell_a_shift_and_a_scale_and_are_called_approximate() -> None:
    random = np.random.default_rng(0)
    profile = moments_of({name: random.normal(5, 2, size=50_000) for name in ("same", "shift", "scale", "gaps")})
    window = {name: random.normal(5, 2, size=20_000) for name in profile.features}
    window["shift"] += 0.6
    window["scale"] = 5 + 1.5 * (window["scale"] - 5)
    window["gaps"][:2_000] = np.nan

    items = found(profile, window)

    assert profile.is_approximate
    assert all(item.is_approximate for item in items.values())
    assert {name for name, item in items.items() if item.has_drifted} == {"shift", "scale", "gaps"}
    assert items["shift"].measures["mean_shift"] == pytest.approx(0.3, abs=0.02)
    assert items["scale"].measures["stdev_ratio"] == pytest.approx(1.5, abs=0.02)
    assert items["gaps"].measures["missing"] == pytest.approx(0.1)
    assert set(items["same"].measures) == {"mean_shift", "stdev_ratio", "outside", "missing"}


@pytest.mark.parametrize("shape", ["normal", "lognormal", "standard_exponential"])
def test_moments_of_a_skewed_feature_are_no_alarm_by_themselves(shape: str) -> None:
    random = np.random.default_rng(1)
    profile = moments_of({f"x{number}": getattr(random, shape)(size=20_000) for number in range(20)})

    for rows in (1, 30, 200, 5_000):
        window = {name: getattr(random, shape)(size=rows) for name in profile.features}
        assert not [item.feature for item in found(profile, window).values() if item.has_drifted]


def test_moments_without_a_range_or_a_row_count_are_enough() -> None:
    random = np.random.default_rng(0)
    profile = Profile(None, {"x": Moments(0.0, 1.0)}, {}, "scalers")

    same, moved = (found(profile, {"x": random.normal(mean, size=5_000)})["x"] for mean in (0.0, 1.0))

    assert (same.has_drifted, moved.has_drifted) == (False, True)
    assert set(moved.measures) == {"mean_shift", "stdev_ratio", "missing"}


def test_one_absurd_value_changes_what_moments_tell_by_next_to_nothing() -> None:
    random = np.random.default_rng(0)
    profile = moments_of({"x": random.normal(size=100_000)})
    window = random.normal(size=100_000)

    item = found(profile, {"x": np.append(window, 1e300)})["x"]

    assert item.effect < 0.2


def test_segments_are_held_against_all_training_rows() -> None:
    random = np.random.default_rng(0)
    profile = profile_of({"x": random.normal(size=10_000)}, {"side": ["buy", "sell"] * 5_000})
    edge_set = EdgeSet.of([profile], ["symbol"])
    values = np.concatenate((random.normal(size=2_000), random.normal(1.0, size=1_000), [np.nan]))
    window = batch_of({"x": values}, {"side": ["buy"] * 3_001, "symbol": ["BTC"] * 2_000 + ["ETH"] * 1_000 + [None]})

    parts = assess_segments(profile, edge_set, Counter(edge_set).count(window))["symbol"]

    assert {value: (part.rows, part.features[0].has_drifted) for value, part in parts.items()} == {
        "BTC": (2_000, False),
        "ETH": (1_000, True),
    }
    assert [item.feature for item in parts["ETH"].features] == ["x"]


def test_a_small_segment_that_leaves_most_bins_empty_has_not_moved_against_itself() -> None:
    values = np.random.default_rng(0).standard_t(2, size=10_000)
    small = values[:40]
    whole = profile_of({"x": values})
    feature = whole.features["x"]
    assert isinstance(feature, FeatureBaseline)
    places = np.searchsorted(feature.edges, small)
    counts = tuple(np.bincount(places, minlength=len(feature.counts)).tolist())
    segment = Profile(40, {"x": replace(feature, counts=counts, n=40)}, {}, "test")

    item = found(segment, {"x": small})["x"]

    assert (item.measures["psi"], item.measures["ks"]) == (0.0, 0.0)
    assert item.measures["wasserstein"] < 0.02


@pytest.mark.parametrize("value", [1e-320, 1e-200, 1e200, 1.7e308])
def test_features_of_any_magnitude_are_measured(value: float) -> None:
    random = np.random.default_rng(0)
    shape = random.uniform(0.5, 1.0, size=2_000)

    items = found(profile_of({"x": shape * value}), {"x": shape[:1_000] * value})

    assert not items["x"].has_drifted
    assert all(math.isfinite(figure) for figure in items["x"].measures.values())


def test_every_measure_knows_from_where_on_it_is_worth_a_look(market: Profile) -> None:
    named = {name for item in found(market, *rows_of(1, 500, drifted=True)).values() for name in item.measures}
    named |= set(found(moments_of({"x": np.arange(10.0)}), {"x": np.arange(200.0)})["x"].measures)

    assert named == set(NOTABLE)


def test_assessing_does_not_depend_on_what_else_is_counted(market: Profile) -> None:
    numbers, texts = rows_of(1, 2_000, drifted=True)
    both = EdgeSet.of([market, moments_of({"shift": numbers["shift"] * 3})])

    alone = assess(market, EdgeSet.of([market]), Counter(EdgeSet.of([market])).count(batch_of(numbers, texts)))

    assert assess(market, both, Counter(both).count(batch_of(numbers, texts))) == alone
