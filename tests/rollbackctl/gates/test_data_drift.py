from typing import Any

import pytest

from rollbackctl.core.errors import GateBlockedError
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.gates import Case
from rollbackctl.gates.data_drift import DataDrift
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.resolve import resolve
from tests.examples import make_facts
from tests.measurements import SECTION, WINDOW, measured, measurement, moved
from tests.observations import INCIDENT, observation


def plan(target: dict[str, Any] | None = None, **section: Any) -> Spec:
    return Spec.model_validate(
        {
            "apiVersion": "rollbackctl/v1alpha1",
            "kind": "RollbackPlan",
            "metadata": {"name": "plan", "incident": INCIDENT},
            "spec": {
                "model": {"target": target} if target else {},
                "gates": {"data_drift": SECTION | section},
            },
        }
    )


def judge(fact, policy: Policy | None = None, **section: Any) -> Verdict:
    case = Case(plan(**section), policy or Policy(), make_facts(), observation(data_drift=fact), {})
    return DataDrift().judge(case)


WITHIN = measured("v9")
BEYOND = measured("v9", moved(psi=0.3))


def test_a_target_within_its_limits_passes_and_its_worst_feature_is_named() -> None:
    verdict = judge(measurement(WITHIN))

    assert (verdict.answer, verdict.summary) == (Answer.PASS, "v9 within its limits: momentum PSI 0.010")


def test_a_target_that_has_drifted_too_blocks_the_release() -> None:
    verdict = judge(measurement(BEYOND, measured("v8"), measured("v10")))

    assert (verdict.answer, verdict.guards.value) == (Answer.BLOCK, "release")
    assert verdict.summary == "v9: has drifted too"
    assert verdict.reasons == ("PSI of momentum is 0.300, limit 0.25",)


def test_where_every_other_version_has_drifted_as_well_it_says_that_a_rollback_will_not_help() -> None:
    verdict = judge(measurement(BEYOND, measured("v8", moved(psi=0.9)), measured("v10")))

    assert verdict.summary == "v9: has drifted too; rollback will not help"


@pytest.mark.parametrize("fact", [None, measurement(WITHIN, rows=10), measurement(measured("v8"))])
def test_without_an_answer_it_blocks(fact) -> None:
    verdict = judge(fact)

    assert (verdict.answer, verdict.summary) == (Answer.BLOCK, "v9: no data")


def test_the_plan_sets_limits() -> None:
    assert judge(measurement(BEYOND), limits={"psi": 0.5}).answer is Answer.PASS
    assert judge(measurement(WITHIN), limits={"ks": 0.02}).reasons == ("KS of momentum is 0.020, limit 0.02",)
    assert judge(measurement(WITHIN), min_rows=5001).answer is Answer.BLOCK


def test_the_policy_tightens_limits_and_never_loosens_them() -> None:
    tight = Policy(limits={"data_drift.psi": 0.01, "data_drift.min_rows": 6000.0})
    loose = Policy(limits={"data_drift.psi": 9.0, "data_drift.min_rows": 1.0})

    assert judge(measurement(WITHIN), Policy(limits={"data_drift.psi": 0.01})).answer is Answer.BLOCK
    assert judge(measurement(WITHIN), tight).summary == "v9: no data"
    assert judge(measurement(BEYOND), loose).answer is Answer.BLOCK


def test_last_stable_passes_over_what_has_drifted_and_says_so() -> None:
    fact = measurement(BEYOND, measured("v8"), measured("v10", moved(psi=3.0)))

    facts = resolve(plan(), Policy(), observation(data_drift=fact))

    assert facts.target.version == "v8"
    said = {item.version: (item.verdict, item.reasons) for item in facts.candidates}
    assert said["v9"] == ("rejected", ("data drift: PSI of momentum is 0.300, limit 0.25",))
    assert said["v8"][1][-1] == "data drift within the limits: momentum PSI 0.010"


def test_last_stable_passes_over_what_cannot_be_told() -> None:
    fact = measurement(measured("v9", problem="the window has no column rsi"), measured("v8"))

    facts = resolve(plan(), Policy(), observation(data_drift=fact))

    assert facts.target.version == "v8"
    assert facts.candidates[1].reasons == ("data drift cannot be told: the window has no column rsi",)


def test_a_named_target_stays_the_target_and_the_gate_says_no() -> None:
    facts = resolve(plan({"version": "v9"}), Policy(), observation(data_drift=measurement(BEYOND, measured("v8"))))

    assert facts.target.version == "v9"
    assert facts.candidates[1].reasons[-1] == "data drift: PSI of momentum is 0.300, limit 0.25"


def test_when_every_version_has_drifted_a_rollback_will_not_help_and_what_is_left_is_named() -> None:
    fact = measurement(BEYOND, measured("v8", moved(psi=0.8)), measured("v10", moved(psi=3.0)))

    with pytest.raises(GateBlockedError) as caught:
        resolve(plan(), Policy(), observation(data_drift=fact))

    assert caught.value.problem.startswith("rollback will not help")
    assert [problem.text.split(":")[0] for problem in caught.value.problems] == ["v10", "v9", "v8"]
    assert caught.value.hint.splitlines() == [
        f"keep holding, and decide by rules meanwhile: rollbackctl hold --incident {INCIDENT}",
        "train a version on the rows of now, have it signed, and make it the champion",
        "escalate: Platform Ops, docs/runbooks/rollback_multi_strategy.md",
    ]


def test_when_nothing_can_be_told_it_does_not_say_that_a_rollback_will_not_help() -> None:
    with pytest.raises(GateBlockedError, match="no version can be the target"):
        resolve(plan(), Policy(), observation(data_drift=measurement(WITHIN, rows=3)))


def test_the_window_belongs_to_the_plan_and_growing_within_its_tolerance_changes_nothing() -> None:
    first = resolve(plan(), Policy(), observation(data_drift=measurement(WITHIN)))

    again = resolve(plan(), Policy(), observation(data_drift=measurement(WITHIN, rows=5100)), first.identity())
    later = resolve(plan(), Policy(), observation(data_drift=measurement(WITHIN, rows=9000)), first.identity())

    assert first.identity()["data_drift"]["window"] == WINDOW
    assert again.identity() == first.identity()
    assert later.identity() != first.identity()
