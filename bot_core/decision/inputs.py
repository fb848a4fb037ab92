"""Reading the files that a decision is made from: candidates, risk snapshots, TCO report."""

from collections.abc import Mapping

from bot_core.decision.costs import CostTable
from bot_core.decision.models import DecisionCandidate, RiskSnapshot
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.fields import Fields
from bot_core.foundation.strict_json import JsonValue, parse_json, parse_object


def parse_candidates(data: bytes, source: str) -> tuple[DecisionCandidate, ...]:
    """The candidates of a file: a list, or an object with the list under `candidates`.

    Raises:
        FileFormatError: Not strict JSON, or a candidate is not one; names the file and the place.
    """
    value = parse_json(data, source)
    listed = value.get("candidates") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise FileFormatError(f"{source}: neither a list nor an object with the list `candidates`", path=source)
    return tuple(_candidate(item, source, f"candidates[{number}]") for number, item in enumerate(listed))


def parse_risk_snapshots(data: bytes, source: str) -> dict[str, RiskSnapshot]:
    """The risk snapshots of a file, by risk profile.

    Raises:
        FileFormatError: Not strict JSON, or a snapshot is not one; names the file and the place.
    """
    profiles = Fields(parse_object(data, source), source).each()
    return {profile: RiskSnapshot.from_fields(profile, found) for profile, found in profiles}


def parse_tco_report(data: bytes, source: str) -> Mapping[str, JsonValue]:
    """The TCO report of a file, as `DecisionOrchestrator.update_costs_from_report` takes it.

    Raises:
        FileFormatError: Not strict JSON, or it is no such report; names the file and the place.
    """
    report = parse_object(data, source)
    CostTable.parse(report, source)
    return report


def _candidate(item: JsonValue, source: str, place: str) -> DecisionCandidate:
    if not isinstance(item, dict):
        raise FileFormatError(f"{source}: {place} is {item!r}, not an object", path=source)
    return DecisionCandidate.from_fields(Fields(item, source, place))
