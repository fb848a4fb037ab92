"""What is found of the versions in a manifest, where a file is not what it should be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.manifest import Manifest
from rollbackctl.core.observation import VersionFact
from rollbackctl.engine.versions import Examiner

REPOSITORY = "models/decision_engine"
V9 = f"{REPOSITORY}/model-v9.json"


@pytest.fixture
def examined(workspace: Path) -> Callable[[], VersionFact]:
    """What is found of v9."""

    def examine() -> VersionFact:
        manifest = Manifest.parse((workspace / REPOSITORY / "manifest.json").read_bytes(), "manifest.json")
        facts = Examiner(workspace, REPOSITORY, {}, {"v9": "served until today"}).examine(manifest)
        return next(fact for fact in facts if fact.version == "v9")

    return examine


def edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_a_sound_version_has_no_problems(examined: Callable[[], VersionFact]) -> None:
    fact = examined()

    assert (fact.problems, fact.bundled, fact.model_name, fact.served) == (
        (),
        None,
        "decision-core",
        "served until today",
    )
    assert fact.walk_forward is not None
    assert fact.walk_forward.problems == ()


def test_a_walk_forward_report_that_differs_from_the_artifact_says_in_what(
    examined: Callable[[], VersionFact], workspace: Path
) -> None:
    found = examined().walk_forward
    assert found is not None
    edit(workspace / found.path, lambda report: report["model_artifact"]["metadata"].update(lookback=99))

    changed = examined().walk_forward

    assert changed is not None
    assert changed.problems == ("metadata.lookback differs from the artifact's",)


def test_a_name_that_is_no_text_is_no_name(examined: Callable[[], VersionFact], workspace: Path) -> None:
    edit(workspace / V9, lambda artifact: artifact.update(trained_at=7, backend=None))

    fact = examined()

    assert (fact.trained_at, fact.backend) == (None, None)


def test_an_artifact_without_metadata_has_the_name_that_the_manifest_gives_it(
    examined: Callable[[], VersionFact], workspace: Path
) -> None:
    edit(workspace / V9, lambda artifact: artifact.update(metadata=[]))
    edit(
        workspace / REPOSITORY / "manifest.json",
        lambda manifest: manifest["versions"]["v9"].setdefault("metadata", {}).update(model_name="by the manifest"),
    )

    assert examined().model_name == "by the manifest"


def test_a_file_outside_the_repository_is_not_read_and_not_named(
    examined: Callable[[], VersionFact], workspace: Path
) -> None:
    edit(
        workspace / REPOSITORY / "manifest.json",
        lambda manifest: manifest["versions"]["v9"].update(file="../../config/auto_trader.yaml"),
    )

    fact = examined()

    assert fact.problems == (f"its file in the manifest is not a path below {REPOSITORY}",)
    assert (fact.sha256, fact.canonical) == (None, None)


def test_a_version_whose_file_is_gone_is_known_by_its_bundle(
    examined: Callable[[], VersionFact], workspace: Path
) -> None:
    before = examined()
    (workspace / V9).unlink()

    fact = examined()

    assert fact.problems == ("its file model-v9.json is missing",)
    assert fact.bundled is not None
    assert fact.bundled.canonical == before.canonical
