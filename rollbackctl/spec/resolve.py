"""What a rollback plan means in an observed workspace: trigger, withdrawn version, target, reports to settle."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from rollbackctl.core.data_drift import WILL_NOT_HELP, Finding, find, pin
from rollbackctl.core.errors import GateBlockedError, InvalidInputError, Problem
from rollbackctl.core.facts import Facts, Pinned
from rollbackctl.core.observation import Observation, ReportFact, RunFact, VersionFact
from rollbackctl.core.plain import plain
from rollbackctl.core.target import Candidate, Demands, age, choose_last_stable, named_target, will_not_help
from rollbackctl.spec.data_drift import data_drift_settings, limits_of
from rollbackctl.spec.document import Policy, Spec


def required_roles(spec: Spec, policy: Policy) -> tuple[str, ...]:
    """The policy's roles and those that the plan adds."""
    return tuple(sorted({*policy.roles, *spec.spec.compliance.roles}))


def demands(spec: Spec, policy: Policy, observation: Observation) -> Demands:
    """What a version must meet to be the target of this plan."""
    incident = spec.metadata.incident
    return Demands(
        roles=required_roles(spec, policy),
        bundle_required=policy.bundle == "required",
        signature_required=bool(policy.hmac_keys),
        excluded=frozenset(spec.spec.model.target.exclude),
        failed=frozenset(
            run.target for run in observation.runs if run.incident == incident and run.failed_check and run.target
        ),
        drift=_drift(spec, policy, observation),
    )


def _drift(spec: Spec, policy: Policy, observation: Observation) -> dict[str, Finding]:
    settings, fact = data_drift_settings(spec), observation.data_drift
    if settings is None or fact is None:
        return {}
    limits = limits_of(settings, policy.limits)
    return {version.version: find(fact, version.version, limits) for version in observation.versions}


def earlier_run(spec: Spec, observation: Observation) -> RunFact | None:
    """Return the finished run that pins trigger and target for this plan's name and incident; the newest one."""
    name, incident = spec.metadata.name, spec.metadata.incident
    runs = [run for run in observation.runs if (run.name, run.incident) == (name, incident)]
    return next((run for run in reversed(runs) if run.operation == "rollback" and run.status == "finished"), None)


def resolve(
    spec: Spec, policy: Policy, observation: Observation, earlier: Mapping[str, JsonValue] | None = None
) -> Facts:
    """Decide what the plan means.

    Args:
        spec: The rollback plan.
        policy: The firm's policy.
        observation: The evidence.
        earlier: The facts of a plan that was made before, and is made again to be compared: reports that came later do
            not count, and a window within its tolerance is the same. None: all that is there counts.

    Raises:
        InvalidInputError: The plan names a version, alias or report that the workspace does not have.
        GateBlockedError: No version may be the target; every version's reasons are given.
    """
    pinned = earlier_run(spec, observation)
    trigger = _trigger(spec, observation, pinned)
    withdrawn = _withdrawn(spec, observation, trigger)
    target, candidates = _target(spec, policy, observation, withdrawn, pinned)
    if target is None:
        raise no_target(spec, policy, observation, withdrawn, candidates)
    if pinned:
        cutoff = pinned.cutoff
    elif earlier is not None:
        cutoff = str(earlier["cutoff"]) if earlier["cutoff"] is not None else None
    else:
        cutoff = max((report.time for report in observation.reports if report.time), default=None)
    settle = to_settle(observation.reports, _count(spec, policy), withdrawn, cutoff)
    model = spec.spec.model
    own = (withdrawn.model_name or "rollback", "rollback")
    serve_as = model.serve_as or tuple(dict.fromkeys(own))
    return Facts(
        incident=spec.metadata.incident,
        trigger=trigger.path if trigger else None,
        withdrawn=_identity(observation, withdrawn, _content(withdrawn)),
        target=_pin(observation, target),
        serve_as=serve_as,
        pinned=tuple(sorted(report.path for report in settle)),
        cutoff=cutoff,
        repository=observation.repository,
        repositories=observation.repositories,
        candidates=candidates,
        left_alone={path: named for path, named in observation.quality_records.items() if named == withdrawn.version},
        data_drift=_pinned_drift(spec, observation, target, earlier),
    )


def _pinned_drift(
    spec: Spec, observation: Observation, target: VersionFact, earlier: Mapping[str, Any] | None
) -> dict[str, JsonValue] | None:
    settings, fact = data_drift_settings(spec), observation.data_drift
    if settings is None or fact is None:
        return None
    tolerance = (settings.tolerance.rows, settings.tolerance.measure)
    return pin(fact, target.version, tolerance, earlier.get("data_drift") if earlier else None)


def choose(
    spec: Spec, policy: Policy, observation: Observation
) -> tuple[VersionFact, VersionFact | None, tuple[Candidate, ...]]:
    """The version to withdraw, the target (None where no version may be it), and every version's verdict.

    Raises:
        InvalidInputError: The plan names a version, alias or report that the workspace does not have.
    """
    pinned = earlier_run(spec, observation)
    withdrawn = _withdrawn(spec, observation, _trigger(spec, observation, pinned))
    return (withdrawn, *_target(spec, policy, observation, withdrawn, pinned))


def no_target(
    spec: Spec, policy: Policy, observation: Observation, withdrawn: VersionFact, candidates: Iterable[Candidate]
) -> GateBlockedError:
    """Say why no version may be the target, and what is left to do."""
    escalation = spec.spec.escalation
    problem, hold = "no version can be the target", f"rollbackctl hold --incident {spec.metadata.incident}"
    hints = [f"stay held: {hold}"]
    if will_not_help(observation.versions, withdrawn.version, demands(spec, policy, observation)):
        problem = f"{WILL_NOT_HELP}: every version to go back to has drifted too, against its own training rows"
        hints = [
            f"keep holding, and decide by rules meanwhile: {hold}",
            "train a version on the rows of now, have it signed, and make it the champion",
        ]
    return GateBlockedError(
        problem,
        problems=tuple(Problem(f"{item.version}: {'; '.join(item.reasons)}") for item in candidates),
        hint="\n".join([*hints, f"escalate: {escalation.to}, {escalation.runbook}"]),
    )


def _count(spec: Spec, policy: Policy) -> int:
    return max(policy.reports, spec.spec.compliance.reports)


def to_settle(
    reports: Iterable[ReportFact], newest: int, withdrawn: VersionFact, cutoff: str | None
) -> tuple[ReportFact, ...]:
    """Return the reports that must be settled, newest first.

    Of each kind the `newest` reports of any status, joined with every one since the withdrawn version was trained;
    of these, the alerts and the unreadable ones, up to the cut-off.
    """
    since = age(withdrawn)
    chosen: list[ReportFact] = []
    seen: dict[str, int] = {}
    for report in reports:
        if cutoff is not None and report.time is not None and report.time > cutoff:
            continue
        seen[report.kind] = seen.get(report.kind, 0) + 1
        is_recent = report.time is None or _instant(report.time) >= since
        if (seen[report.kind] <= newest or is_recent) and (report.is_alert or report.error):
            chosen.append(report)
    return tuple(chosen)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _trigger(spec: Spec, observation: Observation, pinned: RunFact | None) -> ReportFact | None:
    named = spec.spec.trigger.report
    if pinned and pinned.trigger:
        named = pinned.trigger
    if named != "latest":
        return _named_report(named, observation.reports)
    counting = [report for report in observation.reports if report.kind == "drift" and report.is_alert]
    return next((report for report in counting if report.model_version), counting[0] if counting else None)


def _named_report(path: str, reports: Iterable[ReportFact]) -> ReportFact:
    known = {report.path: report for report in reports}
    for candidate in (path, f"audit/ai_decision/{path}"):
        if candidate in known:
            return known[candidate]
    raise InvalidInputError(
        f"spec.trigger.report: there is no report {path}{_suggest(path, known)}",
        hint="name a report under audit/ai_decision, or write: trigger: {report: latest}",
    )


def _withdrawn(spec: Spec, observation: Observation, trigger: ReportFact | None) -> VersionFact:
    incident = spec.metadata.incident
    runs = [run for run in observation.runs if run.incident == incident and run.operation == "rollback"]
    withdrew = next((run.withdrawn for run in runs if run.withdrawn and run.status == "finished"), None)
    pinned = withdrew or next((run.withdrawn for run in runs if run.withdrawn), None)
    stated = spec.spec.model.withdraw.version if spec.spec.model.withdraw else None
    if stated and withdrew and stated != withdrew:
        raise InvalidInputError(
            f"spec.model.withdraw.version is {stated}, but incident {incident} already withdrew {withdrew}",
            hint="open a new incident for another version",
        )
    active = next(fact.active for fact in observation.repositories if fact.path == observation.repository)
    version = stated or pinned or (trigger.model_version if trigger else None) or active
    if version is None:
        raise InvalidInputError(
            "no version can be withdrawn: no alert names one and the manifest has no active version",
            hint="name it: spec.model.withdraw.version",
        )
    return _version(observation, version, "spec.model.withdraw.version")


def _version(observation: Observation, name: str, place: str) -> VersionFact:
    versions = {fact.version: fact for fact in observation.versions}
    if name not in versions:
        raise InvalidInputError(
            f"{place}: {observation.repository} has no version {name}{_suggest(name, versions)}",
            hint=f"its versions: {plain(', '.join(versions)) or 'none'}",
        )
    return versions[name]


def _target(
    spec: Spec, policy: Policy, observation: Observation, withdrawn: VersionFact, pinned: RunFact | None
) -> tuple[VersionFact | None, tuple[Candidate, ...]]:
    choice, needs, measured = spec.spec.model.target, demands(spec, policy, observation), observation.data_drift
    if measured is not None and measured.problem and pinned is None:
        raise InvalidInputError(measured.problem, hint=measured.hint or "see spec.gates.data_drift.window")
    for name in choice.exclude:
        _version(observation, name, "spec.model.target.exclude")
    if choice.select and not (pinned and pinned.target):
        return choose_last_stable(observation.versions, withdrawn.version, needs)
    target = _named(choice.version, choice.sha256, choice.alias, observation, pinned)
    if target.version == withdrawn.version:
        raise InvalidInputError(
            f"the target {target.version} is the version being withdrawn",
            hint="name another target, or another version to withdraw",
        )
    namer = f"run {pinned.run}" if pinned and pinned.target else "the rollback plan"
    return target, named_target(observation.versions, withdrawn.version, target.version, namer, needs)


def _named(
    version: str | None, sha256: str | None, alias: str | None, observation: Observation, pinned: RunFact | None
) -> VersionFact:
    if pinned and pinned.target:
        return _version(observation, pinned.target, f"run {pinned.run}")
    if version:
        return _version(observation, version, "spec.model.target.version")
    if alias:
        aliases = next(fact.aliases for fact in observation.repositories if fact.path == observation.repository)
        if alias not in aliases:
            raise InvalidInputError(
                f"spec.model.target.alias: {observation.repository} has no alias {alias}{_suggest(alias, aliases)}",
                hint=f"its aliases: {plain(', '.join(sorted(aliases))) or 'none'}",
            )
        return _version(observation, aliases[alias], "spec.model.target.alias")
    for fact in observation.versions:
        if fact.sha256 == sha256:
            return fact
    raise InvalidInputError(
        f"spec.model.target.sha256: no version of {observation.repository} has the digest {sha256}",
        hint="digests of the versions: rollbackctl plan PLAN --format json, field facts",
    )


def _pin(observation: Observation, version: VersionFact) -> Pinned:
    if version.sha256 is None or version.canonical is None:
        raise InvalidInputError(
            f"{observation.repository}/{version.file} ({version.version}): {'; '.join(version.problems)}",
            hint="restore the file, or name another version",
        )
    return _identity(observation, version, version.canonical)


def _identity(observation: Observation, version: VersionFact, canonical: str | None) -> Pinned:
    source = f"{observation.repository}/{version.file}"
    return Pinned(version.version, source, version.sha256 or "", canonical or "")


def _content(withdrawn: VersionFact) -> str | None:
    """The digest of what the withdrawn version held: its bundle's word where its file cannot be what was served."""
    return withdrawn.bundled.canonical if withdrawn.bundled and withdrawn.problems else withdrawn.canonical


def _suggest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""
