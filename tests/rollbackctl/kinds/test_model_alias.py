import json
from pathlib import Path
from typing import Any

import pytest

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts
from rollbackctl.kinds.model_alias import AliasState, ModelAlias
from tests.examples import REPOSITORY, aims, bind, make_facts, make_repository, make_spec, pin

V9 = AliasState(version="v9", listed_by=("v9",))
V10 = AliasState(version="v10", listed_by=("v10",))


@pytest.fixture
def kind(workspace: Path) -> ModelAlias:
    return ModelAlias(bind(workspace))


def read(workspace: Path) -> Any:
    return json.loads((workspace / REPOSITORY / "manifest.json").read_text())


def change(workspace: Path, **fields: Any) -> None:
    path = workspace / REPOSITORY / "manifest.json"
    path.write_text(json.dumps(read(workspace) | fields))


def facts_with(aliases: dict[str, str]) -> Facts:
    files = {"v9": "model-v9.json", "v10": "model-v10.json"}
    holds = {version: pin(version).canonical for version in files}
    return make_facts(repositories=(make_repository(REPOSITORY, files, holds, active="v10", aliases=aliases),))


def desired(facts: Facts, **model: Any) -> dict[str, object]:
    spec = make_spec(model=model)
    kind = ModelAlias(bind(Path("/nonexistent"), spec))
    return {wish.name: aims(wish, None)[1] for wish in kind.desire(spec, facts)}


def test_the_active_version_and_each_alias_of_the_withdrawn_one_lead_to_the_target() -> None:
    assert desired(make_facts()) == {"active": AliasState(version="v9"), "champion": V9, "latest": V9}


def test_only_the_aliases_named_are_moved_wherever_they_lead() -> None:
    assert desired(make_facts(), aliases=["latest", "baseline"]) == {
        "active": AliasState(version="v9"),
        "baseline": V9,
        "latest": V9,
    }


def test_an_alias_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidInputError) as refused:
        desired(make_facts(), aliases=["newest"])

    assert refused.value.problem == "spec.model.aliases: models/decision_engine has no alias newest"
    assert refused.value.hint == "its aliases: baseline, champion, latest, stable"


def test_where_there_is_no_alias_the_hint_says_so() -> None:
    with pytest.raises(InvalidInputError) as refused:
        desired(facts_with({}), aliases=["newest"])

    assert refused.value.hint == "its aliases: none"


def test_an_alias_is_read_in_both_its_places(kind: ModelAlias) -> None:
    assert kind.observe("champion") == V10
    assert kind.observe("active") == AliasState(version="v10")
    assert kind.observe("newest") is None


def test_an_alias_that_no_version_lists_is_another_state(workspace: Path, kind: ModelAlias) -> None:
    change(workspace, aliases={"champion": "v9"})

    assert kind.observe("champion") == AliasState(version="v9", listed_by=("v10",))


def test_an_alias_is_moved_in_both_its_places(workspace: Path, kind: ModelAlias) -> None:
    kind.move("champion", V10, V9)

    manifest = read(workspace)
    assert manifest["aliases"] == {"baseline": "v5", "champion": "v9", "latest": "v10", "stable": "v9"}
    assert manifest["versions"]["v10"]["aliases"] == ["latest"]
    assert manifest["versions"]["v9"]["aliases"] == ["stable", "champion"]
    assert manifest["active"] == "v10"


def test_an_alias_is_taken_away_and_put_back(workspace: Path, kind: ModelAlias) -> None:
    kind.move("champion", V10, None)
    gone = kind.observe("champion"), read(workspace)["versions"]["v10"]["aliases"]

    kind.move("champion", None, V10)

    assert gone == (None, ["latest"])
    assert kind.observe("champion") == V10


def test_no_version_is_active_and_then_one_is(workspace: Path, kind: ModelAlias) -> None:
    kind.move("active", AliasState(version="v10"), None)
    gone = kind.observe("active"), read(workspace)["active"]

    kind.move("active", None, AliasState(version="v9"))

    assert gone == (None, None)
    assert kind.observe("active") == AliasState(version="v9")


def test_an_alias_named_active_is_not_the_active_version(workspace: Path, kind: ModelAlias) -> None:
    facts = facts_with({"active": "v10"})
    change(workspace, aliases={"active": "v10"})
    alias = AliasState(version="v10")

    assert desired(facts) == {"active": AliasState(version="v9"), "alias:active": V9}
    assert kind.observe("alias:active") == alias
    kind.move("alias:active", alias, V9)
    assert (read(workspace)["active"], read(workspace)["aliases"]) == ("v10", {"active": "v9"})


def test_keys_that_nobody_here_knows_survive(workspace: Path, kind: ModelAlias) -> None:
    manifest = read(workspace)
    manifest["versions"]["v9"]["reviewed_by"] = {"name": "A. Nowak"}
    change(workspace, policy="strict", versions=manifest["versions"])
    before = read(workspace)

    kind.move("champion", V10, V9)
    kind.move("champion", V9, V10)

    assert read(workspace) == before


def test_a_manifest_that_is_gone_is_absent_and_cannot_be_moved(workspace: Path, kind: ModelAlias) -> None:
    (workspace / REPOSITORY / "manifest.json").unlink()

    assert kind.observe("champion") is None
    assert kind.observe("active") is None
    with pytest.raises(InvalidInputError) as refused:
        kind.move("champion", V10, V9)
    assert refused.value.problem == "models/decision_engine/manifest.json is gone"
