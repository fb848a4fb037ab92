import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.feature_checks import (
    check_bounds,
    check_completeness,
    is_enforced_by,
    is_finite,
    known_features,
    known_ranges,
)
from bot_core.foundation.strict_json import encode_json, parse_object

values = st.none() | st.floats() | st.integers(-(2**53), 2**53) | st.text() | st.booleans()
names = st.sampled_from(["a", "b", "c", "d"])
limits = st.tuples(st.floats(-10, 0) | st.just(-math.inf), st.floats(0, 10) | st.just(math.inf))


@given(expected=st.sets(names), features=st.dictionaries(names, values))
def test_each_expected_feature_is_usable_or_named_once(expected: set[str], features: dict[str, Any]) -> None:
    finding: Any = check_completeness(expected, features)

    lacking = finding["missing_features"] + finding["null_features"]
    assert sorted(lacking) == sorted(name for name in expected if not is_finite(features.get(name)))
    assert finding["status"] == ("alert" if lacking else "ok")
    assert set(finding["unexpected_features"]) == (set(features) - expected if expected else set())


@given(ranges=st.dictionaries(names, limits), features=st.dictionaries(names, values))
def test_a_number_is_a_violation_exactly_where_it_is_outside_its_range(
    ranges: dict[str, tuple[float, float]], features: dict[str, Any]
) -> None:
    finding: Any = check_bounds(ranges, features)

    outside = {
        name
        for name, (low, high) in ranges.items()
        if is_finite(features.get(name)) and not low <= features[name] <= high
    }
    assert {entry["feature"] for entry in finding["violations"] if entry["reason"] == "out_of_bounds"} == outside
    assert parse_object(encode_json(finding), "finding") == finding


def test_what_is_no_number_is_a_violation_of_its_own_kind() -> None:
    finding: Any = check_bounds({"a": (0.0, 1.0), "b": (0.0, math.inf)}, {"a": "high", "b": -1})

    assert finding["violations"] == [
        {"feature": "a", "value": "high", "min": 0.0, "max": 1.0, "reason": "non_numeric"},
        {"feature": "b", "value": -1.0, "min": 0.0, "max": None, "reason": "out_of_bounds"},
    ]


@pytest.mark.parametrize(
    ("metadata", "features"),
    [
        ({"feature_names": ["b", "a"], "feature_stats": {"c": {}}}, ("a", "b")),
        ({"feature_stats": {"c": {}}, "feature_scalers": {"d": {}}}, ("c",)),
        ({"feature_scalers": {"d": {}}}, ("d",)),
        ({"feature_names": 5, "feature_stats": []}, ()),
    ],
)
def test_the_features_are_those_that_the_metadata_know(metadata: dict[str, Any], features: tuple[str, ...]) -> None:
    assert known_features(metadata) == features


def test_a_range_needs_both_ends() -> None:
    stats = {"a": {"min": 0, "max": 1}, "b": {"min": 0}, "c": 5, "d": {"min": "0", "max": 1}}

    assert known_ranges({"feature_stats": stats}) == {"a": (0.0, 1.0)}
    assert known_ranges({}) == {}


@pytest.mark.parametrize(
    ("metadata", "is_enforced"),
    [
        ({}, False),
        ({"data_quality": {}}, False),
        ({"data_quality": {"enforce": False}}, False),
        ({"data_quality": {"enforce": "yes"}}, False),
        ({"data_quality": True}, False),
        ({"policy": {"enforce": True}}, False),
        ({"data_quality": {"enforce": True}}, True),
    ],
)
def test_a_score_is_kept_back_only_where_the_metadata_ask_for_it(metadata: dict[str, Any], is_enforced: bool) -> None:
    assert is_enforced_by(metadata) is is_enforced
