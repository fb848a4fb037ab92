"""A withdrawn version whose own file does not tell any more what it held is still taken out of service everywhere."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_core.ai.repository import ModelRepository
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.errors import BotCoreError
from tests.harness import NOW, PLAN, Done, Site, edited, new_site
from tests.on_call import FIXTURE

OWN, DEPLOYED = "models/decision_engine", "var/models/decision_engine"
FILE = f"{OWN}/model-v10.json"
BUNDLE = "audit/ai_decision/models/decision-core/20251108T041020Z"
V10 = canonical_digest(json.loads((FIXTURE / FILE).read_bytes()))
UNKNOWN = f"{FILE} cannot be read and no bundle tells what it held"
NAMES = tuple(f"{DEPLOYED}: {name} may still lead to v10" for name in ("active version", "alias deployed"))


def missing(path: Path) -> None:
    path.unlink()


def torn(path: Path) -> None:
    path.write_text('{"x":', encoding="utf-8")


def emptied(path: Path) -> None:
    path.write_text("{}", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws")


@pytest.mark.parametrize("lose", [missing, torn, emptied])
def test_its_bundle_tells_and_the_deployed_copy_is_moved_as_ever(lose: Callable[[Path], None], site: Site) -> None:
    lose(site.root / FILE)

    plan = json.loads(site.ok("plan", PLAN, "--format", "json").out)
    withdrawn = {item["version"]: item["reasons"] for item in plan["candidates"]}["v10"][0]
    assert (len(plan["steps"]), plan["facts"]["serve_as"]) == (18, ["decision-core", "rollback"])
    assert f"known by its bundle {BUNDLE}" in withdrawn
    assert {f"{BUNDLE}/checksums.sha256", f"{BUNDLE}/model-v10.json"} <= plan["inputs"].keys()
    assert site.apply().code == 0

    assert site.state(f"{DEPLOYED}/manifest.json")["active"] == "v9"
    assert site.state(f"{OWN}/quarantine/v10.json")["sha256"] == V10
    assert f"canonical sha256 {V10}" in (site.root / "audit/ai_decision/incident_journal.md").read_text()
    for repository in (OWN, DEPLOYED):
        with pytest.raises(BotCoreError):
            ModelRepository(site.root / repository).load("v10")
    assert site.apply().out.startswith("No changes.")


@pytest.mark.parametrize("lose", [missing, torn])
def test_without_a_bundle_the_release_is_blocked_and_every_name_is_told(
    lose: Callable[[Path], None], site: Site
) -> None:
    lose(site.root / FILE)
    shutil.rmtree(site.root / BUNDLE)

    answer = site.apply()

    assert answer.code == 3
    assert [part for part in (UNKNOWN, "restore the file, then plan again", *NAMES) if part not in answer.err] == []
    assert site.state("var/models/serving.json")["attached"] is False
    assert not (site.root / OWN / "quarantine/v10.json").exists()
    assert site("hold", "--incident", "INC-2025-1117").code == 0


def test_a_broken_file_without_a_bundle_blocks_by_the_versions_name(site: Site) -> None:
    emptied(site.root / FILE)
    shutil.rmtree(site.root / BUNDLE)

    answer = site.apply()

    assert answer.code == 3
    assert [name for name in NAMES if name not in answer.err] == []


def test_a_file_that_was_exchanged_blocks_where_what_its_bundle_holds_is_still_in_use(site: Site) -> None:
    edited(site.root / FILE, lambda value: value | {"training_rows": 1})

    answer = site.apply()

    assert answer.code == 3
    assert [name for name in NAMES if name.replace("may", "would") not in answer.err] == []
    assert "the repository's artifact differs from its bundle" in site.ok("plan", PLAN, "--world", world(site)).out


def world(site: Site) -> str:
    """An observation of the workspace as it is, but for its runs."""
    path = site.root / "world.json"
    site.ok("observe", PLAN, "--out", str(path))
    edited(path, lambda value: value | {"runs": [], "holds": []})
    return str(path)


def test_no_plan_shows_an_empty_digest(site: Site) -> None:
    missing(site.root / FILE)
    shutil.rmtree(site.root / BUNDLE)

    shown = site.ok("plan", PLAN)

    assert "content unknown" in shown.out
    assert "sha256 )" not in shown.out


def broken(site: Site) -> None:
    (site.root / BUNDLE / "model-v10.metadata.json").write_text("{}", encoding="utf-8")


def ambiguous(site: Site) -> None:
    """Another bundle speaks of v10, and holds something else."""
    other = site.root / BUNDLE.replace("041020Z", "050000Z")
    shutil.copytree(site.root / BUNDLE, other)
    artifact = other / "model-v10.json"
    artifact.write_text(artifact.read_text(encoding="utf-8").replace('"training_rows": 98', '"training_rows": 97'))


def of_another_model(site: Site) -> None:
    manifest = site.root / OWN / "manifest.json"
    value = json.loads(manifest.read_bytes())
    value["versions"]["v10"]["metadata"]["model_name"] = "decision-other"
    manifest.write_text(json.dumps(value), encoding="utf-8")


def linked(site: Site) -> None:
    (site.root / BUNDLE).parent.joinpath("more").symlink_to(site.root / "var", target_is_directory=True)


@pytest.mark.parametrize("spoil", [broken, ambiguous, of_another_model, linked])
def test_a_bundle_that_is_not_sound_or_not_the_only_one_tells_nothing(
    spoil: Callable[[Site], None], site: Site
) -> None:
    missing(site.root / FILE)
    spoil(site)

    assert blocked(site.apply())


def test_where_keys_are_configured_an_unsigned_bundle_tells_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "ws-public-demo-signing-key-0123456789abcdef")
    (site.root / "config/rollbackctl.yaml").write_text("hmac_keys: {demo-2025: {env: KEY}}\n", encoding="utf-8")
    missing(site.root / FILE)
    sums = site.root / BUNDLE / "checksums.sha256"
    lines = sums.read_text(encoding="utf-8").splitlines(keepends=True)

    assert "no name leads to v10" in site.ok("plan", PLAN).out
    (site.root / BUNDLE / "model-v10.sig").unlink()
    sums.write_text("".join(line for line in lines if ".sig" not in line), encoding="utf-8")
    assert blocked(site("plan", PLAN, "--check"))


def test_a_signature_by_a_key_that_the_policy_does_not_list_never_counts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "ws-public-demo-signing-key-0123456789abcdef")
    (site.root / "config/rollbackctl.yaml").write_text("hmac_keys: {next-2026: {env: KEY}}\n", encoding="utf-8")

    assert "/20251029T041045Z is signed with no key of the policy: unknown key demo-2025" in site.ok("plan", PLAN).out
    missing(site.root / FILE)
    assert blocked(site("plan", PLAN, "--check"))


def test_a_file_that_comes_back_makes_the_next_plan_whole(site: Site) -> None:
    content = (site.root / FILE).read_bytes()
    missing(site.root / FILE)
    shutil.rmtree(site.root / BUNDLE)
    assert site.apply().code == 3
    (site.root / FILE).write_bytes(content)

    assert site.apply().code == 3  # the run keeps to what it was planned with
    site.ok("abandon", site.runs()[0].name, "--reason", "the file is back")
    assert site.at(NOW.replace(hour=9)).apply().code == 0
    assert site.state(f"{OWN}/quarantine/v10.json")["sha256"] == V10


def blocked(answer: Done) -> bool:
    return answer.code == 3 and UNKNOWN in answer.err + answer.out
