from typing import Any

from rollbackctl.core.data_drift import MovedFeature, MovedSegment, VersionDrift
from rollbackctl.core.ranking import Ranked, Ranking
from tests.measurements import measured, measurement, moved


def ranked(measured: VersionDrift | None, **fields: Any) -> Ranked:
    return Ranked(
        **{
            "version": "v9",
            "verdict": "chosen",
            "served": "until 2025-11-08",
            "integrity": "bundle attested",
            "signed": "risk approved",
            "drift": "within",
            "used": 0.123456,
            "used_by": "PSI of momentum",
            "measured": measured,
            "reasons": ("one", "two"),
        }
        | fields
    )


def segment(value: str, **measures: float) -> MovedSegment:
    worst = MovedFeature(feature="rsi", measures=measures, values=10, certain=True, drifted=True)
    return MovedSegment(segment="symbol", value=value, rows=10, worst=worst)


def test_the_worst_features_are_the_first_three_of_what_was_measured() -> None:
    features = tuple(moved(name) for name in ("a", "b", "c", "d"))

    assert ranked(measured("v9", *features)).worst == features[:3]
    assert ranked(measured("v9", *features, problem="nothing tells")).worst == ()
    assert ranked(None).worst == ()


def test_the_worst_segments_are_the_three_that_have_moved_furthest_then_by_name() -> None:
    segments = (
        segment("calm", ks=0.9),
        segment("low", psi=0.1, mean_shift=9.0),
        segment("two", psi=0.5),
        segment("one", psi=0.5),
        segment("high", mean_shift=0.7),
        MovedSegment(segment="symbol", value="empty", rows=0),
    )

    found = ranked(measured("v9", segments=segments)).worst_segments

    assert [item.value for item in found] == ["high", "one", "two"]
    assert [item.value for item in ranked(measured("v9", segments=segments[:2])).worst_segments] == ["low", "calm"]
    assert ranked(None).worst_segments == ()


def test_a_ranking_as_json_tells_all_that_was_found_of_each_version() -> None:
    fact = measurement(measured("v9"))

    value = Ranking(
        "INC-1", "v10", "v9", "v9 is within", fact.window, {"psi": 0.25}, (ranked(fact.versions[0]),)
    ).to_json()

    assert value == {
        "format_version": "1.0",
        "incident": "INC-1",
        "withdrawn": "v10",
        "target": "v9",
        "verdict": "v9 is within",
        "window": fact.window.model_dump(mode="json"),
        "limits": {"psi": 0.25},
        "versions": [
            {
                "version": "v9",
                "verdict": "chosen",
                "served": "until 2025-11-08",
                "integrity": "bundle attested",
                "signed": "risk approved",
                "data_drift": "within",
                "used": 0.1235,
                "used_by": "PSI of momentum",
                "measured": fact.versions[0].model_dump(mode="json"),
                "reasons": ["one", "two"],
            }
        ],
    }


def test_a_ranking_of_a_plan_that_does_not_ask_for_drift_has_no_window_and_no_measures() -> None:
    value: Any = Ranking("INC-1", "v10", None, "none", None, {}, (ranked(None, drift=None),)).to_json()

    assert (value["window"], value["target"]) == (None, None)
    assert (value["versions"][0]["data_drift"], value["versions"][0]["measured"]) == (None, None)
