"""The nine library calls of the runbook that is being replaced, each in a process of its own, and what each does."""

import ast
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from bot_core.ai.inference import DecisionModelInference, ModelRepository
from tests.on_call import Operator
from tests.runbook import Block, Workspace, blocks, run

NINE = blocks(Path(__file__).parent / "fixtures" / "runbook_blocks.md")
PLAN = "plans/inc.yaml"
REJECTED = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"
SCHEDULER = "audit/ai_decision/scheduler.json"
TARGET = "models/decision_engine/rollback_target.json"
IS_REFUSED = Block(
    "python",
    """
from bot_core.ai import AIManager
from bot_core.ai.serving import NotServingError

try:
    AIManager(model_dir='var/models').score_decision_features({'momentum': 0.0}, model_name='rollback')
except NotServingError:
    print('refused')
""",
)


def approve_the_rejected(operator: Operator) -> None:
    """Risk's rejection was the order to roll back; the library asks for an approval or a waiver."""
    answer = operator.call("sign-off", REJECTED, "--role", "risk", "--status", "approved", "--by", "J. Kowal")
    assert answer.code == 0, answer.err


def before_a_rollback(operator: Operator) -> None:
    operator.sign_all(PLAN)
    approve_the_rejected(operator)
    assert operator.call("export-target", PLAN).code == 0


def after_a_rollback(operator: Operator) -> None:
    operator.roll_back(PLAN)
    approve_the_rejected(operator)


def the_schedule_is_printed(ws: Workspace) -> None:
    assert ast.literal_eval(ws.printed) == ws.json(SCHEDULER)


def the_newest_reports_are_printed(ws: Workspace) -> None:
    drift, quality = (ast.literal_eval(line) for line in ws.printed.splitlines())

    assert [report["report_path"] for report in (*drift, *quality)] == [
        "audit/ai_decision/drift/20251118T010000Z.json",
        "audit/ai_decision/data_quality/20251118T020000Z_bounds.json",
    ]


def the_request_is_in_one_file(ws: Workspace) -> None:
    lines = (ws.root / "logs/decision_journal/rollback.log").read_text().splitlines()

    last = json.loads(lines[-1])
    assert (last["event"], last["reason"]) == ("ai_model_rollback_requested", "data_drift_alert")


def nobody_scores_any_more(ws: Workspace) -> None:
    assert ws.json("var/models/serving.json")["attached"] is False
    ws.do(IS_REFUSED)
    assert ws.printed == "refused\n"


def a_file_of_the_repository_is_named(ws: Workspace) -> None:
    assert (ws.root / ws.printed.split()[-1]).is_file()


def nothing_is_said_where_all_is_in_order(ws: Workspace) -> None:
    assert ws.printed == ""


def the_target_is_loaded_and_still_detached(ws: Workspace) -> None:
    serving = ws.json("var/models/serving.json")

    digest = sha256((ws.root / TARGET).read_bytes()).hexdigest()
    assert serving["models"]["rollback"]["sha256"] == digest
    assert sha256((ws.root / f"var/models/artifacts/{digest}.json").read_bytes()).hexdigest() == digest
    assert (serving["default_model"], serving["attached"]) == ("rollback", False)


def the_target_answers_the_probe(ws: Workspace) -> None:
    inference = DecisionModelInference(ModelRepository(ws.root / "models/decision_engine"))
    inference.load_weights(ws.json(TARGET))

    score = inference.score({"momentum": 0.0, "volume_ratio": 1.0})
    assert ws.printed == f"Rollback inference ok: {score}\n"
    assert inference.last_imputed_features == ("atr_pct", "rsi_norm", "spread_bps")
    assert ws.json("var/models/serving.json")["attached"] is True


def the_next_retraining_is_an_interval_away(ws: Workspace) -> None:
    state = ws.json(SCHEDULER)

    due = datetime.fromisoformat(state["last_run"]) + timedelta(hours=12)
    assert ws.printed == f"Scheduler next_run: {due}\n"
    assert (state["failure_streak"], state["cooldown_until"], state["paused_until"]) == (0, None, None)


EFFECTS: tuple[Callable[[Workspace], None], ...] = (
    the_schedule_is_printed,
    the_newest_reports_are_printed,
    the_request_is_in_one_file,
    nobody_scores_any_more,
    a_file_of_the_repository_is_named,
    nothing_is_said_where_all_is_in_order,
    the_target_is_loaded_and_still_detached,
    the_target_answers_the_probe,
    the_next_retraining_is_an_interval_away,
)
READ_ONLY = (0, 1, 4, 5)


@pytest.mark.parametrize("make_ready", [before_a_rollback, after_a_rollback])
def test_each_of_the_nine_blocks_has_its_effect_which_the_next_process_sees(
    tmp_path: Path, make_ready: Callable[[Operator], None]
) -> None:
    make_ready(Operator.at(tmp_path / "ws"))
    workspace = Workspace(tmp_path / "ws")
    assert len(NINE) == len(EFFECTS)

    for number, (block, effect) in enumerate(zip(NINE, EFFECTS, strict=True)):
        before = workspace.files()
        workspace.do(block)
        assert (workspace.files() == before) is (number in READ_ONLY)
        effect(workspace)


def test_the_sixth_block_names_the_alert_that_risk_rejected_and_has_not_approved(tmp_path: Path) -> None:
    operator = Operator.at(tmp_path / "ws")
    operator.sign_all(PLAN)
    operator.call("export-target", PLAN)

    done = run(NINE[5], tmp_path / "ws")

    assert done.returncode == 1
    assert f"ComplianceSignOffError: audit reports lack required sign-offs (risk: 1); risk: {REJECTED} is rejected" in (
        done.stderr
    )
