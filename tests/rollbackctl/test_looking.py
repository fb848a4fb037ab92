"""Looking at a workspace: what is broken is named, and the rest is still there."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_core.ai.acknowledgement import this_host, write_ack
from bot_core.ai.serving import read_serving
from tests.on_call import Operator

P = "plans/inc.yaml"


@pytest.fixture
def waiting(tmp_path: Path) -> Operator:
    """A run that waits for its sign-offs."""
    operator = Operator.at(tmp_path / "ws")
    assert operator.call("apply", P, "--yes").code == 3
    return operator


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_active_version_that_is_quarantined_is_remarked(waiting: Operator) -> None:
    out = waiting.call("status").out

    assert "Active    v10   models/decision_engine   quarantined\n" in out
    assert "Active    v10   var/models/decision_core\n" in out

    waiting.roll_back()

    assert "quarantined" not in waiting.call("status").out


def test_nobody_is_told_that_serving_is_attached_while_its_file_cannot_be_read(waiting: Operator) -> None:
    (waiting.root / "var/models/serving.json").write_text("{")

    out = waiting.call("status").out

    assert out.startswith("Serving   unknown, and nothing scores: see Problem\n")
    assert "  on all hosts: unknown: var/models/serving.json cannot be read, so they cannot score\n" in out
    assert "Problem   var/models/serving.json, line 1: " in out
    assert "attached" not in out


def a_file(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("no folder")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda root: (root / "var/models/serving.json").write_text("{"), "serving.json, line 1: "),
        (lambda root: a_file(root / "var/models"), "Not a directory: 'var/models/serving.json'"),
        (lambda root: a_file(root / "var/models/engines"), "var/models/engines cannot be read"),
    ],
    ids=["broken", "a file in the place of its folder", "a file in the place of the engines"],
)
def test_what_cannot_be_read_is_named_by_its_place_in_the_workspace(
    waiting: Operator, spoil: Callable[[Path], object], named: str
) -> None:
    spoil(waiting.root)

    answers = [waiting.call(*argv) for argv in (("status",), ("hold",), ("plan", P), ("apply", P, "--yes"))]

    assert [answer.out.count(named) > 0 for answer in answers[:2]] == [True, True]
    assert "This tool closes no position" in answers[1].out  # the whole screen
    assert str(waiting.root) not in "".join(answer.out + answer.err for answer in answers)


def test_a_broken_policy_keeps_nobody_from_looking(waiting: Operator) -> None:
    (waiting.root / "config/rollbackctl.yaml").write_text("nope: 1\n")

    status, runs, report = waiting.call("status"), waiting.call("runs"), waiting.call("report", "2025")

    assert (status.code, runs.code, report.code) == (0, 0, 0)
    assert "Problem   the policy is not used: config/rollbackctl.yaml:1:1: " in status.out
    assert "maintenance/config/auto_trader.yaml" in status.out
    assert runs.err.startswith("the policy is not used: config/rollbackctl.yaml:1:1: ")
    assert "unfinished" in runs.out


def test_a_status_tells_a_machine_what_the_screen_shows(waiting: Operator) -> None:
    status = events(waiting.call("--json", "status").out)[-1]

    assert status["quarantined"] == ["models/decision_engine", "var/models/decision_engine"]
    assert [verdict["gate"] for verdict in status["waiting"]] == ["report_signoff"]  # type: ignore[attr-defined]
    assert str(status["leads"][-1]).startswith("rollbackctl apply var/rollbackctl/runs/")  # type: ignore[index]

    waiting.sign_all()

    status = events(waiting.call("--json", "status").out)[-1]
    assert (status["verdict"], status["waiting"]) == ("may go on", [])


def test_a_plan_says_beside_it_which_engines_have_acknowledged(waiting: Operator) -> None:
    none = waiting.call("plan", P)
    model_dir = waiting.root / "var/models"
    generation = read_serving(model_dir).generation
    write_ack(model_dir, generation, waiting.now)

    one = waiting.call("plan", P)

    assert none.err.startswith("engines: none has acknowledged serving.json; ")
    assert one.err == f"engines: {this_host()} pid {os.getpid()}: acknowledged (generation {generation})\n"
    assert one.out == none.out
    assert waiting.call("plan", P, "--format", "json").out == waiting.call("plan", P, "--format", "json").out


def test_apply_tells_a_machine_what_it_will_change(tmp_path: Path) -> None:
    operator = Operator.at(tmp_path / "ws")

    planned = Counter(event["type"] for event in events(operator.call("--json", "plan", P).out))
    begun = [event["type"] for event in events(operator.call("--json", "apply", P, "--yes").out)]

    assert planned["planned_change"] == begun.count("planned_change") > 0
    assert planned["change_summary"] == begun.count("change_summary") == 1
    assert begun.index("change_summary") < begun.index("apply_start")
    assert planned["diagnostic"] == 2  # a line of the journal, and that no engine is known


def test_a_plan_in_text_names_its_checks_where_they_are_made(tmp_path: Path) -> None:
    out = Operator.at(tmp_path / "ws").call("plan", P).out

    restore, check, release = (out.index(f"\n  {phase}\n") for phase in ("restore", "check", "release"))
    assert restore < check < release
    assert out[check:release] == "\n  check\n    inference_ready, probe_score"


def test_what_a_reviewer_must_know_stands_before_the_gates(tmp_path: Path) -> None:
    operator = Operator.at(tmp_path / "ws")
    (operator.root / "config/auto_trader.yaml").unlink()
    note = "auto_trader.yaml"

    text = operator.call("plan", P).out
    markdown = operator.call("plan", P, "--format", "markdown").out

    assert text.index(f"Note   config/{note} does not exist: no trader") < text.index("\nGates\n")
    assert markdown.index(note) < markdown.index("- **release waits**")


@pytest.mark.parametrize("target", ["{select: last-stable}", "{version: v7}"])
def test_a_version_whose_signature_nobody_can_verify_is_passed_over_loudly(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator.at(tmp_path / "ws")
    monkeypatch.setenv("KEY", "ws-public-demo-signing-key-0123456789abcdef")
    (operator.root / "config/rollbackctl.yaml").write_text("hmac_keys: {next-2026: {env: KEY}}\n")
    operator.edit(P, lambda text: text.replace("{select: last-stable}", target))

    text = operator.call("plan", P, "--out", "saved.json").out
    markdown = operator.call("plan", P, "--format", "markdown").out
    saved = json.loads((operator.root / "saved.json").read_bytes())

    why = "is signed with no key of the policy: unknown key demo-2025"
    note = "v9 is passed over for v7 (no bundle), which is older, because its bundle proves nothing: bundle "
    note += f"audit/ai_decision/models/decision-core/20251029T041045Z {why}"
    assert saved["diagnostics"][0] == note
    assert text.index(f"Note   {note}\n") < text.index("\nGates\n")
    assert operator.call("show", "saved.json").out.count(note) == 1
    summary = markdown[: markdown.index("<details>")]
    assert summary.index("**Note:** v9 is passed over for v7 (no bundle)") < summary.index("- **release waits**")
    assert "is signed with no key of the policy: unknown key `demo-2025`." in summary
    assert saved["facts"]["target"]["version"] == "v7"


@pytest.mark.parametrize(("count", "more"), [(0, ""), (2, ""), (4, " and 2 more")])
def test_three_unreadable_lines_of_the_decision_journal_are_named_and_the_rest_counted(
    count: int, more: str, tmp_path: Path
) -> None:
    operator = Operator.at(tmp_path / "ws")
    journal = "logs/decision_journal/decisions-20990101.jsonl"
    (operator.root / journal).write_text('{"event":"ai_drift_report"\n' * count)

    notes = [event["@message"] for event in events(operator.call("--json", "plan", P).out)]

    lines = ["logs/decision_journal/decisions-20251118.jsonl:59", *(f"{journal}:{n}" for n in range(1, count + 1))]
    (note,) = (note for note in notes if "unreadable lines" in note)
    assert note.endswith(f"unreadable lines in the decision journal: {', '.join(lines[:3])}{more}")
