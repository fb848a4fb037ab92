"""Where a window is counted: every edge of the training rows, close enough between and far enough beyond."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bot_core.ai.drift.ruler import RESOLUTION, Moments, Profile, edges_of, inner_range, known_edges, spread
from tests.data_drift import moments_of, profile_of

samples = hnp.arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(
        st.integers(-3, 3).map(float), st.floats(-1e308, 1e308), st.sampled_from([5e-324, -5e-324, 1e300, -0.0])
    ),
)


@settings(max_examples=150)
@given(samples)
def test_edges_ascend_are_finite_and_hold_every_edge_of_the_training_rows(values: Any) -> None:
    for profile in (profile_of({"x": values}), moments_of({"x": values / 1e160})):
        feature = profile.features["x"]

        edges = edges_of(feature)

        assert np.isfinite(edges).all()
        assert (np.diff(edges) > 0).all() if np.ptp(edges / 2) < 8e307 else True
        low, high = inner_range(feature)
        assert low <= high
        if isinstance(feature, Moments):
            assert {feature.mean + 0.0, feature.maximum} <= set(edges.tolist())
        else:
            assert set(known_edges(feature).tolist()) <= set(edges.tolist())


def test_edges_are_a_sixteenth_of_a_standard_deviation_apart_and_reach_64_of_them_beyond_the_range() -> None:
    feature = profile_of({"x": np.random.default_rng(0).normal(size=10_000)}).features["x"]

    edges = edges_of(feature) / spread(feature)

    near = edges[np.abs(edges) < 16]
    assert np.diff(near).max() < RESOLUTION * 1.001
    assert edges[0] == pytest.approx(feature.minimum / spread(feature) - 64)
    assert edges[-1] == pytest.approx(feature.maximum / spread(feature) + 64)
    assert len(edges) < 1_000


def test_a_baseline_with_an_absurd_value_has_no_more_edges_than_another() -> None:
    values = np.random.default_rng(0).normal(size=10_000)

    assert len(edges_of(profile_of({"x": np.append(values, 1e300)}).features["x"])) < 1_000


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (Moments(0.1, 1.4e-17), 0.0),
        (Moments(0.1, 1.4e-17, 0.1, 0.1), 0.0),
        (Moments(1e16, 3.0, 1e16 - 4, 1e16 + 4), 3.0),
        (Moments(0.0, 1e-30), 1e-30),
    ],
)
def test_the_rounding_of_a_constant_is_no_spread(feature: Moments, expected: float) -> None:
    assert spread(feature) == expected


def test_a_profile_is_approximate_where_one_feature_is() -> None:
    whole = profile_of({"x": np.arange(5.0)})

    assert not whole.is_approximate
    assert Profile(5, {**whole.features, "y": Moments(0.0, 1.0)}, {}, "test").is_approximate


def test_most_training_values_lie_in_the_inner_range() -> None:
    values = np.random.default_rng(0).standard_t(2, size=100_000)

    low, high = inner_range(profile_of({"x": values}).features["x"])

    assert 0.99 < np.mean((values >= low) & (values <= high)) < 0.999
    assert inner_range(Moments(1.0, 2.0)) == (-5.0, 7.0)
    assert math.isfinite(low + high)
