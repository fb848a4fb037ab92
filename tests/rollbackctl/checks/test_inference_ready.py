import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.quarantine import Quarantine
from bot_core.foundation.digest import sha256_hex
from rollbackctl.checks import Bench
from rollbackctl.checks.inference_ready import InferenceReady
from rollbackctl.core.gate import Outcome, Result
from tests.examples import REPOSITORY, make_facts, make_spec, pin

V9 = pin("v9")


def bench(workspace: Path, data: bytes | None = None) -> Bench:
    """The stored copy holds `data`, and the plan says so; None: it holds v9."""
    artifact = f"var/models/artifacts/{V9.sha256}.json"
    (workspace / artifact).parent.mkdir()
    content = (workspace / V9.source).read_bytes() if data is None else data
    (workspace / artifact).write_bytes(content)
    facts = make_facts(target=replace(V9, sha256=sha256_hex(content)))
    return Bench(workspace, make_spec(), facts, artifact)


def changed(workspace: Path, **fields: Any) -> bytes:
    return json.dumps(json.loads((workspace / V9.source).read_bytes()) | fields).encode()


def test_the_stored_copy_of_the_target_is_ready(workspace: Path) -> None:
    assert InferenceReady().run(bench(workspace)) == Outcome("inference_ready", Result.PASS, "v9 is ready")


def test_a_copy_of_other_bytes_fails_whatever_they_are(workspace: Path) -> None:
    found = bench(workspace)
    other = (workspace / pin("v10").source).read_bytes()
    (workspace / found.artifact).write_bytes(other)

    assert InferenceReady().run(found) == Outcome(
        "inference_ready",
        Result.FAIL,
        f"{found.artifact} has sha256 {sha256_hex(other)[:12]}, not {V9.sha256[:12]}",
    )


def test_a_copy_that_is_gone_fails(workspace: Path) -> None:
    found = bench(workspace)
    (workspace / found.artifact).unlink()

    outcome = InferenceReady().run(found)

    assert outcome.result is Result.FAIL
    assert outcome.summary.endswith(f"{found.artifact} does not exist")


def test_a_link_in_its_place_fails(workspace: Path) -> None:
    found = bench(workspace)
    (workspace / found.artifact).unlink()
    (workspace / found.artifact).symlink_to(workspace / V9.source)

    assert InferenceReady().run(found).result is Result.FAIL


@pytest.mark.parametrize(
    ("data", "fault"),
    [(b"not json", ", line 1: Expecting value"), (b"{}", " is not a model artifact: backend is missing")],
)
def test_what_is_no_artifact_fails_with_its_fault(workspace: Path, data: bytes, fault: str) -> None:
    found = bench(workspace, data)

    outcome = InferenceReady().run(found)

    assert outcome.result is Result.FAIL
    assert f"{found.artifact}{fault}" in outcome.summary


def test_a_model_that_cannot_give_a_finite_score_fails(workspace: Path) -> None:
    metadata = json.loads((workspace / V9.source).read_bytes())["metadata"]
    calibration = {"slope": 1e308, "intercept": 1e308}

    outcome = InferenceReady().run(
        bench(workspace, changed(workspace, metadata=metadata | {"calibration": calibration}))
    )

    assert outcome.result is Result.FAIL
    assert "the model cannot score" in outcome.summary


def test_a_target_that_has_been_quarantined_fails(workspace: Path) -> None:
    quarantine = Quarantine(version="v9", sha256=V9.canonical, incident="INC-2025-1118", reason="drift")
    (workspace / REPOSITORY / "quarantine").mkdir()
    (workspace / REPOSITORY / "quarantine" / "v9.json").write_bytes(quarantine.encode())

    outcome = InferenceReady().run(bench(workspace))

    assert outcome.result is Result.FAIL
    assert "quarantined by incident INC-2025-1118: drift" in outcome.summary
