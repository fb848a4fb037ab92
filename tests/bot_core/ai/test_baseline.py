"""The baseline counts every value between edges that are fixed, and its file is proved by its digest."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bot_core.ai.baseline import Baseline, CategoryBaseline, baseline_path, load_baseline, make_baseline, save_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, IntegrityError


def table(matrix: Any, **categories: Any) -> FeatureTable:
    rows, width = matrix.shape
    names = tuple(f"f{number}" for number in range(width))
    return FeatureTable(names, matrix, np.zeros(rows), np.arange(rows, dtype=float), categories)


def baseline_of(*values: float, **categories: Any) -> Baseline:
    return make_baseline(table(np.array(values, dtype=float).reshape(-1, 1), **categories))


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 400),
        elements=st.one_of(
            st.integers(-3, 3).map(float), st.floats(-1e9, 1e9, allow_subnormal=False), st.just(float("nan"))
        ),
    )
)
def test_the_counts_are_those_of_the_values_between_the_edges(values: Any) -> None:
    there = values[~np.isnan(values)]
    if not len(there):
        return

    feature = make_baseline(table(values.reshape(-1, 1))).features["f0"]

    edges = [-np.inf, *feature.edges, np.inf]
    expected = [int(((there > low) & (there <= high)).sum()) for low, high in pairwise(edges)]
    assert list(feature.counts) == expected
    assert 0 not in expected
    assert (feature.n, feature.missing) == (len(there), len(values) - len(there))
    assert feature.distinct == len(np.unique(there))
    assert (feature.minimum, feature.maximum) == (there.min(), there.max())
    assert set(feature.edges) <= set(there.tolist()) - {there.max()}


def test_a_million_values_have_percentiles_and_tails_that_halve_down_to_a_few_in_a_million() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000)

    feature = make_baseline(table(values.reshape(-1, 1))).features["f0"]

    shares = np.cumsum(feature.counts) / feature.n
    assert len(feature.edges) == 99 + 2 * 12
    assert shares[:12] == pytest.approx([0.01 / 2**power for power in range(12, 0, -1)], abs=1e-6)
    assert shares[12:111] == pytest.approx([percent / 100 for percent in range(1, 100)], abs=1e-9)
    assert 1 - shares[111:123] == pytest.approx([0.01 / 2**power for power in range(1, 13)], abs=1e-6)
    # The median and the 99th percentile of the standard normal distribution.
    assert np.interp([0.5, 0.99], shares[:-1], feature.edges) == pytest.approx([0.0, 2.3263], abs=0.01)


def test_a_constant_feature_is_one_bin() -> None:
    feature = baseline_of(2.0, 2.0, float("nan")).features["f0"]

    assert (feature.edges, feature.counts, feature.distinct, feature.stdev, feature.missing) == ((), (2,), 1, 0.0, 1)


def test_categories_are_counted_by_value() -> None:
    baseline = baseline_of(1.0, 2.0, 3.0, symbol=["ETH", None, "ETH"])

    assert baseline.categories == {"symbol": CategoryBaseline({"ETH": 2}, 1)}


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(BotCoreError, match="f0 is missing in every row"):
        baseline_of(float("nan"))
    with pytest.raises(BotCoreError, match="id has 1001 different values"):
        baseline_of(*range(1001), id=[str(number) for number in range(1001)])


def test_a_baseline_is_read_back_equal_from_the_file_that_its_digest_names(tmp_path: Path) -> None:
    baseline = make_baseline(table(np.random.default_rng(0).normal(size=(500, 50)), symbol=["BTC"] * 500))

    path = save_baseline(tmp_path, baseline)

    assert path == baseline_path(tmp_path, baseline.sha256)
    assert sha256_hex(path.read_bytes()) == baseline.sha256
    assert load_baseline(path, baseline.sha256) == baseline
    assert path.stat().st_size < 200_000


def test_other_bytes_than_those_of_the_training_are_refused(tmp_path: Path) -> None:
    baseline = baseline_of(1.0, 2.0)
    path = save_baseline(tmp_path, baseline)
    path.write_bytes(path.read_bytes().replace(b"2.0", b"2.5"))

    with pytest.raises(IntegrityError, match=f"has the digest .* the artifact names {baseline.sha256}"):
        load_baseline(path, baseline.sha256)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("version", 2, "version is 2, not 1"),
        ("rows", "3", "rows is '3'"),
        ("features", [], "the baseline.features is not an object"),
        ("features.f0.counts", [1, 1], "2 counts that add up to 2; 2 edges"),
        ("features.f0.counts", [1, 1, -1], r"features.f0.counts\[2\] is -1"),
        ("features.f0.counts", [1, 1, 0], "add up to 2"),
        ("features.f0.edges", [2.0, 1.0], "edges do not ascend"),
        ("features.f0.edges", [1.0, 3.0], "edges do not ascend to below the max"),
        ("features.f0.max", 2.0, "edges do not ascend to below the max"),
        ("features.f0.min", 1.5, "a min that is not the least"),
        ("features.f0.stdev", -1.0, "a stdev below 0"),
        ("features.f0.missing", 1, "3 rows want others"),
        ("features.f0.mean", None, "features.f0.mean is None"),
        ("categories.symbol.counts", {"ETH": 1}, "1 values and 1 missing are not 3 rows"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused_with_its_place(
    tmp_path: Path, key: str, value: Any, problem: str
) -> None:
    raw = json.loads(baseline_of(1.0, 2.0, 3.0, symbol=["ETH", None, "ETH"]).encode())
    holder = raw
    *path, last = key.split(".")
    for name in path:
        holder = holder[name]
    holder[last] = value
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps(raw))

    with pytest.raises(FileFormatError, match=problem) as caught:
        load_baseline(file, sha256_hex(file.read_bytes()))
    assert caught.value.path == str(file)


def test_each_value_of_a_category_is_counted_between_the_edges_of_the_whole() -> None:
    values = np.array([[1.0], [2.0], [3.0], [np.nan], [5.0]])

    baseline = make_baseline(table(values, symbol=["A", "B", "A", "B", None]))

    whole, parts = baseline.features["f0"], baseline.segments["symbol"]
    assert (whole.edges, whole.counts) == ((1.0, 2.0, 3.0), (1, 1, 1, 1))
    assert {value: (part["f0"].counts, part["f0"].n, part["f0"].missing) for value, part in parts.items()} == {
        "A": ((1, 0, 1, 0), 2, 0),
        "B": ((0, 1, 0, 0), 1, 1),
    }
    assert (parts["A"]["f0"].edges, parts["A"]["f0"].maximum) == (whole.edges, whole.maximum)


def test_segments_are_read_back_as_they_were(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(500, 2))
    baseline = make_baseline(table(values, symbol=["ABC"[number % 3] for number in range(500)]))

    path = save_baseline(tmp_path, baseline)

    assert load_baseline(path, baseline.sha256) == baseline


def test_a_column_of_more_than_fifty_values_has_no_segments() -> None:
    values = np.arange(51.0).reshape(-1, 1)

    baseline = make_baseline(table(values, id=[str(number) for number in range(51)]))

    assert baseline.segments == {}
    assert b"segments" not in baseline.encode()


@pytest.mark.parametrize(
    "part",
    [
        [[1, 0, 1, 0]],
        [[1, 0, 1], 0],
        [[1, 0, 1, -1], 0],
        [[2, 0, 1, 0], 0],
        [[1, 0, 1, 0], 2],
        [{"1": 0}, 0],
        [[1, 0, 1, 0.5], 0],
    ],
)
def test_counts_of_a_segment_that_cannot_be_a_part_of_the_whole_are_refused(tmp_path: Path, part: Any) -> None:
    values = np.array([[1.0], [2.0], [3.0], [np.nan], [5.0]])
    raw = json.loads(make_baseline(table(values, symbol=["A", "B", "A", "B", None])).encode())
    raw["segments"]["symbol"]["A"]["f0"] = part
    data = json.dumps(raw).encode()
    (tmp_path / "b.json").write_bytes(data)

    with pytest.raises(FileFormatError, match=r"b\.json: segments\.symbol\.A\.f0"):
        load_baseline(tmp_path / "b.json", sha256_hex(data))
