"""A bundle attests exactly the artifact it was made of, and every change to either is seen."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.attestation import attest, find_bundle_folders
from bot_core.ai.bundle import (
    ModelArtifactIntegrityError,
    generate_model_artifact_bundle,
    load_model_artifact_bundle,
)
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import FileFormatError, IntegrityError

WORKSPACE = Path(__file__).parents[2] / "fixtures" / "ws_public"
EXPECTED = json.loads((WORKSPACE.parent / "expected_public.json").read_text())
KEYS = {"demo-2025": b"ws-public-demo-signing-key-0123456789abcdef"}
V9 = "audit/ai_decision/models/decision-core/20251029T041045Z"
V10 = "audit/ai_decision/models/decision-core/20251108T041020Z"


@pytest.fixture
def root(tmp_path):
    shutil.copytree(WORKSPACE / "audit/ai_decision/models", tmp_path / "audit/ai_decision/models")
    return tmp_path


def raw_artifact(version="v9"):
    return json.loads((WORKSPACE / "models/decision_engine" / f"model-{version}.json").read_text())


def attested(root, raw, keys=KEYS):
    return attest(root, raw, folders=find_bundle_folders(root), keys=keys)


def renew_checksums(folder):
    """What somebody does who changes a file and hides it."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".json", ".sig"))
    lines = (f"{sha256_hex((folder / name).read_bytes())}  {name}\n" for name in names)
    (folder / "checksums.sha256").write_text("".join(lines))


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# --- attesting


@pytest.mark.parametrize(("version", "folder"), [("v9", V9), ("v10", V10)])
def test_the_bundles_of_the_workspace_attest_their_artifacts(root, version, folder):
    attestation = attested(root, raw_artifact(version))

    assert (attestation.state, attestation.folder, attestation.hmac) == ("attested", folder, "ok")
    assert (attestation.key_id, attestation.problems) == ("demo-2025", ())
    assert attestation.digests == {
        str(p.relative_to(root)): sha256_hex(p.read_bytes()) for p in (root / folder).iterdir()
    }
    assert EXPECTED["bundles"][folder] == f"HMAC ok {version}"


def test_without_the_key_only_the_checksums_are_held_against_the_bundle(root):
    assert attested(root, raw_artifact(), keys={}).hmac == "not configured"
    assert attested(root, raw_artifact(), keys={}).state == "attested"


def test_a_key_that_is_not_among_those_at_hand_is_an_unknown_one(root):
    attestation = attested(root, raw_artifact(), keys={"other": b"x"})

    assert (attestation.hmac, attestation.key_id) == ("unknown key", "demo-2025")


def test_another_key_under_that_name_fails(root):
    attestation = attested(root, raw_artifact(), keys={"demo-2025": b"another key"})

    assert (attestation.state, attestation.hmac) == ("failed", "failed")
    assert attestation.problems == ("the signature does not hold",)


def test_an_artifact_without_a_bundle_is_unattested(root):
    attestation = attested(root, raw_artifact("v7"))

    assert (attestation.state, attestation.folder, attestation.hmac) == ("unattested", None, "no signature")
    assert (attestation.problems, attestation.digests) == ((), {})


def test_an_artifact_that_differs_from_its_bundle_fails(root):
    raw = raw_artifact() | {"target_scale": 1.0}

    attestation = attested(root, raw)

    assert (attestation.state, attestation.folder) == ("failed", V9)
    assert attestation.problems == ("the repository's artifact differs from its bundle",)


def test_an_artifact_fails_although_another_bundle_attests_it(root):
    shutil.copytree(root / V9, root / f"{V9}-copy")
    replace(root / V9 / "model-v9.json", '"target_scale": 17', '"target_scale": 18')
    renew_checksums(root / V9)

    assert attested(root, raw_artifact()).state == "failed"


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("model-v9.json", "\n", "\n\n", "model-v9.json differs from checksums.sha256"),
        ("model-v9.metadata.json", "builtin", "linear", "model-v9.metadata.json differs from checksums.sha256"),
        ("model-v9.sig", "2025-10-29", "2025-10-30", "model-v9.sig differs from checksums.sha256"),
        ("checksums.sha256", "ff5d", "ff5e", "model-v9.json differs from checksums.sha256"),
        ("checksums.sha256", "  model-v9.sig", "  model-v8.sig", "model-v8.sig is in checksums.sha256 but missing"),
        ("checksums.sha256", "  ", " ", "checksums.sha256, line 1"),
    ],
)
def test_a_changed_bundle_fails_and_the_file_is_named(root, name, old, new, problem):
    replace(root / V9 / name, old, new)

    attestation = attested(root, raw_artifact())

    assert attestation.state == "failed"
    assert any(problem in line for line in attestation.problems)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"target": "model-v9.json"', '"target": "model-v8.json"', "the signature does not hold"),
        ('"value": "31', '"value": "32', "the signature does not hold"),
        ('"value": "31', '"value": "!!', "the signature is not base64"),
        ("HMAC-SHA256", "none", "the signature file is not one of HMAC-SHA256"),
        ("{", "[", "model-v9.sig, line"),
    ],
)
def test_a_changed_signature_fails_even_with_checksums_made_anew(root, old, new, problem):
    replace(root / V9 / "model-v9.sig", old, new)
    renew_checksums(root / V9)

    attestation = attested(root, raw_artifact())

    assert attestation.state == "failed"
    assert any(problem in line for line in attestation.problems)


def test_a_signature_taken_away_is_told(root):
    (root / V9 / "model-v9.sig").unlink()
    renew_checksums(root / V9)

    attestation = attested(root, raw_artifact())

    assert (attestation.state, attestation.hmac, attestation.key_id) == ("attested", "no signature", None)


def test_a_bundle_whose_artifact_cannot_be_read_still_speaks_of_it_by_its_metadata(root):
    (root / V9 / "model-v9.json").write_text("{")

    assert attested(root, raw_artifact()).state == "failed"


@pytest.mark.parametrize("name", ["checksums.sha256", "model-v9.json"])
def test_a_bundle_that_lacks_a_file_fails(root, name):
    (root / V9 / name).unlink()

    assert attested(root, raw_artifact()).state == "failed"


def test_a_second_artifact_in_a_bundle_fails(root):
    shutil.copy(root / V10 / "model-v10.json", root / V9 / "model-v10.json")
    renew_checksums(root / V9)

    attestation = attested(root, raw_artifact())

    assert attestation.state == "failed"
    assert "it holds 2 artifacts, not one" in attestation.problems


def test_a_link_in_a_bundle_fails(root):
    path = root / V9 / "model-v9.sig"
    path.rename(root / "elsewhere.sig")
    path.symlink_to(root / "elsewhere.sig")

    assert attested(root, raw_artifact()).state == "failed"


def test_bundle_folders_are_found_and_stray_files_passed_over(root):
    models = root / "audit/ai_decision/models"
    (models / "README.txt").write_text("x")
    (models / "decision-core" / "notes.txt").write_text("x")
    (models / "decision-core" / "empty").mkdir()
    (models / "decision-core" / "gone").symlink_to(root / "nowhere")

    assert find_bundle_folders(root) == (V9, V10)
    assert find_bundle_folders(root / "nowhere-yet") == ()


@pytest.mark.parametrize("linked", [V9, "audit/ai_decision/models/decision-core", "audit/ai_decision/models"])
def test_what_lies_behind_a_link_attests_nothing(root, linked):
    (root / linked).rename(root / "elsewhere")
    (root / linked).symlink_to(root / "elsewhere")

    attestation = attested(root, raw_artifact())

    assert linked in find_bundle_folders(root)
    assert (attestation.state, attestation.folder) == ("failed", linked)
    assert attestation.problems == ("it is a link; what it holds is not looked at",)


def test_a_link_beside_an_artifacts_own_bundle_does_no_harm(root):
    (root / "audit/ai_decision/models/decision-core/link").symlink_to(root / V10)

    assert attested(root, raw_artifact()).state == "attested"


# --- making and loading


def test_a_bundle_is_made_byte_for_byte_as_the_engine_makes_it(tmp_path):
    artifact = ModelArtifact.from_mapping(raw_artifact(), "v9")

    bundle = generate_model_artifact_bundle(
        artifact,
        tmp_path / "bundle",
        signing_key=KEYS["demo-2025"],
        signing_key_id="demo-2025",
        signed_at=datetime(2025, 10, 29, 4, 10, 45, tzinfo=UTC),
    )

    made = {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (WORKSPACE / V9).iterdir()}
    assert bundle == load_model_artifact_bundle(tmp_path / "bundle", signing_keys=KEYS)


def test_a_bundle_without_a_key_has_no_signature(tmp_path):
    artifact = ModelArtifact.from_mapping(raw_artifact(), "v9")

    bundle = generate_model_artifact_bundle(
        artifact, tmp_path, name="m.json", metadata_overrides={"model_version": "x"}
    )

    assert bundle.signature_path is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checksums.sha256", "m.json", "m.metadata.json"]
    assert load_model_artifact_bundle(tmp_path).metadata_payload["model_version"] == "x"
    with pytest.raises(ModelArtifactIntegrityError, match="no signature"):
        load_model_artifact_bundle(tmp_path, signing_key=b"key")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"signing_key": b"wrong"}, "HMAC: failed"),
        ({"signing_keys": {"demo-2025": b"wrong"}}, "HMAC: failed"),
        ({"signing_keys": {"other": b"wrong"}}, "HMAC: unknown key demo-2025"),
        ({"expected_artifact": "model-v8.json"}, "its artifact is model-v9.json, not model-v8.json"),
    ],
)
def test_a_bundle_that_is_not_what_was_asked_for_is_refused(options, problem):
    with pytest.raises(ModelArtifactIntegrityError, match=problem) as caught:
        load_model_artifact_bundle(WORKSPACE / V9, **options)

    assert isinstance(caught.value, IntegrityError)
    assert isinstance(caught.value, ValueError)


def test_a_bundle_loads_with_the_right_key_whatever_it_is_called():
    bundle = load_model_artifact_bundle(
        WORKSPACE / V9, expected_artifact="model-v9.json", signing_key=KEYS["demo-2025"]
    )

    assert bundle.artifact.to_dict() == raw_artifact()
    assert bundle.signature_path == WORKSPACE / V9 / "model-v9.sig"
    assert sorted(bundle.checksums) == ["model-v9.json", "model-v9.metadata.json", "model-v9.sig"]


def test_an_empty_folder_is_no_bundle(tmp_path):
    with pytest.raises(ModelArtifactIntegrityError, match=r"checksums.sha256 is missing; it holds 0 artifacts"):
        load_model_artifact_bundle(tmp_path)


def test_a_bundle_of_something_that_is_no_artifact_is_refused(tmp_path):
    (tmp_path / "m.json").write_text("{}")
    renew_checksums(tmp_path)

    with pytest.raises(FileFormatError, match=r"m.json is not a model artifact"):
        load_model_artifact_bundle(tmp_path)


@pytest.mark.parametrize("is_escaped", [True, False])
def test_a_signature_over_text_that_is_not_ascii_holds_in_either_form(tmp_path, is_escaped):
    import base64
    import hashlib
    import hmac

    raw = raw_artifact()
    raw["metadata"]["source"] = "źródło"
    artifact = ModelArtifact.from_mapping(raw, "v9")
    folder = tmp_path / "audit/ai_decision/models/m/1"
    generate_model_artifact_bundle(artifact, folder, signing_key=KEYS["demo-2025"], signing_key_id="demo-2025")
    message = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=is_escaped).encode()
    signature = json.loads((folder / "model-v9.sig").read_text())
    value = base64.b64encode(hmac.new(KEYS["demo-2025"], message, hashlib.sha256).digest()).decode()
    signature["signature"]["value"] = value
    (folder / "model-v9.sig").write_text(json.dumps(signature))
    renew_checksums(folder)

    assert attested(tmp_path, raw).hmac == "ok"
