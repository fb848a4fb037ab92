import pytest

from rollbackctl.core.facts import Facts, Pinned
from rollbackctl.core.observation import RepositoryFact
from rollbackctl.core.target import Candidate


def repository(path: str) -> RepositoryFact:
    return RepositoryFact(path=path, active=None, aliases={}, files={}, resolved={}, listed={})


def facts(serve_as: tuple[str, ...] = ("main",)) -> Facts:
    return Facts(
        incident="INC-1",
        trigger="audit/drift.json",
        withdrawn=Pinned("v10", "models/v10.json", "aa", "bb"),
        target=Pinned("v9", "models/v9.json", "cc", "dd"),
        serve_as=serve_as,
        pinned=("audit/drift.json",),
        cutoff="2025-11-18T08:00:00+00:00",
        repository="models/two",
        repositories=(repository("models/one"), repository("models/two")),
        candidates=(Candidate("v9", "chosen"),),
        left_alone={"config/a.yaml": "v10"},
    )


@pytest.mark.parametrize(
    ("serve_as", "model"), [(("main",), "main"), (("a", "b"), "b"), (("rollback", "a"), "rollback")]
)
def test_the_default_model_is_rollback_or_the_last_name(serve_as: tuple[str, ...], model: str) -> None:
    assert facts(serve_as).default_model == model


def test_the_manifest_is_that_of_the_repository_which_is_rolled_back() -> None:
    assert facts().manifest == repository("models/two")


def test_decisions_have_a_part_in_the_id_and_evidence_has_none() -> None:
    assert facts().identity() == {
        "incident": "INC-1",
        "trigger": "audit/drift.json",
        "withdrawn": {"version": "v10", "source": "models/v10.json", "sha256": "aa", "canonical": "bb"},
        "target": {"version": "v9", "source": "models/v9.json", "sha256": "cc", "canonical": "dd"},
        "serve_as": ["main"],
        "pinned": ["audit/drift.json"],
        "cutoff": "2025-11-18T08:00:00+00:00",
        "repository": "models/two",
    }
