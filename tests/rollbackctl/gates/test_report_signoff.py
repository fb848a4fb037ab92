from typing import Any

import pytest

from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.gates import Case
from rollbackctl.gates.report_signoff import ReportSignoff, later_reports
from rollbackctl.spec.document import Policy
from tests.examples import make_facts, make_spec
from tests.observations import observation, report, sign_off

ROOT = "audit/ai_decision/drift"
AT = "2025-11-17T22:00:00+00:00"
CUTOFF = "2025-11-18T02:00:00+00:00"


def judge(
    *reports: Any, pinned: tuple[str, ...] = ("a", "b"), policy: Policy | None = None, cutoff: str | None = CUTOFF
) -> Verdict:
    facts = make_facts(pinned=tuple(f"{ROOT}/{name}.json" for name in pinned), cutoff=cutoff)
    return ReportSignoff().judge(Case(make_spec(), policy or Policy(), facts, observation(reports=reports), {}))


def settled(name: str, **roles: str) -> Any:
    return report(name, AT, sign_off=sign_off(**{"risk": "approved", "compliance": "approved"} | roles))


@pytest.mark.parametrize("status", ["approved", "waived", "rejected"])
def test_approved_waived_and_rejected_settle_a_report(status: str) -> None:
    verdict = judge(settled("a", risk=status), settled("b", compliance=status))

    assert (verdict.answer, verdict.summary, verdict.reasons) == (Answer.PASS, "2 reports settled", ())
    assert verdict.waits_for == {}


@pytest.mark.parametrize("status", ["pending", "investigating", "escalated"])
def test_any_other_status_is_waited_for(status: str) -> None:
    verdict = judge(settled("a", risk=status), settled("b"))

    assert (verdict.answer, verdict.waits_for) == (Answer.WAITS, {"risk": 1})
    assert verdict.summary == "1 decisions in 1 reports: risk 1"
    assert verdict.reasons == (f"drift/a.json   risk {status}",)


def test_every_role_that_owes_a_decision_is_counted_the_busiest_first() -> None:
    verdict = judge(settled("a", risk="pending", compliance="pending"), settled("b", compliance="pending"))

    assert verdict.summary == "3 decisions in 2 reports: compliance 2, risk 1"
    assert verdict.waits_for == {"compliance": 2, "risk": 1}
    assert verdict.reasons == (
        "drift/b.json   compliance pending",
        "drift/a.json   compliance pending, risk pending",
    )


def test_a_further_role_in_a_reports_own_block_must_settle_it_as_well() -> None:
    verdict = judge(settled("a", data_governance="pending"), settled("b"))

    assert verdict.reasons == ("drift/a.json   data_governance pending",)


def test_a_report_without_a_block_is_settled_by_nobody() -> None:
    verdict = judge(report("a", AT, sign_off=None), settled("b"))

    assert verdict.reasons == ("drift/a.json   compliance missing, risk missing",)


def test_the_policys_roles_are_required_and_a_plan_may_add_some() -> None:
    facts = make_facts(pinned=(f"{ROOT}/a.json",))
    spec = make_spec(compliance={"roles": ["legal"]})
    seen = observation(reports=(settled("a"),))

    verdict = ReportSignoff().judge(Case(spec, Policy(roles=("risk", "security")), facts, seen, {}))

    assert verdict.reasons == ("drift/a.json   legal missing, security missing",)


def test_a_report_that_is_not_pinned_is_not_waited_for() -> None:
    assert judge(settled("a"), settled("b"), settled("c", risk="pending")).answer is Answer.PASS


def test_a_pinned_report_that_is_gone_blocks() -> None:
    verdict = judge(settled("a"))

    assert (verdict.answer, verdict.summary) == (Answer.BLOCK, "1 report cannot be read")
    assert verdict.reasons == ("audit/ai_decision/drift/b.json is gone: put it back",)


def test_a_pinned_report_that_cannot_be_read_blocks_even_when_others_are_waited_for() -> None:
    broken = report("b", None, is_alert=False, error="line 3: not JSON")

    verdict = judge(settled("a", risk="pending"), broken)

    assert verdict.answer is Answer.BLOCK
    assert verdict.reasons == (
        "audit/ai_decision/drift/b.json cannot be read, mend it: line 3: not JSON",
        "drift/a.json   risk pending",
    )
    assert verdict.waits_for == {"risk": 1}


def test_alerts_that_came_later_are_shown_and_not_waited_for() -> None:
    later = report("c", "2025-11-18T03:00:00+00:00")
    quiet = report("d", "2025-11-18T04:00:00+00:00", is_alert=False)

    assert judge(settled("a"), settled("b"), later, quiet).summary == "2 reports settled; 1 new since the plan"
    assert judge(settled("a", risk="pending"), settled("b"), later).summary.endswith("risk 1; 1 new since the plan")
    assert judge(settled("a"), later).summary == "1 report cannot be read; 1 new since the plan"


def test_without_a_cut_off_or_a_time_nothing_is_later() -> None:
    seen = observation(reports=(report("c", "2025-11-18T03:00:00+00:00"), report("d", None)))

    assert later_reports(seen, None) == ()
    assert [item.summary for item in later_reports(seen, CUTOFF)] == ["c"]
