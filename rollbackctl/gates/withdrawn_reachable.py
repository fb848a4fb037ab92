"""When the plan is done, no name in the workspace leads to the withdrawn model."""

from collections.abc import Iterator
from typing import Any, ClassVar

from rollbackctl.core.address import Address
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import RepositoryFact
from rollbackctl.core.plan import Phase
from rollbackctl.core.state import state_json
from rollbackctl.gates import Case


class WithdrawnReachable:
    """Guards the release: judged on the states that the plan's moves lead to."""

    name: ClassVar[str] = "withdrawn_reachable"
    guards: ClassVar[Phase] = Phase.RELEASE
    always: ClassVar[bool] = True

    def judge(self, case: Case) -> Verdict:
        """Answer; every name that would still lead to the withdrawn model is named."""
        withdrawn = case.facts.withdrawn
        reasons = [
            f"{place} would still lead to {withdrawn.version}" for place in (*self._served(case), *self._names(case))
        ]
        if reasons:
            summary = f"{withdrawn.version} stays reachable under {len(reasons)} names"
            return Verdict(self.name, self.guards, Answer.BLOCK, summary, tuple(reasons))
        return Verdict(self.name, self.guards, Answer.PASS, f"no name leads to {withdrawn.version}")

    @staticmethod
    def _served(case: Case) -> Iterator[str]:
        bytes_of = {fact.sha256: fact.canonical for fact in case.observation.versions}
        withdrawn = case.facts.withdrawn
        for address, state in sorted(case.end.items()):
            if address.kind == "serving" and state is not None:
                models: dict[str, Any] = (state_json(state) or {})["models"]  # type: ignore[assignment]
                for name, model in sorted(models.items()):
                    digest = model["sha256"]
                    if digest == withdrawn.sha256 or bytes_of.get(digest) == withdrawn.canonical:
                        yield f"{address}: served model {name}"

    def _names(self, case: Case) -> Iterator[str]:
        for repository in case.observation.repositories:
            own = repository.path == case.facts.repository
            leads_to = self._own_names(case, repository) if own else self._deployed_names(case, repository)
            for name, canonical in leads_to:
                if canonical is not None and canonical == case.facts.withdrawn.canonical:
                    yield f"{repository.path}: {name}"

    @staticmethod
    def _own_names(case: Case, repository: RepositoryFact) -> Iterator[tuple[str, str | None]]:
        names: dict[str, str | None] = {"active version": repository.active}
        names |= {f"alias {alias}": version for alias, version in repository.aliases.items()}
        for address, state in case.end.items():
            if address.kind == "model_alias":
                name = "active version" if address.name == "active" else f"alias {address.name.removeprefix('alias:')}"
                names[name] = str((state_json(state) or {}).get("version") or "") or None
        for name, version in names.items():
            yield name, _canonical(repository, repository.aliases, version)

    @staticmethod
    def _deployed_names(case: Case, repository: RepositoryFact) -> Iterator[tuple[str, str | None]]:
        names: dict[str, str | None] = {"active version": repository.active}
        aliases, files = dict(repository.aliases), dict(repository.files)
        after = state_json(case.end.get(Address("deployed_copy", repository.path)))
        if after:
            names["active version"] = after["active"]  # type: ignore[assignment]
            aliases = after["aliases"]  # type: ignore[assignment]
            files = {version: entry["file"] for version, entry in after["versions"].items()}  # type: ignore[union-attr, call-overload, index, misc]
        names |= {f"alias {alias}": version for alias, version in aliases.items()}
        canonical_of = {fact.sha256: fact.canonical for fact in case.observation.versions}
        by_file = {file: repository.resolved.get(version) for version, file in repository.files.items()}
        for address, state in case.end.items():
            sha256 = (state_json(state) or {}).get("sha256")
            if address.kind == "deployed_copy" and address.name.startswith(f"{repository.path}/") and sha256:
                by_file[address.name.removeprefix(f"{repository.path}/")] = canonical_of.get(str(sha256))
        for name, version in names.items():
            target = aliases.get(version or "", version)
            yield name, by_file.get(files.get(target or "", ""))


def _canonical(repository: RepositoryFact, aliases: dict[str, str], name: str | None) -> str | None:
    for _ in range(len(aliases) + 1):
        if name is None or name in repository.resolved:
            break
        name = aliases.get(name)
    return repository.resolved.get(name or "")
