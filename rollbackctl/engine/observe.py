"""Reading a whole workspace into one value, and the states of the resources that a plan names."""

import os
import re
from collections.abc import Callable, Iterable, Mapping

from bot_core.ai.checklist import post_incident_section
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import read_inside, read_inside_or_none
from rollbackctl.core.address import Address
from rollbackctl.core.data_drift import DataDriftFact, WindowFact
from rollbackctl.core.errors import InvalidInputError, RollbackError
from rollbackctl.core.facts import Facts
from rollbackctl.core.observation import Observation, VersionFact
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import Desired
from rollbackctl.core.replay import ReplayFact
from rollbackctl.core.state import state_json
from rollbackctl.engine.evidence import (
    observe_checklist,
    observe_quality_records,
    observe_reports,
    repository_fact,
)
from rollbackctl.engine.history import History
from rollbackctl.engine.journal_index import observe_journal, served_versions
from rollbackctl.engine.registry import Registry
from rollbackctl.engine.search import find_manifests, read_served, require_whole, search
from rollbackctl.engine.versions import Examiner, hmac_keys
from rollbackctl.engine.workspace import Workspace
from rollbackctl.kinds import Binding, Kind
from rollbackctl.spec.data_drift import data_drift_settings
from rollbackctl.spec.document import Spec
from rollbackctl.spec.places import needed_paths
from rollbackctl.spec.replay import replay_settings
from rollbackctl.spec.resolve import resolve


def scope_of(spec: Spec) -> dict[str, str]:
    """Name what an observation looks at; a plan with another scope cannot be made from it."""
    body = spec.spec
    scope = {
        "incident": spec.metadata.incident,
        "repository": body.model.repository,
        "journal": body.journal.read,
        "checklist": body.compliance.checklist,
        "thresholds": body.serving.thresholds or "",
    }
    if (settings := data_drift_settings(spec)) is not None:
        scope["data_drift"] = canonical_json(settings.measured).decode()
    if (replay := replay_settings(spec)) is not None:
        scope["replay"] = canonical_json(replay.model_dump(mode="json", exclude={"limits", "min_rows"})).decode()
    return scope


def observe(
    workspace: Workspace, spec: Spec, history: History, progress: Callable[[int, int], None] | None = None
) -> Observation:
    """Read everything that a plan needs to know; writes nothing in the workspace.

    Raises:
        InvalidInputError: A manifest, the policy or a thresholds file cannot be read.
    """
    evidence = observe_evidence(workspace, spec, history, progress)
    kinds = workspace.registry.bind(plan_binding(workspace, spec))
    try:
        facts = resolve(spec, workspace.policy, evidence)
        addresses: Iterable[Address] = collect_desired(workspace.registry, kinds, spec, facts)
    except RollbackError:
        return evidence  # what cannot be planned needs no states; planning says why
    states = {str(address): state_json(kinds[address.kind].observe(address.name)) for address in sorted(addresses)}
    return evidence.model_copy(update={"states": states, "replay": replayed(workspace, spec, evidence, facts)})


def replayed(workspace: Workspace, spec: Spec, evidence: Observation, facts: Facts) -> ReplayFact | None:
    """Let the withdrawn version and the target decide about the window's rows; None where the plan does not ask."""
    settings = replay_settings(spec)
    if settings is None:
        return None
    from rollbackctl.data_drift.replay import Decided, replay_window  # it brings numpy

    body, files = spec.spec, {fact.version: fact.file for fact in evidence.versions}
    before, after = (
        Decided(version.version, f"{body.model.repository}/{files[version.version]}")
        for version in (facts.withdrawn, facts.target)
    )
    pool = workspace.pool
    try:
        return replay_window(workspace.root, settings, before, after, body.serving.thresholds, pool)
    except BotCoreError as error:
        told = ReplayFact(before=before.version, after=after.version, window=settings.window.path)
        return told.model_copy(update={"problem": error.located.replace(f"{workspace.root}/", "")})


def plan_binding(workspace: Workspace, spec: Spec) -> Binding:
    """Tie kinds to a workspace for looking only: there is no run and nothing to fetch."""
    return Binding(root=workspace.root, spec=spec, fetch=_nothing, now=workspace.clock)


def _nothing(digest: str) -> bytes:
    raise RuntimeError(f"looking at the workspace asked for the bytes of {digest}")


def collect_desired(
    registry: Registry, kinds: Mapping[str, Kind], spec: Spec, facts: Facts
) -> dict[Address, tuple[Desired, ...]]:
    """Ask every kind what it desires, by address."""
    desired: dict[Address, tuple[Desired, ...]] = {}
    for name in sorted(registry.kinds):
        for wish in kinds[name].desire(spec, facts):
            address = Address(name, wish.name)
            desired[address] = (*desired.get(address, ()), wish)
    return desired


def observe_evidence(
    workspace: Workspace, spec: Spec, history: History, progress: Callable[[int, int], None] | None = None
) -> Observation:
    """Read everything but the states of resources."""
    root, repository = workspace.root, spec.spec.model.repository
    found = search(root)
    manifests = find_manifests(root, found)
    if repository not in manifests:
        raise InvalidInputError(
            f"{repository}/manifest.json does not exist",
            hint=f"repositories with a manifest: {plain(', '.join(manifests)) or 'none'}; see spec.model.repository",
        )
    require_whole(manifests)
    journal = observe_journal(root, spec.spec.journal.read)
    examiner = Examiner(root, repository, hmac_keys(workspace.policy, root), served_versions(journal))
    versions = examiner.examine(manifests[repository])
    return Observation(
        scope={**scope_of(spec)},
        policy=workspace.policy.model_dump(mode="json", exclude_defaults=True),
        policy_digest=workspace.policy_digest,
        repository=repository,
        versions=versions,
        repositories=tuple(repository_fact(root, path, manifest) for path, manifest in manifests.items()),
        served=read_served(root, found, {fact.sha256: fact.canonical for fact in versions if fact.sha256}),
        outside=found.outside,
        reports=observe_reports(root),
        journal=journal.fact,
        checklist=observe_checklist(root, spec.spec.compliance.checklist, spec.metadata.incident),
        quality_records=observe_quality_records(root),
        runs=history.facts,
        holds=history.holds,
        inputs=_inputs(workspace, spec, versions),
        data_drift=_data_drift(workspace, spec, versions, progress),
        missing=tuple(sorted({path for path in needed_paths(spec).values() if not os.path.lexists(root / path)})),
    )


def _inputs(workspace: Workspace, spec: Spec, versions: tuple[VersionFact, ...]) -> dict[str, str]:
    """Digest of every input file of versions and checks, by path."""
    inputs: dict[str, str] = {}
    for fact in versions:
        if fact.sha256 is not None:
            inputs[f"{spec.spec.model.repository}/{fact.file}"] = fact.sha256
        for source in (fact.attestation, fact.bundled):
            inputs |= source.digests if source is not None else {}
        if fact.walk_forward is not None:
            inputs[fact.walk_forward.path] = fact.walk_forward.digest
    thresholds = spec.spec.serving.thresholds
    if thresholds is not None:
        from rollbackctl.engine.thresholds import read_thresholds

        inputs[thresholds] = sha256_hex(read_thresholds(workspace.root, thresholds))
    for path, parse in workspace.registry.check_files(spec).items():
        data = read_inside(workspace.root, path)
        parse(data, path)
        inputs[path] = sha256_hex(data)
    return inputs


def _data_drift(
    workspace: Workspace,
    spec: Spec,
    versions: tuple[VersionFact, ...],
    progress: Callable[[int, int], None] | None,
) -> DataDriftFact | None:
    settings, repository = data_drift_settings(spec), spec.spec.model.repository
    if settings is None:
        return None
    from rollbackctl.data_drift.measure import Subject, measure  # it brings numpy

    subjects = [
        Subject(fact.version, f"{repository}/{fact.file}", repository, fact.sha256 if fact.features else None)
        for fact in versions
    ]
    pool = workspace.pool
    try:
        return measure(workspace.root, settings, subjects, pool=pool, cache=workspace.cache, progress=progress)
    except BotCoreError as error:  # a plan that has been carried out needs no window; planning says what does
        window = WindowFact(path=settings.window.path)
        problem = error.located.replace(f"{workspace.root}/", "")
        return DataDriftFact(window=window, problem=problem, hint=error.hint)


def guess_incident(workspace: Workspace, checklist: str) -> str:
    """Name the incident of the checklist's last post-incident review; "unnamed" where none is found."""
    data = read_inside_or_none(workspace.root, checklist)
    text = data.decode(errors="replace") if data is not None else ""
    names: list[str] = re.findall(r"\b[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*-\d[\w-]*", text)
    for name in reversed(names):
        if post_incident_section(text, name) is not None:
            return name
    return "unnamed"
