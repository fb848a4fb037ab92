from typing import Any

import pytest

from rollbackctl.core.address import Address
from rollbackctl.core.checkpoint import Entry, fold
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Desired, Phase, Plan
from rollbackctl.core.report import Report, make_report
from tests.strategies import Box, Case, Flag

ALIAS, TRADER = Address("box", "alias"), Address("flag", "trader")
WAITS = Verdict("report_signoff", Phase.RELEASE, Answer.WAITS, "12 decisions")


def sample_plan(operation: str = "rollback") -> Plan:
    desired = {
        ALIAS: (Desired("alias", Phase.RELEASE, lambda _: Box(text="v9")),),
        TRADER: (Desired("trader", Phase.RELEASE, lambda base: base, hold=lambda _: Flag(is_on=True)),),
    }
    return Case(desired, {ALIAS: Box(text="v10"), TRADER: Flag()}).plan(operation=operation)


def report_of(plan: Plan, *lines: tuple[str, dict[str, Any]]) -> Report:
    entries = [
        Entry(seq=seq, plan=plan.id, run="r1", at=f"08:00:0{seq}", type=kind, body=body)
        for seq, (kind, body) in enumerate(lines, 1)
    ]
    return make_report(plan, "r1", fold(entries, plan=plan.id, run="r1", steps=[step.id for step in plan.steps]))


def call(user: str = "anna") -> tuple[str, dict[str, Any]]:
    return "invocation", {"order": 1, "actor": {"user": user, "host": "h", "pid": 1}, "evidence": f"evidence of {user}"}


def begun(plan: Plan, index: int) -> tuple[str, dict[str, Any]]:
    step = plan.steps[index - 1]
    body = {"phase": step.phase.value, "address": str(step.address), "pins": {}, "found": None, "after": None}
    return "begun", {"step": step.id} | body


def test_a_report_tells_what_became_of_every_step() -> None:
    plan = sample_plan()

    report = report_of(plan, call(), begun(plan, 1), ("done", {"step": plan.steps[0].id}), begun(plan, 3))

    assert [(str(s.phase), s.address, s.outcome, s.at) for s in report.steps] == [
        ("hold", "flag/trader", "done", "08:00:03"),
        ("release", "flag/trader", "open", None),
        ("release", "box/alias", "begun", None),
    ]
    assert (report.started_at, report.ended_at) == ("08:00:01", "08:00:04")


def test_a_report_names_who_started_and_who_else_continued() -> None:
    report = report_of(sample_plan(), call("anna"), call("ben"), call("anna"), call("ben"))

    assert (report.started_by, report.continued_by) == ("anna@h", ("ben@h",))
    assert report_of(sample_plan(), call("anna"), call("ben")).continued_by == ("ben@h",)


@pytest.mark.parametrize(
    ("operation", "lines", "verdict"),
    [
        ("rollback", [], "interrupted"),
        ("rollback", [("stopped", {})], "interrupted"),
        ("rollback", [("waiting", {"verdicts": [WAITS.to_json()]})], "waiting"),
        ("rollback", [("check", {"check": "probe", "result": "fail", "summary": ""})], "check failed"),
        ("rollback", [("check", {"check": "probe", "result": "inconclusive", "summary": ""})], "check failed"),
        ("rollback", [("verified", {})], "verified"),
        ("rollback", [("verified", {}), ("finished", {})], "verified"),
        ("hold", [("verified", {}), ("finished", {})], "held"),
        ("hold", [("finished", {})], "held"),
        ("undo", [("verified", {}), ("finished", {})], "held"),
        ("release", [("verified", {}), ("finished", {})], "released"),
        ("rollback", [("abandoned", {})], "abandoned"),
        ("rollback", [("verified", {}), ("finished", {}), ("undone", {})], "undone"),
    ],
)
def test_a_report_has_a_verdict(operation: str, lines: list[tuple[str, dict[str, Any]]], verdict: str) -> None:
    assert report_of(sample_plan(operation), call(), *lines).verdict == verdict


def test_a_report_as_json_holds_the_run_its_steps_gates_checks_and_evidence() -> None:
    plan = sample_plan()
    check = {"check": "probe", "result": "pass", "summary": "0.7"}

    value = report_of(
        plan, call(), ("phase", {"phase": "release", "verdicts": [WAITS.to_json()]}), ("check", check)
    ).to_json()

    assert value == {
        "format_version": "1.0",
        "run": "r1",
        "plan": plan.id,
        "operation": "rollback",
        "name": "plan",
        "incident": "INC-1",
        "verdict": "interrupted",
        "started_by": "anna@h",
        "continued_by": [],
        "started_at": "08:00:01",
        "ended_at": "08:00:03",
        "facts": {},
        "steps": [
            {"index": 1, "phase": "hold", "address": "flag/trader", "outcome": "open", "at": None},
            {"index": 2, "phase": "release", "address": "flag/trader", "outcome": "open", "at": None},
            {"index": 3, "phase": "release", "address": "box/alias", "outcome": "open", "at": None},
        ],
        "gates": [WAITS.to_json()],
        "checks": [check],
        "evidence": ["evidence of anna"],
    }
