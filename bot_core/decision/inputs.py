"""Reading the files that a decision is made from: candidates, risk snapshots, TCO report."""

from collections.abc import Mapping

from bot_core.decision.costs import CostTable
from bot_core.decision.models import DecisionCandidate, RiskSnapshot
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.fields import Fields
from bot_core.foundation.strict_json import JsonValue, parse_json, parse_object

MAX_BYTES = 16 * 1024 * 1024


def parse_candidates(data: bytes, source: str) -> tuple[DecisionCandidate, ...]:
    """The candidates of a file: a list, or an object with the list under `candidates`.

    Raises:
        FileFormatError: Larger than 16 MiB, not strict JSON, or a candidate is not one; names the file and the place.
    """
    value = parse_json(_bounded(data, source), source)
    listed = value.get("candidates") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise FileFormatError(f"{source}: neither a list nor an object with the list `candidates`", path=source)
    return tuple(_candidate(item, source, f"candidates[{number}]") for number, item in enumerate(listed))


def parse_risk_snapshots(data: bytes, source: str) -> dict[str, RiskSnapshot]:
    """The risk snapshots of a file, by risk profile.

    Raises:
        FileFormatError: Larger than 16 MiB, not strict JSON, or a snapshot is not one; names the file and the place.
    """
    profiles = Fields(parse_object(_bounded(data, source), source), source).each()
    return {profile: RiskSnapshot.from_fields(profile, found) for profile, found in profiles}


def parse_tco_report(data: bytes, source: str) -> Mapping[str, JsonValue]:
    """The TCO report of a file, as `DecisionOrchestrator.update_costs_from_report` takes it.

    Raises:
        FileFormatError: Larger than 16 MiB, not strict JSON, or it is no such report; names the file and the place.
    """
    report = parse_object(_bounded(data, source), source)
    CostTable.parse(report, source)
    return report


def _bounded(data: bytes, source: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise FileFormatError(f"{source}: larger than {MAX_BYTES} bytes", path=source)
    return data


def _candidate(item: JsonValue, source: str, place: str) -> DecisionCandidate:
    if not isinstance(item, dict):
        raise FileFormatError(f"{source}: {place} is {item!r}, not an object", path=source)
    return DecisionCandidate.from_fields(Fields(item, source, place))
