"""What was read from a workspace, as plain values: all that planning and judging may know of it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, JsonValue

from rollbackctl.core.data_drift import DataDriftFact
from rollbackctl.core.fact import Fact
from rollbackctl.core.replay import ReplayFact


def _aware(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("an instant needs an offset")
    return text


Instant = Annotated[str, AfterValidator(_aware)]


class SignOff(Fact):
    """A role's decision on an audit report."""

    status: str
    signed_by: str | None = None
    timestamp: str | None = None
    notes: str | None = None


class ReportFact(Fact):
    """A drift or data-quality report; `sign_off` is None when the report has no block, `error` when it is readable."""

    path: str
    kind: Literal["drift", "data_quality"]
    time: Instant | None
    is_alert: bool
    severity: str
    category: str
    summary: str
    model_version: str | None = None
    score: float | None = None
    threshold: float | None = None
    sign_off: dict[str, SignOff] | None = None
    error: str | None = None
    digest: str


class AttestationFact(Fact):
    """What an artifact's bundle says; `state` is attested, unattested (no bundle) or failed."""

    state: Literal["attested", "unattested", "failed"]
    hmac: str
    folder: str | None = None
    problems: tuple[str, ...] = ()
    digests: dict[str, str] = {}


class BundledFact(Fact):
    """A version's artifact as its sound bundle holds it: the digest of its canonical JSON, and the bundle's files."""

    canonical: str
    folder: str
    digests: dict[str, str] = {}


class WalkForwardFact(Fact):
    """The walk-forward report linked to a version; `problems` are mismatches with the artifact."""

    path: str
    digest: str
    problems: tuple[str, ...] = ()
    sign_off: dict[str, SignOff] | None = None


class VersionFact(Fact):
    """One version of the repository's manifest; what could not be read is None and named in `problems`.

    `features` are the model's, () where it cannot score; `bundled` tells what it was where its own file does not.
    """

    version: str
    file: str
    sha256: str | None = None
    canonical: str | None = None
    trained_at: str | None = None
    saved_at: str | None = None
    model_name: str | None = None
    backend: str | None = None
    features: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    bundled: BundledFact | None = None
    attestation: AttestationFact | None = None
    walk_forward: WalkForwardFact | None = None
    quarantine: str | None = None
    served: str | None = None


class ServedFact(Fact):
    """A model that a serving.json names: what it is served as and the canonical digest of its copy's content."""

    model_dir: str
    name: str
    sha256: str
    canonical: str | None


class RepositoryFact(Fact):
    """A manifest of the workspace: names and what they resolve to (canonical digest; None = nothing readable)."""

    path: str
    active: str | None
    aliases: dict[str, str]
    files: dict[str, str]
    resolved: dict[str, str | None]
    listed: dict[str, tuple[str, ...]]


class JournalFact(Fact):
    """What the decision journal holds about reports; `events` are (event, report_path, place)."""

    events: tuple[tuple[str, str, str], ...] = ()
    malformed: tuple[str, ...] = ()
    files: int = 0


class ChecklistFact(Fact):
    """The last post-incident section that names the incident; `line` is None when there is none."""

    path: str
    line: int | None = None
    risk_approved: bool = False


class RunFact(Fact):
    """An earlier run, as far as it binds later plans; `has_moved_all` where nothing but its record can be missing."""

    run: str
    operation: str
    status: Literal["unfinished", "finished", "abandoned", "undone"]
    name: str
    incident: str | None
    spec_digest: str
    plan: str
    at: str
    by: str
    host: str
    trigger: str | None = None
    cutoff: str | None = None
    withdrawn: str | None = None
    target: str | None = None
    failed_check: bool = False
    has_moved_all: bool = False


class Holder(Fact):
    """Who holds a resource: the run that did so, for which incident, since when."""

    run: str
    incident: str | None
    since: str
    by: str


class HoldFact(Holder):
    """A hold in force: who holds the resource in which state, and what was there before.

    `others` hold it as well: when the first one lets go, it stays held by the next.
    """

    address: str
    base: JsonValue
    held: JsonValue
    operation: str
    others: tuple[Holder, ...] = ()

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Everybody who holds it, in the order of their coming."""
        return (self, *self.others)

    @property
    def incidents(self) -> frozenset[str | None]:
        """Every incident that it is held for."""
        return frozenset(holder.incident for holder in self.holders)

    def without(self, run: str) -> "HoldFact | None":
        """Return what is left of the hold when a run lets go of it; None when nobody else holds it."""
        others = tuple(other for other in self.others if other.run != run)
        if self.run != run:
            return self.model_copy(update={"others": others})
        if not others:
            return None
        first = others[0].model_dump()
        return self.model_copy(update={**first, "operation": "hold", "others": others[1:]})


class Observation(Fact):
    """Everything that a plan needs to know, as one value; `observe --out` writes it.

    `outside` are links to folders outside the workspace that hold a manifest or a serving state; `missing` are the
    paths of the rollback plan that must exist for a run to do something with them, and do not.
    """

    format_version: Literal["1.0"] = "1.0"
    scope: dict[str, JsonValue]
    policy: dict[str, JsonValue]
    policy_digest: str
    repository: str
    versions: tuple[VersionFact, ...]
    repositories: tuple[RepositoryFact, ...]
    served: tuple[ServedFact, ...] = ()
    outside: tuple[str, ...] = ()
    reports: tuple[ReportFact, ...]
    journal: JournalFact
    checklist: ChecklistFact
    quality_records: dict[str, str]
    runs: tuple[RunFact, ...] = ()
    holds: tuple[HoldFact, ...] = ()
    inputs: dict[str, str] = {}
    missing: tuple[str, ...] = ()
    states: dict[str, JsonValue] = {}
    evidence: dict[str, JsonValue] = {}
    data_drift: DataDriftFact | None = None
    replay: ReplayFact | None = None
