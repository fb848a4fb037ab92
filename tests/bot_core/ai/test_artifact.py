"""The artifact as a value: strict to read, and written back as it was."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot_core.ai.artifact import ModelArtifact, ModelMetrics
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.strict_json import encode_json, parse_object

MODELS = Path(__file__).parents[2] / "fixtures" / "ws_public" / "models" / "decision_engine"
VALID = ("v5", "v6", "v7", "v9", "v10")


def raw_artifact(version):
    return parse_object((MODELS / f"model-{version}.json").read_bytes(), version)


@pytest.mark.parametrize("version", VALID)
def test_an_artifact_is_written_back_byte_for_byte_as_the_engine_wrote_it(version):
    artifact = ModelArtifact.from_mapping(raw_artifact(version), version)

    assert encode_json(artifact.to_dict()) == (MODELS / f"model-{version}.json").read_bytes()


def test_the_fields_have_their_types():
    artifact = ModelArtifact.from_mapping(raw_artifact("v9"), "v9")

    assert artifact.trained_at == datetime(2025, 10, 29, 4, 10, 45, tzinfo=UTC)
    assert artifact.feature_names == ("atr_pct", "momentum", "rsi_norm", "spread_bps", "volume_ratio")
    assert artifact.feature_scalers["atr_pct"] == (0.7835017959183672, 0.1793031921060742)
    assert (artifact.training_rows, artifact.validation_rows, artifact.test_rows) == (98, 28, 14)


def test_a_broken_artifact_is_refused_and_every_place_is_named():
    with pytest.raises(FileFormatError) as caught:
        ModelArtifact.from_mapping(raw_artifact("v8"), "models/model-v8.json")

    assert caught.value.path == "models/model-v8.json"
    for place in (
        "metrics.test is missing",
        "notes is not allowed",
        "momentum.stdev is missing",
        "training_rows is 98.5",
    ):
        assert place in caught.value.problem


def test_a_whole_number_of_rows_with_a_fraction_of_zero_is_an_integer():
    artifact = ModelArtifact.from_mapping(raw_artifact("v9") | {"test_rows": 14.0}, "v9")

    assert (artifact.test_rows, type(artifact.test_rows)) == (14, int)


def test_a_time_that_is_no_instant_is_refused_even_where_the_schema_lets_it_pass():
    with pytest.raises(FileFormatError, match="no readable trained_at"):
        ModelArtifact.from_mapping(raw_artifact("v9") | {"trained_at": "2025-10-29T04:10:45Z\n"}, "v9")


def test_metrics_as_a_mapping_have_the_shape_of_the_manifest():
    manifest = json.loads((MODELS / "manifest.json").read_text())

    artifact = ModelArtifact.from_mapping(raw_artifact("v9"), "v9")

    assert dict(artifact.metrics) == manifest["versions"]["v9"]["metrics"]


def test_metrics_give_their_blocks_splits_and_summary():
    metrics = ModelMetrics({"mae": 1.5, "train": {"mae": 1.0}, "test": {}})

    assert metrics.summary() == {"mae": 1.5}
    assert metrics.splits() == {"train": {"mae": 1.0}, "validation": {}, "test": {}}
    assert metrics.blocks() == {"summary": {"mae": 1.5}, "train": {"mae": 1.0}, "validation": {}, "test": {}}
    assert metrics.as_flat_dict(prefer=["test", "train"]) == {"mae": 1.0}
    assert metrics.as_flat_dict() == {"mae": 1.5}
    assert (metrics.get("mae"), metrics["train"], metrics.get("other")) == (1.5, {"mae": 1.0}, None)
    assert list(metrics) == ["mae", "summary", "train", "validation", "test"]
    assert len(metrics) == 5


def test_metrics_built_from_structured_blocks_are_the_same():
    blocks = {"summary": {"mae": 1.0}, "train": {}, "validation": {}, "test": {}}

    assert ModelMetrics(_structured=blocks) == ModelMetrics(blocks)
    assert ModelMetrics().to_dict() == {"summary": {}, "train": {}, "validation": {}, "test": {}}


def test_an_artifact_without_a_journal_entry_writes_none():
    raw = {name: value for name, value in raw_artifact("v9").items() if name != "decision_journal_entry_id"}

    artifact = ModelArtifact.from_mapping(raw, "v9")

    assert artifact.decision_journal_entry_id is None
    assert artifact.to_dict() == raw
