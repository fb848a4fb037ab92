"""A whole rollback on the real workspace, as an operator lives through it."""

import json
from pathlib import Path

import pytest

from bot_core.ai.repository import ModelRepository
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import UnresolvedReferenceError
from tests.on_call import FIXTURE, PLAN, Operator

V9 = "290247a89f8a4e8157d6ad927ca9c985309e58ee6c911f98f28e4b1e3fb9d66c"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


@pytest.fixture
def done(operator: Operator) -> Operator:
    operator.roll_back()
    return operator


def _json(root: Path, path: str) -> dict[str, object]:
    value: dict[str, object] = json.loads((root / path).read_text(encoding="utf-8"))
    return value


@pytest.mark.parametrize(("option", "code"), [(None, 0), ("--check", 3), ("--detailed-exitcode", 2)])
def test_a_plan_that_waits_exits_by_what_was_asked(operator: Operator, option: str | None, code: int) -> None:
    before = operator.tree(times=True)

    answer = operator.call("plan", "plans/inc.yaml", *([option] if option else []))

    assert answer.code == code
    assert operator.tree(times=True) == before


def test_a_check_beats_the_detailed_exit_code_and_says_what_stops_the_plan(operator: Operator) -> None:
    answer = operator.call("plan", "plans/inc.yaml", "--check", "--detailed-exitcode")

    assert answer.code == 3
    assert answer.err.endswith(
        "waiting: 1 gate waits (report_signoff); 13 changes are pending\n"
        "next: rollbackctl sign-off --plan plans/inc.yaml --role compliance --status STATUS --by NAME\n"
        "      rollbackctl sign-off --plan plans/inc.yaml --role data_governance --status STATUS --by NAME\n"
        "      rollbackctl sign-off --plan plans/inc.yaml --role risk --status STATUS --by NAME\n"
        "      rollbackctl apply plans/inc.yaml   (holds now, waits before the release)\n"
    )


def test_a_check_of_a_blocked_plan_is_an_error_that_says_how_to_stop_the_model(operator: Operator) -> None:
    operator.edit("docs/compliance/ai_pipeline_signoff.md", lambda text: text.replace("[x]", "[ ]"))

    planned = operator.call("plan", "plans/inc.yaml", "--check", "--out", "plan.json")
    shown = operator.call("show", "plan.json", "--check")

    assert (planned.code, shown.code) == (3, 3)
    assert planned.err.endswith(shown.err)
    assert shown.err == (
        "error: 1 gate blocks (preconditions), 1 gate waits (report_signoff); 13 changes are pending\n"
        "next: rollbackctl hold --incident INC-2025-1117   (stops the model now)\n"
        "      mend what blocks, then: rollbackctl plan plan.json\n"
    )


def test_apply_before_the_sign_offs_holds_and_says_for_whom_it_waits(operator: Operator) -> None:
    before = operator.tree()

    answer = operator.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 3
    assert "12 decisions in 7 reports: compliance 6, risk 4, data_governance 2" in answer.err
    assert "rollbackctl sign-off --plan plans/inc.yaml --role compliance --status STATUS --by NAME" in answer.err
    assert operator.changed(before) == {
        "audit/ai_decision/scheduler.json",
        "config/auto_trader.yaml",
        "logs/decision_journal/rollback.log",
        "models/decision_engine/quarantine/v10.json",
        "models/decision_engine/rollback_target.json",
        f"var/models/artifacts/{V9}.json",
        "var/models/serving.json",
    }
    assert _json(operator.root, "var/models/serving.json")["attached"] is False


def test_exactly_one_line_of_the_traders_configuration_differs_during_the_run(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")

    found = (operator.root / "config/auto_trader.yaml").read_text(encoding="utf-8").splitlines()
    before = (FIXTURE / "config/auto_trader.yaml").read_text(encoding="utf-8").splitlines()
    assert len(found) == len(before)
    different = [(old, new) for old, new in zip(before, found, strict=True) if old != new]
    assert [new.split("#")[0].strip() for _, new in different] == ["maintenance: true"]


def test_after_the_sign_offs_apply_goes_on_to_the_end(operator: Operator) -> None:
    operator.call("apply", "plans/inc.yaml", "--yes")
    operator.later(hours=4)
    operator.sign_all()

    answer = operator.call("apply", "plans/inc.yaml")

    assert answer.code == 0
    assert "verified" in answer.out
    events = [
        json.loads(line) for line in (operator.root / "logs/decision_journal/rollback.log").read_bytes().splitlines()
    ]
    assert [event["event"] for event in events] == ["ai_model_rollback_requested", "ai_model_rollback_completed"]
    assert [event["timestamp"] for event in events] == ["2025-11-18T08:00:00+00:00", "2025-11-18T12:00:00+00:00"]


def test_the_manifest_leads_to_the_target_in_both_places(done: Operator) -> None:
    manifest = _json(done.root, "models/decision_engine/manifest.json")

    assert manifest["active"] == "v9"
    assert manifest["aliases"] == {"baseline": "v5", "champion": "v9", "latest": "v9", "stable": "v9"}
    versions: dict[str, dict[str, object]] = manifest["versions"]  # type: ignore[assignment]
    assert sorted(versions["v9"]["aliases"]) == ["champion", "latest", "stable"]  # type: ignore[type-var, arg-type]
    assert versions["v10"]["aliases"] == []


def test_the_deployed_copy_is_the_target_under_every_name(done: Operator) -> None:
    repository = ModelRepository(done.root / "var/models/decision_engine")

    assert repository.get_active_version() == "v9"
    assert sha256_hex(repository.resolve("deployed").read_bytes()) == V9
    assert sha256_hex((done.root / "var/models/decision_engine/decision-core.json").read_bytes()) == V9
    assert repository.list_versions() == ("v9",)


@pytest.mark.parametrize("name", ["v10", "model-v10.json"])
def test_the_withdrawn_version_is_refused_under_every_name(done: Operator, name: str) -> None:
    repository = ModelRepository(done.root / "models/decision_engine")

    with pytest.raises(UnresolvedReferenceError, match="INC-2025-1117"):
        repository.load_model(name)


def test_serving_is_attached_to_the_target_by_digest(done: Operator) -> None:
    serving = _json(done.root, "var/models/serving.json")

    assert serving["attached"] is True
    assert serving["default_model"] == "rollback"
    models: dict[str, dict[str, str]] = serving["models"]  # type: ignore[assignment]
    assert {name: (model["version"], model["sha256"]) for name, model in models.items()} == {
        "decision-core": ("v9", V9),
        "rollback": ("v9", V9),
    }
    assert sha256_hex((done.root / f"var/models/artifacts/{V9}.json").read_bytes()) == V9


def test_the_target_file_is_a_byte_copy(done: Operator) -> None:
    copy = done.root / "models/decision_engine/rollback_target.json"

    assert copy.read_bytes() == (done.root / "models/decision_engine/model-v9.json").read_bytes()


def test_what_was_held_is_as_before(done: Operator) -> None:
    schedule = _json(done.root, "audit/ai_decision/scheduler.json")

    assert (done.root / "config/auto_trader.yaml").read_bytes() == (FIXTURE / "config/auto_trader.yaml").read_bytes()
    assert schedule["paused_until"] == "2025-11-19T06:00:00+00:00"
    assert schedule["paused_reason"] == "incident INC-2025-1117: data drift freeze"
    assert (schedule["failure_streak"], schedule["cooldown_until"]) == (0, None)
    assert schedule["last_run"] == "2025-11-18T08:00:00+00:00"


def test_the_completion_names_artifact_digest_signers_and_that_no_engine_was_seen(done: Operator) -> None:
    lines = (done.root / "logs/decision_journal/rollback.log").read_bytes().splitlines()
    event = json.loads(lines[-1])

    assert event["model_artifact"] == "models/decision_engine/model-v9.json"
    assert event["model_artifact_sha256"] == V9
    assert event["signed_by"] == (
        "compliance: M. Zielinska, m.zielinska; data_governance: Q. Lab; risk: J. Kowal, j.kowal"
    )
    assert event["engine"] == "none seen"


def test_only_the_boxes_that_the_run_proved_are_ticked(done: Operator) -> None:
    text = (done.root / "docs/compliance/ai_pipeline_signoff.md").read_text(encoding="utf-8")
    section = text[text.index("## Post-incident review") :]

    ticked = [line.split("] ")[1].split(" - ")[0] for line in section.splitlines() if line.startswith("- [x]")]
    assert ticked == [
        "Risk approved the rollback decision",
        "Incident entry added to `audit/ai_decision/incident_journal.md`",
        "Drift and data-quality reports signed by Risk and Compliance",
        "Rollback executed and verified",
    ]


def test_the_incident_journal_got_one_entry_with_links_to_both_kinds_of_reports(done: Operator) -> None:
    path = "audit/ai_decision/incident_journal.md"
    before, after = (FIXTURE / path).read_text(encoding="utf-8"), (done.root / path).read_text(encoding="utf-8")

    assert after.startswith(before)
    entry = after.removeprefix(before)
    assert entry.count("<!-- rollbackctl run") == 1
    assert "audit/ai_decision/drift/20251117T224530Z_drift_alert.json" in entry
    assert "audit/ai_decision/data_quality/20251117T221000Z_completeness.json" in entry


def test_no_existing_journal_file_has_changed(done: Operator) -> None:
    for path in sorted((FIXTURE / "logs/decision_journal").iterdir()):
        assert (done.root / "logs/decision_journal" / path.name).read_bytes() == path.read_bytes()


def test_the_run_folder_holds_plan_journal_evidence_and_report(done: Operator) -> None:
    (run,) = (done.root / "var/rollbackctl/runs").iterdir()

    assert {"plan.json", "journal.jsonl", "evidence", "report.json"} <= {path.name for path in run.iterdir()}
    before = json.loads((run / "evidence/before.json").read_bytes())
    image = (run / "evidence/blobs" / before["models/decision_engine/manifest.json"]["sha256"]).read_bytes()
    assert image == (FIXTURE / "models/decision_engine/manifest.json").read_bytes()
    assert json.loads((run / "report.json").read_bytes())["verdict"] == "verified"


def test_the_same_plan_again_changes_no_byte_and_no_time(done: Operator) -> None:
    before = done.tree(times=True)

    answers = [done.call("apply", "plans/inc.yaml", *more) for more in ([], ["--yes"])]

    assert [answer.code for answer in answers] == [0, 0]
    assert all("No changes." in answer.out and "20251118T080000Z-" in answer.out for answer in answers)
    assert done.tree(times=True) == before


def _report_about_v9(operator: Operator) -> None:
    source = operator.root / "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"
    report = json.loads(source.read_bytes()) | {"model_version": "v9", "timestamp": "2025-11-18T09:00:00+00:00"}
    del report["sign_off"]
    (source.parent / "20251118T090000Z_drift_alert.json").write_text(json.dumps(report), encoding="utf-8")


def _revoke(operator: Operator) -> None:
    path = operator.root / "audit/ai_decision/walk_forward/20251029T041045Z.json"
    report = json.loads(path.read_bytes())
    report["sign_off"]["risk"]["status"] = "rejected"
    path.write_text(json.dumps(report), encoding="utf-8")


def _scheduler_runs(operator: Operator) -> None:
    path = operator.root / "audit/ai_decision/scheduler.json"
    path.write_text(
        json.dumps(json.loads(path.read_bytes()) | {"last_run": "2025-11-19T08:00:00+00:00"}), encoding="utf-8"
    )


@pytest.mark.parametrize("happens", [_report_about_v9, _revoke, _scheduler_runs])
def test_what_happens_later_does_not_roll_back_twice(done: Operator, happens) -> None:
    happens(done)
    before = done.tree(times=True)

    answer = done.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 0
    assert "No changes." in answer.out
    assert done.tree(times=True) == before


def test_somebody_who_activated_the_withdrawn_version_again_is_a_change(done: Operator) -> None:
    done.edit("models/decision_engine/manifest.json", lambda text: text.replace('"active": "v9"', '"active": "v10"'))
    done.later(hours=1)

    plan, applied = (
        done.call("plan", "plans/inc.yaml", "--detailed-exitcode"),
        done.call("apply", "plans/inc.yaml", "--yes"),
    )

    assert plan.code == 2
    assert "~ model_alias/active" in plan.out
    assert applied.code == 0
    assert _json(done.root, "models/decision_engine/manifest.json")["active"] == "v9"
    assert len((done.root / "logs/decision_journal/rollback.log").read_bytes().splitlines()) == 4


def test_a_changed_plan_under_a_used_name_is_refused(done: Operator) -> None:
    done.edit("plans/inc.yaml", lambda text: text.replace("{select: last-stable}", '{version: "v7"}'))

    answer = done.call("plan", "plans/inc.yaml")

    assert answer.code == 8
    assert "was made from another version of the rollback plan inc-2025-1117-drift" in answer.err
    assert "next: give the changed plan a new metadata.name" in answer.err


def test_two_machines_give_the_same_plan_bytes(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "a second place"):
        operator = Operator.at(tmp_path / name)
        texts.append(
            [operator.call("plan", "plans/inc.yaml", "--format", form).out for form in ("text", "json", "markdown")]
        )

    assert texts[0] == texts[1]
    assert not any(str(tmp_path) in text for text in texts[0])


@pytest.mark.parametrize("named", [True, False])
def test_an_observation_carried_elsewhere_gives_the_same_bytes(operator: Operator, tmp_path: Path, named: bool) -> None:
    before = operator.tree(times=True)
    observed = operator.call("observe", *(["plans/inc.yaml"] if named else []), "--out", str(tmp_path / "world.json"))
    elsewhere = Operator(tmp_path)
    (tmp_path / "inc.yaml").write_text(PLAN, encoding="utf-8")

    there = elsewhere.call("plan", "inc.yaml", "--world", "world.json", "--format", "json")

    assert observed.code == 0
    assert operator.tree(times=True) == before
    assert there.code == 0, there.err
    assert there.out == operator.call("plan", "plans/inc.yaml", "--format", "json").out


def test_an_observation_for_another_incident_is_refused(operator: Operator, tmp_path: Path) -> None:
    operator.call("observe", "plans/inc.yaml", "--out", str(tmp_path / "world.json"))
    operator.edit("plans/inc.yaml", lambda text: text.replace("INC-2025-1117", "INC-2025-2000"))

    answer = operator.call("plan", "plans/inc.yaml", "--world", str(tmp_path / "world.json"))

    assert answer.code == 8
    assert "the observation was made for incident INC-2025-1117, not INC-2025-2000" in answer.err
    assert "next: observe for this plan, on the host: rollbackctl observe plans/inc.yaml --out world.json" in answer.err
