"""Whoever is refused is told the very command that leads on, with the names filled in."""

from pathlib import Path

import pytest

from bot_core.foundation.lock import FileLock
from rollbackctl.checks import Bench
from rollbackctl.checks.inference_ready import InferenceReady
from rollbackctl.core.gate import Outcome, Result
from tests.on_call import Operator

PLAN_FILE = "plans/inc.yaml"


@pytest.fixture
def waiting(tmp_path: Path) -> Operator:
    """A run that waits for its sign-offs."""
    operator = Operator.at(tmp_path / "ws")
    assert operator.call("apply", PLAN_FILE, "--yes").code == 3
    return operator


def run_of(operator: Operator) -> str:
    return operator.call("runs").out.splitlines()[1].split()[0]


def test_a_changed_policy_stops_a_run_and_names_the_commands(waiting: Operator) -> None:
    (waiting.root / "config/rollbackctl.yaml").write_text("reports: 6\n")
    run = run_of(waiting)

    answer = waiting.call("apply", PLAN_FILE, "--yes")

    assert answer.code == 8
    assert answer.err.endswith(
        "error: the firm's policy has changed since the run began\n"
        f"next: put config/rollbackctl.yaml back, then: rollbackctl apply var/rollbackctl/runs/{run}/plan.json\n"
        f"      or close the run, then plan again: rollbackctl abandon {run} --reason TEXT\n"
    )


def test_a_plan_says_whether_apply_continues_the_unfinished_run(waiting: Operator) -> None:
    plan, run = waiting.root / PLAN_FILE, run_of(waiting)

    assert f"run {run} is unfinished; apply continues it as it was planned" in waiting.call("plan", PLAN_FILE).out

    plan.write_text(plan.read_text() + "    quarantine: false\n")
    answer = waiting.call("plan", PLAN_FILE)

    assert answer.code == 0
    assert "it was made from another plan, and this one cannot be applied before it is ended" in answer.out
    assert f"\nNext: rollbackctl abandon {run} --reason TEXT\n      rollbackctl plan {PLAN_FILE}\n" in answer.out


def test_a_finished_run_is_not_abandoned_but_led_back(waiting: Operator) -> None:
    waiting.roll_back()
    run = run_of(waiting)

    answer = waiting.call("abandon", run, "--reason", "x")

    assert answer.code == 8
    assert answer.err == (
        f"error: run {run} is finished; only an unfinished run can be abandoned\n"
        f"next: lead it back: rollbackctl undo {run}\n"
        "      see all: rollbackctl runs\n"
    )


@pytest.mark.parametrize("path", ["/srv/models", "../other", "a//b"])
def test_a_deployed_copy_outside_the_workspace_is_refused_without_a_workspace(waiting: Operator, path: str) -> None:
    plan = waiting.root / PLAN_FILE
    plan.write_text(plan.read_text() + f"    deployed: [var/models/decision_engine, {path}]\n")

    answer = waiting.call("validate", PLAN_FILE)

    assert answer.code == 8
    assert "plans/inc.yaml:7:" in answer.err
    assert "must be a path below the workspace" in answer.err


def test_a_hold_that_a_hanging_process_keeps_waiting_says_how_to_end_it(
    waiting: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbackctl.engine.hold._STOP_WAIT_S", 0.2)
    with FileLock(waiting.root / "var/rollbackctl/lock").hold():
        answer = waiting.call("hold")

    assert answer.code == 7
    assert answer.err.endswith(
        "next: it was asked to stop and does not answer; end that process "
        "(kill -KILL PID: a run can always be continued), then: rollbackctl hold\n"
    )


def test_what_a_check_says_names_no_folder_of_this_host(waiting: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: InferenceReady, bench: Bench) -> Outcome:
        return Outcome(self.name, Result.FAIL, f"{bench.root}/var/models/x.json: the digest differs")

    monkeypatch.setattr(InferenceReady, "run", fail)
    waiting.call("abandon", run_of(waiting), "--reason", "again")
    waiting.sign_all()

    answer = waiting.call("apply", PLAN_FILE, "--yes")

    assert answer.code == 6
    assert "inference_ready: fail, var/models/x.json: the digest differs" in answer.err
    assert str(waiting.root) not in answer.err + waiting.call("report", run_of(waiting)).out


@pytest.mark.parametrize("command", ["hold", "plan", "apply"])
def test_the_help_of_a_command_says_where_the_other_options_are(waiting: Operator, command: str) -> None:
    out = waiting.call(command, "--help").out

    assert "--workspace, --json and other options of every command: rollbackctl --help" in out
