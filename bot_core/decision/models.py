"""What is decided about, on what ground, and what came of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from datetime import datetime
from typing import Protocol

from bot_core.ai.artifact import ModelScore
from bot_core.foundation.fields import Fields
from bot_core.foundation.frozen import frozen

# Where a candidate's metadata hold the features of the model; the first that is there counts.
FEATURE_PLACES = (("model_features",), ("features",), ("decision_engine", "features"))


class Inference(Protocol):
    """What an orchestrator asks of a model; `DecisionModelInference` is one."""

    @property
    def is_ready(self) -> bool:
        """Whether a score asked for now would be given."""

    @property
    def model_version(self) -> str | None:
        """The version of the model that is loaded; None when nobody said."""

    @property
    def model_digest(self) -> str | None:
        """The digest of the file of the artifact that is loaded; None when nobody said, or none is."""

    @property
    def last_imputed_features(self) -> tuple[str, ...]:
        """The features that the last score had to fill in."""

    def score(self, features: Mapping[str, float]) -> ModelScore:
        """What the model expects."""


@frozen
class DecisionCandidate:
    """A trade that a strategy proposes.

    Attributes:
        symbol: None when it is about no single instrument.
        notional: Size in the currency of the account, 0 or more.
        expected_return_bps: What the strategy itself expects, in basis points of the notional, before costs.
        expected_probability: How sure it is, 0 to 1.
        cost_bps_override: Cost in basis points that beats the TCO report; None: the report's.
        latency_ms: None when it was not measured, so that no limit on it holds.
        metadata: The strategy's own; it holds the model's features.
    """

    strategy: str
    action: str
    risk_profile: str
    symbol: str | None
    notional: float
    expected_return_bps: float
    expected_probability: float = 1.0
    cost_bps_override: float | None = None
    latency_ms: float | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def from_fields(cls, found: Fields) -> "DecisionCandidate":
        """The candidate in a file; keys that are not known are passed over.

        Raises:
            FileFormatError: A field is missing, of the wrong sort, or out of its range.
        """
        probability = found.number("expected_probability", 1.0, at_least=0.0)
        if probability > 1.0:
            raise found.fault(f"{found.at('expected_probability')} is {probability:g}, more than 1")
        candidate = cls(
            strategy=found.text("strategy"),
            action=found.text("action"),
            risk_profile=found.text("risk_profile"),
            symbol=None if found.values.get("symbol") is None else found.text("symbol"),
            notional=found.number("notional", at_least=0.0),
            expected_return_bps=found.number("expected_return_bps"),
            expected_probability=probability,
            cost_bps_override=found.optional_number("cost_bps_override"),
            latency_ms=found.optional_number("latency_ms", at_least=0.0),
            metadata=found.inner("metadata").values,
        )
        features_of(found.inner("metadata"))
        return candidate

    @property
    def expected_value_bps(self) -> float:
        """What the strategy expects on average: return times probability, in basis points."""
        return self.expected_return_bps * self.expected_probability

    def model_features(self) -> dict[str, float]:
        """The model's features in the metadata; empty where there are none.

        Raises:
            FileFormatError: They are no mapping to numbers.
        """
        return features_of(Fields(self.metadata, f"candidate {self.strategy}", "metadata"))

    def to_mapping(self) -> Mapping[str, object]:
        """The candidate as JSON; a cost of its own only where it has one."""
        fields = asdict(self)
        return fields if self.cost_bps_override is not None else _without(fields, "cost_bps_override")


def features_of(metadata: Fields) -> dict[str, float]:
    """The model's features in a candidate's metadata: the first of `FEATURE_PLACES` that names some.

    A feature that is null is left out, as one that the strategy does not know.
    """
    for *path, last in FEATURE_PLACES:
        holder = metadata
        for part in path:
            holder = holder.inner(part)
        found = holder.inner(last)
        if found.values:
            return {name: found.number(name) for name, value in found.values.items() if value is not None}
    return {}


@frozen
class RiskSnapshot:
    """The state of a risk profile's account.

    Attributes:
        profile: The risk profile.
        start_of_day_equity, peak_equity, last_equity: In the currency of the account.
        daily_realized_pnl: Since the start of the day; negative is a loss.
        gross_notional: Sum of the sizes of all positions.
        active_positions: How many positions are open.
        symbols: The instruments of these positions.
        force_liquidation: Whether the profile is being closed; nothing is accepted then.
    """

    profile: str
    start_of_day_equity: float
    daily_realized_pnl: float
    peak_equity: float
    last_equity: float
    gross_notional: float
    active_positions: int
    symbols: Sequence[str] = ()
    force_liquidation: bool = False

    @classmethod
    def from_fields(cls, profile: str, found: Fields) -> "RiskSnapshot":
        """The snapshot of a profile in a file; a position of size 0 is none.

        Raises:
            FileFormatError: A field is missing or of the wrong sort, or the equity is not above 0.
        """
        positions = {symbol: abs(each.number("notional")) for symbol, each in found.inner("positions").each()}
        opened = {symbol: size for symbol, size in positions.items() if size}
        for name in ("start_of_day_equity", "peak_equity"):
            if found.number(name) <= 0.0:
                raise found.fault(f"{found.at(name)} is {found.values[name]!r}, not above 0")
        return cls(
            profile=profile,
            start_of_day_equity=found.number("start_of_day_equity"),
            daily_realized_pnl=found.number("daily_realized_pnl"),
            peak_equity=found.number("peak_equity"),
            last_equity=found.number("last_equity"),
            gross_notional=math.fsum(opened.values()),
            active_positions=len(opened),
            symbols=tuple(opened),
            force_liquidation=found.flag("force_liquidation"),
        )

    @property
    def daily_loss_pct(self) -> float:
        """Today's realized loss as a share of the equity at the start of the day; 0 without a loss."""
        return _share(-self.daily_realized_pnl, self.start_of_day_equity)

    @property
    def drawdown_pct(self) -> float:
        """How far the equity is below its peak, as a share of the peak; 0 at the peak."""
        return _share(self.peak_equity - self.last_equity, self.peak_equity)

    def position_ratio(self, notional: float) -> float:
        """All positions and one of `notional` more, as a share of the equity at the start of the day."""
        return _share(self.gross_notional + max(notional, 0.0), self.start_of_day_equity)

    def contains_symbol(self, symbol: str | None) -> bool:
        """Whether there is a position in the instrument."""
        return symbol is not None and symbol in self.symbols


@frozen
class DecisionContext:
    """What a decision is made in: the risk snapshot counts; `runtime` and `costs` are the caller's own."""

    risk_snapshot: Mapping[str, object] | RiskSnapshot = field(default_factory=dict)
    runtime: Mapping[str, object] = field(default_factory=dict)
    costs: Mapping[str, object] = field(default_factory=dict)


@frozen
class ModelSelectionDetail:
    """A model with a history as it was looked at for one candidate.

    Attributes:
        effective_score: Measure of its past accuracy, weighed by how recent it is.
        updated_at: Of that history.
        reason: Why it was passed over; None for the one that was chosen.
    """

    name: str
    effective_score: float
    updated_at: datetime
    reason: str | None


@frozen
class ModelSelectionMetadata:
    """Which model was chosen for a candidate (None: none), and those that were looked at by their history, in order."""

    selected: str | None
    candidates: Sequence[ModelSelectionDetail] = ()


@frozen
class DecisionEvaluation:
    """What came of one candidate.

    Attributes:
        accepted: Nothing spoke against it: neither a reason nor a stress test.
        cost_bps: None where no cost is known; it then counts as 0.
        net_edge_bps: Expected value less cost; None where a model should have scored and did not.
        reasons: Each limit that it breaks, with value and limit; and whatever else kept it from being accepted.
        risk_flags: Names of the risk limits among them.
        stress_failures: The stress tests it fails, with value and limit.
        expected_value_bps: Return times probability on which it was decided: the model's, or without a model its own.
        model_expected_return_bps, model_success_probability: The model's score; None where no model scored.
        model_name, model_version, model_digest: The model that scored; None where none did.
        imputed_features: What the model had to fill in.
        thresholds_snapshot: The limits that held.
    """

    candidate: DecisionCandidate
    accepted: bool
    cost_bps: float | None
    net_edge_bps: float | None
    reasons: Sequence[str] = ()
    risk_flags: Sequence[str] = ()
    stress_failures: Sequence[str] = ()
    expected_value_bps: float | None = None
    model_expected_return_bps: float | None = None
    model_success_probability: float | None = None
    model_name: str | None = None
    model_version: str | None = None
    model_digest: str | None = None
    imputed_features: Sequence[str] = ()
    model_selection: ModelSelectionMetadata | None = None
    thresholds_snapshot: Mapping[str, float | None] | None = None

    def to_mapping(self) -> Mapping[str, object]:
        """The evaluation as JSON, in the shape of the engine's smoke output."""
        fields = {**asdict(self), "candidate": self.candidate.to_mapping()}
        fields["thresholds"] = fields.pop("thresholds_snapshot")
        return _without(fields, "model_selection")


def _without(fields: Mapping[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in fields.items() if key != name}


def _share(part: float, whole: float) -> float:
    """A part of a whole, at least 0; infinite where there is no whole, so that every limit is broken."""
    if part <= 0.0:
        return 0.0
    return part / whole if whole > 0.0 else math.inf
