"""Versions are found in their own order, nothing broken or quarantined is given, and writers lose nothing."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.repository import (
    FilesystemModelRepository,
    Manifest,
    ModelRepository,
    Quarantine,
    quarantine_file,
    read_manifest,
    read_quarantines,
    version_key,
)
from bot_core.ai.validation import ModelArtifactValidationError
from bot_core.foundation.digest import canonical_digest
from bot_core.foundation.errors import (
    BotCoreError,
    FileFormatError,
    MissingFileError,
    UnresolvedReferenceError,
    UnsafePathError,
)

WORKSPACE = Path(__file__).parents[2] / "fixtures" / "ws_public"
FOLDER = Path("models/decision_engine")


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A copy of the workspace's repository, addressed from the workspace as the runbook does."""
    shutil.copytree(WORKSPACE / FOLDER, tmp_path / FOLDER)
    monkeypatch.chdir(tmp_path)
    return ModelRepository(FOLDER)


def files(folder):
    """Every file's bytes, the empty lock file aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".manifest.lock"
    }


def edit_manifest(repo, **changes):
    path = repo.base_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def set_file(repo, version, file):
    path = repo.base_path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["versions"][version]["file"] = file
    path.write_text(json.dumps(manifest))


def quarantine(repo, version="v10", sha256=None):
    raw = json.loads((repo.base_path / f"model-{version}.json").read_text())
    record = Quarantine(version, sha256 or canonical_digest(raw), "INC-2025-1117", "data drift")
    path = repo.base_path / quarantine_file(version)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(record.encode())
    return record


# --- order of versions


def test_versions_are_ordered_as_people_count():
    versions = ["v10", "v9", "v1.10", "v1.9", "v10-rc1", "v010", "10", "9", "latest", ""]

    assert sorted(versions, key=version_key) == [
        "",
        "9",
        "10",
        "latest",
        "v1.9",
        "v1.10",
        "v9",
        "v010",
        "v10",
        "v10-rc1",
    ]


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_numbers_in_versions_compare_as_numbers(first, second):
    assert (version_key(f"v{first}") < version_key(f"v{second}")) == (first < second)


@given(st.lists(st.text(st.sampled_from("v0129.-٣é\ud800")), unique=True))
def test_the_order_of_versions_is_total(versions):
    ordered = sorted(map(version_key, versions))

    assert all(first < second for first, second in pairwise(ordered))


# --- the manifest as a value


@pytest.mark.parametrize("path", sorted(WORKSPACE.glob("**/manifest.json")), ids=str)
def test_a_manifest_is_written_back_byte_for_byte_as_the_engine_wrote_it(path):
    assert Manifest.parse(path.read_bytes(), "manifest.json").encode() == path.read_bytes()


def test_an_alias_moves_in_both_places_of_the_manifest_and_back():
    before = read_manifest(WORKSPACE / FOLDER)

    after = before.with_alias("champion", "v9", ("v9",)).with_active("v9")

    assert (after.aliases["champion"], after.active) == ("v9", "v9")
    assert (after.versions["v9"].aliases, after.versions["v10"].aliases) == (("stable", "champion"), ("latest",))
    assert after.alias_listed_by("champion") == ("v9",)
    assert after.with_alias("champion", "v10", ("v10",)).with_active("v10").encode() == before.encode()


def test_an_alias_and_a_version_can_be_taken_away_and_unknown_keys_are_kept():
    data = b'{"active": null, "aliases": {"a": "v1"}, "note": 1, "versions": {"v1": {"file": "f", "x": 2}}}'
    manifest = Manifest.parse(data, "m")

    without = manifest.with_alias("a", None, ()).without_entry("v1").with_entry("v2", {"file": "g"})

    assert without.raw == {"active": None, "aliases": {}, "note": 1, "versions": {"v2": {"file": "g"}}}
    assert manifest.with_alias("b", "v1", ()).versions["v1"].raw == {"file": "f", "x": 2}


def test_aliases_that_lead_nowhere_or_in_a_circle_are_dangling():
    aliases = {"ok": "alias", "alias": "v1", "gone": "v7", "round": "circle", "circle": "round"}
    raw = {"versions": {"v1": {"file": "f"}}, "aliases": aliases}

    assert Manifest.parse(json.dumps(raw).encode(), "m").dangling() == ("circle", "gone", "round")


def test_an_alias_cannot_be_listed_by_a_version_that_does_not_exist():
    with pytest.raises(UnresolvedReferenceError, match="'v11'") as caught:
        read_manifest(WORKSPACE / FOLDER).with_alias("stable", "v9", ("v11",))

    assert caught.value.hint == "did you mean v10?"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "m: versions is missing"),
        ('{"versions": []}', "m: versions is not an object"),
        ('{"versions": {"v1": 1}}', "m: versions.v1 is not an object"),
        ('{"versions": {"v1": {}}}', "m: versions.v1.file is not a text"),
        ('{"versions": {"v1": {"file": "f", "aliases": [1]}}}', r"m: versions.v1.aliases\[0\] is not a text"),
        ('{"versions": {"v1": {"file": "f", "aliases": "a"}}}', "m: versions.v1.aliases is not a list"),
        ('{"versions": {"v1": {"file": "f", "saved_at": 1}}}', "m: versions.v1.saved_at is not a text"),
        ('{"versions": {}, "aliases": {"a": null}}', "m: aliases.a is not a text"),
        ('{"versions": {}, "active": 10}', "m: active is not a text"),
        ('{"versions": {"v1": {"file": "f"}, "v1": {"file": "g"}}}', "line 1: key 'v1' is given twice"),
        ("", "line 1"),
    ],
)
def test_a_corrupt_manifest_is_refused_with_file_and_place(text, problem):
    with pytest.raises(FileFormatError, match=problem):
        Manifest.parse(text.encode(), "m")


# --- finding and loading


def test_the_runbooks_repository_gives_versions_aliases_and_the_active_one(repo):
    assert repo.list_versions() == ("v5", "v6", "v7", "v8", "v9", "v10")
    assert repo.get_active_version() == "v10"
    assert [repo.get_alias_target(alias) for alias in ("stable", "baseline", "none")] == ["v9", "v5", None]
    assert repo.resolve() == FOLDER / "model-v10.json"
    assert repo.resolve("stable") == FOLDER / "model-v9.json"
    assert repo.get_manifest()["active"] == "v10"
    assert repo.get_version_entry("v9")["file"] == "model-v9.json"
    assert repo.get_version_entry("v11") is None
    assert repo.get_quality_report("v10")["status"] == "degraded"
    assert (repo.get_quality_report("v5"), repo.get_quality_report("v11")) == (None, None)
    assert FilesystemModelRepository is ModelRepository


def test_a_relative_path_is_looked_up_from_the_working_folder_then_in_the_repository(repo):
    shutil.copy(FOLDER / "model-v9.json", FOLDER / "rollback_target.json")

    assert repo.resolve("models/decision_engine/rollback_target.json") == FOLDER / "rollback_target.json"
    assert repo.resolve("rollback_target.json") == FOLDER / "rollback_target.json"
    assert repo.load("models/decision_engine/rollback_target.json") == repo.load("v9")
    assert repo.load(Path("rollback_target.json").absolute().parent / FOLDER / "model-v9.json") == repo.load("v9")


def test_an_artifact_loads_by_every_kind_of_reference(repo):
    artifact = repo.load("v9")

    assert artifact.metadata["model_version"] == "v9"
    assert (
        repo.load(artifact.to_dict()) == repo.load_model("stable") == repo.load_model(Path("model-v9.json")) == artifact
    )
    assert repo.load_model().metadata["model_version"] == "v10"


def test_a_broken_artifact_is_not_repaired(repo):
    with pytest.raises(FileFormatError, match=r"model-v8.json is not a model artifact: .*metrics.test is missing"):
        repo.load("v8")


def test_an_alias_may_point_to_an_alias(repo):
    edit_manifest(repo, aliases={"prod": "stable", "stable": "v9"}, active="prod")

    assert repo.get_active_version() == repo.get_alias_target("prod") == "v9"


def test_a_reference_that_leads_nowhere_is_an_error_that_names_it(repo):
    edit_manifest(repo, aliases={"gone": "v11", "a": "b", "b": "a"}, active="gone")

    with pytest.raises(UnresolvedReferenceError, match=r"no version or alias 'v11' \(by gone -> v11\)"):
        repo.resolve("gone")
    with pytest.raises(UnresolvedReferenceError, match="'a' is cyclic: a -> b -> a"):
        repo.get_alias_target("a")
    with pytest.raises(UnresolvedReferenceError, match="'v11'"):
        repo.get_active_version()
    with pytest.raises(UnresolvedReferenceError, match="'v77' is no version or alias"):
        repo.resolve("v77")


def test_nothing_active_is_said(repo):
    edit_manifest(repo, active=None)

    assert repo.get_active_version() is None
    with pytest.raises(UnresolvedReferenceError, match="no version is active"):
        repo.load_model()


def test_a_file_that_the_manifest_names_and_that_is_missing_is_named(repo):
    (FOLDER / "model-v9.json").unlink()

    with pytest.raises(MissingFileError, match=r"v9 names model-v9.json, which does not exist"):
        repo.resolve("stable")


@pytest.mark.parametrize(
    "file", ["../../secret.json", "/etc/hostname", "sub/../../x.json", "link.json", "hard.json", "."]
)
def test_a_manifest_cannot_lead_out_of_the_repository(repo, file):
    Path("secret.json").write_text("{}")
    (FOLDER / "link.json").symlink_to("../../secret.json")
    os.link("secret.json", FOLDER / "hard.json")
    set_file(repo, "v9", file)

    with pytest.raises(UnsafePathError):
        repo.load("v9")


def test_a_path_in_the_repository_cannot_leave_it(repo):
    (FOLDER.parent / "other").mkdir()

    with pytest.raises(UnsafePathError):
        ModelRepository(FOLDER.parent / "other").load("../nowhere/model-v9.json")


def test_a_corrupt_manifest_is_neither_read_as_empty_nor_overwritten(repo):
    artifact = repo.load("v9")
    (FOLDER / "manifest.json").write_text('{"versions": ')
    before = files(FOLDER)

    with pytest.raises(FileFormatError, match=r"manifest.json, line 1"):
        repo.list_versions()
    with pytest.raises(FileFormatError):
        repo.publish(artifact, version="v11")
    assert files(FOLDER) == before


def test_reading_writes_nothing(repo):
    before = files(Path())

    repo.list_versions()
    repo.load_model()
    repo.get_quality_report("v9")

    assert files(Path()) == before
    assert not (FOLDER / ".manifest.lock").exists()


# --- quarantine


def test_a_quarantine_is_written_and_read_as_one_small_file(repo):
    record = quarantine(repo)

    assert read_quarantines(FOLDER) == (record,)
    assert Quarantine.parse(record.encode(), "q") == record
    assert json.loads(record.encode()) == {
        "incident": "INC-2025-1117",
        "reason": "data drift",
        "sha256": record.sha256,
        "version": "v10",
    }
    assert record.encode().endswith(b"}\n")


@pytest.mark.parametrize("version", ["", "../v1", "a/b", ".hidden", "a\\b", "nul\0"])
def test_a_version_that_cannot_name_a_file_cannot_be_quarantined(version):
    with pytest.raises(UnsafePathError):
        quarantine_file(version)


@pytest.mark.parametrize("reference", ["v10", "latest", "champion", None])
def test_no_reference_leads_to_a_quarantined_version(repo, reference):
    quarantine(repo)

    for resolve in (repo.resolve, repo.load_model):
        with pytest.raises(UnresolvedReferenceError, match=r"v10 of .* is quarantined by incident INC-2025-1117"):
            resolve(reference)
    assert repo.get_active_version() == "v10"
    assert repo.resolve("stable") == FOLDER / "model-v9.json"


def test_the_content_of_a_quarantined_version_does_not_load_under_any_name_or_layout(repo):
    raw = json.loads((FOLDER / "model-v10.json").read_text())
    quarantine(repo)
    Path("copy.json").write_text(json.dumps(raw, sort_keys=True))
    set_file(repo, "v9", "model-v10.json")

    for artifact in ("copy.json", Path("copy.json"), "models/decision_engine/model-v10.json", "v9", raw):
        with pytest.raises(UnresolvedReferenceError, match=r"content is that of v10 .* quarantined"):
            repo.load(artifact)


def test_a_quarantined_version_stays_so_with_other_content(repo):
    quarantine(repo, sha256="0" * 64)

    with pytest.raises(UnresolvedReferenceError, match="quarantined"):
        repo.load("v10")


@pytest.mark.parametrize("text", ["", "{}", '{"version": "v9", "sha256": "", "incident": "", "reason": ""}'])
def test_a_quarantine_that_cannot_be_read_allows_nothing(repo, text):
    quarantine(repo)
    (FOLDER / "quarantine" / "v10.json").write_text(text)

    with pytest.raises(FileFormatError, match=r"quarantine/v10.json"):
        repo.load("v9")


def test_a_quarantined_version_is_never_promoted_and_no_byte_changes(repo):
    artifact = repo.load("v10")
    quarantine(repo)
    before = files(FOLDER)

    for promote in (
        lambda: repo.set_active_version("v10"),
        lambda: repo.promote_version("v10", aliases=["stable"]),
        lambda: repo.assign_alias("stable", "v10"),
        lambda: repo.publish(artifact, version="v10", activate=True),
        lambda: repo.publish(artifact, version="v11", activate=False, aliases=["latest"]),
    ):
        with pytest.raises(UnresolvedReferenceError, match="quarantined"):
            promote()
    assert files(FOLDER) == before


# --- writing


def test_publishing_stores_the_artifact_and_moves_what_points_to_it(repo):
    artifact = repo.load("v9")
    moment = datetime(2025, 11, 18, 8, tzinfo=UTC)

    path = repo.publish(artifact, version="v11", aliases=["latest"], saved_at=moment)

    assert path == FOLDER / "model-v11.json"
    assert path.read_bytes() == (FOLDER / "model-v9.json").read_bytes()
    entry = repo.get_version_entry("v11")
    published = json.loads((FOLDER / "manifest.json").read_text())["versions"]["v9"]
    assert entry == published | {
        "file": "model-v11.json",
        "aliases": ["latest"],
        "saved_at": "2025-11-18T08:00:00+00:00",
        "quality_report": None,
    }
    assert (repo.get_active_version(), repo.get_alias_target("latest")) == ("v11", "v11")
    assert repo.get_version_entry("v10")["aliases"] == ["champion"]


def test_the_first_version_makes_the_repository(tmp_path):
    artifact = ModelRepository(WORKSPACE / FOLDER).load("v9")
    repo = ModelRepository(str(tmp_path / "new" / "models"))

    assert (repo.list_versions(), repo.get_active_version()) == ((), None)
    repo.save_model(artifact, aliases=["latest"])

    assert repo.list_versions() == ("v9",)
    assert repo.load_model("latest") == artifact
    assert repo.get_active_version() == "v9"


def test_a_saved_file_without_a_version_is_named_by_nothing(repo):
    artifact = repo.load("v9")
    before = (FOLDER / "manifest.json").read_bytes()

    path = repo.save(artifact, "candidate.json")

    assert repo.load(path) == artifact
    assert (FOLDER / "manifest.json").read_bytes() == before
    with pytest.raises(BotCoreError, match="without a version"):
        repo.save(artifact, "candidate.json", aliases=["latest"])


def test_a_saved_version_is_active_only_where_none_was_or_where_asked(repo):
    artifact = repo.load("v9")

    repo.save(artifact, "a.json", version="v11")
    assert repo.get_active_version() == "v10"

    repo.save(artifact, "a.json", version="v11", activate=True)
    assert repo.get_active_version() == "v11"


@pytest.mark.parametrize("name", ["../out.json", "/tmp/out.json", ".manifest.lock", "manifest.json", "model-v9.json"])
def test_a_file_name_cannot_leave_the_repository_or_take_what_belongs_to_another(repo, name):
    artifact = repo.load("v9")
    before = files(Path())

    for save in (
        lambda: repo.publish(artifact, version="v11", filename=name),
        lambda: repo.save(artifact, name),
    ):
        with pytest.raises(BotCoreError):
            save()
    assert files(Path()) == before


def test_an_artifact_that_breaks_its_schema_is_not_published(repo):
    artifact = ModelArtifact((), {}, datetime(2025, 1, 1, tzinfo=UTC), {}, {}, 1.0, 1, 0, 0, {})

    with pytest.raises(ModelArtifactValidationError, match="feature_names has 0 items"):
        repo.publish(artifact, version="v11")
    with pytest.raises(BotCoreError, match=r"no metadata.model_version"):
        repo.save_model(artifact)
    assert repo.list_versions()[-1] == "v10"


def test_promotion_moves_active_and_aliases_in_one_write(repo):
    repo.promote_version("v9", aliases=["champion", "latest"])
    repo.set_active_version("v9")

    assert repo.get_active_version() == "v9"
    assert repo.get_version_entry("v9")["aliases"] == ["stable", "champion", "latest"]
    assert repo.get_version_entry("v10")["aliases"] == []
    with pytest.raises(UnresolvedReferenceError, match="'v99'"):
        repo.promote_version("v99")
    with pytest.raises(BotCoreError, match="'v5' is a version"):
        repo.assign_alias("v5", "v9")


def test_an_alias_goes_from_both_places(repo):
    repo.remove_alias("stable")

    assert repo.get_alias_target("stable") is None
    assert repo.get_version_entry("v9")["aliases"] == []
    repo.remove_alias("stable", missing_ok=True)
    with pytest.raises(UnresolvedReferenceError, match="no alias 'stable'"):
        repo.remove_alias("stable")


def test_a_version_goes_with_all_that_leads_to_it(repo):
    repo.remove_version("v10", delete_file=True)

    assert repo.list_versions()[-1] == "v9"
    assert repo.get_active_version() is None
    assert repo.get_manifest()["aliases"] == {"baseline": "v5", "stable": "v9"}
    assert not (FOLDER / "model-v10.json").exists()
    repo.remove_version("v10", missing_ok=True)
    with pytest.raises(UnresolvedReferenceError, match="'v10'"):
        repo.remove_version("v10")


def test_a_file_that_another_version_names_stays(repo):
    set_file(repo, "v9", "model-v10.json")

    repo.remove_version("v10", delete_file=True)

    assert (FOLDER / "model-v10.json").exists()


def test_a_quality_report_is_attached_and_the_rest_kept(repo):
    before = dict(repo.get_version_entry("v9"))

    stored = repo.attach_quality_report("v9", {"status": "improved"})

    assert stored == repo.get_quality_report("v9") == {"status": "improved"}
    assert repo.get_version_entry("v9") == before | {"quality_report": stored}
    with pytest.raises(UnresolvedReferenceError):
        repo.attach_quality_report("v99", {})


def test_writers_at_the_same_time_lose_nothing(repo):
    aliases = [f"alias-{number}" for number in range(24)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda alias: ModelRepository(FOLDER).assign_alias(alias, "v9"), aliases))

    assert set(aliases) <= set(repo.get_manifest()["aliases"])
    assert set(aliases) <= set(repo.get_version_entry("v9")["aliases"])
    assert [path.name for path in FOLDER.iterdir() if path.name.endswith(".tmp")] == []


class PowerCutError(BaseException):
    """What no code of ours may catch and carry on from."""


WRITING_CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "fchmod", "fchown")


def crash_at(monkeypatch, number):
    """Let the call of that number to a writing function of `os` end the run; a counter tells how many there were."""
    seen = [0]

    def dying(call):
        def run(*arguments, **options):
            seen[0] += 1
            if seen[0] == number:
                raise PowerCutError
            return call(*arguments, **options)

        return run

    for name in WRITING_CALLS:
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    return seen


def test_after_a_crash_at_any_act_of_publishing_the_repository_is_whole_and_the_same_call_ends_the_same(
    tmp_path, monkeypatch
):
    artifact = ModelRepository(WORKSPACE / FOLDER).load("v9")
    moment = datetime(2025, 11, 18, 8, tzinfo=UTC)

    def publish(repo):
        repo.publish(artifact, version="v11", aliases=["latest"], saved_at=moment)

    def copied(name):
        shutil.copytree(WORKSPACE / FOLDER, tmp_path / name)
        return ModelRepository(tmp_path / name)

    clean = copied("clean")
    with monkeypatch.context() as patched:
        acts = crash_at(patched, 0)
        publish(clean)

    for number in range(1, acts[0] + 1):
        repo = copied(str(number))
        with monkeypatch.context() as patched:
            crash_at(patched, number)
            with pytest.raises(PowerCutError):
                publish(repo)
        assert repo.get_active_version() in ("v10", "v11")
        assert repo.load_model("latest") == repo.load_model()

        publish(repo)
        assert files(repo.base_path) == files(clean.base_path)
    assert acts[0] > 10
