from collections.abc import Mapping
from typing import Any

import pytest

from rollbackctl.core.address import Address
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import ServedFact
from rollbackctl.core.plan import World
from rollbackctl.core.state import State
from rollbackctl.gates import Case
from rollbackctl.gates.withdrawn_reachable import WithdrawnReachable
from rollbackctl.kinds.deployed_copy import CopyState, Entry
from rollbackctl.kinds.model_alias import AliasState
from rollbackctl.kinds.serving import Served, ServingState
from rollbackctl.spec.document import Policy
from tests.examples import DEPLOYED, REPOSITORY, make_facts, make_repository, make_spec, pin
from tests.observations import observation, version

V9, V10 = pin("v9"), pin("v10")
FILES = {"v9": "model-v9.json", "v10": "model-v10.json"}
HOLDS = {"v9": V9.canonical, "v10": V10.canonical}
VERSIONS = tuple(
    version(name, None, sha256=pin(name).sha256, canonical=pin(name).canonical, file=FILES[name]) for name in FILES
)


def judge(end: Mapping[str, State | None], repository: Any, seen: Mapping[str, Any] = {}, **facts: Any) -> Verdict:
    world: World = {Address.parse(address): state for address, state in end.items()}
    seen = observation(versions=VERSIONS, repositories=(repository,), **seen)
    return WithdrawnReachable().judge(Case(make_spec(), Policy(), make_facts(**facts), seen, world))


def own(active: str | None = "v9", **aliases: str) -> Any:
    return make_repository(REPOSITORY, FILES, HOLDS, active=active, aliases=aliases)


def deployed(active: str | None = "v9", **aliases: str) -> Any:
    files = {"v9": "spare.json", "v10": "decision-core.json"}
    return make_repository(DEPLOYED, files, HOLDS, active=active, aliases=aliases)


def served(**models: str) -> State:
    named = {name: Served(version=None, sha256=digest, source="x") for name, digest in models.items()}
    return ServingState(attached=True, models=named)


def manifest(active: str, aliases: dict[str, str], **files: str) -> State:
    return CopyState(active=active, aliases=aliases, versions={v: Entry(file=file) for v, file in files.items()})


def test_where_every_name_leads_elsewhere_it_passes() -> None:
    verdict = judge({"serving/var/models": served(rollback=V9.sha256)}, own(stable="v9"))

    assert (verdict.answer, verdict.summary, verdict.reasons) == (Answer.PASS, "no name leads to v10", ())


def test_what_a_plan_leaves_is_named_place_by_place() -> None:
    end = {
        "serving/var/models": served(shadow=V10.sha256, rollback=V9.sha256),
        "model_alias/active": AliasState(version="v9"),
        "model_alias/champion": AliasState(version="v9"),
    }

    verdict = judge(end, own("v10", champion="v10", latest="v10", stable="v9"))

    assert verdict.answer is Answer.BLOCK
    assert verdict.summary == "v10 stays reachable under 2 names"
    assert verdict.reasons == (
        "serving/var/models: served model shadow would still lead to v10",
        "models/decision_engine: alias latest would still lead to v10",
    )


def test_the_active_version_counts() -> None:
    assert judge({}, own("v10")).reasons == ("models/decision_engine: active version would still lead to v10",)


def test_the_moves_are_judged_not_what_is_there_now() -> None:
    end: dict[str, State | None] = {
        "model_alias/active": AliasState(version="v9"),
        "model_alias/champion": AliasState(version="v9"),
        "model_alias/latest": None,
    }

    assert judge(end, own("v10", champion="v10", latest="v10")).answer is Answer.PASS


def test_an_alias_named_active_is_told_from_the_active_version() -> None:
    end = {"model_alias/active": AliasState(version="v9")}

    assert judge(end, own("v10", active_="v9")).answer is Answer.PASS
    assert judge(end | {"model_alias/alias:active": AliasState(version="v10")}, own("v10")).reasons == (
        "models/decision_engine: alias active would still lead to v10",
    )


def test_a_name_that_leads_there_by_another_name_counts() -> None:
    assert judge({}, own("champion", champion="latest", latest="v10")).reasons == (
        "models/decision_engine: active version would still lead to v10",
        "models/decision_engine: alias champion would still lead to v10",
        "models/decision_engine: alias latest would still lead to v10",
    )


def test_a_name_is_followed_by_the_names_as_they_will_be() -> None:
    end = {"model_alias/latest": AliasState(version="v9")}

    assert judge(end, own("champion", champion="latest", latest="v10")).answer is Answer.PASS


def test_a_name_that_leads_nowhere_or_in_a_circle_leads_to_nothing() -> None:
    assert judge({}, own(None, one="two", two="one", gone="v4")).answer is Answer.PASS


def test_the_same_content_under_another_version_counts() -> None:
    files = FILES | {"v11": "model-v11.json"}
    copy = make_repository(REPOSITORY, files, HOLDS | {"v11": V10.canonical}, active="v11", aliases={})

    assert judge({}, copy).reasons == ("models/decision_engine: active version would still lead to v10",)


def test_the_same_content_in_other_bytes_counts_when_served() -> None:
    other = version("v10-pretty", None, sha256="1" * 64, canonical=V10.canonical)
    seen = observation(versions=(*VERSIONS, other), repositories=())
    end = {Address("serving", "var/models"): served(shadow="1" * 64)}

    verdict = WithdrawnReachable().judge(Case(make_spec(), Policy(), make_facts(), seen, end))

    assert verdict.reasons == ("serving/var/models: served model shadow would still lead to v10",)


UNKNOWN = type(V10)("v10", V10.source, "", "")
LOST = (
    f"{V10.source} cannot be read and no bundle tells what it held: nobody can tell what else holds it; "
    "restore the file, then plan again"
)


def test_a_withdrawn_version_whose_file_cannot_be_read_counts_by_its_name() -> None:
    broken = make_repository(REPOSITORY, FILES, {"v9": V9.canonical}, active="v9", aliases={"latest": "v10"})

    assert judge({}, broken, withdrawn=UNKNOWN).reasons == (
        "models/decision_engine: alias latest would still lead to v10",
        LOST,
    )


@pytest.mark.parametrize("name", ["v10", "deployed"])
def test_where_nothing_tells_what_it_held_versions_of_its_name_count_everywhere(name: str) -> None:
    loaded = {"shadow": Served(version="v10", sha256="5" * 64, source="x")}
    end = {"serving/var/models": ServingState(attached=True, models=loaded)}

    verdict = judge(end, deployed(name, deployed="v10", stable="v9"), withdrawn=UNKNOWN)

    assert verdict.answer is Answer.BLOCK
    assert verdict.reasons == (
        "serving/var/models: served model shadow may still lead to v10",
        "var/models/decision_engine: active version may still lead to v10",
        "var/models/decision_engine: alias deployed may still lead to v10",
        LOST,
    )


def test_where_nothing_tells_what_it_held_the_release_is_blocked_even_if_no_name_is_found() -> None:
    verdict = judge({}, deployed("v9"), withdrawn=UNKNOWN)

    assert (verdict.answer, verdict.reasons) == (Answer.BLOCK, (LOST,))
    assert verdict.summary == "nobody can tell what leads to v10"


@pytest.mark.parametrize("name", ["v10", "deployed"])
def test_a_deployed_copy_that_stays_counts(name: str) -> None:
    assert judge({}, deployed(name, deployed="v10")).reasons == (
        "var/models/decision_engine: active version would still lead to v10",
        "var/models/decision_engine: alias deployed would still lead to v10",
    )


def test_a_deployed_version_that_no_name_leads_to_does_not_count() -> None:
    assert judge({}, deployed("v9")).answer is Answer.PASS


def test_a_deployed_copy_is_moved_by_its_artifact_and_its_manifest() -> None:
    artifact = {f"deployed_copy/{DEPLOYED}/decision-core.json": CopyState(sha256=V9.sha256)}
    names = {f"deployed_copy/{DEPLOYED}": manifest("v9", {"deployed": "v9"}, v9="decision-core.json")}

    assert judge({**artifact, **names}, deployed("v10", deployed="v10")).answer is Answer.PASS
    assert judge(artifact, deployed("v10", deployed="v10")).answer is Answer.PASS
    assert len(judge(names, deployed("v10", deployed="v10")).reasons) == 2


def test_a_deployed_alias_of_an_alias_is_followed_to_its_end() -> None:
    assert len(judge({}, deployed("one", one="two", two="three", three="v10")).reasons) == 4


def test_a_deployed_artifact_of_unknown_content_leads_to_nothing_known() -> None:
    end = {f"deployed_copy/{DEPLOYED}/decision-core.json": CopyState(sha256="7" * 64)}

    assert judge(end, deployed("v10")).answer is Answer.PASS


def test_another_repositorys_version_of_the_same_name_is_another_model() -> None:
    other = make_repository("var/models/decision_core", {"v10": "x.json"}, {"v10": "5" * 64}, active="v10", aliases={})

    assert judge({}, other).answer is Answer.PASS


OTHER_LAYOUT = "e" * 64


def copy(model_dir: str, name: str, canonical: str | None) -> ServedFact:
    return ServedFact(model_dir=model_dir, name=name, sha256=OTHER_LAYOUT, canonical=canonical)


@pytest.mark.parametrize(
    ("canonical", "answer"), [(V10.canonical, Answer.BLOCK), (V9.canonical, Answer.PASS), (None, Answer.PASS)]
)
def test_a_served_copy_with_other_bytes_counts_by_its_content(canonical: str | None, answer: Answer) -> None:
    end = {"serving/var/models": served(shadow=OTHER_LAYOUT)}

    verdict = judge(end, own(), {"served": (copy("var/models", "shadow", canonical),)})

    assert verdict.answer is answer
    assert verdict.reasons == (
        ("serving/var/models: served model shadow would still lead to v10",) * (answer.name == "BLOCK")
    )


def test_a_serving_state_that_the_plan_does_not_move_counts_as_well() -> None:
    end = {"serving/var/models": served(rollback=V9.sha256)}
    found = (copy("var/other", "decision-core", V10.canonical), copy("var/models", "rollback", V10.canonical))

    verdict = judge(end, own(), {"served": found})

    assert verdict.reasons == ("serving/var/other: served model decision-core would still lead to v10",)
    assert verdict.summary == "v10 stays reachable under 1 name"


def test_a_link_out_of_the_workspace_blocks_since_nobody_can_tell() -> None:
    verdict = judge({}, own(), {"outside": ("var/models/current",)})

    assert verdict.answer is Answer.BLOCK
    assert verdict.reasons == (
        "var/models/current is a link out of the workspace; nobody can tell whether it leads to v10",
    )
