"""Holds, failed checks, undo, abandoned runs and saved plans, as an operator lives through them."""

import json
from pathlib import Path

import pytest

from bot_core.foundation.lock import FileLock
from rollbackctl.checks import Bench
from rollbackctl.checks.inference_ready import InferenceReady
from rollbackctl.checks.probe_score import ProbeScore
from rollbackctl.core.gate import Outcome, Result
from tests.harness import names
from tests.on_call import FIXTURE, PLAN, Operator

HELD_FILES = ("audit/ai_decision/scheduler.json", "config/auto_trader.yaml")


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


def _serving(operator: Operator) -> dict[str, object]:
    value: dict[str, object] = json.loads((operator.root / "var/models/serving.json").read_bytes())
    return value


def _run(operator: Operator, operation: str) -> str:
    lines = [line.split() for line in operator.call("runs").out.splitlines()[1:]]
    return next(line[0] for line in lines if line[1] == operation)


def _report_comes(operator: Operator) -> None:
    """An unsettled alert after the plan was made."""
    folder = operator.root / "audit/ai_decision/data_quality"
    report = json.loads((folder / "20251116T210000Z_bounds.json").read_bytes())
    report |= {"timestamp": "2025-11-18T08:30:00+00:00", "sign_off": {}}
    (folder / "20251118T083000Z_bounds.json").write_text(json.dumps(report), encoding="utf-8")


def test_a_hold_needs_no_plan_and_stops_everything(operator: Operator) -> None:
    answer = operator.call("hold", "--incident", "INC-2025-1117", "--reason", "drift alert 5.12")

    assert answer.code == 0
    assert _serving(operator)["attached"] is False
    schedule = json.loads((operator.root / HELD_FILES[0]).read_bytes())
    assert schedule["paused_until"] == "2999-12-31T00:00:00+00:00"
    assert _run(operator, "hold") in schedule["paused_reason"]
    assert b"maintenance: true" in (operator.root / HELD_FILES[1]).read_bytes()
    (line,) = (operator.root / "logs/decision_journal/rollback.log").read_bytes().splitlines()
    assert json.loads(line)["event"] == "ai_model_hold_placed"
    assert "This tool closes no position and cancels no order." in answer.out
    assert "none has acknowledged serving.json" in answer.out


def test_a_hold_shows_the_open_exposure_of_a_risk_snapshot(operator: Operator) -> None:
    answer = operator.call("hold", "--risk-snapshot", "data/decision_engine/paper/risk_snapshot.json")

    assert "balanced: BTCUSDT long 12000.0" in answer.out


def test_a_second_hold_changes_nothing(operator: Operator) -> None:
    operator.call("hold")
    before = operator.tree(times=True)

    answer = operator.call("hold")

    assert answer.code == 0
    assert "Already held; nothing was changed." in answer.out
    assert operator.tree(times=True) == before


def test_a_released_hold_puts_back_every_byte_of_what_was(operator: Operator) -> None:
    operator.call("hold")

    answer = operator.call("hold", "--release")

    assert answer.code == 0
    assert (operator.root / HELD_FILES[1]).read_bytes() == (FIXTURE / HELD_FILES[1]).read_bytes()
    schedule = json.loads((operator.root / HELD_FILES[0]).read_bytes())
    assert schedule["paused_reason"] == "incident INC-2025-1117: data drift freeze"
    assert _serving(operator) == {"attached": True, "default_model": None, "generation": 2, "models": {}}
    assert "Held      nothing" in operator.call("status").out


def test_a_hold_neither_changes_the_plan_nor_blocks_it_and_is_taken_over(operator: Operator) -> None:
    free = operator.call("plan", "plans/inc.yaml", "--format", "json")
    operator.call("hold", "--incident", "INC-2025-1117")

    held = operator.call("plan", "plans/inc.yaml", "--format", "json")
    operator.roll_back()

    assert json.loads(held.out)["id"] == json.loads(free.out)["id"]
    assert (operator.root / HELD_FILES[1]).read_bytes() == (FIXTURE / HELD_FILES[1]).read_bytes()
    schedule = json.loads((operator.root / HELD_FILES[0]).read_bytes())
    assert schedule["paused_reason"] == "incident INC-2025-1117: data drift freeze"
    assert _serving(operator)["attached"] is True
    assert "Held      nothing" in operator.call("status").out


def test_a_held_resource_that_the_plan_does_not_move_begins_no_second_run(operator: Operator) -> None:
    operator.edit("plans/inc.yaml", lambda text: text + "  autotrader: {maintenance: false}\n")
    operator.call("hold", "--incident", "INC-2025-1117")
    operator.roll_back()
    runs = operator.call("runs").out

    again = operator.call("apply", "plans/inc.yaml", "--yes")

    assert again.code == 0
    assert again.out.startswith("No changes.")
    assert "it stays held until: rollbackctl hold --release --incident INC-2025-1117: maintenance/" in again.out
    assert operator.call("runs").out == runs
    assert operator.call("hold", "--release", "--incident", "INC-2025-1117").code == 0
    assert "maintenance: false" in (operator.root / HELD_FILES[1]).read_text()


def test_a_plan_saved_before_a_hold_is_not_stale_after_it(operator: Operator) -> None:
    operator.sign_all()
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")
    operator.call("hold", "--incident", "INC-2025-1117")

    answer = operator.call("apply", "plan.json")

    assert answer.code == 0, answer.err


def test_a_hold_for_another_incident_blocks_the_plan(operator: Operator) -> None:
    operator.sign_all()
    operator.call("hold", "--incident", "INC-2025-2000")

    answer = operator.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 7
    assert "is held for INC-2025-2000 by" in answer.err
    assert "rollbackctl hold --release" in answer.err


@pytest.mark.parametrize(
    ("path", "content", "named"),
    [
        ("config/auto_trader.yaml", "auto_trader: [", "config/auto_trader.yaml"),
        ("audit/ai_decision/scheduler.json", "{", "audit/ai_decision/scheduler.json"),
        ("config/rollbackctl.yaml", "rules: 1\n", "config/rollbackctl.yaml"),
    ],
)
def test_a_hold_is_never_refused_by_a_broken_file(operator: Operator, path: str, content: str, named: str) -> None:
    (operator.root / path).write_text(content, encoding="utf-8")

    answer = operator.call("hold", "--incident", "INC-2025-1117")

    assert answer.code == 8
    assert named in answer.out
    assert _serving(operator)["attached"] is False


def _without_an_answer(self: ProbeScore, _: Bench) -> Outcome:
    return Outcome(self.name, Result.INCONCLUSIVE, "nobody can tell")


def test_a_check_without_an_answer_leaves_the_holds_and_says_what_can_be_done(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.sign_all()
    monkeypatch.setattr(ProbeScore, "run", _without_an_answer)

    answer = operator.call("apply", "plans/inc.yaml", "--yes")

    run = _run(operator, "rollback")
    assert answer.code == 6
    assert "v9 did not pass its checks; the holds are in place" in answer.err
    assert "probe_score: inconclusive" in answer.err
    assert f"retry: rollbackctl apply var/rollbackctl/runs/{run}/plan.json\n" in answer.err
    assert (
        f"mend the check: rollbackctl abandon {run} --reason TEXT   "
        "(then plan again: under a new metadata.name; v9 stays eligible)"
    ) in answer.err
    assert "stay held" in answer.err
    assert _serving(operator)["attached"] is False


def test_after_a_check_without_an_answer_the_target_stays_eligible(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.sign_all()
    with monkeypatch.context() as patched:
        patched.setattr(ProbeScore, "run", _without_an_answer)
        assert operator.call("apply", "plans/inc.yaml", "--yes").code == 6
    operator.call("abandon", _run(operator, "rollback"), "--reason", "a mistake in the probe")
    operator.edit("plans/inc.yaml", lambda text: text.replace("-drift,", "-drift-2,"))

    assert "v10 -> v9" in operator.call("plan", "plans/inc.yaml").out


def test_after_an_abandoned_run_the_failed_target_is_passed_over(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: InferenceReady, _: Bench) -> Outcome:
        return Outcome(self.name, Result.FAIL, "v9 does not load")

    operator.sign_all()
    with monkeypatch.context() as patched:
        patched.setattr(InferenceReady, "run", fail)
        failed = operator.call("apply", "plans/inc.yaml", "--yes")
    assert (failed.code, "then plan again: v9 is passed over" in failed.err) == (6, True)

    abandoned = operator.call("abandon", _run(operator, "rollback"), "--reason", "v9 does not load")
    operator.edit("plans/inc.yaml", lambda text: text.replace("-drift,", "-drift-2,"))
    operator.later(minutes=5)
    plan = operator.call("plan", "plans/inc.yaml")
    applied = operator.call("apply", "plans/inc.yaml", "--yes")

    assert abandoned.code == 0
    assert "Its holds stay" in abandoned.out
    assert "failed a check of this incident" in plan.out
    assert "v10 -> v7" in plan.out
    assert applied.code == 0, applied.err
    assert (operator.root / HELD_FILES[1]).read_bytes() == (FIXTURE / HELD_FILES[1]).read_bytes()
    schedule = json.loads((operator.root / HELD_FILES[0]).read_bytes())
    assert schedule["paused_reason"] == "incident INC-2025-1117: data drift freeze"


def test_an_undo_leads_back_what_does_not_bring_the_withdrawn_model_back_and_ends_held(operator: Operator) -> None:
    operator.roll_back()
    operator.later(hours=1)

    answer = operator.call("undo", _run(operator, "rollback"), "--yes")

    assert answer.code == 0, answer.err
    assert "model_alias/active   it would name the withdrawn version again" in answer.out
    assert "artifact_quarantine/v10   a quarantine is not lifted by an undo" in answer.out
    assert not (operator.root / "models/decision_engine/rollback_target.json").exists()
    assert _serving(operator)["attached"] is False
    assert _serving(operator)["models"] == {}
    assert json.loads((operator.root / "models/decision_engine/manifest.json").read_bytes())["active"] == "v9"
    assert "maintenance/config/auto_trader.yaml" in operator.call("status").out


def test_only_a_rollback_can_be_undone_and_only_once(operator: Operator) -> None:
    operator.call("hold")
    held = operator.call("undo", _run(operator, "hold"), "--yes")
    operator.call("hold", "--release")
    operator.roll_back()
    operator.later(hours=1)
    run = _run(operator, "rollback")
    operator.call("undo", run, "--yes")
    again = operator.call("undo", run, "--yes")

    hint = " only a rollback's run can be led back: rollbackctl runs\n"
    assert (held.code, again.code) == (8, 8)
    assert "is a run of hold" in held.err
    assert f"run {run} is undone" in again.err
    assert [hint in answer.err for answer in (held, again)] == [True, True]


def test_an_undo_of_an_unfinished_run_closes_it(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    operator.later(minutes=1)

    answer = operator.call("undo", _run(operator, "rollback"), "--yes")

    assert answer.code == 0, answer.err
    assert names(operator.call("runs").out, ["undone", "v10 -> v9"]) == []
    assert not (operator.root / "models/decision_engine/rollback_target.json").exists()


def test_a_hold_is_not_released_while_a_name_leads_to_a_quarantined_model(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    operator.call("abandon", _run(operator, "rollback"), "--reason", "nobody signs")

    answer = operator.call("hold", "--release")

    assert answer.code == 3
    assert "it would put a quarantined model back to work" in answer.err
    assert "models/decision_engine: active version (v10)" in answer.err
    assert "var/models/decision_engine: alias deployed (v10)" in answer.err
    assert _serving(operator)["attached"] is False


def test_a_strangers_other_change_of_a_held_file_stays_and_the_hold_still_ends(operator: Operator) -> None:
    operator.call("hold", "--incident", "INC-2025-1117")
    operator.edit(HELD_FILES[1], lambda text: text.replace("ops-email", "ops-mail"))

    answer = operator.call("hold", "--release")

    assert answer.code == 0
    found = (operator.root / HELD_FILES[1]).read_text(encoding="utf-8")
    assert found == (FIXTURE / HELD_FILES[1]).read_text(encoding="utf-8").replace("ops-email", "ops-mail")


def test_a_hold_of_another_incident_is_not_released(operator: Operator) -> None:
    operator.call("hold", "--incident", "INC-2025-1117")

    answer = operator.call("hold", "--release", "--incident", "INC-2025-2000")

    assert answer.code == 0
    assert "Nothing is held" in answer.out
    assert _serving(operator)["attached"] is False


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: (root / "var/models/serving.json").write_text("{bad", encoding="utf-8"),
        lambda root: (root / "logs/decision_journal/rollback.log").symlink_to("/dev/null"),
        lambda root: (root / "logs/decision_journal/rollback.log").mkdir(),
    ],
)
def test_what_cannot_be_held_is_named_and_the_rest_is_held(operator: Operator, spoil) -> None:
    spoil(operator.root)

    answer = operator.call("hold", "--incident", "INC-2025-1117")

    assert b"maintenance: true" in (operator.root / HELD_FILES[1]).read_bytes()
    assert json.loads((operator.root / HELD_FILES[0]).read_bytes())["paused_until"].startswith("2999")
    assert (answer.code == 0) == ("PROBLEM" not in answer.out)
    assert operator.call("status").code == 0


def test_a_frozen_engine_does_not_keep_the_rest_from_being_held(operator: Operator) -> None:
    lock = FileLock(operator.root / "var/models/.serving.lock")

    with lock.hold(shared=True):
        answer = operator.call("hold", "--incident", "INC-2025-1117")
    again = operator.call("hold", "--incident", "INC-2025-1117")

    assert answer.code == 6
    assert "PROBLEM: serving/var/models" in answer.out
    assert (
        "Next: end the process that keeps the lock (kill -KILL PID), then:\n"
        "      rollbackctl hold --incident INC-2025-1117\n"
    ) in answer.out
    assert b"maintenance: true" in (operator.root / HELD_FILES[1]).read_bytes()
    assert (again.code, again.out.startswith(f"Held by run {_run(operator, 'hold')}.")) == (0, True), again.err
    assert _serving(operator)["attached"] is False
    (line,) = (operator.root / "logs/decision_journal/rollback.log").read_bytes().splitlines()
    assert json.loads(line)["not_held"] == "serving/var/models"


def test_an_abandoned_releases_holds_are_ended_by_the_next_plan(operator: Operator) -> None:
    operator.roll_back()
    operator.later(hours=1)
    operator.call("hold", "--incident", "INC-2025-1117")

    plan, applied = operator.call("plan", "plans/inc.yaml"), operator.call("apply", "plans/inc.yaml", "--yes")

    assert "No changes." not in plan.out
    assert applied.code == 0, applied.err
    assert _serving(operator)["attached"] is True
    assert (operator.root / HELD_FILES[1]).read_bytes() == (FIXTURE / HELD_FILES[1]).read_bytes()


def test_an_unfinished_run_blocks_every_other_plan_and_says_how_to_end_it(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    (operator.root / "plans/other.yaml").write_text(PLAN.replace("-drift,", "-other,"), encoding="utf-8")

    answer = operator.call("apply", "plans/other.yaml", "--yes")

    run = _run(operator, "rollback")
    assert answer.code == 7
    assert f"run {run} of inc-2025-1117-drift (INC-2025-1117) is unfinished" in answer.err
    for command in ("apply", f"undo {run}", f"abandon {run} --reason TEXT"):
        assert f"rollbackctl {command}" in answer.err


def test_all_or_nothing_refuses_to_begin_and_leaves_nothing_behind(operator: Operator) -> None:
    before = operator.tree(times=True)

    answer = operator.call("apply", "plans/inc.yaml", "--yes", "--all-or-nothing")

    assert answer.code == 3
    assert operator.tree(times=True) == before


def test_blocked_preconditions_change_nothing_and_print_the_hold(operator: Operator) -> None:
    operator.edit(
        "docs/compliance/ai_pipeline_signoff.md",
        lambda text: text.replace("- [x] Risk approved the", "- [ ] Risk approved the"),
    )
    before = operator.tree(times=True)

    answer = operator.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 3
    assert operator.tree(times=True) == before
    assert "rollbackctl hold --incident INC-2025-1117" in answer.err


def test_a_saved_plan_is_applied_without_a_question(operator: Operator) -> None:
    operator.sign_all()
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")

    assert operator.call("apply", "plan.json").code == 0
    assert "No changes." in operator.call("apply", "plan.json").out


@pytest.mark.parametrize(
    ("hours", "text"), [(24, "the plan expired at 2025-11-19T08:00:00+00:00"), (-1, "which has not come yet")]
)
def test_a_saved_plan_expires_and_a_clock_that_runs_backwards_counts_as_expired(
    operator: Operator, hours: float, text: str
) -> None:
    operator.sign_all()
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")
    before = operator.tree(times=True)

    operator.later(hours=hours)
    answer = operator.call("apply", "plan.json")

    assert answer.code == 4
    assert text in answer.err
    assert operator.tree(times=True) == before


def test_a_run_that_waited_too_long_does_not_release(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    operator.sign_all()

    operator.later(hours=25)
    answer = operator.call("apply", "plans/inc.yaml")

    assert answer.code == 4
    assert "the holds are in place; close this run and plan again" in answer.err
    assert _serving(operator)["attached"] is False


def test_a_new_unsettled_report_makes_a_passing_saved_plan_stale(operator: Operator) -> None:
    operator.sign_all()
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")
    _report_comes(operator)

    answer = operator.call("apply", "plan.json")

    assert answer.code == 4
    assert "20251118T083000Z_bounds.json" in answer.err


def test_a_new_report_does_not_make_a_waiting_plan_stale_and_is_shown(operator: Operator) -> None:
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")
    _report_comes(operator)

    answer = operator.call("apply", "plan.json")

    assert answer.code == 3
    assert "1 new since the plan" in answer.err


def test_a_target_that_changed_after_it_was_restored_is_not_released(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    operator.sign_all()
    operator.edit("models/decision_engine/model-v9.json", lambda text: text + "\n")

    answer = operator.call("apply", "plans/inc.yaml")

    assert answer.code == 3
    assert "models/decision_engine/model-v9.json has changed since it was restored" in answer.err
    assert _serving(operator)["attached"] is False


def test_a_target_that_was_quarantined_meanwhile_is_not_released(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    operator.sign_all()
    text = json.dumps({"version": "v9", "sha256": "0" * 64, "incident": "INC-2025-2000", "reason": "drifted too"})
    (operator.root / "models/decision_engine/quarantine/v9.json").write_text(text, encoding="utf-8")

    answer = operator.call("apply", "plans/inc.yaml")

    assert answer.code == 3
    assert (
        "v9 has been quarantined since the run began: quarantined by incident INC-2025-2000: drifted too" in answer.err
    )


def test_the_target_can_be_exported_for_those_who_go_on_by_hand(operator: Operator) -> None:
    answer = operator.call("export-target", "plans/inc.yaml")

    copy = operator.root / "models/decision_engine/rollback_target.json"
    assert answer.code == 0
    assert copy.read_bytes() == (operator.root / "models/decision_engine/model-v9.json").read_bytes()


def test_events_are_one_json_object_a_line(operator: Operator) -> None:
    operator.sign_all()

    answer = operator.call("apply", "plans/inc.yaml", "--yes", "--json")

    events = [json.loads(line) for line in answer.out.splitlines()]
    types = [event["type"] for event in events]
    assert answer.code == 0
    assert types[0] == "version"
    assert types[-1] == "run_summary"
    assert types.count("apply_start") == types.count("apply_complete") == 18
    assert {"gate_verdict", "check_outcome"} <= set(types)
    assert all({"@level", "@message", "@module", "@timestamp", "type"} <= event.keys() for event in events)


def test_superseded_decisions_stay_in_the_report(operator: Operator) -> None:
    path = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"

    answer = operator.call("sign-off", path, "--role", "Compliance", "--status", "approved", "--by", "M. Zielinska")

    report = json.loads((operator.root / path).read_bytes())
    assert answer.code == 0
    assert "(unverified)" in answer.out
    assert report["sign_off"]["compliance"]["status"] == "approved"
    assert set(report["sign_off"]["compliance"]["recorded_by"]) == {"user", "host"}
    assert [item["status"] for item in report["sign_off_history"]] == ["escalated"]


def test_a_saved_plan_names_the_reports_to_sign_as_its_yaml_does(operator: Operator) -> None:
    operator.call("plan", "plans/inc.yaml", "--out", "plan.json")

    answer = operator.call(
        "sign-off", "--plan", "plan.json", "--role", "risk", "--status", "approved", "--by", "J. Kowal"
    )

    assert answer.code == 0, answer.err
    assert len(answer.out.splitlines()) == 4


def test_a_sign_off_without_notes_does_not_take_over_the_earlier_ones(operator: Operator) -> None:
    path = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"

    operator.call("sign-off", path, "--role", "compliance", "--status", "approved", "--by", "M. Zielinska")

    report = json.loads((operator.root / path).read_bytes())
    assert report["sign_off"]["compliance"]["notes"] == ""
    assert report["sign_off_history"][0]["notes"] == "Escalated to Platform Ops"


def test_a_plan_shown_while_a_run_is_unfinished_says_so(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")

    answer = operator.call("plan", "plans/inc.yaml")

    assert f"run {_run(operator, 'rollback')} is unfinished; apply continues it as it was planned" in answer.out


def test_a_hold_placed_while_an_earlier_run_cannot_be_read_loses_nothing_of_it(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    run = _run(operator, "rollback")
    plan = operator.root / "var/rollbackctl/runs" / run / "plan.json"
    kept = plan.read_bytes()
    plan.unlink()

    held = operator.call("hold", "--incident", "INC-2025-1117")
    plan.write_bytes(kept)
    operator.sign_all()
    ended = operator.call("apply", "plans/inc.yaml", "--yes")

    assert held.code == 8
    assert "an earlier run is not known" in held.out
    assert ended.code == 0, ended.err
    assert (operator.root / HELD_FILES[1]).read_bytes() == (FIXTURE / HELD_FILES[1]).read_bytes()
    schedule = json.loads((operator.root / HELD_FILES[0]).read_bytes())
    assert schedule["paused_reason"] == "incident INC-2025-1117: data drift freeze"
    assert "Held      nothing" in operator.call("status").out


def test_an_exported_target_says_which_decision_the_runbook_still_lacks(operator: Operator) -> None:
    operator.sign_all()
    alert = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"

    first = operator.call("export-target", "plans/inc.yaml").err
    signed = operator.call("sign-off", alert, "--role", "risk", "--status", "waived", "--by", "X", "--notes", "by hand")
    second = operator.call("export-target", "plans/inc.yaml").err

    assert signed.code == 0, signed.err
    assert f"refuses as yet: audit reports lack required sign-offs (risk: 1); risk: {alert} is rejected" in first
    assert "refuses as yet" not in second
