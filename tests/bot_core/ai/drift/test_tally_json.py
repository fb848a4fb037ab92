import base64
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.drift.tally import Batch, FeatureTally, Tally, TextColumn
from bot_core.ai.drift.tally_json import tally_from_json
from bot_core.foundation.cache import DerivedCache
from bot_core.foundation.errors import FileFormatError
from tests.bot_core.ai.drift.windows import count, edge_set, write_parquet

EDGES = edge_set("x", "y", texts=["s"], segments=["s"])


def tally() -> Tally:
    codes = TextColumn(np.array([0, 1, -1, 0]), ["BTC", "DOGE"])
    numbers = {"x": np.array([0.0, 1.0, np.nan, 9.0]), "y": np.zeros(4)}
    return EDGES.counter.count(Batch(4, numbers, {"s": codes}))


def stored() -> Any:
    return json.loads(json.dumps(tally().to_json()))


def test_a_tally_that_is_written_is_read_as_it_was() -> None:
    assert tally_from_json(stored(), EDGES).to_json() == tally().to_json()
    nothing = EDGES.counter.nothing()
    assert tally_from_json(nothing.to_json(), EDGES).to_json() == nothing.to_json()


def packed(*counts: int, kind: str = "<u1") -> str:
    return base64.b64encode(np.array(counts).astype(kind).tobytes()).decode()


@pytest.mark.parametrize(("largest", "width"), [(255, 1), (256, 2), (65_536, 4), (2**32, 8)])
def test_counts_are_written_in_as_few_bytes_as_hold_them(largest: int, width: int) -> None:
    counts = FeatureTally(np.array([1, 0, 0, 0, largest]), 0)
    whole = {"rows": largest + 1, "features": {"x": [counts.packed(), 0]}, "categories": {}, "segments": {}}

    assert len(base64.b64decode(counts.packed())) == 5 * width
    assert tally_from_json(whole, edge_set("x")).features["x"].counts.tolist() == [1, 0, 0, 0, largest]


def at(*path: str | int) -> Callable[[Any, Any], None]:
    def put(whole: Any, value: Any) -> None:
        for key in path[:-1]:
            whole = whole[key]
        whole[path[-1]] = value

    return put


@pytest.mark.parametrize(
    ("put", "value"),
    [
        (at("rows"), 5),
        (at("rows"), True),
        (at("rows"), -4),
        (at("features"), {}),
        (at("features", "z"), [packed(0, 0, 0, 0, 0), 4]),
        (at("features", "x", 0), packed(0, 1, 0, 1)),
        (at("features", "x", 0), packed(0, 1, 0, 1, 2)),
        (at("features", "x", 0), packed(-1, 2, 0, 1, 1, kind="<i8")),
        (at("features", "x", 0), packed(0, 1, 0, 1, 1, kind="<u2")),
        (at("features", "x", 0), packed(0, 1, 0, 1, 1) + "="),
        (at("features", "x", 0), packed(*range(15))),
        (at("features", "x", 0), "?"),
        (at("features", "x", 0), ""),
        (at("features", "x", 0), [0, 1, 0, 1, 1]),
        (at("features", "x", 1), None),
        (at("features", "x"), [packed(0, 0, 0, 0, 0)]),
        (at("categories", "s", 0), {"BTC": 3}),
        (at("categories", "s", 0, "BTC"), 3),
        (at("categories", "s", 1), 2),
        (at("categories", "s", 2), ["ETH"]),
        (at("categories", "s", 2), ["DOGE", "ADA"]),
        (at("categories", "s", 2), [1]),
        (at("segments"), {"s": []}),
        (at("segments", "s", "BTC", "rows"), 0),
        (at("segments", "s", "BTC", "rows"), 3),
        (at("segments", "s", "BTC", "features", "x"), [packed(0, 1, 0, 0, 1), 1]),
        (at("segments", "s", "BTC", "segments"), {"s": {}}),
    ],
)
def test_anything_else_is_refused(put: Callable[[Any, Any], None], value: Any) -> None:
    whole = stored()
    put(whole, value)

    with pytest.raises(FileFormatError):
        tally_from_json(whole, EDGES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(value=JSON, key=st.sampled_from(["rows", "features", "categories", "segments"]))
def test_no_damage_is_another_fault_or_an_answer(value: Any, key: str) -> None:
    whole = stored()
    whole[key] = value

    if whole == stored():
        return
    for damaged in (whole, value):
        with pytest.raises(FileFormatError):
            tally_from_json(damaged, EDGES)


class Meddled(DerivedCache):
    """A cache in which something happens to every value that is kept."""

    def __init__(self, folder: Path, meddle: Callable[[Any], None]) -> None:
        super().__init__(folder)
        self._meddle = meddle

    def put(self, key: str, value: Any) -> None:
        changed = deepcopy(value)
        self._meddle(changed)
        super().put(key, changed)


@pytest.mark.parametrize(
    ("put", "value"),
    [
        (at("tally"), None),
        (at("tally", "rows"), 3),
        (at("tally", "features", "x", 0), packed(2, 0, 0, 0)),
        (at("span"), None),
        (at("span"), [2]),
        (at("span"), [2, 1]),
        (at("span"), [1.0, 2.0]),
        (at("span"), [1, 10**30]),
    ],
)
def test_a_damaged_value_in_the_cache_is_a_miss(tmp_path: Path, put: Callable[[Any, Any], None], value: Any) -> None:
    write_parquet(tmp_path / "w.parquet", {"x": [0.0, 1.0], "t": [1, 2]})
    cache = Meddled(tmp_path / "cache", lambda kept: put(kept, value))
    told: list[tuple[int, int]] = []

    first = count(tmp_path, edge_set("x"), "w.parquet", time_column="t", cache=cache)
    again = count(
        tmp_path, edge_set("x"), "w.parquet", time_column="t", cache=cache, progress=lambda *now: told.append(now)
    )

    assert told[-1] == (1, 1)
    assert again.digest == first.digest
