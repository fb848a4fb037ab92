"""A training leaves an artifact that proves itself, its baseline and a report that vouches for it."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bot_core.ai import (
    AIManager,
    EstimatorTrainer,
    FeatureTable,
    ModelArtifact,
    ModelRepository,
    TrainedModel,
    TrainingSpec,
    load_baseline,
    publish_trained_model,
    train_model,
    validate_model_artifact_schema,
)
from bot_core.ai.baseline import baseline_path
from bot_core.ai.codec import build_scorer
from bot_core.ai.walk_forward import link_problems, linked_reports, read_walk_forward
from bot_core.ai.walk_forward_validation import WalkForwardPlan, WalkForwardValidator
from bot_core.foundation.errors import BotCoreError, FileFormatError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BACKENDS = ("ridge", "gradient_boosting", "hist_gradient_boosting")
NAMES = ("atr", "momentum", "spread")
SMALL = {"gradient_boosting": {"n_estimators": 12}, "hist_gradient_boosting": {"max_iter": 12}, "ridge": {}}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    # Several wait for each other by spinning, and other tests run beside these. Only loaded libraries can be limited.
    import_module("sklearn.ensemble")
    with threadpool_limits(1):
        yield


def table(rows: int = 160, *, seed: int = 0, missing: float = 0.1) -> FeatureTable:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, 3))
    target = 8.0 * matrix[:, 0] + np.where(matrix[:, 1] > 0, 5.0, -5.0) + random.normal(size=rows)
    matrix[random.random(rows) < missing, 1] = np.nan
    times = 1.7e9 + 900.0 * np.arange(rows)
    return FeatureTable(NAMES, matrix, target, times, {"symbol": ["BTC", "ETH"] * (rows // 2)}, "test")


def spec_of(backend: str, **changes: Any) -> TrainingSpec:
    return TrainingSpec(
        **{"backend": backend, "model_name": "m", "model_version": "v1", "parameters": SMALL[backend], **changes}
    )


@cache
def trained(backend: str) -> TrainedModel:
    return train_model(table(), spec_of(backend), trained_at=NOW)


def raw_artifact(backend: str) -> dict[str, Any]:
    return copy.deepcopy(json.loads(json.dumps(trained(backend).artifact.to_dict())))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_rows_spec_and_instant_give_the_same_files(backend: str) -> None:
    again = train_model(table(), spec_of(backend), trained_at=NOW)

    assert json.dumps(again.artifact.to_dict()) == json.dumps(trained(backend).artifact.to_dict())
    assert again.baseline.encode() == trained(backend).baseline.encode()
    assert again.validation == trained(backend).validation


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_artifact_is_valid_and_survives_its_file(backend: str) -> None:
    raw = raw_artifact(backend)

    validate_model_artifact_schema(raw)
    read = ModelArtifact.from_mapping(raw, "file")
    assert read == trained(backend).artifact
    features = {"atr": 0.3, "momentum": -1.0, "spread": 0.0}
    assert build_scorer(read).score(features) == trained(backend).artifact.build_model().score(features)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_has_learned_what_there_was_to_learn(backend: str) -> None:
    artifact = trained(backend).artifact

    test: Any = artifact.metrics["test"]
    assert test["directional_accuracy"] > 0.8
    assert test["brier_score"] < 0.2
    assert (artifact.training_rows, artifact.validation_rows, artifact.test_rows) == (112, 24, 24)


def test_only_histogram_boosting_learns_of_missing_values() -> None:
    features = {"atr": 0.0, "momentum": float("nan"), "spread": 0.0}

    scorer = trained("hist_gradient_boosting").artifact.build_model()
    assert trained("hist_gradient_boosting").artifact.model_state["may_miss"] == ["momentum"]
    assert scorer.score(features) != scorer.score({**features, "momentum": 1.0})
    for backend in ("ridge", "gradient_boosting"):
        with pytest.raises(BotCoreError, match="missing or not finite: momentum"):
            trained(backend).artifact.build_model().score(features)


def shortened(raw: dict[str, Any]) -> dict[str, Any]:
    for values in raw["metadata"]["golden_rows"].values():
        del values[15:]
    return raw


def without_rows(raw: dict[str, Any]) -> dict[str, Any]:
    del raw["metadata"]["golden_rows"]
    return raw


def with_row(row: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def changed(raw: dict[str, Any]) -> dict[str, Any]:
        raw["metadata"]["golden_rows"]["rows"][0] = row
        return raw

    return changed


@pytest.mark.parametrize("backend", ["gradient_boosting", "hist_gradient_boosting"])
def test_a_score_of_trees_that_is_off_by_its_last_bit_is_refused_with_file_and_place(backend: str) -> None:
    raw = raw_artifact(backend)
    expected = raw["metadata"]["golden_rows"]["expected_return_bps"]
    expected[4] = float(np.nextafter(expected[4], np.inf))

    with pytest.raises(FileFormatError, match=r"model-v1\.json: metadata\.golden_rows\.rows\[4\] scores") as caught:
        build_scorer(ModelArtifact.from_mapping(raw, "model-v1.json"))
    assert caught.value.path == "model-v1.json"


@pytest.mark.parametrize("backend", ["gradient_boosting", "hist_gradient_boosting"])
def test_a_model_whose_largest_leaf_is_changed_is_refused_by_the_engine(backend: str, tmp_path: Path) -> None:
    raw = raw_artifact(backend)
    values = raw["model_state"]["nodes"]["value"]
    values[values.index(max(values))] *= 1.5
    path = tmp_path / "model-v1.json"
    path.write_text(json.dumps(raw))

    with pytest.raises(FileFormatError, match=rf"{path}: metadata\.golden_rows"):
        AIManager(model_dir=tmp_path / "served").load_decision_artifact("m", path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (shortened, "golden_rows has 15 rows"),
        (without_rows, "golden_rows.rows is missing"),
        (with_row([1.0]), r"rows\[0\] is not a list of 3 numbers"),
        (with_row([1.0, "2", 3.0]), r"rows\[0\] holds '2', which is neither a number nor null"),
        (with_row([1.0, True, 3.0]), r"rows\[0\] holds True"),
        (with_row([1.0, None, 3.0]), r"rows\[0\] cannot be scored: features are missing or not finite: momentum"),
        (with_row([1.0, 2.0, 3.0]), r"rows\[0\] scores"),
    ],
)
def test_golden_rows_that_do_not_prove_the_model_are_refused(change: Any, problem: str) -> None:
    with pytest.raises(FileFormatError, match=problem):
        build_scorer(ModelArtifact.from_mapping(change(raw_artifact("ridge")), "model-v1.json"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_unknown_key_of_the_state_is_passed_over_and_one_that_is_misspelt_is_not(backend: str) -> None:
    noted, misspelt = raw_artifact(backend), raw_artifact(backend)
    noted["model_state"]["n_estimators"] = 20
    misspelt["model_state"]["probabilty"] = misspelt["model_state"].pop("probability")

    build_scorer(ModelArtifact.from_mapping(noted, "x"))
    with pytest.raises(FileFormatError, match=r"rows\[0\] scores"):
        build_scorer(ModelArtifact.from_mapping(misspelt, "x"))


@pytest.mark.parametrize(("share", "is_refused"), [(1e-13, False), (1e-10, True)])
def test_a_ridge_may_be_off_by_its_rounding_only(share: float, is_refused: bool) -> None:
    raw = raw_artifact("ridge")
    raw["metadata"]["golden_rows"]["expected_return_bps"][3] += share

    if is_refused:
        with pytest.raises(FileFormatError, match=r"rows\[3\] scores"):
            build_scorer(ModelArtifact.from_mapping(raw, "x"))
    else:
        build_scorer(ModelArtifact.from_mapping(raw, "x"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_published_training_serves_and_its_report_vouches_for_it(backend: str, tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path / "models/decision_engine")
    audit = tmp_path / "audit/ai_decision"

    published = publish_trained_model(trained(backend), repository, audit_root=audit, aliases=["latest"], activate=True)

    raw = json.loads(published.artifact.read_bytes())
    (report,) = linked_reports(read_walk_forward(tmp_path), raw, "v1")
    assert link_problems(report, raw, "v1") == ("compliance is pending", "risk is pending")
    baseline = raw["metadata"]["feature_baseline"]
    assert published.baseline == baseline_path(repository.base_path, baseline["sha256"])
    assert load_baseline(published.baseline, baseline["sha256"]) == trained(backend).baseline
    manager = AIManager(model_dir=tmp_path / "var/models")
    inference = manager.load_decision_artifact("m", "v1", repository_root=repository.base_path, set_default=True)
    score = manager.score_decision_features({"atr": 1.0}, model_name="m")
    assert inference.last_imputed_features == ("momentum", "spread")
    means = {name: trained(backend).artifact.feature_scalers[name][0] for name in NAMES}
    assert score == trained(backend).artifact.build_model().score({**means, "atr": 1.0})


def test_the_report_has_the_engines_format(tmp_path: Path) -> None:
    published = publish_trained_model(trained("ridge"), ModelRepository(tmp_path / "r"), audit_root=tmp_path / "a")

    report = json.loads(published.walk_forward.read_bytes())
    engines = Path(__file__).parents[2] / "fixtures/ws_public/audit/ai_decision/walk_forward/20251029T041045Z.json"
    example = json.loads(engines.read_bytes())
    assert published.walk_forward.name == "20260301T120000Z.json"
    assert report.keys() == example.keys()
    for part in ("walk_forward", "model_artifact", "dataset"):
        assert report[part].keys() == example[part].keys()
    assert report["walk_forward"]["windows"][0].keys() == example["walk_forward"]["windows"][0].keys()
    assert (report["walk_forward"]["train_window"], report["walk_forward"]["test_window"]) == (80, 16)
    assert len(report["walk_forward"]["windows"]) == 5


def test_an_artifact_scores_in_a_process_that_loads_neither_numpy_nor_scikit_learn(tmp_path: Path) -> None:
    path = publish_trained_model(
        trained("hist_gradient_boosting"), ModelRepository(tmp_path / "r"), audit_root=tmp_path / "a"
    ).artifact
    program = (
        "import sys\n"
        "from bot_core.ai import AIManager\n"
        "manager = AIManager(model_dir=sys.argv[2])\n"
        "manager.load_decision_artifact('m', sys.argv[1], set_default=True)\n"
        "print(manager.score_decision_features({'atr': 1.0}).expected_return_bps.hex())\n"
        "print(sorted({'numpy', 'sklearn', 'jsonschema'} & set(sys.modules)))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, str(path), str(tmp_path / "served")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )

    artifact = trained("hist_gradient_boosting").artifact
    means = {name: artifact.feature_scalers[name][0] for name in NAMES}
    expected = artifact.build_model().score({**means, "atr": 1.0}).expected_return_bps
    assert ended.stdout.split("\n")[:2] == [expected.hex(), "[]"]


def test_a_trainer_validates_as_a_retraining_job_does() -> None:
    validator = WalkForwardValidator(table(), plan=WalkForwardPlan(80, 16))
    whole = spec_of("ridge", validation_ratio=0.0, test_ratio=0.0)

    assert validator.validate(lambda: EstimatorTrainer(whole)) == trained("ridge").validation


def test_a_calibration_in_the_callers_metadata_is_part_of_every_score() -> None:
    spec = spec_of("gradient_boosting", metadata={"calibration": {"slope": 2.0, "intercept": 1.0}, "model_name": "x"})

    artifact = train_model(table(), spec, trained_at=NOW).artifact

    features = dict.fromkeys(NAMES, 0.5)
    plain = trained("gradient_boosting").artifact.build_model().score(features).expected_return_bps
    assert artifact.build_model().score(features).expected_return_bps == 2.0 * plain + 1.0
    assert artifact.metadata["model_name"] == "m"


def test_targets_on_one_side_of_zero_train_no_classifier() -> None:
    rows = table()
    above = FeatureTable(NAMES, rows.matrix, np.abs(rows.target) + 1.0, rows.times)

    artifact = train_model(above, spec_of("ridge"), trained_at=NOW).artifact

    assert "probability" not in artifact.model_state
    assert 0.5 < artifact.build_model().score(dict.fromkeys(NAMES, 0.0)).success_probability < 1.0


@pytest.mark.parametrize(
    ("rows", "changes", "problem"),
    [
        (31, {"walk_forward": WalkForwardPlan(10, 5)}, "31 rows are too few to train on; 32 are needed"),
        (60, {}, "30 rows are too few to train on"),
        (160, {"backend": "forest"}, "backend 'forest' cannot be trained; known are ridge"),
        (160, {"parameters": {"alpha": 1.0, "trees": 3}}, "the parameters of ridge: .*trees"),
        (160, {"parameters": {"alpha": -1.0}}, "Ridge cannot be fitted: .*alpha"),
        (160, {"validation_ratio": 0.4, "test_ratio": 0.2}, "together above 0.5"),
        (160, {"test_ratio": float("nan")}, "are negative, or together"),
        (160, {"walk_forward": WalkForwardPlan(160, 1)}, "160 rows are too few"),
    ],
)
def test_what_cannot_be_trained_is_refused(rows: int, changes: dict[str, Any], problem: str) -> None:
    spec = TrainingSpec(**{"backend": "ridge", "model_name": "m", "model_version": "v1", **changes})

    with pytest.raises(BotCoreError, match=problem):
        train_model(table(rows), spec, trained_at=NOW)


def test_a_feature_that_training_never_sees_is_refused() -> None:
    rows = table()
    rows.matrix[:120, 2] = np.nan

    with pytest.raises(BotCoreError, match="spread is missing in every row"):
        train_model(rows, spec_of("ridge"), trained_at=NOW)
