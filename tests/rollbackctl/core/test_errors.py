import pytest

from rollbackctl.core.errors import Problem, RollbackError


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("bad"), "bad"),
        (Problem("bad", "p.yaml"), "p.yaml: bad"),
        (Problem("bad", "p.yaml", 3), "p.yaml:3: bad"),
        (Problem("bad", "p.yaml", 3, 7), "p.yaml:3:7: bad"),
    ],
)
def test_a_problem_says_where_it_is_as_far_as_is_known(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_the_exit_codes_are_those_of_the_interface() -> None:
    codes = {error.__name__: error.exit_code for error in RollbackError.__subclasses__() if "core" in error.__module__}

    assert codes == {
        "GateBlockedError": 3,
        "StalePlanError": 4,
        "DriftError": 5,
        "CheckFailedError": 6,
        "LockedError": 7,
        "InvalidInputError": 8,
        "UsageError": 64,
        "InterruptedRunError": 130,
    }
    assert RollbackError.exit_code == 1
