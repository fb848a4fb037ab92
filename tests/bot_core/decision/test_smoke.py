from collections.abc import Mapping
from dataclasses import replace

import pytest

from bot_core.ai.artifact import ModelScore
from bot_core.decision.models import Inference
from bot_core.decision.smoke import SmokeResult, run_smoke
from bot_core.foundation.errors import BotCoreError
from tests.bot_core.decision.examples import EXPECTED, paper_inputs

SHA256 = "a" * 64


class Answering:
    """A model that answers each case in turn; an error is raised."""

    is_ready = True
    model_version = "v9"
    last_imputed_features = ()

    def __init__(self, *answers: ModelScore | BotCoreError, digest: str | None = SHA256) -> None:
        self.model_digest = digest
        self._answers = list(answers)

    def score(self, features: Mapping[str, float]) -> ModelScore:  # noqa: ARG002 - the answers are given
        answer = self._answers.pop(0)
        if isinstance(answer, BotCoreError):
            raise answer
        return answer


def smoke(*answers: ModelScore | BotCoreError, digest: str | None = SHA256) -> SmokeResult:
    model: Inference = Answering(*answers, digest=digest)
    return run_smoke(paper_inputs(), "rollback", model, SHA256)


def scores(version: str) -> tuple[ModelScore, ...]:
    return tuple(ModelScore(*pair) for pair in EXPECTED["scores"][version]["candidate_features"])


def test_a_smoke_counts_what_was_decided_on_the_models_scores() -> None:
    result = smoke(*scores("v9"))

    assert (result.accepted, result.rejected, result.stress_failures) == (1, 2, 0)
    assert result.failures == ()


def test_a_healthy_model_that_accepts_nothing_has_not_failed() -> None:
    result = smoke(*[ModelScore(0.0, 0.5)] * 3)

    assert (result.accepted, result.rejected, result.failures) == (0, 3, ())


def test_a_candidate_that_the_model_does_not_score_fails_the_smoke_by_name() -> None:
    first, _, third = scores("v9")

    result = smoke(first, BotCoreError("the score is not finite: nan, 0.5"), third)

    assert result.failures == (
        "candidate 2 (trend_follow BTCUSDT): model rollback gave no score: the score is not finite: nan, 0.5",
    )


@pytest.mark.parametrize("digest", [None, "b" * 64])
def test_scores_of_another_artifact_fail_the_smoke(digest: str | None) -> None:
    result = smoke(*scores("v9"), digest=digest)

    assert len(result.failures) == 3
    assert result.failures[0].endswith(f"scored by the artifact {digest}, not by {SHA256}")


@pytest.mark.parametrize("unfit", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["expected_return_bps", "success_probability"])
def test_a_score_that_is_not_finite_fails_the_smoke_and_is_not_accepted(name: str, unfit: float) -> None:
    first, second, third = scores("v9")

    result = smoke(first, second, replace(third, **{name: unfit}))

    (failure,) = result.failures
    assert failure.startswith("candidate 3 (grid_core SOLUSDT): model rollback gave no finite score: ModelScore(")
    assert str(unfit) in failure
    assert (result.accepted, result.rejected) == (1, 2)


def test_a_smoke_without_candidates_proves_nothing() -> None:
    result = run_smoke(replace(paper_inputs(), candidates=()), "rollback", Answering(), SHA256)

    assert result.failures == ("there is no candidate to score",)
