"""The choice of the version to go back to, with a reason for every version that is not it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime

from bot_core.foundation.frozen import frozen
from rollbackctl.core.data_drift import Finding, listed
from rollbackctl.core.observation import SignOff, VersionFact

OLDEST = datetime.min.replace(tzinfo=UTC)
SIGNED = ("approved", "waived")


@frozen
class Demands:
    """What a version must meet to be the target.

    Attributes:
        roles: Roles that must have approved or waived its walk-forward report, beside those in the report's own block.
        bundle_required: Whether a version without a bundle is refused.
        signature_required: Whether a bundle that no known key has signed is refused: the policy configures keys, and
            taking the signature away, or naming another key in it, must not help.
        excluded: Versions that the rollback plan excludes.
        failed: Versions that failed a check of this incident.
        drift: How each version's training rows lie to the production rows of now; empty where the plan does not ask.
    """

    roles: tuple[str, ...]
    bundle_required: bool = False
    signature_required: bool = False
    excluded: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    drift: Mapping[str, Finding] = field(default_factory=dict)


@frozen
class Candidate:
    """One version of the manifest as the choice saw it; `verdict` is chosen, withdrawn, rejected, older or eligible."""

    version: str
    verdict: str
    reasons: tuple[str, ...] = ()


def age(version: VersionFact) -> datetime:
    """When the version was trained; when it was saved where that cannot be read; else the oldest instant."""
    for text in (version.trained_at, version.saved_at):
        try:
            instant = datetime.fromisoformat(text or "")
        except ValueError:
            continue
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return OLDEST


def by_age(versions: Sequence[VersionFact]) -> list[VersionFact]:
    """Sort oldest first; ties keep the order given, which is that of the version names (v9 before v10)."""
    return sorted(versions, key=age)


def refusals(version: VersionFact, demands: Demands) -> tuple[str, ...]:
    """Give every reason why a version may not be put to work; empty when it may."""
    reasons: list[str] = []
    if version.version in demands.excluded:
        reasons.append("excluded by the rollback plan")
    if version.quarantine is not None:
        reasons.append(f"quarantined: {version.quarantine}")
    if version.version in demands.failed:
        reasons.append("failed a check of this incident")
    return (*reasons, *integrity_problems(version, demands))


def drift_refusals(version: VersionFact, demands: Demands) -> tuple[str, ...]:
    """Give what the data-drift gate has against a version; what cannot be told is against it."""
    found = demands.drift.get(version.version)
    if found is None or found.answer == "within":
        return ()
    word = "data drift" if found.answer == "beyond" else "data drift cannot be told"
    return (f"{word}{found.note}: {listed(found.reasons, '; ')}",)


def integrity_problems(version: VersionFact, demands: Demands) -> tuple[str, ...]:
    """Give what is wrong with a version's artifact, its bundle and its signatures."""
    reasons = [*version.problems, *_bundle_problems(version, demands)]
    attestation = version.attestation
    if attestation is not None and attestation.state == "unattested" and demands.bundle_required:
        reasons.append("has no bundle, and the policy requires one")
    if version.canonical is not None:
        reasons.extend(_signing_problems(version, demands.roles))
    return tuple(reasons)


def _bundle_problems(version: VersionFact, demands: Demands) -> tuple[str, ...]:
    """Give why a version's bundle does not prove what it claims; a version without one claims nothing."""
    attestation = version.attestation
    if attestation is None or attestation.state == "unattested":
        return ()
    if attestation.state == "attested" and demands.signature_required and attestation.hmac != "ok":
        return (f"bundle {attestation.folder} is signed with no key of the policy: {attestation.hmac}",)
    return attestation.problems


def passed_over(versions: Sequence[VersionFact], withdrawn: str, target: str, demands: Demands) -> tuple[str, ...]:
    """Name each version between the target and the withdrawn one whose bundle does not prove what it claims.

    Such a version is suspicious: somebody may have swapped it, or its signature, so that an older one is chosen.
    """
    ordered = by_age(versions)
    names = [version.version for version in ordered]
    chosen = ordered[names.index(target)]
    between = ordered[names.index(target) + 1 : names.index(withdrawn)]
    found = ((version.version, "; ".join(_bundle_problems(version, demands))) for version in reversed(between))
    return tuple(
        f"{name} is passed over for {target} ({bundle_words(chosen)}), which is older, because its bundle proves "
        f"nothing: {problems}"
        for name, problems in found
        if problems
    )


def _signing_problems(version: VersionFact, roles: tuple[str, ...]) -> list[str]:
    report = version.walk_forward
    if report is None:
        return ["no walk-forward report is linked to it"]
    problems = [f"{report.path}: {problem}" for problem in report.problems]
    problems += [
        f"{report.path}: {role} {status}" for role, status in undecided(report.sign_off, roles, settled=SIGNED)
    ]
    return problems


def _withdrawn(version: VersionFact) -> tuple[str, ...]:
    told = ["is being withdrawn", version.served or ""]
    if version.canonical is None or version.bundled is not None:
        told += version.problems or (version.attestation.problems if version.attestation else ())
    if version.bundled is not None and version.problems:
        told.append(f"known by its bundle {version.bundled.folder}")
    return ("; ".join(filter(None, told)),)


def merits(version: VersionFact) -> str:
    """Say in one line what speaks for a version: who signed it, what its bundle proves, when it served."""
    signed = signed_words(version)
    return "; ".join(
        filter(None, (f"signed: {signed}" if signed else "not signed", bundle_words(version), version.served))
    )


def signed_words(version: VersionFact) -> str:
    """Say who decided what about a version's walk-forward report; "" where nobody did."""
    report = version.walk_forward
    return ", ".join(f"{role} {item.status}" for role, item in ((report.sign_off if report else None) or {}).items())


def bundle_words(version: VersionFact) -> str:
    """Say what a version's bundle proves."""
    attestation = version.attestation
    if attestation is None or attestation.state == "unattested":
        return "no bundle"
    return f"bundle {attestation.state}, HMAC {attestation.hmac}"


def _drift_words(version: VersionFact, demands: Demands) -> tuple[str, ...]:
    found = demands.drift.get(version.version)
    if found is None:
        return ()
    return tuple(f"data drift {found.answer} the limits{found.note}: {text}" for text in found.reasons)


def will_not_help(versions: Sequence[VersionFact], withdrawn: str, demands: Demands) -> bool:
    """Whether there are versions to go back to, and every one of them has drifted too."""
    older = by_age(versions)[: next(i for i, item in enumerate(by_age(versions)) if item.version == withdrawn)]
    answers = [demands.drift.get(item.version) for item in older if not refusals(item, demands)]
    return bool(answers) and all(found is not None and found.answer == "beyond" for found in answers)


def undecided(
    sign_off: dict[str, SignOff] | None, roles: Collection[str], *, settled: Collection[str]
) -> list[tuple[str, str]]:
    """Return (role, status) of each role that has not settled a report.

    Required are the roles given and every other role in the report's block; no block means that none has settled it.
    """
    block = sign_off or {}
    return [
        (role, block[role].status if role in block else "missing")
        for role in sorted({*roles, *block})
        if role not in block or block[role].status not in settled
    ]


def choose_last_stable(
    versions: Sequence[VersionFact], withdrawn: str, demands: Demands
) -> tuple[VersionFact | None, tuple[Candidate, ...]]:
    """Choose the newest version older than the withdrawn one that may be put to work.

    Args:
        versions: All versions of the manifest, in the order of their names.
        withdrawn: The version to be withdrawn; it must be among them.
        demands: What a target must meet.

    Returns:
        The target, or None when no version is eligible; every version's verdict, newest first.
    """
    ordered = by_age(versions)
    position = next(index for index, item in enumerate(ordered) if item.version == withdrawn)
    chosen: VersionFact | None = None
    candidates: list[Candidate] = []
    for index in range(len(ordered) - 1, -1, -1):
        version = ordered[index]
        reasons = (*refusals(version, demands), *drift_refusals(version, demands))
        if index == position:
            candidates.append(Candidate(version.version, "withdrawn", _withdrawn(version)))
        elif index > position:
            candidates.append(Candidate(version.version, "rejected", ("newer than the withdrawn version", *reasons)))
        elif reasons:
            candidates.append(Candidate(version.version, "rejected", reasons))
        elif chosen is None:
            chosen = version
            candidates.append(Candidate(version.version, "chosen", (merits(version), *_drift_words(version, demands))))
        else:
            candidates.append(Candidate(version.version, "older"))
    return chosen, tuple(candidates)


def named_target(
    versions: Sequence[VersionFact], withdrawn: str, named: str, namer: str, demands: Demands
) -> tuple[Candidate, ...]:
    """Give every version's verdict where the target is named; `namer` says by what."""
    candidates = []
    for version in reversed(by_age(versions)):
        reasons = refusals(version, demands)
        if version.version != named:
            reasons = (*reasons, *drift_refusals(version, demands))
        if version.version == withdrawn:
            candidates.append(Candidate(withdrawn, "withdrawn", _withdrawn(version)))
        elif version.version == named:
            drift = drift_refusals(version, demands) or _drift_words(version, demands)
            candidates.append(Candidate(named, "chosen", (f"named by {namer}", merits(version), *reasons, *drift)))
        else:
            candidates.append(Candidate(version.version, "rejected" if reasons else "eligible", reasons))
    return tuple(candidates)
