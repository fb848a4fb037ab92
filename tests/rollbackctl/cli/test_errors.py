"""Every error that an operator can meet at the command line says what, where, and what to type next."""

import errno
import json
import os
from pathlib import Path

import pytest

from tests.on_call import PLAN, Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


def _plan(operator: Operator, body: str) -> None:
    (operator.root / "plans/inc.yaml").write_text(
        PLAN.replace("    target: {select: last-stable}\n", body), encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("argv", "code", "problem", "following"),
    [
        (["aply"], 64, "there is no command aply; did you mean apply?", "rollbackctl --help"),
        (["plan"], 64, "Missing argument 'PLAN'.", "rollbackctl plan --help"),
        (
            ["plan", "plans/none.yaml"],
            8,
            "plans/none.yaml cannot be read: No such file or directory",
            "rollbackctl init",
        ),
        (["show", "plans/none.json"], 8, "plans/none.json cannot be read", "rollbackctl plan YAML --out FILE"),
        (["show", "plans/inc.yaml"], 8, "plans/inc.yaml", ""),
        (["report", "1999"], 8, "there is no run 1999", "rollbackctl runs"),
        (["undo", "1999", "--yes"], 8, "there is no run 1999", "rollbackctl runs"),
        (["abandon", "1999", "--reason", "x"], 8, "there is no run 1999", "rollbackctl runs"),
        (
            ["apply", "plans/inc.yaml"],
            64,
            "apply would ask, and there is nobody to answer",
            "rollbackctl apply plans/inc.yaml --yes",
        ),
        (["init"], 0, "", ""),
        (
            ["sign-off", "--role", "risk", "--status", "approved", "--by", "A"],
            64,
            "name either reports or a plan",
            "--plan PLAN",
        ),
        (
            ["sign-off", "drift/none.json", "--role", "risk", "--status", "approved", "--by", "A"],
            8,
            "drift/none.json is no report of this workspace",
            "audit/ai_decision/drift",
        ),
        (
            ["sign-off", "--plan", "plans/inc.yaml", "--role", "risk", "--status", "waived", "--by", "A"],
            64,
            "a waived report needs --notes that say why",
            "--notes TEXT",
        ),
        (
            ["sign-off", "--plan", "plans/inc.yaml", "--role", "audit", "--status", "approved", "--by", "A"],
            64,
            "no report of this plan waits for the role audit",
            "it waits for: compliance, data_governance, risk",
        ),
        (
            ["plan", "plans/inc.yaml", "--out", "none/plan.json"],
            8,
            "none/plan.json cannot be written",
            "make the folder",
        ),
        (["plan", "plans/inc.yaml", "--world", "config/auto_trader.yaml"], 8, "auto_trader.yaml", ""),
        (
            ["--workspace", "/usr", "status"],
            64,
            "/usr is not a workspace: it has no folder audit/ai_decision",
            "--workspace DIR",
        ),
    ],
)
def test_a_call_that_cannot_be_carried_out_says_why_and_what_next(
    operator: Operator, argv: list[str], code: int, problem: str, following: str
) -> None:
    answer = operator.call(*argv)

    assert answer.code == code
    assert problem in answer.err
    assert following in answer.err
    assert code == 0 or "\nnext: " in answer.err
    assert "Traceback" not in answer.err


def test_init_never_overwrites(operator: Operator) -> None:
    first, second = operator.call("init"), operator.call("init")

    assert (first.code, second.code) == (0, 64)
    assert "plans/inc-2025-1117.yaml exists already" in second.err
    assert operator.call("validate", "plans/inc-2025-1117.yaml").code == 0


def test_outside_a_workspace_the_error_says_how_to_name_one(tmp_path: Path) -> None:
    answer = Operator(tmp_path).call("status")

    assert answer.code == 64
    assert "no workspace here" in answer.err
    assert "rollbackctl --workspace DIR" in answer.err


@pytest.mark.parametrize(
    ("body", "code", "problem", "following"),
    [
        ('    target: {version: "v11"}\n', 8, "has no version v11; did you mean v10?", "its versions: v5, v6"),
        (
            "    target: {alias: stabel}\n",
            8,
            "has no alias stabel; did you mean stable?",
            "its aliases: baseline, champion",
        ),
        (f"    target: {{sha256: {'ab' * 32}}}\n", 8, "no version of models/decision_engine has the digest abab", ""),
        ('    target: {version: "v10"}\n', 8, "the target v10 is the version being withdrawn", "name another target"),
        ('    withdraw: {version: "v99"}\n', 8, "has no version v99", "its versions"),
        ("    target: {select: last-stable, exclude: [v99]}\n", 8, "spec.model.target.exclude", "its versions"),
        (
            "    target: {select: last-stable, exclude: [v9, v7, v6, v5]}\n",
            3,
            "no version can be the target",
            "rollbackctl hold --incident INC-2025-1117",
        ),
        ("    aliases: [championn]\n", 8, "has no alias championn", "its aliases"),
        (
            "    deployed: [var/models/none]\n",
            8,
            "there is no repository var/models/none",
            "repositories with a manifest",
        ),
        (
            "    repository: models/none\n",
            8,
            "models/none/manifest.json does not exist",
            "repositories with a manifest",
        ),
        (
            "  trigger: {report: drift/none.json}\n",
            8,
            "there is no report drift/none.json",
            "trigger: {report: latest}",
        ),
        (
            "  serving: {thresholds: config/none.yaml}\n",
            8,
            "spec.serving.thresholds: config/none.yaml does not exist",
            "",
        ),
    ],
)
def test_a_plan_that_names_what_is_not_there_is_told_so(
    operator: Operator, body: str, code: int, problem: str, following: str
) -> None:
    text = PLAN.replace("    target: {select: last-stable}\n", body)
    text = text.replace("  model:\n  ", "  model: {}\n  ") if body.startswith(("  t", "  s")) else text
    (operator.root / "plans/inc.yaml").write_text(text, encoding="utf-8")
    before = operator.tree(times=True)

    answer = operator.call("plan", "plans/inc.yaml")

    assert answer.code == code, answer.err
    assert problem in answer.err
    assert following in answer.err
    assert operator.tree(times=True) == before


def test_a_file_of_thresholds_is_checked_field_by_field(operator: Operator) -> None:
    plan = PLAN + "  serving: {thresholds: config/thresholds.yaml}\n"
    (operator.root / "plans/inc.yaml").write_text(plan, encoding="utf-8")
    (operator.root / "config/thresholds.yaml").write_text("max_cost_bps: many\nmax_fun: 3\n", encoding="utf-8")

    answer = operator.call("plan", "plans/inc.yaml")

    assert answer.code == 8
    assert "config/thresholds.yaml:1:1: max_cost_bps is 'many', not a number" in answer.err
    assert "config/thresholds.yaml:2:1: max_fun is no threshold" in answer.err
    assert "min_net_edge_bps is missing" in answer.err


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("models/decision_engine/manifest.json", "{", "models/decision_engine/manifest.json"),
        ("var/models/decision_engine/manifest.json", "not json", "var/models/decision_engine/manifest.json"),
        ("audit/ai_decision/scheduler.json", '{"interval": "often"}', "audit/ai_decision/scheduler.json"),
        (
            "config/auto_trader.yaml",
            "auto_trader: {maintenance: maybe}\n",
            "config/auto_trader.yaml:1: auto_trader.maintenance is 'maybe'",
        ),
        ("config/rollbackctl.yaml", "roles: 7\n", "config/rollbackctl.yaml"),
        ("config/rollbackctl.yaml", "plugins: [no-such-thing]\n", "plugins: no-such-thing is not installed"),
        ("config/rollbackctl.yaml", "operators_group: no-such-group\n", "there is no group no-such-group"),
        ("config/rollbackctl.yaml", "hmac_keys: {k: {file: none.key}}\n", "hmac_keys.k: none.key"),
        ("var/models/serving.json", "[]", "serving.json"),
    ],
)
def test_a_broken_workspace_file_is_named_and_nothing_is_changed(
    operator: Operator, path: str, content: str, problem: str
) -> None:
    (operator.root / path).write_text(content, encoding="utf-8")
    before = operator.tree(times=True)

    answer = operator.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 8
    assert problem in answer.err
    assert "\nnext: " in answer.err
    assert operator.tree(times=True) == before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda value: value | {"format_version": "2.0"}, "format_version is 2.0, this version reads 1.0"),
        (lambda value: value | {"incident": "INC-1"}, "its content does not have the id it states"),
        (lambda value: {key: item for key, item in value.items() if key != "steps"}, "a field is missing or wrong"),
    ],
)
def test_a_saved_plan_that_was_edited_is_refused(operator: Operator, change, problem: str) -> None:
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")
    file = operator.root / "plan.json"
    file.write_text(json.dumps(change(json.loads(file.read_bytes()))), encoding="utf-8")

    answer = operator.call("apply", "plan.json")

    assert answer.code == 8
    assert f"plan.json: {problem}" in answer.err
    assert "rollbackctl plan YAML --out FILE" in answer.err


def test_a_full_disk_is_said_and_the_same_command_goes_on(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator.sign_all()
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    failed = operator.call("apply", "plans/inc.yaml", "--yes")
    monkeypatch.setattr(os, "fsync", real)

    assert failed.code == 1
    assert "error: No space left on device" in failed.err
    assert "run the same command again" in failed.err
    assert operator.call("apply", "plans/inc.yaml", "--yes").code == 0


def test_a_bug_keeps_its_traceback_and_has_an_exit_code(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollbackctl.engine.session.Session.history", lambda _: 1 / 0)

    answer = operator.call("plan", "plans/inc.yaml")

    assert answer.code == 1
    assert "ZeroDivisionError" in answer.err
    assert "this is a bug" in answer.err
