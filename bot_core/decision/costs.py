"""What a trade costs, by strategy and risk profile, from a report on total cost of ownership (TCO)."""

from collections.abc import Mapping
from typing import Protocol

from bot_core.decision.models import DecisionCandidate
from bot_core.foundation.fields import Fields
from bot_core.foundation.frozen import frozen


@frozen
class CostTable:
    """The costs of a TCO report, in basis points of the notional.

    Attributes:
        by_profile: By strategy and risk profile.
        by_strategy: Of a strategy as a whole.
        total: Of all strategies together; None where the report does not say.
    """

    by_profile: Mapping[tuple[str, str], float]
    by_strategy: Mapping[str, float]
    total: float | None

    @classmethod
    def parse(cls, report: Mapping[str, object], source: str) -> "CostTable":
        """The costs of a report: `strategies.S.profiles.P.cost_bps`, `strategies.S.total.cost_bps`, `total.cost_bps`.

        Raises:
            FileFormatError: Something in there is of the wrong sort.
        """
        whole = Fields(report, source)
        strategies = dict(whole.inner("strategies").each())
        by_profile = {
            (strategy, profile): costs.number("cost_bps")
            for strategy, found in strategies.items()
            for profile, costs in found.inner("profiles").each()
        }
        totals = {strategy: found.inner("total").optional_number("cost_bps") for strategy, found in strategies.items()}
        by_strategy = {strategy: total for strategy, total in totals.items() if total is not None}
        return cls(by_profile, by_strategy, whole.inner("total").optional_number("cost_bps"))


class CostResolver(Protocol):
    """Knows what a candidate costs."""

    def update_costs_from_report(self, report: Mapping[str, object]) -> None:
        """Take the costs of a TCO report in place of all earlier ones."""

    def resolve_cost(self, candidate: DecisionCandidate) -> tuple[float | None, bool]:
        """The cost in basis points (None: unknown), and whether nobody knows it."""


class DecisionCostResolver:
    """Looks a candidate's cost up in the newest TCO report."""

    def __init__(self, *, penalty_cost_bps: float = 0.0) -> None:
        """Begin without a report.

        Args:
            penalty_cost_bps: The cost of a candidate of which nothing is known; 0: none is assumed.
        """
        self._penalty_cost_bps = penalty_cost_bps
        self._costs = CostTable({}, {}, None)

    def update_costs_from_report(self, report: Mapping[str, object]) -> None:
        """Take the costs of a TCO report in place of all earlier ones.

        Raises:
            FileFormatError: The report is not one; the earlier costs stay.
        """
        self._costs = CostTable.parse(report, "the TCO report")

    def resolve_cost(self, candidate: DecisionCandidate) -> tuple[float | None, bool]:
        """The candidate's own cost, else its profile's, its strategy's, the whole report's, else the penalty.

        Returns:
            The cost in basis points, None when it is unknown and there is no penalty; and whether it is unknown.
        """
        costs = self._costs
        known = (
            candidate.cost_bps_override,
            costs.by_profile.get((candidate.strategy, candidate.risk_profile)),
            costs.by_strategy.get(candidate.strategy),
            costs.total,
        )
        cost = next((value for value in known if value is not None), None)
        return (cost, False) if cost is not None else (self._penalty_cost_bps or None, True)
