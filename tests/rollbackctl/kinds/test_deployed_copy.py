import json
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.repository import ModelRepository
from bot_core.foundation.digest import canonical_digest
from rollbackctl.core.address import Address
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired
from rollbackctl.core.planner import make_steps
from rollbackctl.core.state import State
from rollbackctl.kinds.deployed_copy import CopyState, DeployedCopy, Entry
from tests.examples import DEPLOYED, REPOSITORY, aims, bind, make_facts, make_repository, make_spec, pin

V9, V10 = pin("v9"), pin("v10")
OTHER = canonical_digest({"other": "model"})


@pytest.fixture
def kind(workspace: Path) -> DeployedCopy:
    return DeployedCopy(bind(workspace))


def read(workspace: Path) -> Any:
    return json.loads((workspace / DEPLOYED / "manifest.json").read_text())


def deploy(workspace: Path, files: dict[str, str], *, active: str | None, aliases: dict[str, str]) -> None:
    """Write the deployed manifest anew; every version keeps the entry that it has in the repository."""
    entries = json.loads((workspace / REPOSITORY / "manifest.json").read_text())["versions"]
    versions = {
        version: entries["v9" if version == "v9" else "v10"]
        | {"file": file, "aliases": [alias for alias, target in aliases.items() if target == version]}
        for version, file in files.items()
    }
    manifest = {"active": active, "aliases": aliases, "versions": versions}
    (workspace / DEPLOYED / "manifest.json").write_text(json.dumps(manifest))


def facts_with(
    files: dict[str, str], holds: dict[str, str], *, active: str | None = "v10", aliases: dict[str, str] | None = None
) -> Facts:
    own = make_facts().repositories[0]
    deployed = make_repository(DEPLOYED, files, holds, active=active, aliases=aliases or {})
    return make_facts(repositories=(own, deployed))


def wishes(facts: Facts, **model: Any) -> dict[Address, tuple[Desired, ...]]:
    spec = make_spec(model=model)
    kind = DeployedCopy(bind(Path("/nonexistent"), spec))
    return {Address(kind.name, wish.name): (wish,) for wish in kind.desire(spec, facts)}


def carry_out(kind: DeployedCopy, facts: Facts) -> list[str]:
    """Make every step that the facts ask for; give the names in their order."""
    desired = wishes(facts)
    base = {address: kind.observe(address.name) for address in desired}
    steps = make_steps(desired, base, {})
    for step in steps:
        kind.move(step.address.name, step.before, step.after)
        assert kind.observe(step.address.name) == step.after
    return [step.address.name for step in steps]


def after_of(facts: Facts, base: State | None) -> State | None:
    return aims(wishes(facts)[Address("deployed_copy", DEPLOYED)][0], base)[1]


def test_the_artifact_is_moved_first_and_then_the_manifest_that_names_it(kind: DeployedCopy) -> None:
    assert carry_out(kind, make_facts()) == [f"{DEPLOYED}/decision-core.json", DEPLOYED]


def test_the_deployed_file_then_holds_the_targets_very_bytes(workspace: Path, kind: DeployedCopy) -> None:
    carry_out(kind, make_facts())

    assert (workspace / DEPLOYED / "decision-core.json").read_bytes() == (workspace / V9.source).read_bytes()


def test_the_deployed_manifest_has_the_targets_entry_under_the_old_file(workspace: Path, kind: DeployedCopy) -> None:
    carry_out(kind, make_facts())

    manifest = read(workspace)
    source = json.loads((workspace / REPOSITORY / "manifest.json").read_text())["versions"]["v9"]
    assert (manifest["active"], manifest["aliases"]) == ("v9", {"deployed": "v9"})
    assert manifest["versions"] == {"v9": source | {"file": "decision-core.json", "aliases": ["deployed"]}}


def test_between_the_two_moves_the_withdrawn_model_no_longer_answers(workspace: Path, kind: DeployedCopy) -> None:
    (step, *_) = make_steps(wishes(make_facts()), {a: kind.observe(a.name) for a in wishes(make_facts())}, {})

    kind.move(step.address.name, step.before, step.after)

    resolved = ModelRepository(workspace / DEPLOYED).resolve("deployed")
    assert canonical_digest(json.loads(resolved.read_text())) == V9.canonical


def test_keys_that_nobody_here_knows_survive(workspace: Path, kind: DeployedCopy) -> None:
    manifest = read(workspace) | {"deployed_by": "ansible"}
    (workspace / DEPLOYED / "manifest.json").write_text(json.dumps(manifest))

    carry_out(kind, make_facts())

    assert read(workspace)["deployed_by"] == "ansible"


def test_the_way_back_leads_to_the_states_of_before(workspace: Path, kind: DeployedCopy) -> None:
    desired = wishes(make_facts())
    base = {address: kind.observe(address.name) for address in desired}
    steps = make_steps(desired, base, {})
    for step in (*steps, *()):
        kind.move(step.address.name, step.before, step.after)

    for step in reversed(steps):
        kind.move(step.address.name, step.after, step.before)

    assert {address: kind.observe(address.name) for address in desired} == base


def test_a_target_that_is_there_already_keeps_its_own_file(workspace: Path, kind: DeployedCopy) -> None:
    files = {"v9": "old-v9.json", "v10": "decision-core.json"}
    aliases = {"deployed": "v10", "spare": "v9"}
    (workspace / DEPLOYED / "old-v9.json").write_bytes((workspace / V9.source).read_bytes())
    deploy(workspace, files, active="v10", aliases=aliases)
    facts = facts_with(files, {"v9": V9.canonical, "v10": V10.canonical}, aliases=aliases)

    moved = carry_out(kind, facts)

    assert moved == [DEPLOYED]
    assert kind.observe(DEPLOYED) == CopyState(
        active="v9",
        aliases={"deployed": "v9", "spare": "v9"},
        versions={"v9": Entry(file="old-v9.json", aliases=("deployed", "spare"))},
    )


@pytest.mark.parametrize("holds", [{"v9": OTHER}, {}])
def test_an_entry_of_the_targets_name_that_holds_something_else_is_not_trusted(
    workspace: Path, kind: DeployedCopy, holds: dict[str, str]
) -> None:
    files = {"v9": "old-v9.json", "v10": "decision-core.json"}
    (workspace / DEPLOYED / "old-v9.json").write_text('{"other": "model"}')
    deploy(workspace, files, active="v10", aliases={"deployed": "v10"})
    facts = facts_with(files, holds | {"v10": V10.canonical}, aliases={"deployed": "v10"})

    carry_out(kind, facts)

    for name in ("v9", "deployed", None):
        resolved = ModelRepository(workspace / DEPLOYED).resolve(name)
        assert canonical_digest(json.loads(resolved.read_text())) == V9.canonical


def test_several_versions_that_hold_the_withdrawn_artifact_become_the_one_target(
    workspace: Path, kind: DeployedCopy
) -> None:
    files = {"v10": "a.json", "v10-hotfix": "b.json"}
    aliases = {"deployed": "v10-hotfix", "spare": "v10"}
    for file in files.values():
        (workspace / DEPLOYED / file).write_bytes((workspace / V10.source).read_bytes())
    deploy(workspace, files, active="v10-hotfix", aliases=aliases)
    facts = facts_with(files, dict.fromkeys(files, V10.canonical), active="v10-hotfix", aliases=aliases)

    moved = carry_out(kind, facts)

    assert moved == [f"{DEPLOYED}/a.json", f"{DEPLOYED}/b.json", DEPLOYED]
    assert kind.observe(DEPLOYED) == CopyState(
        active="v9",
        aliases={"deployed": "v9", "spare": "v9"},
        versions={"v9": Entry(file="a.json", aliases=("deployed", "spare"))},
    )


def test_a_version_that_no_name_leads_to_is_left_alone() -> None:
    facts = facts_with({"v8": "v8.json", "v10": "v10.json"}, {"v8": OTHER, "v10": V10.canonical}, active="v8")

    assert wishes(facts) == {}


def test_a_repository_that_serves_something_else_is_left_alone() -> None:
    assert wishes(facts_with({"v10": "decision_core-v10.json"}, {"v10": OTHER})) == {}


def test_only_the_repositories_named_are_moved() -> None:
    assert wishes(make_facts(), deployed=[]) == {}
    assert len(wishes(make_facts(), deployed=[DEPLOYED])) == 2


def test_a_repository_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidInputError) as refused:
        wishes(make_facts(), deployed=["var/models/other"])

    assert refused.value.problem == "spec.model.deployed: there is no repository var/models/other"
    assert refused.value.hint == f"repositories with a manifest: {DEPLOYED}"


def test_the_artifact_may_have_any_name(workspace: Path, kind: DeployedCopy) -> None:
    (workspace / DEPLOYED / "decision-core.json").rename(workspace / DEPLOYED / "decision-core.model")
    deploy(workspace, {"v10": "decision-core.model"}, active="v10", aliases={})

    carry_out(kind, facts_with({"v10": "decision-core.model"}, {"v10": V10.canonical}))

    assert (workspace / DEPLOYED / "decision-core.model").read_bytes() == (workspace / V9.source).read_bytes()
    assert kind.files(f"{DEPLOYED}/decision-core.model") == (f"{DEPLOYED}/decision-core.model",)
    assert kind.files(DEPLOYED) == (f"{DEPLOYED}/manifest.json",)


def test_a_manifest_without_the_withdrawn_version_stays_as_it_is() -> None:
    base = CopyState(active="v8", aliases={"a": "v8"}, versions={"v8": Entry(file="v8.json")})

    assert after_of(make_facts(), base) == base
    assert after_of(make_facts(), None) is None


def test_what_is_gone_is_absent(workspace: Path, kind: DeployedCopy) -> None:
    (workspace / DEPLOYED / "manifest.json").unlink()
    (workspace / DEPLOYED / "decision-core.json").unlink()

    assert kind.observe(DEPLOYED) is None
    assert kind.observe(f"{DEPLOYED}/decision-core.json") is None


def test_a_copy_is_never_removed(kind: DeployedCopy) -> None:
    name = f"{DEPLOYED}/decision-core.json"

    with pytest.raises(InvalidInputError) as refused:
        kind.move(name, kind.observe(name), None)

    assert refused.value.problem == f"deployed copy {name} cannot be removed"


def test_a_manifest_that_is_gone_cannot_be_moved(workspace: Path, kind: DeployedCopy) -> None:
    before = kind.observe(DEPLOYED)
    (workspace / DEPLOYED / "manifest.json").unlink()

    with pytest.raises(InvalidInputError) as refused:
        kind.move(DEPLOYED, before, CopyState(active="v9", versions={"v9": Entry(file="decision-core.json")}))

    assert refused.value.problem == f"{DEPLOYED}/manifest.json is gone"


def test_the_targets_entry_must_still_be_in_the_repository(workspace: Path, kind: DeployedCopy) -> None:
    wanted = CopyState(active="v4", versions={"v4": Entry(file="decision-core.json")})

    with pytest.raises(InvalidInputError) as refused:
        kind.move(DEPLOYED, kind.observe(DEPLOYED), wanted)

    assert refused.value.problem == f"{REPOSITORY}/manifest.json no longer has version v4"
