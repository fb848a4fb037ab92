"""Every version as a possible target, the best first, as values to be shown."""

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.data_drift import MovedFeature, MovedSegment, VersionDrift, WindowFact


@frozen
class Ranked:
    """One version.

    Attributes:
        verdict: chosen, eligible, older, rejected or withdrawn.
        served: When it served, as far as the decision journal knows; "" where it does not.
        integrity: What its bundle proves.
        signed: Who decided what about its walk-forward report.
        drift: within, beyond or no data; None where the plan does not ask.
        used: How much of its limit the worst measure has used; 1 is at the limit.
        used_by: Which measure of which feature that is; "" where none has.
        measured: What was measured; None where nothing was.
        reasons: Everything that speaks for or against it.
    """

    version: str
    verdict: str
    served: str
    integrity: str
    signed: str
    drift: str | None
    used: float
    used_by: str
    measured: VersionDrift | None
    reasons: tuple[str, ...]

    @property
    def worst(self) -> tuple[MovedFeature, ...]:
        """The three features that have moved furthest."""
        return () if self.measured is None or self.measured.problem else self.measured.features[:3]

    @property
    def worst_segments(self) -> tuple[MovedSegment, ...]:
        """The segments whose worst feature has moved furthest, three at most."""
        parts = () if self.measured is None else self.measured.segments
        known = [(_weight(part.worst), part) for part in parts if part.worst is not None]
        return tuple(part for _, part in sorted(known, key=lambda item: (-item[0], item[1].value))[:3])


def _weight(item: MovedFeature) -> float:
    return item.measures.get("psi", item.measures.get("mean_shift", 0.0))


@frozen
class Ranking:
    """All versions of a repository.

    Attributes:
        withdrawn: The version to be withdrawn.
        target: The version that the plan goes back to; None where no version may be it.
        verdict: The answer in a few words.
        window: The rows that the versions were held against; None where the plan does not ask.
        limits: The limit of each measure.
        rows: The versions, the best first, the withdrawn one last.
    """

    incident: str
    withdrawn: str
    target: str | None
    verdict: str
    window: WindowFact | None
    limits: dict[str, float]
    rows: tuple[Ranked, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """Return the ranking as JSON."""
        return {
            "format_version": "1.0",
            "incident": self.incident,
            "withdrawn": self.withdrawn,
            "target": self.target,
            "verdict": self.verdict,
            "window": None if self.window is None else self.window.model_dump(mode="json"),
            "limits": dict(self.limits),
            "versions": [
                {
                    "version": row.version,
                    "verdict": row.verdict,
                    "served": row.served,
                    "integrity": row.integrity,
                    "signed": row.signed,
                    "data_drift": row.drift,
                    "used": round(row.used, 4),
                    "used_by": row.used_by,
                    "measured": None if row.measured is None else row.measured.model_dump(mode="json"),
                    "reasons": list(row.reasons),
                }
                for row in self.rows
            ],
        }
