"""Two incidents hold the same model: neither lets it go for the other."""

import json
from pathlib import Path

import pytest

from tests.on_call import Answer, Operator

OTHER = "INC-2099-0001"
OWN = "INC-2025-1117"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


@pytest.fixture
def joint(operator: Operator) -> Operator:
    """Held for one incident, then for another one."""
    assert operator.call("hold", "--incident", OTHER, "--reason", "latency").code == 0
    answer = operator.call("hold", "--incident", OWN, "--reason", "drift")
    assert (answer.code, answer.out.startswith("Held by run ")) == (0, True)
    return operator


def is_attached(operator: Operator) -> bool:
    attached: bool = json.loads((operator.root / "var/models/serving.json").read_bytes())["attached"]
    return attached


def events(operator: Operator) -> list[tuple[str, str | None]]:
    lines = (operator.root / "logs/decision_journal/rollback.log").read_bytes().splitlines()
    return [(event["event"], event.get("incident")) for event in map(json.loads, lines)]


def release(operator: Operator, incident: str) -> Answer:
    answer = operator.call("hold", "--release", "--incident", incident)
    assert answer.code == 0, answer.err
    return answer


def test_both_are_on_record_and_shown(joint: Operator) -> None:
    out = joint.call("status").out

    assert f"for {OTHER} (run " in out
    assert f"for {OWN} (run " in out
    assert events(joint) == [("ai_model_hold_placed", OTHER), ("ai_model_hold_placed", OWN)]


def test_the_same_incident_again_changes_nothing(joint: Operator) -> None:
    before = events(joint)

    assert joint.call("hold", "--incident", OWN).out.startswith("Already held; nothing was changed.")
    assert events(joint) == before


@pytest.mark.parametrize(("first", "last"), [(OTHER, OWN), (OWN, OTHER)])
def test_it_stays_held_until_the_last_one_lets_go(joint: Operator, first: str, last: str) -> None:
    answer = release(joint, first)

    assert f"serving/var/models stays held for {last}" in answer.out
    assert not is_attached(joint)
    assert f"for {last} (run " in joint.call("status").out
    assert f"for {first} (run " not in joint.call("status").out

    release(joint, last)

    assert is_attached(joint)
    assert "Held      nothing" in joint.call("status").out
    assert events(joint)[2:] == [("ai_model_hold_released", first), ("ai_model_hold_released", last)]


def test_a_release_that_does_not_say_whose_is_refused(joint: Operator) -> None:
    answer = joint.call("hold", "--release")

    assert answer.code == 64
    assert f"several incidents hold: {OWN}, {OTHER}" in answer.err
    assert not is_attached(joint)


def test_a_plan_goes_on_only_when_the_other_incident_has_let_go(joint: Operator) -> None:
    joint.sign_all()

    refused = joint.call("apply", "plans/inc.yaml", "--yes")

    assert refused.code == 7
    assert f"is held for {OTHER} by " in refused.err
    assert f"rollbackctl hold --release --incident {OTHER}" in refused.err
    assert not is_attached(joint)

    release(joint, OTHER)
    applied = joint.call("apply", "plans/inc.yaml", "--yes")

    assert (applied.code, is_attached(joint)) == (0, True)


def test_a_run_that_waits_is_not_continued_over_another_incidents_hold(operator: Operator) -> None:
    assert operator.call("apply", "plans/inc.yaml", "--yes").code == 3
    operator.call("hold", "--incident", OTHER)
    operator.sign_all()

    refused = operator.call("apply", "plans/inc.yaml", "--yes")

    assert (refused.code, OTHER in refused.err, is_attached(operator)) == (7, True, False)

    release(operator, OTHER)
    assert operator.call("apply", "plans/inc.yaml", "--yes").code == 0
    assert is_attached(operator)


def test_an_undo_does_not_take_over_another_incidents_hold(operator: Operator) -> None:
    operator.roll_back()
    run = operator.call("runs").out.splitlines()[1].split()[0]
    operator.call("hold", "--incident", OTHER)

    refused = operator.call("undo", run, "--yes")

    assert (refused.code, f"is held for {OTHER} by " in refused.err) == (7, True)


def test_a_hold_names_what_does_not_exist_where_it_looks(operator: Operator) -> None:
    (operator.root / "config/auto_trader.yaml").unlink()

    answer = operator.call("hold", "--incident", OWN)

    assert answer.code == 0
    assert (
        "maintenance/config/auto_trader.yaml does not exist, so there is nothing to hold; "
        "if it lies elsewhere: rollbackctl hold PLAN"
    ) in answer.out


def test_a_release_writes_its_event_where_the_hold_wrote_its_own(operator: Operator) -> None:
    plan = operator.root / "plans/inc.yaml"
    plan.write_text(plan.read_text() + "  journal: {write: logs/elsewhere.log}\n")
    operator.call("hold", "plans/inc.yaml")

    assert operator.call("hold", "--release").code == 0

    lines = (operator.root / "logs/elsewhere.log").read_bytes().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["ai_model_hold_placed", "ai_model_hold_released"]
    assert not (operator.root / "logs/decision_journal/rollback.log").exists()


def test_a_plan_names_a_hold_that_it_does_not_move(operator: Operator) -> None:
    plan = operator.root / "plans/elsewhere.yaml"
    text = (operator.root / "plans/inc.yaml").read_text()
    plan.write_text(text + "  scheduler: {state: audit/other_scheduler.json}\n")
    operator.call("hold", "plans/elsewhere.yaml")

    out = operator.call("plan", "plans/inc.yaml").out

    assert (
        "this plan does not move it, and it stays held until: rollbackctl hold --release "
        f"--incident {OWN}: "
        "retraining_schedule/audit/other_scheduler.json"
    ) in out
