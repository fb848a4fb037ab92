import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackctl.core.data_drift import (
    MEASURES,
    Limits,
    MovedFeature,
    VersionDrift,
    evidence,
    find,
    headline,
    listed,
    moved,
    pin,
    reach,
    worst_words,
)
from tests.measurements import WINDOW, measured, measurement
from tests.measurements import moved as feature

LIMITS = Limits({"psi": 0.25, "missing": 0.1}, min_rows=1000)
TOLERANCE = (0.25, 0.05)


def test_a_version_below_every_limit_is_within() -> None:
    fact = measurement(measured("v9", feature(psi=0.2499)))

    found = find(fact, "v9", LIMITS)

    assert (found.answer, found.reasons) == ("within", ("momentum PSI 0.250",))


def test_a_measure_at_its_limit_is_beyond_and_every_one_is_named() -> None:
    fact = measurement(measured("v9", feature(psi=0.25, missing=0.4), feature("rsi", psi=0.3), feature("atr")))

    found = find(fact, "v9", LIMITS)

    assert found.answer == "beyond"
    assert found.reasons == (
        "PSI of momentum is 0.250, limit 0.25",
        "missing of momentum is 0.400, limit 0.1",
        "PSI of rsi is 0.300, limit 0.25",
    )


def test_a_large_measure_that_may_be_chance_is_not_beyond() -> None:
    fact = measurement(measured("v9", feature(psi=0.9, certain=False)))

    assert find(fact, "v9", LIMITS).answer == "within"


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (measurement(measured("v9"), rows=999), f"the window {WINDOW} has 999 rows, at least 1,000"),
        (measurement(measured("v8")), "v9 was not measured"),
        (measurement(rows=0).model_copy(update={"problem": "data/x is a link"}), "data/x is a link"),
        (measurement(measured("v9", problem="the window has no column rsi")), "the window has no column rsi"),
        (
            measurement(
                measured("v9", *(feature(name).model_copy(update={"values": 5, "certain": False}) for name in "abcde"))
            ),
            "fewer than 1,000 values of a, b, c and 2 more",
        ),
    ],
)
def test_what_cannot_be_told_is_never_within(fact, reason: str) -> None:
    found = find(fact, "v9", LIMITS)

    assert (found.answer, found.reasons) == ("no data", (reason,))


@pytest.mark.parametrize(
    ("found", "used", "by"),
    [
        (measured("v9", feature(psi=0.2)), 0.8, "PSI of momentum"),
        (measured("v9", feature(psi=0.2), feature("rsi", psi=0.0, missing=0.09)), 0.9, "missing of rsi"),
        (measured("v9", feature(psi=0.5)), 2.0, "PSI of momentum"),
        (measured("v9", feature(psi=0.5, certain=False)), 2.0, "PSI of momentum, may be chance"),
        (measured("v9", feature(psi=0.0, stdev_ratio=math.sqrt(2))), 0.5, "stdev ratio of momentum"),
        (measured("v9", feature(psi=0.0, stdev_ratio=1.0)), 0.0, "PSI of momentum"),
        (measured("v9").model_copy(update={"features": ()}), 0.0, ""),
        (
            measured("v9", MovedFeature(feature="f", measures={"ks": 0.9}, values=9, certain=True, drifted=True)),
            0.0,
            "",
        ),
    ],
)
def test_the_measure_that_has_used_most_of_its_limit_is_named(found: VersionDrift, used: float, by: str) -> None:
    limits = Limits({"psi": 0.25, "missing": 0.1, "stdev_ratio": 2.0}, min_rows=1000)

    assert reach(found, limits) == (pytest.approx(used), by)


def test_of_many_drifted_features_three_are_named_and_the_rest_counted() -> None:
    version = measured("v9", *(feature(f"f{number}", psi=0.5 - number / 100) for number in range(5)))

    assert worst_words(version) == "f0 PSI 0.500, f1 PSI 0.490, f2 PSI 0.480 and 2 more"


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        ({"psi": 0.5, "mean_shift": 1.0}, "PSI 0.500"),
        ({"mean_shift": 1.0, "missing": 0.1}, "mean shift 1.000"),
        ({"missing": 1.0}, "missing 1.000"),
        ({"ks": 0.2, "missing": 0.1}, "missing 0.100"),
        ({"ks": 0.2, "outside": 0.1}, "KS 0.200"),
        ({}, "not measured"),
    ],
)
def test_the_headline_of_a_feature_is_the_measure_that_says_most(measures: dict[str, float], said: str) -> None:
    item = MovedFeature(feature="f", measures=measures, values=1, certain=True, drifted=True)

    assert headline(item) == said


def test_a_window_within_its_tolerance_is_the_same_to_a_plan() -> None:
    then = pin(measurement(measured("v9", feature(psi=0.10))), "v9", TOLERANCE, None)

    now = pin(measurement(measured("v9", feature(psi=0.149)), rows=6250, digest="e" * 64), "v9", TOLERANCE, then)

    assert now == then


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        (
            measurement(measured("v9", feature(psi=0.1)), rows=6251),
            f"the window {WINDOW}: 5,000 rows, now 6,251; tolerance 25%",
        ),
        (
            measurement(measured("v9", feature(psi=0.1)), rows=3749),
            f"the window {WINDOW}: 5,000 rows, now 3,749; tolerance 25%",
        ),
        (measurement(measured("v9", feature(psi=0.16))), "PSI of momentum: 0.10, now 0.16"),
        (measurement(measured("v9", feature("rsi", psi=0.0))), "PSI of momentum: 0.10, now 0.00"),
        (
            measurement(measured("v9", feature(psi=0.1), inputs={"baselines/v9.json": "f" * 64})),
            "the training rows of the target: baselines/v9.json has changed",
        ),
    ],
)
def test_a_window_beyond_its_tolerance_is_another_and_what_has_moved_is_named(fact, line: str) -> None:
    then = pin(measurement(measured("v9", feature(psi=0.1))), "v9", TOLERANCE, None)

    now = pin(fact, "v9", TOLERANCE, then)

    assert now != then
    assert moved(then, now, TOLERANCE) == [line]


@given(st.lists(st.floats(0, 2), min_size=1, max_size=5), st.integers(0, 10_000))
def test_what_is_pinned_is_pinned_again_from_the_same_window(values: list[float], rows: int) -> None:
    fact = measurement(measured("v9", *(feature(f"f{n}", psi=value) for n, value in enumerate(values))), rows=rows)
    then = pin(fact, "v9", (0.0, 0.0), None)

    assert pin(fact, "v9", (0.0, 0.0), then) == then


def test_every_measure_has_words() -> None:
    from bot_core.ai.drift.assess import NOTABLE

    assert MEASURES.keys() == NOTABLE.keys()


def test_as_many_rows_and_values_as_are_asked_for_are_enough() -> None:
    item = feature(certain=False).model_copy(update={"values": 1000})

    assert find(measurement(measured("v9", item), rows=1000), "v9", LIMITS).answer == "within"


def test_a_measure_that_a_feature_does_not_have_is_not_beyond_its_limit() -> None:
    item = MovedFeature(feature="side", measures={"psi": 0.2}, values=5000, certain=True, drifted=True)

    assert item.beyond({"psi": 0.25, "mean_shift": 0.5}) == ()


@pytest.mark.parametrize(("count", "said"), [(0, ""), (1, "a"), (3, "a, b, c"), (4, "a, b, c and 1 more")])
def test_three_are_named_and_the_rest_counted(count: int, said: str) -> None:
    assert listed("abcd"[:count], ", ") == said


def test_of_features_that_have_hardly_moved_the_first_is_named() -> None:
    assert worst_words(measured("v9", feature("a", psi=0.05), feature("b"))) == "a PSI 0.050"
    assert worst_words(measured("v9").model_copy(update={"features": ()})) == "no feature"


def test_what_is_pinned_are_the_window_and_the_measures_of_the_target() -> None:
    fact = measurement(measured("v9", feature(psi=0.123456)))

    assert pin(fact, "v9", TOLERANCE, None) == {
        "window": WINDOW,
        "rows": 5000,
        "digest": "d" * 64,
        "measures": {"momentum": {"psi": 0.1235, "ks": 0.02, "missing": 0.0}},
        "training": dict(fact.versions[0].inputs),
    }
    assert pin(fact, "v8", TOLERANCE, None) | {"window": "", "digest": ""} == {
        "window": "", "rows": 5000, "digest": "", "measures": {}, "training": {},
    }  # fmt: skip


def test_another_window_a_new_feature_and_a_measure_of_a_later_version_are_named() -> None:
    then = {"window": "a", "rows": 4, "training": {}, "measures": {"old": {"psi": 0.5}}}
    now = {"window": "b", "rows": 5, "training": {}, "measures": {"new": {"later": 0.5}, "old": {"psi": 0.25}}}

    assert moved(then, now, (0.25, 0.25)) == ["the window: a, now b", "later of new: 0.00, now 0.50"]


@pytest.mark.parametrize(
    ("fields", "caveat"),
    [
        ({}, ""),
        ({"approximate": True}, "approximate"),
        ({"unsigned": True}, "baseline not signed"),
        ({"approximate": True, "unsigned": True}, "approximate"),
    ],
)
@pytest.mark.parametrize("psi", [0.1, 0.3])
def test_what_a_reader_must_know_of_the_measures_goes_with_the_answer(fields, caveat: str, psi: float) -> None:
    found = find(measurement(measured("v9", feature(psi=psi), **fields)), "v9", LIMITS)

    assert found.caveat == caveat
    assert found.note == (f" ({caveat})" if caveat else "")


def test_a_plan_tells_the_window_the_limits_and_each_versions_answer() -> None:
    fact = measurement(measured("v9", feature(psi=0.5)), measured("v8", *map(feature, "abcd"), approximate=True))

    told = evidence(fact, LIMITS)

    assert told["window"] == fact.window.model_dump(mode="json")
    assert (told["limits"], told["min_rows"]) == ({"psi": 0.25, "missing": 0.1}, 1000)
    assert told["versions"] == [
        {
            "version": "v9",
            "answer": "beyond",
            "reasons": ["PSI of momentum is 0.500, limit 0.25"],
            "caveat": "",
            "source": "baseline of its training",
            "used": 2.0,
            "used_by": "PSI of momentum",
            "furthest": [{"feature": "momentum", "measures": {"psi": 0.5, "ks": 0.02, "missing": 0.0}}],
        },
        {
            "version": "v8",
            "answer": "within",
            "reasons": ["a PSI 0.010"],
            "caveat": "approximate",
            "source": "baseline of its training",
            "used": 0.04,
            "used_by": "PSI of a",
            "furthest": [{"feature": name, "measures": {"psi": 0.01, "ks": 0.02, "missing": 0.0}} for name in "abc"],
        },
    ]
