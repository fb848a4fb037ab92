"""The window's rows decided by both models: hand-computed on two linear models, then in a plan and its run."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.drift.scan import this_machine
from rollbackctl.core.gate import Answer
from rollbackctl.core.replay import ReplayFact, ReplayPart, judge, words
from rollbackctl.data_drift.replay import Decided, replay_window
from rollbackctl.spec.replay import ReplaySettings
from tests.harness import PLAN, Site
from tests.measured import LIVE, V10, measured_site, write_plan
from tests.windows import SYMBOLS, write_window

# The probability is one half whatever the score, so that a row is worth half its score; the runbook takes 1.5 bps.
_FLAT = 1e12


def model(weight: float, mean: float = 0.0) -> dict[str, Any]:
    """A model that expects `weight` times the feature `edge`, in basis points."""
    return {
        "feature_names": ["edge"],
        "model_state": {"weights": [weight], "bias": 0.0},
        "trained_at": "2025-10-29T04:10:45+00:00",
        "metrics": {"summary": {}, "train": {}, "validation": {}, "test": {}},
        "metadata": {},
        "target_scale": _FLAT,
        "training_rows": 1,
        "validation_rows": 0,
        "test_rows": 0,
        "feature_scalers": {"edge": {"mean": mean, "stdev": 1.0}},
        "backend": "sequential_td",
    }


def replayed(root: Path, text: str, before: Mapping[str, Any], after: Mapping[str, Any], **section: Any) -> ReplayFact:
    for version, value in (("old", before), ("new", after)):
        (root / f"{version}.json").write_text(json.dumps(value))
    (root / "rows.csv").write_text(text)
    settings = ReplaySettings.model_validate({"window": {"path": "rows.csv"}, **section})
    return replay_window(root, settings, Decided("v2", "old.json"), Decided("v1", "new.json"), None, this_machine())


ROWS = """\
symbol,side,edge
BTC,long,20
BTC,short,-20
ETH,long,0
ETH,short,20
ETH,,
"""


def test_flips_and_values_are_those_computed_by_hand(tmp_path: Path) -> None:
    """Of 20, -20, 0, 20 and the mean 4, one model takes what is at least 3 (half of it: 1.5), the other what is -3."""
    fact = replayed(tmp_path, ROWS, model(1.0, mean=4.0), model(-1.0, mean=4.0))

    assert (fact.before, fact.after, fact.window, fact.sampled, fact.problem) == ("v2", "v1", "rows.csv", 1, None)
    # Expected before (20 - 20 + 0 + 20 + 4) / 2 = 12, after -12: -24 over 5 rows.
    assert fact.whole == ReplayPart(rows=5, flipped=4, taken_before=3, taken_after=1, change_bps=-4.8)
    assert fact.parts == (
        ReplayPart(column="symbol", value="BTC", rows=2, flipped=2, taken_before=1, taken_after=1, change_bps=0.0),
        ReplayPart(column="symbol", value="ETH", rows=3, flipped=2, taken_before=2, taken_after=0, change_bps=-8.0),
        ReplayPart(column="side", value="short", rows=2, flipped=2, taken_before=1, taken_after=1, change_bps=0.0),
        ReplayPart(column="side", value="long", rows=2, flipped=1, taken_before=1, taken_after=0, change_bps=-10.0),
    )


def test_a_cost_is_taken_from_what_both_expect_and_changes_no_value(tmp_path: Path) -> None:
    fact = replayed(tmp_path, ROWS, model(1.0), model(1.5), cost_bps=10.0)

    assert fact.whole == ReplayPart(rows=5, flipped=2, taken_before=0, taken_after=2, change_bps=1.0)


def test_a_model_against_itself_flips_nothing(tmp_path: Path) -> None:
    fact = replayed(tmp_path, ROWS, model(1.0), model(1.0))

    assert fact.whole is not None
    assert (fact.whole.flipped, fact.whole.change_bps) == (0, 0.0)


def sampled(root: Path, rows: int, most: int, *, files: int = 1) -> tuple[ReplayFact, list[int]]:
    """A replay of numbered rows in some files, and which of the rows it has decided about."""
    for number, places in enumerate(np.array_split(np.arange(rows), files)):
        text = "edge,side\n" + "".join(f"{place},{place}\n" for place in places)
        (root / f"rows-{number}.csv").write_text(text)
    fact = replayed(root, "", model(0.0), model(2.0), rows=most, window={"path": "rows-*.csv"}, parts=("side",))
    return fact, sorted(int(part.value) for part in fact.parts)


@given(rows=st.integers(1, 300), most=st.integers(1, 50), files=st.integers(1, 3))
def test_a_sample_is_even_bounded_and_always_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: int, most: int, files: int
) -> None:
    fact, taken = sampled(tmp_path_factory.mktemp("a"), rows, most)

    step = fact.sampled
    assert step == max(1, -(-rows // most))
    assert [place // step for place in taken] == list(range(len(taken)))
    assert rows // step <= len(taken) <= most
    assert fact.whole is not None
    assert fact.whole.rows == len(taken)
    assert sampled(tmp_path_factory.mktemp("b"), rows, most, files=files) == (fact, taken)


def test_rows_that_come_by_turns_are_sampled_alike(tmp_path: Path) -> None:
    """Every second row of two symbols by turns would be of one symbol."""
    text = "edge,symbol\n" + "1,BTC\n1,ETH\n" * 2000

    parts = replayed(tmp_path, text, model(0.0), model(2.0), rows=2000).parts

    assert sum(part.rows for part in parts) == 2000
    assert all(900 < part.rows < 1100 for part in parts)  # 1,000 expected, with a standard deviation of 22


def test_of_many_parts_those_that_flip_most_are_told_and_small_ones_push_no_large_one_out(tmp_path: Path) -> None:
    lines = [f"20,tiny{number}" for number in range(60)] + ["20,large"] * 3 + ["0,calm"] * 3
    text = "\n".join(
        ["edge,symbol,side", *(f"{line},{'long' if number else 'short'}" for number, line in enumerate(lines))]
    )

    parts = replayed(tmp_path, text, model(1.0), model(-1.0), min_rows=2).parts

    assert [part.value for part in parts[:3]] == ["large", "calm", "tiny0"]
    assert [part.column for part in parts].count("symbol") == 50
    assert [(part.value, part.flips) for part in parts[50:]] == [("long", 62 / 65), ("short", 1.0)]


@pytest.mark.parametrize(
    ("before", "rows", "problem"),
    [
        (model(1.0) | {"feature_names": ["edge", "rsi"]}, ROWS, "rsi"),
        (model(1.0) | {"backend": "oracle"}, ROWS, "oracle"),
        (model(1.0) | {"model_state": {}}, ROWS, "old.json: model_state.bias is missing"),
        ({"feature_names": "edge"}, ROWS, "old.json"),
        (model(1.0), "symbol\nBTC\n", "the window has no column edge"),
    ],
)
def test_what_cannot_be_replayed_is_a_problem_that_names_no_place_of_the_machine(
    tmp_path: Path, before: dict[str, Any], rows: str, problem: str
) -> None:
    fact = replayed(tmp_path, rows, before, model(1.0))

    assert fact.whole is None
    assert problem in str(fact.problem)
    assert str(tmp_path) not in str(fact.problem)


# Limits

WHOLE = ReplayPart(rows=1000, flipped=200, taken_before=500, taken_after=400, change_bps=-1.25)
PARTS = (
    ReplayPart(column="symbol", value="BTC", rows=900, flipped=90, taken_before=450, taken_after=400, change_bps=-1.0),
    ReplayPart(column="symbol", value="ETH", rows=99, flipped=99, taken_before=50, taken_after=0, change_bps=-3.0),
)
FACT = ReplayFact(before="v10", after="v9", window="w", whole=WHOLE, parts=PARTS)


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        ({}, ()),
        ({"flips": 0.2}, ()),
        ({"flips": 0.19}, ("20.0% of the decisions flip, limit 19.0%",)),
        ({"change_bps": 1.25}, ()),
        ({"change_bps": 1.2}, ("the expected value changes by -1.25 bps a row, limit 1.2",)),
        ({"part_flips": 0.1}, ()),
        ({"part_flips": 0.09}, ("symbol BTC: 10.0% flip, limit 9.0%",)),
        ({"flips": 0.0, "change_bps": 0.0, "part_flips": 0.0}, 3),
    ],
)
def test_a_replay_is_held_to_its_limits_and_a_small_part_is_not(limits: dict[str, float], broken: Any) -> None:
    answer, found = judge(FACT, limits, min_rows=100)

    assert (len(found) if isinstance(broken, int) else found) == broken
    assert answer is (Answer.BLOCK if broken else Answer.PASS)


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (FACT.model_copy(update={"whole": None, "problem": "v10.json is gone"}), "v10.json is gone"),
        (FACT.model_copy(update={"whole": None}), "nothing was replayed"),
        (
            FACT.model_copy(update={"whole": WHOLE.model_copy(update={"rows": 99})}),
            "99 rows were replayed, at least 100",
        ),
    ],
)
def test_what_cannot_be_told_does_not_pass(fact: ReplayFact, reason: str) -> None:
    assert judge(fact, {}, min_rows=100) == (Answer.BLOCK, (reason,))


def test_what_changes_is_said_in_one_line_with_the_sampling() -> None:
    said = "20.0% of 1,000 decisions{} flip; taken 500 -> 400; expected value -1.25 bps a row"

    assert words(WHOLE) == said.format("")
    assert words(WHOLE, 3) == said.format(" (1 in 3 rows)")
    assert words(PARTS[1]).startswith("symbol ETH: 100.0% of 99 decisions flip; ")
    assert words(WHOLE.model_copy(update={"rows": 0})).startswith("0.0% of 0 decisions flip")


# In a plan, and in its run


@pytest.fixture(scope="module")
def made(folder: Path) -> Site:
    site = measured_site(folder / "made")
    write_window(site.root / LIVE, texts={"symbol": SYMBOLS, "side": ("long", "long", "short")})
    return site


def with_replay(site: Site, section: str = "") -> None:
    write_plan(site, gates=f"replay: {{window: {{path: {LIVE}}}{section}}}", checks="{}")


def test_a_plan_shows_what_would_flip_by_symbol_and_side(site: Site) -> None:
    with_replay(site)

    plan = site.ok("plan", PLAN).out

    assert "pass              replay: 7.5% of 1,200 decisions flip; taken 520 -> 430; " in plan
    shown = [line.split(":")[0].strip() for line in plan.splitlines() if "decisions flip" in line][1:]
    assert sorted(shown) == ["side long", "side short", "symbol BTCUSDT", "symbol ETHUSDT"]
    assert shown[0].startswith("symbol")


def test_a_replay_beyond_its_limits_blocks_the_release_and_each_limit_is_named(site: Site) -> None:
    with_replay(site, ", limits: {flips: 0.05, part_flips: 0.5}")

    done = site.apply()

    assert done.code == 3
    assert "replay: 7.5% of 1,200 decisions flip" in done.err
    assert "    7.5% of the decisions flip, limit 5.0%" in done.err
    assert "part" not in done.err
    assert site.state("var/models/serving.json")["attached"] is False


def test_a_run_that_has_waited_is_replayed_again_and_goes_on(site: Site) -> None:
    with_replay(site, ", limits: {flips: 0.5}")
    site.interrupted(7)

    done = site.apply()

    assert done.code == 0
    assert "gate replay: pass" in done.err


def test_a_sampled_replay_says_so(site: Site) -> None:
    with_replay(site, ", rows: 400")

    assert re.search(r"replay: [0-9.]+% of 400 decisions \(1 in 3 rows\) flip; ", site.ok("plan", PLAN).out)


def test_a_withdrawn_artifact_that_cannot_be_read_blocks_with_the_reason(site: Site) -> None:
    with_replay(site)
    (site.root / V10).write_bytes(b"{")

    done = site("plan", PLAN)

    assert done.code == 0
    assert "release blocked   replay: no replay\n      models/decision_engine/model-v10.json" in done.out
    assert "Traceback" not in done.err


def test_a_window_that_is_gone_blocks_with_the_reason(site: Site) -> None:
    write_plan(site, gates="replay: {window: {path: data/gone.csv}}")

    done = site("plan", PLAN)

    assert done.code == 0
    assert "release blocked   replay: no replay\n      data/gone.csv" in done.out
