from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.config.decision_engine import runbook_config
from bot_core.decision.costs import DecisionCostResolver
from bot_core.decision.models import DecisionContext
from bot_core.decision.orchestrator import DecisionOrchestrator
from bot_core.foundation.errors import FileFormatError
from tests.bot_core.decision.examples import make_candidate, make_snapshot

REPORT: dict[str, Any] = {
    "strategies": {
        "trend_follow": {"profiles": {"balanced": {"cost_bps": 4.0}}, "total": {"cost_bps": 5.0}},
        "grid_core": {"profiles": {}},
    },
    "total": {"cost_bps": 6.0},
}


def resolver(report: dict[str, Any] | None = None, penalty: float = 0.0) -> DecisionCostResolver:
    made = DecisionCostResolver(penalty_cost_bps=penalty)
    if report is not None:
        made.update_costs_from_report(report)
    return made


@pytest.mark.parametrize(
    ("candidate", "cost"),
    [
        ({"cost_bps_override": 0.0}, 0.0),
        ({}, 4.0),
        ({"risk_profile": "careful"}, 5.0),
        ({"strategy": "grid_core"}, 6.0),
        ({"strategy": "unknown"}, 6.0),
    ],
)
def test_a_cost_is_taken_from_what_is_nearest_to_the_candidate(candidate: dict[str, Any], cost: float) -> None:
    assert resolver(REPORT).resolve_cost(make_candidate(**candidate)) == (cost, False)


def test_without_a_report_the_cost_is_unknown_or_the_penalty() -> None:
    assert resolver().resolve_cost(make_candidate()) == (None, True)
    assert resolver(penalty=7.0).resolve_cost(make_candidate()) == (7.0, True)
    assert resolver({}, penalty=7.0).resolve_cost(make_candidate()) == (7.0, True)


def test_an_unknown_cost_is_a_reason_only_where_costs_are_required() -> None:
    context = DecisionContext(make_snapshot())
    required = DecisionOrchestrator(replace(runbook_config(), require_cost_data=True, penalty_cost_bps=1.0))

    evaluation = required.evaluate_candidate(make_candidate(), context)

    assert evaluation.reasons == ("no cost is known of trend_follow",)
    assert evaluation.net_edge_bps == 8.0
    assert DecisionOrchestrator(runbook_config()).evaluate_candidate(make_candidate(), context).accepted


@pytest.mark.parametrize(
    ("report", "fault"),
    [
        ({"strategies": []}, "strategies is [], not a mapping"),
        ({"strategies": {"a": 1}}, "strategies.a is 1, not a mapping"),
        ({"strategies": {"a": {"profiles": {"b": {}}}}}, "strategies.a.profiles.b.cost_bps is missing"),
        ({"total": {"cost_bps": "4"}}, "total.cost_bps is '4', not a finite number"),
        ({"total": {"cost_bps": float("nan")}}, "total.cost_bps is nan, not a finite number"),
    ],
)
def test_a_report_that_is_none_is_refused_with_the_place_and_the_costs_stay(report: Any, fault: str) -> None:
    known = resolver(REPORT)

    with pytest.raises(FileFormatError) as caught:
        known.update_costs_from_report(report)

    assert caught.value.problem == f"the TCO report: {fault}"
    assert known.resolve_cost(make_candidate()) == (4.0, False)


@given(st.floats(-100.0, 100.0), st.floats(-1000.0, 1000.0), st.floats(0.0, 1.0))
def test_the_net_edge_is_the_expected_value_less_the_cost(cost: float, expected: float, probability: float) -> None:
    candidate = make_candidate(cost_bps_override=cost, expected_return_bps=expected, expected_probability=probability)

    evaluation = DecisionOrchestrator(runbook_config()).evaluate_candidate(candidate, DecisionContext(make_snapshot()))

    assert evaluation.net_edge_bps == expected * probability - cost
