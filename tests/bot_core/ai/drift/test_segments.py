"""A segment is held against the training rows of the same segment, where those are known."""

from pathlib import Path

import numpy as np
import pytest

from bot_core.ai.baseline import make_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.drift.assess import assess, assess_segments
from bot_core.ai.drift.ruler import Profile
from bot_core.ai.drift.tally import MOST_PARTS, Batch, Counter, EdgeSet, TextColumn
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import replace
from tests.bot_core.ai.drift.windows import count, edge_set

SYMBOLS = ("BTC", "ETH")


def rows(n: int, seed: int, *, eth_shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Half of the rows are BTC around 0, half are ETH around 5."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    return random.normal(size=n) + codes * (5 + eth_shift), codes


def profile() -> Profile:
    values, codes = rows(20_000, 0)
    symbols = [SYMBOLS[code] for code in codes]
    table = FeatureTable(
        ("spread",),
        values.reshape(-1, 1),
        np.zeros(len(values)),
        np.arange(len(values), dtype=float),
        {"symbol": symbols},
    )
    return Profile.of_baseline(make_baseline(table), "training")


def measured(known: Profile, *, eth_shift: float = 0.0, symbols: tuple[str, ...] = SYMBOLS):
    edge_set = EdgeSet.of([known], ["symbol"])
    values, codes = rows(10_000, 1, eth_shift=eth_shift)
    batch = Batch(len(values), {"spread": values}, {"symbol": TextColumn(codes, symbols)})
    tally = Counter(edge_set).count(batch)
    return assess(known, edge_set, tally), assess_segments(known, edge_set, tally)["symbol"]


def test_symbols_that_differ_from_each_other_have_not_drifted() -> None:
    _, parts = measured(profile())

    assert {name: (part.rows, part.is_own) for name, part in parts.items()} == {
        "BTC": (5000, True),
        "ETH": (5000, True),
    }
    assert max(part.features[0].measures["psi"] for part in parts.values()) < 0.01


def test_the_symbol_that_has_moved_is_told_from_the_one_that_has_not() -> None:
    whole, parts = measured(profile(), eth_shift=1.0)

    moved = {item.feature: item for item in parts["ETH"].features}["spread"]
    assert moved.has_drifted
    assert moved.measures["psi"] > 0.8
    assert not parts["BTC"].features[0].has_drifted
    assert next(item for item in whole if item.feature == "spread").measures["psi"] < moved.measures["psi"]


def test_where_nothing_is_known_of_a_segment_it_is_held_against_all_rows_and_says_so() -> None:
    known = replace(profile(), segments={})

    _, parts = measured(known)
    _, of_another = measured(profile(), symbols=("BTC", "SOL"))

    assert not parts["ETH"].is_own
    assert parts["ETH"].features[0].has_drifted
    assert (of_another["BTC"].is_own, of_another["SOL"].is_own) == (True, False)


def write_values(path: Path, values: range) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("x,id\n" + "".join(f"1,{value}\n" for value in values))


def test_a_column_with_as_many_values_as_may_be_is_a_segment(tmp_path: Path) -> None:
    write_values(tmp_path / "w/a.csv", range(MOST_PARTS))

    found = count(tmp_path, edge_set("x", segments=["id"]), "w", "csv")

    assert len(found.tally.segments["id"]) == MOST_PARTS


@pytest.mark.parametrize("parts", [(range(MOST_PARTS + 1),), (range(600), range(500, MOST_PARTS + 1))])
def test_a_column_with_more_values_is_none_however_they_are_divided(tmp_path: Path, parts: tuple[range, ...]) -> None:
    for number, values in enumerate(parts):
        write_values(tmp_path / f"w/{number}.csv", values)

    with pytest.raises(
        FileFormatError, match=r"^w: column 'id' has more than 1,000 different values: it is no segment"
    ):
        count(tmp_path, edge_set("x", segments=["id"]), "w", "csv")
