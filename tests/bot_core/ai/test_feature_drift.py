import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.audit import load_audit_report, save_drift_report
from bot_core.ai.feature_drift import LEAST_ROWS, kolmogorov_smirnov, measure_feature_drift, population_stability
from bot_core.ai.reports import parse_report

ORIGINAL = Path(__file__).parents[2] / "fixtures/ws_public/audit/ai_decision/drift/20251118T010000Z.json"
numbers = st.floats(-1e6, 1e6)
samples = st.lists(numbers, min_size=LEAST_ROWS, max_size=60)


def shape(value: Any) -> Any:
    """The keys and types of a JSON value."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return type(value).__name__


def test_the_figures_have_the_pipelines_own_shape() -> None:
    original = json.loads(ORIGINAL.read_bytes())["metrics"]
    rows = {name: [float(i) for i in range(50)] for name in original["features"]}
    moved = {name: [value + 100.0 for value in values] for name, values in rows.items()}

    found = measure_feature_drift(rows, moved)

    assert shape(json.loads(json.dumps(found))) == shape(original)
    assert found["triggered"] == {"value": True}
    assert found["distribution_summary"]["triggered_features"] == original["distribution_summary"]["triggered_features"]


def test_the_report_is_an_alert_exactly_where_a_feature_triggers(tmp_path: Path) -> None:
    rows = {"a": [float(i % 7) for i in range(70)]}

    for moved, is_alert in ((rows, False), ({"a": [9.0] * 70}, True)):
        path = save_drift_report(measure_feature_drift(rows, moved), audit_root=tmp_path, job_name="pipeline:a")
        assert parse_report(path.read_bytes(), path=str(path), kind="drift").is_alert is is_alert
        assert load_audit_report(path)["job_name"] == "pipeline:a"


def test_the_index_of_a_hand_computed_case() -> None:
    # 20 rows in ten bins of 2; now all in the last bin: shares with half a row added 0.5/25 (nine) and 20.5/25 (one).
    before, now = [float(i) for i in range(20)], [19.0] * 20

    expected = 9 * (0.02 - 0.1) * math.log(0.02 / 0.1) + (0.82 - 0.1) * math.log(0.82 / 0.1)
    assert population_stability(before, now) == pytest.approx(expected, rel=1e-12)


@given(before=samples, now=samples)
def test_the_distance_is_that_of_scipy(before: list[float], now: list[float]) -> None:
    from scipy.stats import ks_2samp

    expected = ks_2samp(before, now, method="asymp").statistic
    assert kolmogorov_smirnov(sorted(before), sorted(now)) == pytest.approx(expected, abs=1e-12)


@given(values=samples)
def test_a_window_does_not_drift_from_itself_in_any_order(values: list[float]) -> None:
    found: Any = measure_feature_drift({"a": values}, {"a": values[::-1]})

    assert found["triggered"]["value"] is False
    assert found["feature_drift"] == {"psi": 0.0, "ks": 0.0, "score": 0.0, "threshold": 0.35}


@given(before=samples, now=samples)
def test_every_figure_is_finite(before: list[float], now: list[float]) -> None:
    found = measure_feature_drift({"a": before}, {"a": now})

    json.dumps(found, allow_nan=False)
    assert found["features"]["a"]["psi"] >= 0.0  # type: ignore[index]


def test_too_few_values_are_named_and_say_nothing() -> None:
    enough = [1.0] * LEAST_ROWS

    found = measure_feature_drift(
        {"a": enough, "b": enough, "c": enough}, {"a": enough, "b": [None, math.nan, 5.0], "d": enough}
    )

    assert found["distribution_summary"]["insufficient_features"] == ["b", "c"]
    assert list(found["features"]) == ["a"]
    assert found["triggered"] == {"value": False}
