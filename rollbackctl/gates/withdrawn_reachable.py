"""When the plan is done, no name in the workspace leads to the withdrawn model."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from bot_core.foundation.frozen import frozen
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
        withdrawn = case.facts.withdrawn
        places, lost = list(_served(case)), not withdrawn.canonical
        for repository in case.observation.repositories:
            is_own = repository.path == case.facts.repository
            manifest = _own(case, repository) if is_own else _deployed(case, repository)
            if lost:
                manifest = manifest.by_name(withdrawn.version)
            places += [f"{repository.path}: {name}" for name in manifest.names_of(withdrawn.canonical)]
        reasons = tuple(f"{place} would still lead to {withdrawn.version}" for place in places)
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
class _Manifest:
    """A repository's names when the plan is done; `content` is the canonical digest of what each version holds."""

    active: str | None
    aliases: Mapping[str, str]
    content: Mapping[str, str | None]

    def names_of(self, canonical: str) -> Iterator[str]:
        names = {"active version": self.active} | {f"alias {alias}": target for alias, target in self.aliases.items()}
        return (name for name, target in names.items() if self._content_of(target) == canonical)

    def by_name(self, version: str) -> "_Manifest":
        """The same names where only a version's own name tells what it holds: content "" is the one asked for."""
        return _Manifest(self.active, self.aliases, {name: "" if name == version else None for name in self.content})

    def _content_of(self, name: str | None) -> str | None:
        for _ in self.aliases:  # one round for each alias: those that lead in a circle lead nowhere
            if name not in self.content:
                name = self.aliases.get(name or "")
        return self.content.get(name or "")


def _end(case: Case, kind: str) -> dict[str, dict[str, Any] | None]:
    """The end of each resource of a kind by name, as JSON: a gate knows the fields, not the kind."""
    states = sorted((address.name, state) for address, state in case.end.items() if address.kind == kind)
    return {name: None if state is None else state.to_json() for name, state in states}


def _served(case: Case) -> Iterator[str]:
    """Whatever holds the same content counts, however its file is laid out; also in folders that the plan leaves."""
    withdrawn, ends = case.facts.withdrawn, _end(case, "serving")
    same = [fact.sha256 for fact in case.observation.versions if fact.canonical == withdrawn.canonical]
    same += [fact.sha256 for fact in case.observation.served if fact.canonical == withdrawn.canonical]
    named = {(fact.model_dir, fact.name): fact.sha256 for fact in case.observation.served if fact.model_dir not in ends}
    by_name = set()
    for model_dir, end in ends.items():
        for name, model in end["models"].items() if end else ():
            named[model_dir, name] = model["sha256"]
            by_name |= (
                {(model_dir, name)} if (model["version"], withdrawn.canonical) == (withdrawn.version, "") else set()
            )
    for (model_dir, name), digest in sorted(named.items()):
        if digest in (*same, withdrawn.sha256) or (model_dir, name) in by_name:
            yield f"serving/{model_dir}: served model {name}"


def _own(case: Case, repository: RepositoryFact) -> _Manifest:
    """Here the plan moves names, one by one; the withdrawn version counts even where its file cannot be read."""
    names: dict[str, str | None] = {f"alias:{alias}": target for alias, target in repository.aliases.items()}
    names["active"] = repository.active
    for name, end in _end(case, "model_alias").items():
        key = name if name in ("active", "alias:active") else f"alias:{name}"
        names[key] = end["version"] if end else None
    active = names.pop("active")
    aliases = {key.removeprefix("alias:"): target for key, target in names.items() if target is not None}
    withdrawn = case.facts.withdrawn
    return _Manifest(active, aliases, repository.resolved | {withdrawn.version: withdrawn.canonical})


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
