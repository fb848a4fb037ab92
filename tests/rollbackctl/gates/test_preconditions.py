from typing import Any

import pytest

from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import ChecklistFact, JournalFact
from rollbackctl.core.plan import Phase
from rollbackctl.gates import Case
from rollbackctl.gates.preconditions import Preconditions
from rollbackctl.spec.document import Policy
from tests.examples import make_facts, make_spec
from tests.observations import observation, report

CHECKLIST = "docs/compliance/ai_pipeline_signoff.md"
ALERT = "audit/ai_decision/drift/newest.json"
EVENT = ("ai_drift_report", ALERT, "logs/decision_journal/a.jsonl:7")
APPROVED = ChecklistFact(path=CHECKLIST, line=9, risk_approved=True)

NO_ALERT = "no drift or data-quality report counts as an alert"
NO_EVENT = (
    "logs/decision_journal: no ai_drift_report or ai_data_quality_report event has the report_path of an alert, "
    f"such as {ALERT}"
)
NO_SECTION = f"{CHECKLIST}: no 'Post-incident review' section names INC-2025-1117"
NOT_TICKED = f"{CHECKLIST}:9: the box 'Risk approved the rollback decision' is not ticked"


def judge(**changes: Any) -> Verdict:
    holding = {"journal": JournalFact(events=(EVENT,)), "checklist": APPROVED}
    return Preconditions().judge(Case(make_spec(), Policy(), make_facts(), observation(**holding | changes), {}))


def test_an_alert_its_event_and_risks_approval_are_enough() -> None:
    assert judge() == Verdict(
        "preconditions",
        Phase.SECURE,
        Answer.PASS,
        "1 of 1 alerts in the decision journal; Risk approved the rollback",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reports": ()}, NO_ALERT),
        ({"reports": (report("quiet", "2025-11-17T00:00:00+00:00", is_alert=False),)}, NO_ALERT),
        ({"journal": JournalFact()}, NO_EVENT),
        ({"journal": JournalFact(events=(("ai_drift_report", "drift/another.json", "a:1"),))}, NO_EVENT),
        ({"checklist": ChecklistFact(path=CHECKLIST)}, NO_SECTION),
        ({"checklist": ChecklistFact(path=CHECKLIST, line=9)}, NOT_TICKED),
    ],
)
def test_a_condition_that_does_not_hold_blocks_and_is_named(changes: dict[str, Any], reason: str) -> None:
    verdict = judge(**changes)

    assert (verdict.answer, verdict.summary) == (Answer.BLOCK, "the runbook's preconditions do not hold")
    assert verdict.reasons == (reason,)


def test_all_that_is_missing_is_named_at_once() -> None:
    assert judge(journal=JournalFact(), checklist=ChecklistFact(path=CHECKLIST)).reasons == (NO_EVENT, NO_SECTION)


@pytest.mark.parametrize(
    "path",
    [
        ALERT,
        "/srv/bot/audit/ai_decision/drift/newest.json",
        "C:\\bot\\audit\\ai_decision\\drift\\newest.json",
        "drift/newest.json",
    ],
)
def test_the_event_may_have_been_written_on_another_host(path: str) -> None:
    assert judge(journal=JournalFact(events=(("ai_data_quality_report", path, "a:1"),))).answer is Answer.PASS


def test_one_alert_on_record_is_enough() -> None:
    reports = (report("later", "2025-11-18T00:00:00+00:00"), report("newest", "2025-11-17T00:00:00+00:00"))

    assert judge(reports=reports).summary.startswith("1 of 2 alerts in the decision journal")
