"""The measures against published examples and scipy; and what a sample does to itself."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

from bot_core.ai.drift.measures import (
    jensen_shannon,
    kolmogorov_smirnov,
    moments,
    population_stability,
    wasserstein,
)
from tests.data_drift import found, measured, profile_of

counts = st.integers(1, 30).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 10**9), min_size=bins, max_size=bins).filter(any)] * 2)
)
SHAPES = {
    "normal": lambda random, rows: random.normal(size=rows),
    "lognormal": lambda random, rows: random.lognormal(size=rows),
    "t3": lambda random, rows: random.standard_t(3, size=rows),
    "uniform": lambda random, rows: random.uniform(size=rows),
    "exponential": lambda random, rows: random.exponential(size=rows),
}
# Of what is counted in whole numbers, other rates: a shift by half a count is no longer a count.
WHOLE = {
    "poisson": [lambda random, rows, rate=rate: random.poisson(rate, size=rows) for rate in (3.0, 3.6, 6.0)],
    "wide poisson": [lambda random, rows, rate=rate: random.poisson(rate, size=rows) for rate in (20.0, 21.5, 40.0)],
    "bernoulli": [lambda random, rows, share=share: random.binomial(1, share, rows) for share in (0.3, 0.45, 0.01)],
}


def exact(training: Any, window: Any) -> tuple[float, float]:
    """What scipy finds in all values: Kolmogorov-Smirnov, and Wasserstein in standard deviations of training."""
    distance = wasserstein_distance(training, window) / np.std(training)
    return float(ks_2samp(training, window, method="asymp").statistic), float(distance)


def test_the_index_of_a_published_table() -> None:
    # geeksforgeeks.org, Population Stability Index: 40, 30, 30 % of low, middle, high incomes have become 35, 25, 40 %.
    # By hand: -0.05 ln 0.875 - 0.05 ln(5/6) + 0.1 ln(4/3) = 0.006677 + 0.009116 + 0.028768.
    expected, actual = np.array([400_000, 300_000, 300_000]), np.array([350_000, 250_000, 400_000])

    assert population_stability(expected, actual) == pytest.approx(0.044561, abs=1e-6)


def test_the_index_without_a_change_has_the_distribution_that_yurdakul_gives() -> None:
    # Yurdakul (2018): about (1/n + 1/m) times chi-squared with bins - 1 degrees of freedom, whose mean is 9.
    random = np.random.default_rng(0)
    n, m, shares = 20_000, 5_000, [0.1] * 10

    indices = [population_stability(random.multinomial(n, shares), random.multinomial(m, shares)) for _ in range(2_000)]

    # The standard error of that mean is sqrt(18 / 2000), 0.1.
    assert np.mean(indices) / (1 / n + 1 / m) == pytest.approx(9, abs=0.4)


def test_distances_of_published_examples() -> None:
    # Examples in scipy's documentation of `jensenshannon`; of [1, 0] and [0.5, 0.5] with natural logarithms.
    assert jensen_shannon(np.array([1, 0, 0]), np.array([0, 1, 0])) == 1.0
    natural = jensen_shannon(np.array([2, 0]), np.array([1, 1])) * math.sqrt(math.log(2))
    assert natural == pytest.approx(0.46450140402245893, rel=1e-12)


def test_the_distance_of_a_published_example_of_wasserstein() -> None:
    # scipy's documentation of `wasserstein_distance`: 0, 1, 3 are moved to 5, 6, 8 over a distance of 5.
    edges = np.array([-1.0, 0, 1, 3, 5, 6, 8])
    before, now = np.array([0, 1, 2, 3, 3, 3, 3]) / 3, np.array([0, 0, 0, 0, 1, 2, 3]) / 3

    assert wasserstein(edges, before, now, np.full(6, True)) == pytest.approx(5.0)


def test_spread_evenly_two_lines_that_cross_enclose_two_triangles() -> None:
    # From 0 to 1 the one function rises from 0 to 1, the other stays at 1/4: triangles of 1/32 and 9/32.
    before, now = np.array([0.0, 1.0]), np.array([0.25, 0.25])

    assert wasserstein(np.array([0.0, 1.0]), before, now) == pytest.approx(10 / 32)


def test_the_distance_of_two_distribution_functions() -> None:
    assert kolmogorov_smirnov(np.array([0.1, 0.5, 1.0]), np.array([0.2, 0.1, 1.0])) == pytest.approx(0.4)


def test_moments_of_a_hand_computed_case() -> None:
    # Middles -1, 0.5, 2 (the outer bins count as on their edge) with 1, 2, 1 values: mean 0.5, variance 9/8.
    assert moments(np.array([-1.0, 2.0]), np.array([1, 2, 1])) == pytest.approx((0.5, math.sqrt(9 / 8), 2.0))
    assert moments(np.array([7.0, 9.0]), np.array([0, 5, 0])) == (8.0, 0.0, 3.0)


@given(counts)
def test_index_and_distance_are_symmetric_bounded_and_nothing_for_equal_counts(case: Any) -> None:
    one, other = (np.array(side) for side in case)

    for measure, most in ((population_stability, math.inf), (jensen_shannon, 1.0)):
        assert measure(one, one) == 0
        assert measure(one, other) == pytest.approx(measure(other, one), rel=1e-9, abs=1e-12)
        assert -1e-12 <= measure(one, other) <= most
    assert jensen_shannon(one, other) == pytest.approx(jensenshannon(one, other, 2), abs=1e-6)


@settings(max_examples=50)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=80, unique=True), st.data())
def test_few_different_values_are_measured_exactly(values: list[int], data: st.DataObject) -> None:
    training = values + data.draw(st.lists(st.sampled_from(values), max_size=80))
    window = data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=80))

    measures = measured(training, window)

    assert (measures["ks"], measures["wasserstein"]) == pytest.approx(exact(training, window), abs=1e-9)


@pytest.mark.parametrize("rows", [20_000, 200_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shift_and_a_scale_are_measured_as_scipy_measures_all_values(shape: str, rows: int) -> None:
    random = np.random.default_rng(rows)
    training, window = (SHAPES[shape](random, rows) for _ in range(2))
    mean, unit = training.mean(), training.std()
    profile = profile_of({"x": training})

    for moved in (training, window, window + 0.3 * unit, mean + 1.5 * (window - mean)):
        measures = found(profile, {"x": moved})["x"].measures
        assert (measures["ks"], measures["wasserstein"]) == pytest.approx(exact(training, moved), abs=0.003)


@pytest.mark.parametrize("rows", [20_000, 200_000])
@pytest.mark.parametrize("shape", WHOLE)
def test_other_rates_of_whole_numbers_are_measured_as_scipy_measures_all_values(shape: str, rows: int) -> None:
    random = np.random.default_rng(rows)
    training, *windows = (make(random, rows).astype(float) for make in WHOLE[shape])
    profile = profile_of({"x": training})

    for window in (training, *windows, training + 1):
        measures = found(profile, {"x": window})["x"].measures
        ks, distance = exact(training, window)
        assert measures["ks"] == pytest.approx(ks, abs=0.003)
        # Values beyond the training range are between edges a 16th of a standard deviation apart.
        beyond = np.mean((window < training.min()) | (window > training.max()))
        assert measures["wasserstein"] == pytest.approx(distance, abs=0.003 + beyond / 32)


def test_the_index_in_tenths_is_that_of_tenths_computed_from_all_values() -> None:
    random = np.random.default_rng(3)
    training, window = random.normal(size=50_000), random.normal(0.4, 1.2, size=50_000)
    tenths = [-np.inf, *np.sort(training)[4_999:49_999:5_000], np.inf]
    expected, actual = (np.histogram(-values, -np.array(tenths)[::-1])[0] / 50_000 for values in (training, window))

    measures = measured(training, window)

    # Half a value is added to each bin.
    assert measures["psi"] == pytest.approx(float(np.sum((actual - expected) * np.log(actual / expected))), rel=1e-3)
    assert measures["jensen_shannon"] == pytest.approx(float(jensenshannon(expected, actual, 2)), rel=1e-6)


@pytest.mark.parametrize("absurd", [1e300, -1e300, math.inf, -math.inf, 1.7e308])
def test_one_absurd_value_changes_next_to_nothing(absurd: float) -> None:
    random = np.random.default_rng(1)
    training, window = random.normal(size=100_000), random.normal(1.0, size=100_000)

    before, after = measured(training, window), measured(training, np.append(window, absurd))

    assert after["psi"] == pytest.approx(before["psi"], rel=0.01)
    assert after["ks"] == pytest.approx(before["ks"], abs=2e-5)
    # 64 standard deviations and the training range, for one value of 100,000.
    assert after["wasserstein"] == pytest.approx(before["wasserstein"], abs=1e-3)


def test_one_absurd_value_in_training_does_not_hide_a_shift() -> None:
    random = np.random.default_rng(1)
    training, window = random.normal(size=100_000), random.normal(1.0, size=100_000)

    clean, spoilt = measured(training, window), measured(np.append(training, 1e300), window)

    assert (spoilt["psi"], spoilt["ks"]) == pytest.approx((clean["psi"], clean["ks"]), rel=0.01)
