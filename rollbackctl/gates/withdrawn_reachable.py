"""When the plan is done, no name in the workspace leads to the withdrawn model."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from bot_core.foundation.frozen import frozen, replace
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import RepositoryFact
from rollbackctl.core.plan import Phase
from rollbackctl.gates import Case


class WithdrawnReachable:
    """Guards the release: judged on the states that the plan's moves lead to."""

    name: ClassVar[str] = "withdrawn_reachable"
    guards: ClassVar[Phase] = Phase.RELEASE
    always: ClassVar[bool] = True

    def judge(self, case: Case) -> Verdict:
        """Answer; every name that would still lead to the withdrawn model is named."""
        withdrawn, trace = case.facts.withdrawn, _trace(case)
        # By its name alone, a version elsewhere may be one of another model: a person looks.
        verb = "may" if trace.name else "would"
        reasons = tuple(f"{place} {verb} still lead to {withdrawn.version}" for place in _served(case, trace))
        for repository in case.observation.repositories:
            is_own = repository.path == case.facts.repository
            # Here the version's own name counts even where its file cannot be read.
            own = replace(trace, name=withdrawn.version)
            found = _own(case, repository).names_of(own) if is_own else _deployed(case, repository).names_of(trace)
            leads = f"{'would' if is_own else verb} still lead to {withdrawn.version}"
            reasons += tuple(f"{repository.path}: {name} {leads}" for name in found)
        lost = not withdrawn.canonical
        if lost:
            reasons += (
                f"{withdrawn.source} cannot be read and no bundle tells what it held: nobody can tell what else holds "
                f"it; restore the file, then plan again",
            )
        reasons += tuple(
            f"{link} is a link out of the workspace; nobody can tell whether it leads to {withdrawn.version}"
            for link in case.observation.outside
        )
        if reasons:
            summary = f"{withdrawn.version} stays reachable under {len(reasons)} name{'s' * (len(reasons) > 1)}"
            summary = f"nobody can tell what leads to {withdrawn.version}" if lost else summary
            return Verdict(self.name, self.guards, Answer.BLOCK, summary, reasons)
        return Verdict(self.name, self.guards, Answer.PASS, f"no name leads to {withdrawn.version}")


@frozen
class _Trace:
    """What the withdrawn model is told by: its content's digests, and its version's name where those may be wrong."""

    digests: frozenset[str]
    name: str | None


def _trace(case: Case) -> _Trace:
    """Digests of what the plan withdraws, of what the file holds now and of what its bundle says that it held."""
    withdrawn = case.facts.withdrawn
    fact = next((fact for fact in case.observation.versions if fact.version == withdrawn.version), None)
    found = {withdrawn.canonical, fact and fact.canonical, fact and fact.bundled and fact.bundled.canonical}
    is_broken = fact is not None and fact.sha256 == withdrawn.sha256 and fact.problems and fact.bundled is None
    name = withdrawn.version if is_broken or not withdrawn.canonical else None
    return _Trace(frozenset(digest for digest in found if digest), name)


@frozen
class _Manifest:
    """A repository's names when the plan is done; `content` is the canonical digest of what each version holds."""

    active: str | None
    aliases: Mapping[str, str]
    content: Mapping[str, str | None]

    def names_of(self, trace: _Trace) -> Iterator[str]:
        names = {"active version": self.active} | {f"alias {alias}": target for alias, target in self.aliases.items()}
        for name, target in names.items():
            version = self._version_of(target)
            if version == trace.name or self.content.get(version) in trace.digests:
                yield name

    def _version_of(self, name: str | None) -> str:
        for _ in self.aliases:  # one round for each alias: those that lead in a circle lead nowhere
            if name not in self.content:
                name = self.aliases.get(name or "")
        return name or ""


def _end(case: Case, kind: str) -> dict[str, dict[str, Any] | None]:
    """The end of each resource of a kind by name, as JSON: a gate knows the fields, not the kind."""
    states = sorted((address.name, state) for address, state in case.end.items() if address.kind == kind)
    return {name: None if state is None else state.to_json() for name, state in states}


def _served(case: Case, trace: _Trace) -> Iterator[str]:
    """Whatever holds the same content counts, however its file is laid out; also in folders that the plan leaves."""
    ends = _end(case, "serving")
    same = {fact.sha256 for fact in case.observation.versions if fact.canonical in trace.digests}
    same |= {fact.sha256 for fact in case.observation.served if fact.canonical in trace.digests}
    same |= {case.facts.withdrawn.sha256}
    found = {(fact.model_dir, fact.name) for fact in case.observation.served if fact.sha256 in same}
    found = {place for place in found if place[0] not in ends}
    for model_dir, end in ends.items():
        for name, model in end["models"].items() if end else ():
            if model["sha256"] in same or (trace.name and model["version"] == trace.name):
                found.add((model_dir, name))
    return (f"serving/{model_dir}: served model {name}" for model_dir, name in sorted(found))


def _own(case: Case, repository: RepositoryFact) -> _Manifest:
    """Here the plan moves names, one by one."""
    names: dict[str, str | None] = {f"alias:{alias}": target for alias, target in repository.aliases.items()}
    names["active"] = repository.active
    for name, end in _end(case, "model_alias").items():
        key = name if name in ("active", "alias:active") else f"alias:{name}"
        names[key] = end["version"] if end else None
    active = names.pop("active")
    aliases = {key.removeprefix("alias:"): target for key, target in names.items() if target is not None}
    return _Manifest(active, aliases, repository.resolved)


def _deployed(case: Case, repository: RepositoryFact) -> _Manifest:
    """Here the plan moves whole files: artifacts, and the manifest that names them."""
    ends = _end(case, "deployed_copy")
    known = {fact.sha256: fact.canonical for fact in case.observation.versions}
    content = {file: repository.resolved.get(version) for version, file in repository.files.items()}
    for name, end in ends.items():
        if end and end["sha256"]:
            content[name.removeprefix(f"{repository.path}/")] = known.get(end["sha256"])
    end = ends.get(repository.path)
    if end is None:
        files = repository.files
        return _Manifest(repository.active, repository.aliases, {v: content.get(file) for v, file in files.items()})
    files = {version: entry["file"] for version, entry in end["versions"].items()}
    return _Manifest(end["active"], end["aliases"], {v: content.get(file) for v, file in files.items()})
