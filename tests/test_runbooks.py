"""The project's own runbook, in two languages: its blocks run, in order, each in a process of its own."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_core.ai.serving import read_serving
from tests.runbook import ROOT, Workspace, blocks

PAGES = ROOT / "docs" / "runbooks"
ENGLISH, POLISH = PAGES / "ai_model_rollback.md", PAGES / "ai_model_rollback.pl.md"
FIXTURE = Path(__file__).parent / "fixtures" / "ws_public"
JOURNAL = "logs/decision_journal/rollback.log"
MANIFEST = "models/decision_engine/manifest.json"
SCHEDULER = "audit/ai_decision/scheduler.json"


def events(ws: Workspace) -> list[str]:
    return re.findall(r'^\{"event":"(\w+)"', ws.text(JOURNAL), re.MULTILINE)


def is_attached(ws: Workspace) -> bool:
    return read_serving(ws.root / "var/models").attached


def is_in_maintenance(ws: Workspace) -> bool:
    return re.search(r"^  maintenance: +true", ws.text("config/auto_trader.yaml"), re.MULTILINE) is not None


def all_is_held(ws: Workspace) -> None:
    assert not is_attached(ws)
    assert is_in_maintenance(ws)
    assert ws.json(SCHEDULER)["paused_until"] == "2999-12-31T00:00:00+00:00"
    assert events(ws) == ["ai_model_hold_placed"]


def nothing_scores(ws: Workspace) -> None:
    assert ws.printed.startswith("nothing scores: serving is detached in var/models")
    all_is_held(ws)


def the_status_says_who_holds_it(ws: Workspace) -> None:
    assert "Serving   detached: nothing scores" in ws.printed
    assert "for INC-2025-1117" in ws.printed


def what_waits_is_counted(ws: Workspace) -> None:
    assert "retraining: held by rollbackctl run" in ws.printed
    assert "'compliance': " in ws.printed
    assert ws.printed.count(" alerts, 1 critical, waiting: ") == 2


def the_plan_is_saved(ws: Workspace) -> None:
    assert "v9   chosen" in ws.printed
    assert ws.json("plan.json")["resource_changes"]
    assert events(ws) == ["ai_model_hold_placed"]


def the_target_is_ready_and_says_what_was_filled_in(ws: Workspace) -> None:
    assert "ready: True\nprobe: ModelScore(" in ws.printed
    assert ws.printed.endswith("filled in: ('atr_pct', 'rsi_norm', 'spread_bps')\n")


def the_target_is_loaded_and_the_release_waits(ws: Workspace) -> None:
    assert events(ws)[-1] == "ai_model_rollback_requested"
    assert ws.json("models/decision_engine/quarantine/v10.json")["incident"] == "INC-2025-1117"
    assert {model["version"] for model in ws.json("var/models/serving.json")["models"].values()} == {"v9"}
    assert not is_attached(ws)
    assert ws.json(MANIFEST)["active"] == "v10"


def the_roles_have_settled_every_alert(ws: Workspace) -> None:
    found = ws.json("audit/ai_decision/data_quality/20251117T221000Z_completeness.json")["sign_off"]
    assert {role: entry["status"] for role, entry in found.items()} == dict.fromkeys(
        ("compliance", "data_governance", "risk"), "approved"
    )


def the_rejected_alert_is_signed_once_more(ws: Workspace) -> None:
    found = ws.json("audit/ai_decision/drift/20251117T224530Z_drift_alert.json")
    assert found["sign_off"]["risk"]["status"] == "waived"
    assert [entry["status"] for entry in found["sign_off_history"] if entry["role"] == "risk"] == ["rejected"]


def the_run_is_closed_and_its_holds_stay(ws: Workspace) -> None:
    assert "pass              report_signoff" in ws.printed
    assert not is_attached(ws)
    assert is_in_maintenance(ws)


def the_target_serves(ws: Workspace) -> None:
    assert "Serving   attached" in ws.printed
    assert events(ws)[-1] == "ai_model_rollback_completed"
    assert ws.json(MANIFEST)["active"] == "v9"
    assert is_attached(ws)
    assert ws.text("config/auto_trader.yaml") == (FIXTURE / "config/auto_trader.yaml").read_text()
    assert ws.json(SCHEDULER)["failure_streak"] == 0
    assert "INC-2025-1117" in ws.text("audit/ai_decision/incident_journal.md")


def the_report_says_what_was_done(ws: Workspace) -> None:
    assert "INC-2025-1117" in ws.printed
    assert "v10" in ws.printed
    assert "v9" in ws.printed


def the_restored_model_scores(ws: Workspace) -> None:
    assert ws.printed.startswith("rollback: ModelScore(expected_return_bps=")


def the_smoke_test_used_the_restored_model(ws: Workspace) -> None:
    output = ws.json("var/smoke.json")
    digest = ws.json("var/models/serving.json")["models"]["rollback"]["sha256"]
    assert ws.printed.endswith("smoke test, exit code 0\n")
    assert [entry["model_digest"] for entry in output["evaluations"]] == [digest] * 3


def the_journal_is_whole_and_no_retraining_is_due(ws: Workspace) -> None:
    first, second = ws.printed.splitlines()
    assert first == f"{events(ws)} ()"
    assert second.startswith("12:00:00 False ")


def the_serving_state_is_led_back_and_held(ws: Workspace) -> None:
    assert "it would name the withdrawn version again" in ws.printed
    assert not is_attached(ws)
    assert is_in_maintenance(ws)
    assert ws.json(MANIFEST)["active"] == "v9"


def the_hold_is_over(ws: Workspace) -> None:
    assert events(ws)[-1] == "ai_model_hold_released"
    assert not is_in_maintenance(ws)
    assert (ws.root / "models/decision_engine/quarantine/v10.json").exists()


EFFECTS: tuple[Callable[[Workspace], None], ...] = (
    all_is_held,
    nothing_scores,
    the_status_says_who_holds_it,
    what_waits_is_counted,
    the_plan_is_saved,
    the_target_is_ready_and_says_what_was_filled_in,
    the_target_is_loaded_and_the_release_waits,
    the_roles_have_settled_every_alert,
    the_rejected_alert_is_signed_once_more,
    the_run_is_closed_and_its_holds_stay,
    the_target_serves,
    the_report_says_what_was_done,
    the_restored_model_scores,
    the_smoke_test_used_the_restored_model,
    the_journal_is_whole_and_no_retraining_is_due,
    the_serving_state_is_led_back_and_held,
    the_hold_is_over,
)


def test_each_block_of_the_runbook_has_its_effect_which_the_next_process_sees(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "ws")
    workspace = Workspace(tmp_path / "ws")

    for block, effect in zip(blocks(ENGLISH), EFFECTS, strict=True):
        workspace.do(block)
        effect(workspace)


def test_both_languages_have_the_same_blocks_sections_and_gates() -> None:
    assert blocks(POLISH) == blocks(ENGLISH)
    for pattern in (r"^## (\d)\.", r"^\| `(\w+)` \|"):
        found = [re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE) for page in (ENGLISH, POLISH)]
        assert found[0] == found[1] != []


@pytest.mark.parametrize("page", [ENGLISH, POLISH], ids=["en", "pl"])
def test_every_gate_that_a_plan_always_has_is_explained(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    gates = ("preconditions", "artifact_integrity", "report_signoff", "withdrawn_reachable")
    assert [name for name in gates if f"| `{name}` |" not in text] == []


def test_the_example_of_the_page_on_monitoring_runs(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "ws")
    workspace = Workspace(tmp_path / "ws")
    (block,) = blocks(ROOT / "docs" / "monitoring.md")

    workspace.do(block)

    assert [line.split()[:2] for line in workspace.printed.splitlines()] == [
        ["completeness", "alert"],
        ["bounds", "ok"],
    ]
    assert all((workspace.root / line.split()[2]).is_file() for line in workspace.printed.splitlines())
