"""Whatever in a workspace names a model is found, wherever it lies."""

import json
from pathlib import Path

import pytest

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.engine.search import canonical, find_manifests, read_served, search

MANIFEST = json.dumps({"versions": {}, "aliases": {}, "active": None})
SERVING = {"attached": True, "default_model": None, "models": {}, "generation": 1}


def write(root: Path, path: str, content: object) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    "folder", ["models/a", "logs/models", "a/b/c/d/e/f/g/h", "var/models/artifacts/x", "x/quarantine", "my rollbackctl"]
)
def test_a_repository_is_found_in_any_folder(tmp_path: Path, folder: str) -> None:
    write(tmp_path, f"{folder}/manifest.json", MANIFEST)

    assert tuple(find_manifests(tmp_path)) == (folder,)


@pytest.mark.parametrize("folder", [".git/x", "var/rollbackctl/runs/r1", "node_modules/x"])
def test_what_is_no_deployment_is_passed_over(tmp_path: Path, folder: str) -> None:
    write(tmp_path, f"{folder}/manifest.json", MANIFEST)

    assert find_manifests(tmp_path) == {}


def test_a_manifest_of_something_else_is_passed_over_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "web/manifest.json", {"name": "app"})
    assert find_manifests(tmp_path) == {}

    write(tmp_path, "models/manifest.json", "{")
    with pytest.raises(InvalidInputError, match=r"models/manifest\.json") as caught:
        find_manifests(tmp_path)
    assert caught.value.hint == "mend models/manifest.json: until then nobody can tell which model it serves"


@pytest.mark.parametrize(("target", "outside"), [("../away", ("var/current",)), ("models", ()), ("../empty", ())])
def test_a_link_counts_where_it_leads_out_to_something_that_names_models(
    tmp_path: Path, target: str, outside: tuple[str, ...]
) -> None:
    root = tmp_path / "ws"
    write(tmp_path, "away/serving.json", SERVING)
    (tmp_path / "empty").mkdir()
    write(root, "var/models/manifest.json", MANIFEST)
    (root / "var/current").symlink_to(tmp_path / target.removeprefix("../") if target.startswith("..") else target)

    found = search(root)

    assert (found.manifests, found.serving, found.outside) == (("var/models",), (), outside)


def test_a_link_that_leads_in_a_circle_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path, "a/manifest.json", MANIFEST)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")

    assert search(tmp_path).manifests == ("a",)


def test_every_served_model_is_known_by_the_content_of_its_copy(tmp_path: Path) -> None:
    copy, gone, known = "a" * 64, "b" * 64, "c" * 64
    models = {
        name: {"version": "v1", "sha256": digest, "source": "x", "loaded_at": "2025-11-18T08:00:00+00:00"}
        for name, digest in {"one": copy, "two": gone, "three": known}.items()
    }
    write(tmp_path, "var/models/serving.json", SERVING | {"models": models})
    write(tmp_path, f"var/models/artifacts/{copy}.json", {"a": 1})
    write(tmp_path, "x.json", '{ "a" :1}')

    facts = read_served(tmp_path, search(tmp_path), {known: "content"})

    assert {fact.name: fact.canonical for fact in facts} == {
        "one": canonical(tmp_path, "x.json"),
        "two": None,
        "three": "content",
    }
    assert {fact.model_dir for fact in facts} == {"var/models"}


def test_a_broken_serving_state_is_an_error_that_names_it(tmp_path: Path) -> None:
    write(tmp_path, "var/other/serving.json", "{")

    with pytest.raises(InvalidInputError, match=r"^var/other/serving\.json, line 1") as caught:
        read_served(tmp_path, search(tmp_path), {})
    assert "mend var/other/serving.json" in caught.value.hint
