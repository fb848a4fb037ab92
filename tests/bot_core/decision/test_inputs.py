import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.decision.inputs import MAX_BYTES, parse_candidates, parse_risk_snapshots, parse_tco_report
from bot_core.decision.models import DecisionCandidate, RiskSnapshot
from bot_core.foundation.errors import FileFormatError
from tests.bot_core.decision.examples import PAPER, make_candidate

CANDIDATE: dict[str, Any] = {
    "strategy": "trend_follow",
    "action": "enter",
    "risk_profile": "balanced",
    "notional": 1000,
    "expected_return_bps": 10.0,
}
PROFILE: dict[str, Any] = {
    "start_of_day_equity": 1000.0,
    "daily_realized_pnl": -50.0,
    "peak_equity": 1250.0,
    "last_equity": 1000.0,
}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_the_engines_own_candidates_are_read_and_written_back_equal() -> None:
    data = (PAPER / "candidates.json").read_bytes()

    assert [candidate.to_mapping() for candidate in parse_candidates(data, "c")] == json.loads(data)


def test_candidates_may_stand_under_their_name_and_leave_out_what_has_a_default() -> None:
    expected = DecisionCandidate("trend_follow", "enter", "balanced", None, 1000.0, 10.0)

    assert parse_candidates(encoded([CANDIDATE]), "c") == (expected,)
    assert parse_candidates(encoded({"candidates": [{**CANDIDATE, "unknown": [1]}]}), "c") == (expected,)
    assert parse_candidates(b"[]", "c") == ()


names = st.text(min_size=1, max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(
    strategy=names,
    symbol=st.none() | names,
    notional=st.floats(0.0, 1e12),
    expected_return_bps=numbers,
    expected_probability=st.floats(0.0, 1.0),
    cost_bps_override=st.none() | numbers,
    latency_ms=st.none() | st.floats(0.0, 1e6),
    metadata=st.fixed_dictionaries({"features": st.dictionaries(names, numbers)}),
)
def test_a_candidate_that_is_written_is_read_back_equal(**fields: Any) -> None:
    candidate = make_candidate(**fields)

    assert parse_candidates(encoded([candidate.to_mapping()]), "c") == (candidate,)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"strategy": None}, "candidates[1].strategy is missing"),
        ({"strategy": ""}, "candidates[1].strategy is '', not a text"),
        ({"symbol": 7}, "candidates[1].symbol is 7, not a text"),
        ({"notional": None}, "candidates[1].notional is missing"),
        ({"notional": "1000"}, "candidates[1].notional is '1000', not a finite number"),
        ({"notional": True}, "candidates[1].notional is True, not a finite number"),
        ({"notional": -1}, "candidates[1].notional is -1, less than 0"),
        ({"expected_probability": 1.5}, "candidates[1].expected_probability is 1.5, more than 1"),
        ({"latency_ms": -3}, "candidates[1].latency_ms is -3, less than 0"),
        ({"metadata": []}, "candidates[1].metadata is [], not a mapping"),
        (
            {"metadata": {"model_features": {"momentum": "up"}}},
            "candidates[1].metadata.model_features.momentum is 'up', not a finite number",
        ),
        (
            {"metadata": {"decision_engine": {"features": 3}}},
            "candidates[1].metadata.decision_engine.features is 3, not a mapping",
        ),
    ],
)
def test_a_candidate_that_is_none_is_named_with_file_and_place(change: dict[str, Any], fault: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse_candidates(encoded([CANDIDATE, CANDIDATE | change]), "c.json")

    assert (caught.value.problem, caught.value.path) == (f"c.json: {fault}", "c.json")


@pytest.mark.parametrize("data", [b"{}", b"3", b'{"candidates": {}}', b"null"])
def test_what_holds_no_list_of_candidates_is_refused(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"c\.json: neither a list nor an object with the list"):
        parse_candidates(data, "c.json")


def test_an_item_that_is_no_object_is_refused() -> None:
    with pytest.raises(FileFormatError, match=r"c.json: candidates\[0\] is 3, not an object"):
        parse_candidates(b"[3]", "c.json")


@pytest.mark.parametrize("parse", [parse_candidates, parse_risk_snapshots, parse_tco_report])
@pytest.mark.parametrize("data", [b"", b"\xff", b"[NaN]", b'{"a": 1e999}', b'{"a": 1, "a": 2}', b"[" * 100])
def test_what_is_no_strict_json_is_refused_with_the_file_and_the_line(parse: Any, data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"^in\.json, line 1: "):
        parse(data, "in.json")


@pytest.mark.parametrize("parse", [parse_candidates, parse_risk_snapshots, parse_tco_report])
def test_a_file_that_is_too_large_is_refused_unread(parse: Any) -> None:
    with pytest.raises(FileFormatError, match=r"^in\.json: larger than 16777216 bytes$"):
        parse(b" " * (MAX_BYTES + 1), "in.json")


def test_a_snapshot_adds_its_positions_up() -> None:
    positions = {"BTCUSDT": {"side": "long", "notional": 300.0}, "ETHUSDT": {"side": "short", "notional": -200}}
    closed = {"ADAUSDT": {"notional": 0}}

    found = parse_risk_snapshots(encoded({"balanced": {**PROFILE, "positions": positions | closed}}), "r")

    assert found == {
        "balanced": RiskSnapshot("balanced", 1000.0, -50.0, 1250.0, 1000.0, 500.0, 2, ("BTCUSDT", "ETHUSDT"))
    }
    snapshot = found["balanced"]
    assert (snapshot.daily_loss_pct, snapshot.drawdown_pct, snapshot.position_ratio(100.0)) == (0.05, 0.2, 0.6)


def test_a_gain_is_no_loss_and_a_new_peak_no_drawdown() -> None:
    found = parse_risk_snapshots(encoded({"p": {**PROFILE, "daily_realized_pnl": 5, "last_equity": 1300}}), "r")

    assert (found["p"].daily_loss_pct, found["p"].drawdown_pct) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("profile", "fault"),
    [
        (7, "balanced is 7, not a mapping"),
        (PROFILE | {"last_equity": None}, "balanced.last_equity is missing"),
        (PROFILE | {"start_of_day_equity": 0}, "balanced.start_of_day_equity is 0, not above 0"),
        (PROFILE | {"peak_equity": -1}, "balanced.peak_equity is -1, not above 0"),
        (PROFILE | {"force_liquidation": 1}, "balanced.force_liquidation is 1, neither true nor false"),
        (PROFILE | {"positions": {"BTCUSDT": {"side": "long"}}}, "balanced.positions.BTCUSDT.notional is missing"),
    ],
)
def test_a_snapshot_that_is_none_is_named_with_file_and_place(profile: Any, fault: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse_risk_snapshots(encoded({"balanced": profile}), "r.json")

    assert caught.value.problem == f"r.json: {fault}"


def test_a_cost_that_is_none_is_named_with_file_and_place() -> None:
    with pytest.raises(FileFormatError, match=r"t\.json: total\.cost_bps is 'x', not a finite number"):
        parse_tco_report(b'{"total": {"cost_bps": "x"}}', "t.json")
