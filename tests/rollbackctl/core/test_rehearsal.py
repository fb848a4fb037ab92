import pytest

from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Outcome, Result
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.rehearsal import Rehearsal
from tests.strategies import Box, Case

ALIAS = Address("box", "alias")
DOCUMENT = PlanDocument(
    Case({ALIAS: (Desired("alias", Phase.RELEASE, lambda _: Box(text="v9")),)}, {ALIAS: None}).plan(), ""
)


@pytest.mark.parametrize(
    ("differing", "repeated", "has_survived"),
    [((), (), True), (("a",), (), False), ((), ("step 1",), False), (("a",), ("step 1",), False)],
)
def test_a_plan_survives_when_nothing_differs_and_nothing_is_repeated(
    differing: tuple[str, ...], repeated: tuple[str, ...], has_survived: bool
) -> None:
    assert Rehearsal(DOCUMENT, differing=differing, repeated=repeated).has_survived is has_survived


def test_a_rehearsal_as_json_tells_all_that_was_counted() -> None:
    outcome = Outcome("probe_score", Result.PASS, "0.7")

    value = Rehearsal(DOCUMENT, 5, 80, ("a",), ("step 1",), {"risk": 4}, (outcome,), 1.23456).to_json()

    assert value == {
        "plan": DOCUMENT.plan.id,
        "survived": False,
        "steps": 1,
        "crashes": 5,
        "files": 80,
        "differing": ["a"],
        "repeated": ["step 1"],
        "taken_as_given": {"risk": 4},
        "checks": [outcome.to_json()],
        "duration_s": 1.235,
    }


def test_a_rehearsal_of_no_changes_counts_nothing() -> None:
    value = Rehearsal(DOCUMENT).to_json()

    assert value | {"plan": "", "steps": 0} == {
        "plan": "",
        "survived": True,
        "steps": 0,
        "crashes": 0,
        "files": 0,
        "differing": [],
        "repeated": [],
        "taken_as_given": {},
        "checks": [],
        "duration_s": 0.0,
    }
