import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot_core.ai.walk_forward import link_problems, linked_reports, parse_walk_forward, read_walk_forward

PUBLIC = Path(__file__).parents[2] / "fixtures" / "ws_public"
WALKS = read_walk_forward(PUBLIC)


def artifact(version: str) -> Mapping[str, object]:
    found: Mapping[str, object] = json.loads((PUBLIC / f"models/decision_engine/model-{version}.json").read_bytes())
    return found


def report(version: str) -> dict[str, object]:
    (walk,) = linked_reports(WALKS, artifact(version), version)
    found: dict[str, object] = json.loads((PUBLIC / walk.path).read_bytes())
    return found


def problems(raw: Mapping[str, object], version: str = "v9") -> tuple[str, ...]:
    walk = parse_walk_forward(json.dumps(raw).encode(), path="walk_forward/x.json")
    return link_problems(walk, artifact(version), version, roles=("risk", "compliance"))


@pytest.mark.parametrize(
    ("version", "expected"),
    [("v5", ()), ("v6", ()), ("v7", ()), ("v8", ()), ("v9", ()), ("v10", ("model_validation is pending",))],
)
def test_each_version_of_the_public_workspace_has_one_report_that_vouches_for_it(
    version: str, expected: tuple[str, ...]
) -> None:
    (walk,) = linked_reports(WALKS, artifact(version), version)

    assert link_problems(walk, artifact(version), version) == expected


def test_a_report_of_another_training_is_not_linked() -> None:
    assert linked_reports(WALKS, {**artifact("v9"), "trained_at": "2025-10-29T04:10:46+00:00"}, "v9") == ()
    assert linked_reports(WALKS, artifact("v9"), "v8") == ()
    assert linked_reports(WALKS, {}, "v9") == ()


def test_one_instant_written_in_two_ways_is_linked() -> None:
    assert linked_reports(WALKS, {**artifact("v9"), "trained_at": "2025-10-29T05:10:45+01:00"}, "v9")


def test_a_report_that_names_no_version_is_linked_by_its_training() -> None:
    raw = report("v9")
    raw["model_artifact"]["metadata"].pop("model_version")  # type: ignore[index]
    walk = parse_walk_forward(json.dumps(raw).encode(), path="x.json")

    assert linked_reports([walk], artifact("v9"), "v9") == (walk,)
    assert link_problems(walk, artifact("v9"), "v9") == ("metadata.model_version differs from the artifact's",)


def test_a_changed_figure_in_report_or_artifact_is_named() -> None:
    raw = report("v9")
    raw["model_artifact"]["metrics"]["test"]["mae"] = 1.0  # type: ignore[index]
    raw["model_artifact"]["metadata"]["row_count"] = 140.0  # type: ignore[index]

    assert problems(raw) == (
        "metadata.row_count differs from the artifact's",
        "metrics.test differs from the artifact's",
    )


def test_every_role_of_the_policy_and_of_the_block_must_have_approved_or_waived() -> None:
    raw = report("v9")
    raw["sign_off"] = {"risk": {"status": "rejected"}, "legal": {"status": "pending"}}

    assert problems(raw) == ("compliance is missing", "legal is pending", "risk is rejected")


def test_a_report_without_a_block_vouches_for_nothing() -> None:
    raw = report("v9")
    raw.pop("sign_off")
    walk = parse_walk_forward(json.dumps(raw).encode(), path="x.json")

    assert link_problems(walk, artifact("v9"), "v9") == ("compliance is missing", "risk is missing")


def test_an_unreadable_report_is_an_entry_that_vouches_for_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "audit/ai_decision/walk_forward"
    folder.mkdir(parents=True)
    (folder / "20251029T041045Z.json").write_text("{")

    (walk,) = read_walk_forward(tmp_path)

    assert walk.error is not None
    assert linked_reports([walk], artifact("v9"), "v9") == ()
    assert "unreadable" in link_problems(walk, artifact("v9"), "v9")[0]


def test_an_artifact_without_metadata_and_metrics_is_not_vouched_for() -> None:
    walk = parse_walk_forward(json.dumps(report("v9")).encode(), path="x.json")

    found = link_problems(walk, {"trained_at": "2025-10-29T04:10:45+00:00", "metrics": {}}, "v9")

    assert found == ("the artifact has no metadata", "the artifact has no metrics")


def test_signing_a_report_does_not_change_its_digest() -> None:
    raw = report("v10")
    signed = {**raw, "sign_off": {}, "sign_off_history": []}

    assert (
        parse_walk_forward(json.dumps(raw).encode(), path="x").digest
        == parse_walk_forward(json.dumps(signed).encode(), path="x").digest
    )
