"""Every command that is printed after `next:` is pasted as it stands, and leads on."""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rollbackctl.checks import Bench
from rollbackctl.checks.inference_ready import InferenceReady
from rollbackctl.cli.app import App
from rollbackctl.core.gate import Outcome, Result
from tests.on_call import PLAN, Answer, Operator

P = "plans/inc.yaml"
OTHER = "plans/other.yaml"
ALERT = "audit/ai_decision/drift/20251118T030000Z_drift_alert.json"
FILLED = {"TEXT": "x", "STATUS": "approved", "NAME": "x", "ID": "INC-NEW", "FILE": "new.json"}


@pytest.fixture(scope="module")
def waiting_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose run waits for its sign-offs."""
    operator = Operator.at(tmp_path_factory.mktemp("waiting") / "ws")
    assert operator.call("apply", P, "--yes").code == 3
    return operator.root


@pytest.fixture
def waiting(waiting_tree: Path, tmp_path: Path) -> Operator:
    return Operator(Path(shutil.copytree(waiting_tree, tmp_path / "ws")))


@pytest.fixture
def fresh(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


def following(answer: Answer) -> list[str]:
    """The commands after `next:`, with the names filled in that only a person knows."""
    lines = (answer.out + "\n" + answer.err).splitlines()
    start = next(index for index, line in enumerate(lines) if line.lower().startswith("next: "))
    block = [lines[start][6:]]
    for line in lines[start + 1 :]:
        if not line.startswith("      "):
            break
        block.append(line[6:])
    found = [match.group() for line in block if (match := re.search(r"rollbackctl .*?(?=   |$)", line))]
    return [re.sub(r"\b[A-Z]+\b", lambda word: FILLED.get(word.group(), word.group()), command) for command in found]


def paste(operator: Operator, command: str, copy: Path) -> Answer:
    """Type a command in a copy of the workspace; a question is answered with yes."""
    words = shlex.split(command.replace(str(operator.root), str(copy)))[1:]
    asks = "undo" in words or ("apply" in words and words[-1].endswith(".yaml"))
    there = replace(operator, root=Path(shutil.copytree(operator.root, copy)))
    return there.call(*words, *(["--yes"] if asks and "--yes" not in words else []))


def lead_on(operator: Operator, *answers: Answer) -> list[str]:
    """Paste each command and demand that none is refused; return them."""
    listed = [following(answer) for answer in answers]
    assert all(listed)
    commands = list(dict.fromkeys(command for commands in listed for command in commands))
    for number, command in enumerate(commands):
        assert not re.search(r"\b(PLAN|RUN|YAML)\b", command), command
        done = paste(operator, command, operator.root.with_name(f"copy-{number}"))
        allowed = (0, 3, 6) if " apply " in command else (0,)
        assert done.code in allowed, f"{command}\n{done.err}"
    return commands


def run_of(operator: Operator, operation: str = "") -> str:
    rows = operator.call("runs").out.splitlines()[1:]
    return next(row.split()[0] for row in rows if operation in row)


def stopped(operator: Operator, monkeypatch: pytest.MonkeyPatch, *argv: str) -> Answer:
    """Call a command that is asked to stop before its first step."""
    begin = App.__init__
    with monkeypatch.context() as patch:

        def asked(self: App, *arguments: object) -> None:
            begin(self, *arguments)  # type: ignore[arg-type]
            self.stop_reason = "signal SIGTERM"

        patch.setattr(App, "__init__", asked)
        answer = operator.call(*argv)
    assert answer.code == 130
    return answer


def plan_another(o: Operator) -> None:
    (o.root / OTHER).write_text(PLAN.replace("inc-2025-1117-drift", "another"))


def hold_for_another(o: Operator) -> None:
    o.call("hold", "--incident", "INC-B")


def hold_for_two(o: Operator) -> None:
    o.call("hold", "--incident", "INC-A")


def abandon(o: Operator) -> None:
    assert o.call("abandon", run_of(o, "rollback"), "--reason", "x").code == 0


def break_a_report(o: Operator) -> None:
    (o.root / "audit/ai_decision/drift/20251118T010000Z.json").write_text("{")
    o.call("apply", P, "--yes")


def save_a_plan(o: Operator) -> None:
    o.call("plan", P, "--out", "saved.json")
    o.later(days=2)


def nothing(o: Operator) -> None:
    """Leave the workspace as it is."""


SIGN = ("--role", "risk", "--status", "approved", "--by", "x")
# What has happened since the run waits, and the commands whose answers are followed; {run} is the run's id.
WAITING: dict[str, tuple[Callable[[Operator], None], list[tuple[str, ...]]]] = {
    "looked at": (nothing, [("apply", P, "--yes"), ("status",), ("plan", P), ("hold", "--release")]),
    "planned from its file": (nothing, [("plan", "var/rollbackctl/runs/{run}/plan.json")]),
    "planned and saved": (nothing, [("plan", P, "--out", "saved.json")]),
    "held again": (nothing, [("hold",)]),
    "signed by one role": (nothing, [("sign-off", "--plan", P, *SIGN)]),
    "signed in one report": (nothing, [("sign-off", "drift/20251118T010000Z.json", *SIGN)]),
    "signed by all": (Operator.sign_all, [("status",), ("plan", P)]),
    "held for another incident": (hold_for_another, [("plan", P), ("apply", P, "--yes"), ("status",)]),
    "another plan": (plan_another, [("plan", OTHER), ("apply", OTHER, "--yes")]),
    "abandoned": (nothing, [("abandon", "{run}", "--reason", "x")]),
    "looked at when abandoned": (abandon, [("status",), ("hold", "--release"), ("abandon", "{run}", "--reason", "x")]),
    "a report is broken": (break_a_report, [("status",), ("apply", P, "--yes")]),
}
FRESH: dict[str, tuple[Callable[[Operator], None], list[tuple[str, ...]]]] = {
    "nothing": (nothing, [("status",), ("plan", P, "--world", "nope.json")]),
    "held": (nothing, [("hold", "--incident", "INC-2025-1117")]),
    "held for no incident": (nothing, [("hold",)]),
    "held for two": (hold_for_two, [("hold", "--incident", "INC-B"), ("status",), ("hold", "--release")]),
    "held for another": (hold_for_another, [("plan", P), ("apply", P, "--yes")]),
    "a saved plan has expired": (save_a_plan, [("apply", "saved.json")]),
}


@pytest.mark.parametrize("state", WAITING)
def test_what_is_printed_while_a_run_waits_leads_on(waiting: Operator, state: str) -> None:
    happen, calls = WAITING[state]
    run = run_of(waiting)
    happen(waiting)

    lead_on(waiting, *(waiting.call(*(word.format(run=run) for word in argv)) for argv in calls))


@pytest.mark.parametrize("state", FRESH)
def test_what_is_printed_without_a_run_leads_on(fresh: Operator, state: str) -> None:
    happen, calls = FRESH[state]
    happen(fresh)

    lead_on(fresh, *(fresh.call(*argv) for argv in calls))


@pytest.mark.parametrize("folder", ["audit/ai_decision", ".."])
def test_what_is_printed_elsewhere_leads_on_from_there(waiting: Operator, folder: str) -> None:
    there = replace(waiting, folder=folder)
    named = ["--workspace", str(waiting.root)] if folder == ".." else []
    plan = os.path.relpath(waiting.root / P, waiting.root / folder)
    calls = (("sign-off", "--plan", plan, *SIGN), ("status",), ("apply", plan, "--yes"), ("plan", plan, "--check"))

    commands = lead_on(there, *(there.call(*named, *argv) for argv in calls))

    assert f"rollbackctl {' '.join([*named, ''])}apply {plan}" in commands
    assert all(f"rollbackctl {' '.join(named)}" in command for command in commands)


def test_an_incidents_plan_is_named_from_where_the_operator_stands(fresh: Operator) -> None:
    below = replace(fresh, folder="plans")

    answer = below.call("hold", "--incident", "INC-2025-1117")

    assert following(answer)[0] == "rollbackctl plan inc.yaml"
    lead_on(below, answer)


def test_a_saved_plan_is_found_in_the_workspace_only_where_the_operator_has_none_of_that_name(fresh: Operator) -> None:
    fresh.call("plan", P, "--out", "saved.json")
    below = replace(fresh, folder="docs")
    (fresh.root / "docs/plans").mkdir()
    (fresh.root / "docs" / P).write_text("kind: nothing")

    assert below.call("apply", "saved.json").code == 3
    assert below.call("plan", P).code == 8


@pytest.mark.parametrize("operation", ["hold", "release", "undo", "apply"])
def test_what_is_printed_over_a_stopped_operation_leads_on(
    fresh: Operator, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    hold = ("hold", "--incident", "INC-2025-1117")
    argv = {"hold": hold, "release": ("hold", "--release"), "apply": ("apply", P, "--yes")}.get(operation, ())
    if operation == "release":
        fresh.call(*hold)
    if operation == "undo":
        fresh.roll_back()
        argv = ("undo", run_of(fresh), "--yes")
    first = stopped(fresh, monkeypatch, *argv)
    seen = [fresh.call("status"), *([] if operation == "undo" else [fresh.call("plan", P)])]
    refused = [] if operation == "apply" else [fresh.call("apply", P, "--yes")]

    lead_on(fresh, first, *seen, *refused)

    assert [answer.code for answer in refused] == [7] * len(refused)


def test_after_a_failed_check_each_way_out_leads_on(fresh: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: InferenceReady, bench: Bench) -> Outcome:
        return Outcome(self.name, Result.FAIL, "not ready")

    monkeypatch.setattr(InferenceReady, "run", fail)

    answer = fresh.call("apply", P, "--yes")

    assert answer.code == 6
    commands = lead_on(fresh, answer)
    assert commands[0] == f"rollbackctl apply var/rollbackctl/runs/{run_of(fresh)}/plan.json"


RELEASE = "rollbackctl hold --release --incident INC-2025-1117"


@pytest.mark.parametrize(
    ("held_with", "commands"),
    [
        # No trader is held by the plan: once it has been carried out, it finds no changes and takes no hold over.
        ("  autotrader: {maintenance: false}\n", [RELEASE]),
        ("", [f"rollbackctl plan {P}", RELEASE]),
    ],
)
def test_after_a_run_a_plan_is_offered_only_where_it_takes_over_what_is_held(
    fresh: Operator, held_with: str, commands: list[str]
) -> None:
    fresh.edit(P, lambda text: text + held_with)
    fresh.call("hold", "--incident", "INC-2025-1117")
    assert following(fresh.call("status"))[0] == f"rollbackctl plan {P}"
    fresh.roll_back()
    if not held_with:
        fresh.call("hold", "--incident", "INC-2025-1117")

    answer = fresh.call("status")

    assert following(answer) == commands
    lead_on(fresh, answer)


def test_a_plan_that_was_changed_since_its_run_is_offered_again(fresh: Operator) -> None:
    fresh.edit(P, lambda text: text + "  autotrader: {maintenance: false}\n")
    fresh.call("hold", "--incident", "INC-2025-1117")
    fresh.roll_back()
    fresh.edit(P, lambda text: text.replace("inc-2025-1117-drift", "again").replace("  autotrader", "  # autotrader"))

    answer = fresh.call("status")

    assert following(answer) == [f"rollbackctl plan {P}", RELEASE]
    assert "this plan takes the hold over: maintenance/" in fresh.call("plan", P).out
    lead_on(fresh, answer)


@pytest.mark.parametrize("folder", [".", "docs"])
def test_each_way_out_of_somebody_elses_change_leads_on(waiting: Operator, folder: str) -> None:
    there = replace(waiting, folder=folder)
    waiting.sign_all()
    was = (waiting.root / "config/auto_trader.yaml").read_bytes()
    waiting.edit("config/auto_trader.yaml", lambda text: text + "more: 1\n")
    answer = there.call("apply", os.path.relpath(P, folder), "--yes")
    continuing, closing = following(answer)

    assert (answer.code, continuing.split()[1], closing.split()[1]) == (5, "apply", "abandon")
    assert paste(there, closing, waiting.root.with_name("closed")).code == 0
    (waiting.root / "config/auto_trader.yaml").write_bytes(was)
    assert paste(there, continuing, waiting.root.with_name("continued")).code == 0


def test_plan_check_follows_what_apply_would_say(waiting: Operator) -> None:
    hold_for_another(waiting)
    waiting.sign_all()

    answer = waiting.call("plan", P, "--check")

    assert answer.code == 3
    assert following(answer)[0] == "rollbackctl hold --release --incident INC-B"
    assert waiting.call("plan", P, "--format", "markdown").out.count("rollbackctl hold --release --incident INC-B") == 1


def test_status_judges_the_sign_offs_again(waiting: Operator) -> None:
    assert "waits for report_signoff" in waiting.call("status").out
    waiting.call("sign-off", "--plan", P, "--role", "risk", "--status", "approved", "--by", "x")

    assert [command.split()[5] for command in following(waiting.call("status"))[:-1]] == [
        "compliance",
        "data_governance",
    ]

    for role in ("compliance", "data_governance"):
        waiting.call("sign-off", "--plan", P, "--role", role, "--status", "approved", "--by", "x")

    assert "waits for" not in waiting.call("status").out


def test_a_broken_report_is_mended_first_and_a_lost_one_does_not_lead_into_a_circle(fresh: Operator) -> None:
    (fresh.root / ALERT).write_text("{")
    answer = fresh.call("apply", P, "--yes")

    assert answer.code == 3
    assert f"{ALERT} cannot be read, mend it" in answer.err
    assert "sign-off" not in answer.err

    (fresh.root / ALERT).unlink()
    answer = fresh.call("apply", P, "--yes")

    assert answer.code == 3
    assert f"{ALERT} is gone: put it back" in answer.err
    abandon = following(answer)[-1]
    assert fresh.call(*shlex.split(abandon)[1:]).code == 0
    fresh.roll_back()
