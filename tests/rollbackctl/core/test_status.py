from typing import Any

import pytest

from rollbackctl.core.checkpoint import Checkpoint
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.plan import Phase, Plan
from rollbackctl.core.report import Report
from rollbackctl.core.status import Status

PLAN = Plan("plan", "INC-1", {}, "none", {}, {}, {}, (), ())
WAITS = Verdict("report_signoff", Phase.RELEASE, Answer.WAITS, "3 decisions")
HOLD = HoldFact(
    run="r1", incident="INC-1", since="08:00", by="anna", address="serving/a", base=1, held=2, operation="hold"
)


def run(name: str) -> RunFact:
    return RunFact(
        run=name,
        operation="rollback",
        status="unfinished",
        name="plan",
        incident="INC-1",
        spec_digest="",
        plan="p",
        at="08:00",
        by="anna",
        host="h",
    )


def status(**fields: Any) -> Status:
    nothing: dict[str, Any] = {
        "attached": None,
        "default_model": None,
        "models": {},
        "active": {},
        "quarantined": (),
        "holds": (),
        "engines": (),
        "unfinished": None,
        "waiting": (),
        "last": None,
        "holder": None,
        "leads": (),
    }
    return Status(**nothing | fields)


def unfinished(verdict: str) -> tuple[RunFact, Report]:
    return run("r2"), Report(PLAN, "r2", verdict, "anna@h", (), "08:00", "08:01", (), Checkpoint())


def test_a_status_as_json_tells_all_that_was_seen() -> None:
    seen = status(
        attached=True,
        default_model="main",
        models={"main": ("v9", "aa")},
        active={"models/a": "v9"},
        quarantined=("models/b",),
        holds=(HOLD,),
        engines=("engine 1",),
        unfinished=unfinished("waiting"),
        waiting=(WAITS,),
        last=run("r1"),
        holder="ben",
        leads=("rollbackctl status",),
        problems=("unreadable",),
    )

    assert seen.to_json() == {
        "attached": True,
        "default_model": "main",
        "models": {"main": {"version": "v9", "sha256": "aa"}},
        "active": {"models/a": "v9"},
        "quarantined": ["models/b"],
        "holds": [HOLD.model_dump(mode="json")],
        "engines": ["engine 1"],
        "unfinished": "r2",
        "verdict": "waiting",
        "waiting": [WAITS.to_json()],
        "last": "r1",
        "holder": "ben",
        "leads": ["rollbackctl status"],
        "problems": ["unreadable"],
    }


def test_where_nothing_is_known_or_going_on_the_json_says_null() -> None:
    value = status().to_json()

    unknown = {"attached", "default_model", "unfinished", "verdict", "last", "holder"}
    assert {name for name, seen in value.items() if seen is None} == unknown
    assert value["problems"] == []


@pytest.mark.parametrize(
    ("verdict", "waiting", "shown"),
    [
        ("waiting", (WAITS,), "waiting"),
        ("waiting", (), "may go on"),
        ("interrupted", (), "interrupted"),
        ("check failed", (WAITS,), "check failed"),
    ],
)
def test_a_run_that_waits_for_nothing_any_more_may_go_on(
    verdict: str, waiting: tuple[Verdict, ...], shown: str
) -> None:
    assert status(unfinished=unfinished(verdict), waiting=waiting).verdict == shown
