import json
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.repository import ModelRepository
from rollbackctl.checks import Bench
from rollbackctl.checks.probe_score import ProbeScore
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.gate import Outcome, Result
from tests.examples import REPOSITORY, make_facts, make_spec, pin
from tests.observations import version

V9 = pin("v9")
ALL = {"atr_pct": 0.8, "momentum": 0.0, "rsi_norm": 0.0, "spread_bps": 2.5, "volume_ratio": 1.0}


def bench(workspace: Path, features: Any = None) -> Bench:
    """The probe of the rollback plan; None: it names none."""
    checks = {} if features is None else {"probe": {"features": features}}
    return Bench(workspace, make_spec(checks=checks), make_facts(), V9.source)


def expected(workspace: Path, features: dict[str, float]) -> str:
    inference = DecisionModelInference(ModelRepository(workspace / REPOSITORY))
    inference.load_weights("v9")
    score = inference.score(features)
    return f"{score.expected_return_bps:.4f} bps, probability {score.success_probability:.4f}"


def change(workspace: Path, **fields: Any) -> None:
    path = workspace / V9.source
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_probe_of_every_feature_passes_with_its_score(workspace: Path) -> None:
    assert ProbeScore().run(bench(workspace, ALL)) == Outcome("probe_score", Result.PASS, expected(workspace, ALL))


def test_without_a_section_it_is_the_runbooks_probe_and_what_is_filled_in_is_said(workspace: Path) -> None:
    probe = {"momentum": 0.0, "volume_ratio": 1.0}

    outcome = ProbeScore().run(bench(workspace))

    filled = "; filled from the scalers: atr_pct, rsi_norm, spread_bps"
    assert outcome == Outcome("probe_score", Result.PASS, expected(workspace, probe) + filled)


def test_whole_numbers_are_numbers(workspace: Path) -> None:
    whole = ProbeScore().run(bench(workspace, ALL | {"momentum": 0, "volume_ratio": 1}))

    assert whole == ProbeScore().run(bench(workspace, ALL))


def test_a_probe_of_features_that_the_model_lacks_is_inconclusive(workspace: Path) -> None:
    outcome = ProbeScore().run(bench(workspace, ALL | {"volume_ration": 1.0}))

    assert outcome == Outcome("probe_score", Result.INCONCLUSIVE, "the model has no feature volume_ration")


def test_a_probe_is_refused_before_the_run_only_where_the_features_are_known() -> None:
    spec = make_spec(checks={"probe": {"features": {"volume_ration": 1.0}}})

    ProbeScore().refuse(spec, version("v9", None))
    ProbeScore().refuse(spec, version("v9", None, features=("volume_ration", "momentum")))
    with pytest.raises(InvalidInputError, match=r"the probe cannot be made of v9") as caught:
        ProbeScore().refuse(spec, version("v9", None, features=("volume_ratio", "momentum")))
    assert [str(problem) for problem in caught.value.problems] == [
        "spec.checks.probe.features.volume_ration: v9 has no such feature; did you mean volume_ratio?"
    ]


def test_a_probe_that_the_artifacts_own_data_quality_refuses_fails(workspace: Path) -> None:
    metadata = json.loads((workspace / V9.source).read_text())["metadata"]
    change(workspace, metadata=metadata | {"data_quality": {"enforce": True}})

    outcome = ProbeScore().run(bench(workspace, ALL | {"momentum": 1e6}))

    assert outcome.result is Result.FAIL
    assert "bounds" in outcome.summary


@pytest.mark.parametrize("text", ["not json", "{}"])
def test_what_does_not_load_fails(workspace: Path, text: str) -> None:
    (workspace / V9.source).write_text(text)

    outcome = ProbeScore().run(bench(workspace, ALL))

    assert outcome.result is Result.FAIL
    assert outcome.summary


def test_a_score_that_is_not_finite_fails(workspace: Path) -> None:
    linear = {"weights": [1e308, 1e308, 1e308, 1e308, 1e308], "bias": 0.0}
    change(workspace, backend="linear", model_state=linear)

    outcome = ProbeScore().run(bench(workspace, dict.fromkeys(ALL, 1e6)))

    assert outcome.result is Result.FAIL
    assert "not finite" in outcome.summary
