import pytest

from rollbackctl.core.errors import GateBlockedError, Problem, RollbackError


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


def test_an_error_carries_what_is_wrong_what_to_do_next_and_each_thing_to_say_of_it() -> None:
    plain = RollbackError("gone", hint="look", problems=(Problem("bad"),))
    gate = GateBlockedError("gone", hint="look", problems=(Problem("bad"),), waits_for={"risk": 2}, only_waits=True)

    for error in (plain, gate):
        assert (str(error), error.problem, error.hint, error.problems) == ("gone", "gone", "look", (Problem("bad"),))
    assert gate.waits_for == {"risk": 2}


def test_an_error_has_no_hint_and_nothing_more_to_say_unless_it_is_given() -> None:
    for error in (RollbackError("gone"), GateBlockedError("gone")):
        assert (error.hint, error.problems) == ("", ())
    assert GateBlockedError("gone").waits_for == {}


def test_only_a_gate_that_just_waits_is_called_no_error() -> None:
    assert RollbackError("gone").label == "error"
    assert GateBlockedError("gone").label == "error"
    assert GateBlockedError("gone", only_waits=True).label == "waiting"
