"""Options, environment and output, which every command shares."""

import json
from pathlib import Path

import pytest

from rollbackctl.cli.main import COMMANDS
from tests.on_call import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


def test_the_workspace_is_the_nearest_folder_upward(operator: Operator) -> None:
    below = Operator(operator.root / "models" / "decision_engine")

    assert below.call("status").code == 0


def test_the_workspace_can_be_named_before_and_behind_the_command(operator: Operator, tmp_path: Path) -> None:
    elsewhere = Operator(tmp_path)

    assert elsewhere.call("--workspace", str(operator.root), "status").code == 0
    assert elsewhere.call("status", "--workspace", str(operator.root)).code == 0
    assert Operator(tmp_path, environment={"ROLLBACKCTL_WORKSPACE": str(operator.root)}).call("status").code == 0


def test_arguments_come_from_the_environment(operator: Operator) -> None:
    operator.environment = {"ROLLBACKCTL_CLI_ARGS_plan": "--detailed-exitcode --format json"}

    answer = operator.call("plan", "plans/inc.yaml")

    assert answer.code == 2
    assert answer.out.startswith("{")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROLLBACKCTL_CLI_ARGS", "--yes"),
        ("ROLLBACKCTL_CLI_ARGS_apply", "--yes"),
        ("ROLLBACKCTL_CLI_ARGS_apply", "--status approved"),
        ("ROLLBACKCTL_CLI_ARGS_apply", "--by=Mallory"),
    ],
)
def test_nothing_that_answers_or_signs_comes_from_the_environment(operator: Operator, name: str, value: str) -> None:
    operator.environment = {name: value}

    answer = operator.call("--workspace", str(operator.root), "apply", "plans/inc.yaml")

    assert answer.code == 64
    assert f"{name} may not hold {value.split('=')[0].split()[0]}" in answer.err


@pytest.mark.parametrize(
    ("environment", "options", "is_coloured"),
    [
        ({}, [], False),
        ({"CLICOLOR_FORCE": "1"}, [], True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, [], False),
        ({"CLICOLOR_FORCE": "1"}, ["--no-color"], False),
        ({"CLICOLOR_FORCE": "0"}, [], False),
        ({"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, [], True),
    ],
)
def test_colours_follow_the_conventions(
    operator: Operator, environment: dict[str, str], options: list[str], is_coloured: bool
) -> None:
    operator.environment = environment

    answer = operator.call("plan", "plans/inc.yaml", *options)

    assert ("\x1b[" in answer.out) is is_coloured


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_help_with_an_example(operator: Operator, command: str) -> None:
    answer = operator.call(command, "--help")

    assert answer.code == 0
    assert f"Example: rollbackctl {command}" in answer.out


def test_results_go_to_stdout_and_everything_else_to_stderr(operator: Operator) -> None:
    answer = operator.call("plan", "plans/inc.yaml", "--out", "plan.json")

    assert answer.out.startswith("Rollback INC-2025-1117")
    assert answer.err == (
        "engines: none has acknowledged serving.json; "
        "an engine that is older than this file does not obey it: stop it\n"
        "saved as plan.json; apply it as it is: rollbackctl apply plan.json\n"
    )


def test_a_saved_plan_is_shown_again_word_for_word(operator: Operator) -> None:
    planned = {
        form: operator.call("plan", "plans/inc.yaml", "--format", form, "--out", "p.json")
        for form in ("json", "markdown")
    }

    assert {form: operator.call("show", "p.json", "--format", form).out for form in planned} == {
        form: answer.out for form, answer in planned.items()
    }
    assert operator.call("show", "p.json", "--check").code == 3


@pytest.mark.parametrize("name", ["rollback-plan", "policy", "plan", "observation"])
def test_a_schema_is_printed_as_it_is_kept(operator: Operator, name: str) -> None:
    kept = Path(__file__).parents[3] / "schemas" / f"{name}.schema.json"

    assert operator.call("schema", name).out == kept.read_text(encoding="utf-8")


def test_status_and_runs_are_events_where_stdout_carries_events(operator: Operator) -> None:
    operator.call("hold")

    status = [json.loads(line) for line in operator.call("status", "--json").out.splitlines()]
    runs = [json.loads(line) for line in operator.call("runs", "--json").out.splitlines()]

    assert [event["type"] for event in status] == ["version", "status"]
    assert status[1]["attached"] is False
    assert [hold["address"] for hold in status[1]["holds"]][-1] == "serving/var/models"
    assert [event["type"] for event in runs] == ["version", "run"]
    assert runs[1]["operation"] == "hold"
