from rollbackctl.core.commands import (
    abandon_command,
    continue_command,
    release_command,
    sign_off_commands,
)


def test_each_role_that_owes_a_decision_has_a_command_of_its_own() -> None:
    assert sign_off_commands("plans/a b.yaml", {"risk": 1, "data owners": 2}) == [
        "rollbackctl sign-off --plan 'plans/a b.yaml' --role 'data owners' --status STATUS --by NAME",
        "rollbackctl sign-off --plan 'plans/a b.yaml' --role risk --status STATUS --by NAME",
    ]


def test_a_release_names_the_incident_where_there_is_one() -> None:
    assert release_command("INC 1") == "rollbackctl hold --release --incident 'INC 1'"
    assert release_command(None) == "rollbackctl hold --release"


def test_a_run_is_continued_by_its_stored_plan_and_closed_by_its_name() -> None:
    assert continue_command("r1") == "rollbackctl apply var/rollbackctl/runs/r1/plan.json"
    assert abandon_command("r1") == "rollbackctl abandon r1 --reason TEXT"
