from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackctl.core.errors import GateBlockedError, InvalidInputError
from rollbackctl.core.facts import Facts, Pinned
from rollbackctl.core.observation import Observation, ReportFact
from rollbackctl.core.target import Demands
from rollbackctl.spec.document import (
    Body,
    Compliance,
    HmacKey,
    Metadata,
    Model,
    Policy,
    Spec,
    TargetChoice,
    Trigger,
    Withdraw,
)
from rollbackctl.spec.resolve import demands, earlier_run, required_roles, resolve, to_settle
from tests.observations import INCIDENT, PLAN_NAME, digest, observation, report, repository, run, version, versions

TRAINED = "2025-11-08T00:00:00+00:00"


def plan(
    target: dict[str, Any] | None = None,
    *,
    withdraw: str | None = None,
    trigger: str = "latest",
    roles: Iterable[str] = ("risk", "compliance"),
    reports: int = 5,
    name: str = PLAN_NAME,
    **model: Any,
) -> Spec:
    model |= {"withdraw": Withdraw(version=withdraw)} if withdraw else {}
    model |= {"target": TargetChoice(**target)} if target else {}
    return Spec(
        apiVersion="rollbackctl/v1alpha1",
        kind="RollbackPlan",
        metadata=Metadata(name=name, incident=INCIDENT),
        spec=Body(
            model=Model(**model),
            trigger=Trigger(report=trigger),
            compliance=Compliance(roles=tuple(roles), reports=reports),
        ),
    )


def facts(spec: Spec | None = None, found: Observation | None = None, policy: Policy | None = None) -> Facts:
    return resolve(spec or plan(), policy or Policy(), found or observation())


def refused(spec: Spec, found: Observation | None = None) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        facts(spec, found)
    return caught.value


def names(reports: Iterable[ReportFact]) -> list[str]:
    return [fact.summary for fact in reports]


def test_a_plan_means_its_trigger_its_versions_and_its_reports() -> None:
    found = observation(quality_records={"champion.json": "v10", "latest.json": "v9"})

    decided = facts(found=found)

    assert (decided.incident, decided.repository) == (INCIDENT, "models/decision_engine")
    assert decided.trigger == "audit/ai_decision/drift/newest.json"
    assert decided.withdrawn == Pinned(
        "v10", "models/decision_engine/model-v10.json", digest("v10"), digest("canonicalv10")
    )
    assert decided.target == Pinned("v9", "models/decision_engine/model-v9.json", digest("v9"), digest("canonicalv9"))
    assert (decided.serve_as, decided.default_model) == (("decision-core", "rollback"), "rollback")
    assert (decided.pinned, decided.cutoff) == ((decided.trigger,), "2025-11-17T22:45:30+00:00")
    assert decided.left_alone == {"champion.json": "v10"}
    assert decided.manifest == repository()
    assert [(item.version, item.verdict) for item in decided.candidates] == [
        ("v10", "withdrawn"),
        ("v9", "chosen"),
        ("v8", "older"),
    ]


def test_what_is_only_shown_is_not_part_of_the_plans_identity() -> None:
    decided = facts()

    shown = {"repositories", "candidates", "left_alone"}
    assert set(decided.identity()) == set(Facts.__dataclass_fields__) - shown - {"data_drift"}
    assert set(replace(decided, data_drift={"rows": 1}).identity()) == set(Facts.__dataclass_fields__) - shown


@pytest.mark.parametrize(
    ("model", "serve_as", "default"),
    [
        ({}, ("decision-core", "rollback"), "rollback"),
        ({"serve_as": ("a", "b")}, ("a", "b"), "b"),
        ({"serve_as": ("rollback", "b")}, ("rollback", "b"), "rollback"),
    ],
)
def test_the_target_is_served_under_the_models_own_name_and_rollback_unless_the_plan_says_otherwise(
    model: dict[str, Any], serve_as: tuple[str, ...], default: str
) -> None:
    decided = facts(plan(**model))

    assert (decided.serve_as, decided.default_model) == (serve_as, default)


@pytest.mark.parametrize("name", [None, "rollback"])
def test_a_model_without_a_name_of_its_own_is_served_as_rollback(name: str | None) -> None:
    found = (*versions()[:2], version("v10", TRAINED, model_name=name))

    assert facts(found=observation(versions=found)).serve_as == ("rollback",)


# The trigger


def test_the_latest_trigger_is_the_newest_drift_alert_that_names_a_version() -> None:
    found = (
        report("quality", "2025-11-17T23:00:00+00:00", kind="data_quality", model_version="v10"),
        report("calm", "2025-11-17T22:50:00+00:00", is_alert=False, model_version="v10"),
        report("nameless", "2025-11-17T22:45:30+00:00"),
        report("named", "2025-11-17T22:30:00+00:00", model_version="v9"),
        report("older", "2025-11-16T22:30:00+00:00", model_version="v10"),
    )

    decided = facts(plan({"version": "v8"}), observation(reports=found))

    assert decided.trigger == "audit/ai_decision/drift/named.json"
    assert decided.withdrawn.version == "v9"


def test_without_an_alert_that_names_a_version_the_newest_one_triggers_and_the_active_version_is_withdrawn() -> None:
    found = (report("b", "2025-11-17T22:45:30+00:00"), report("a", "2025-11-17T22:30:00+00:00"))

    decided = facts(found=observation(reports=found, repositories=(repository(active="v9"),)))

    assert decided.trigger == "audit/ai_decision/drift/b.json"
    assert (decided.withdrawn.version, decided.target.version) == ("v9", "v8")


def test_without_any_alert_there_is_no_trigger_and_the_active_version_is_withdrawn() -> None:
    decided = facts(found=observation(reports=()))

    assert (decided.trigger, decided.cutoff, decided.pinned) == (None, None, ())
    assert decided.withdrawn.version == "v10"


@pytest.mark.parametrize("named", ["drift/old.json", "audit/ai_decision/drift/old.json"])
def test_a_trigger_may_be_named_with_or_without_the_audit_folder(named: str) -> None:
    found = (
        report("newest", "2025-11-17T22:45:30+00:00", model_version="v10"),
        report("old", "2025-11-01T00:00:00+00:00", model_version="v9", is_alert=False),
    )

    decided = facts(plan(trigger=named), observation(reports=found))

    assert (decided.trigger, decided.withdrawn.version) == ("audit/ai_decision/drift/old.json", "v9")


def test_a_trigger_that_is_not_there_is_refused_with_a_suggestion() -> None:
    error = refused(plan(trigger="audit/ai_decision/drift/newst.json"))

    assert error.problem == (
        "spec.trigger.report: there is no report audit/ai_decision/drift/newst.json; "
        "did you mean audit/ai_decision/drift/newest.json?"
    )
    assert error.hint == "name a report under audit/ai_decision, or write: trigger: {report: latest}"


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert (
        refused(plan(trigger="zzz"), observation(reports=())).problem == "spec.trigger.report: there is no report zzz"
    )


# The withdrawn version


def test_the_withdrawn_version_is_the_one_stated_before_every_other() -> None:
    assert facts(plan(withdraw="v9")).withdrawn.version == "v9"


def test_a_version_that_is_not_in_the_manifest_is_refused_with_a_suggestion() -> None:
    error = refused(plan(withdraw="v11"))

    assert error.problem == (
        "spec.model.withdraw.version: models/decision_engine has no version v11; did you mean v10?"
    )
    assert error.hint == "its versions: v8, v9, v10"


def test_a_version_that_the_trigger_names_and_the_manifest_does_not_know_is_refused() -> None:
    found = observation(reports=(report("a", "2025-11-17T00:00:00+00:00", model_version="v77"),))

    assert refused(plan(), found).problem.startswith(
        "spec.model.withdraw.version: models/decision_engine has no version v77"
    )


def test_nothing_can_be_withdrawn_when_no_alert_names_a_version_and_none_is_active() -> None:
    error = refused(plan(), observation(reports=(), repositories=(repository(active=None),)))

    assert error.problem == "no version can be withdrawn: no alert names one and the manifest has no active version"
    assert error.hint == "name it: spec.model.withdraw.version"


@pytest.mark.parametrize("status", ["finished", "unfinished", "abandoned", "undone"])
def test_the_first_run_of_an_incident_pins_the_withdrawn_version(status: str) -> None:
    found = observation(
        repositories=(repository(active="v8"),),
        reports=(report("new", "2025-11-18T07:00:00+00:00", model_version="v8"),),
        runs=(run("r1", status=status, name="another plan"), run("r2", status="abandoned", withdrawn="v9")),
    )

    assert facts(found=found).withdrawn.version == "v10"


@pytest.mark.parametrize(
    "other", [{"incident": "INC-OTHER"}, {"incident": None}, {"operation": "undo"}, {"withdrawn": None}]
)
def test_a_run_of_another_incident_or_sort_pins_nothing(other: dict[str, Any]) -> None:
    found = observation(
        reports=(report("a", "2025-11-17T00:00:00+00:00", model_version="v9"),),
        runs=(run("r1", name="another plan", **other),),
    )

    assert facts(plan({"version": "v8"}), found).withdrawn.version == "v9"


def test_another_version_than_a_finished_run_withdrew_is_refused() -> None:
    error = refused(plan(withdraw="v9", name="second-plan"), observation(runs=(run("r1"),)))

    assert error.problem == f"spec.model.withdraw.version is v9, but incident {INCIDENT} already withdrew v10"
    assert error.hint == "open a new incident for another version"


def test_another_version_may_be_stated_while_no_run_is_finished() -> None:
    found = observation(runs=(run("r1", status="abandoned"),))

    assert facts(plan(withdraw="v9", name="second-plan"), found).withdrawn.version == "v9"


def test_what_a_finished_run_withdrew_counts_before_what_an_abandoned_one_meant_to() -> None:
    runs = (run("r1", status="abandoned"), run("r2", name="second-plan", withdrawn="v9", target="v8"))
    found = observation(runs=runs)

    assert facts(plan(name="third-plan"), found).withdrawn.version == "v9"
    assert facts(plan(name="third-plan", withdraw="v9"), found).withdrawn.version == "v9"
    assert "already withdrew v9" in refused(plan(name="third-plan", withdraw="v10"), found).problem


# What a finished run pins


def test_a_finished_run_pins_trigger_target_and_reports_whatever_has_come_since() -> None:
    since = (
        report("since", "2025-11-18T07:00:00+00:00", model_version="v9"),
        report("newest", "2025-11-17T22:45:30+00:00", model_version="v10"),
    )
    earlier = run("r1", trigger=since[1].path, cutoff=since[1].time, target="v8")

    decided = facts(found=observation(reports=since, runs=(earlier,)))

    assert (decided.trigger, decided.withdrawn.version, decided.target.version) == (since[1].path, "v10", "v8")
    assert (decided.pinned, decided.cutoff) == ((since[1].path,), since[1].time)
    assert decided.candidates[-1].reasons[0] == "named by run r1"


def test_a_pinned_target_stays_the_target_although_it_could_not_be_chosen_any_more() -> None:
    found = (*versions()[:1], version("v9", "2025-10-29T00:00:00+00:00", quarantine="bad"), versions()[2])

    decided = facts(found=observation(versions=found, runs=(run("r1"),)))

    assert decided.target.version == "v9"
    assert decided.candidates[1].verdict == "chosen"
    assert "quarantined: bad" in decided.candidates[1].reasons


@pytest.mark.parametrize(
    "other",
    [
        {"name": "another-plan"},
        {"incident": "INC-OTHER"},
        {"status": "abandoned"},
        {"status": "unfinished"},
        {"status": "undone"},
        {"operation": "undo"},
        {"operation": "hold"},
    ],
)
def test_no_other_run_pins_the_target(other: dict[str, Any]) -> None:
    found = observation(runs=(run("r1", target="v8", **other),))

    assert earlier_run(plan(), found) is None
    assert facts(found=found).target.version == "v9"


def test_the_newest_finished_run_pins() -> None:
    found = observation(runs=(run("r1", target="v9"), run("r2", target="v8"), run("r3", status="abandoned")))

    assert earlier_run(plan(), found) == found.runs[1]
    assert facts(found=found).target.version == "v8"


def test_a_pinned_target_that_is_gone_is_refused() -> None:
    found = observation(versions=versions()[1:], runs=(run("r1", target="v8"),))

    assert refused(plan(), found).problem == "run r1: models/decision_engine has no version v8; did you mean v9?"


# The target


def test_excluded_versions_and_those_that_failed_a_check_of_the_incident_are_passed_over() -> None:
    oldest = version("v7", "2025-10-09T00:00:00+00:00")
    failed = run("r1", status="abandoned", name="another plan", failed_check=True)
    found = observation(versions=(oldest, *versions()), runs=(failed,))

    decided = facts(plan({"select": "last-stable", "exclude": ("v8",)}), found)

    assert decided.target.version == "v7"
    assert {item.version: item.reasons for item in decided.candidates[1:3]} == {
        "v9": ("failed a check of this incident",),
        "v8": ("excluded by the rollback plan",),
    }


def test_a_failed_check_of_another_incident_does_not_count() -> None:
    found = observation(runs=(run("r1", incident="INC-OTHER", failed_check=True),))

    assert facts(found=found).target.version == "v9"


def test_an_excluded_version_must_exist() -> None:
    error = refused(plan({"select": "last-stable", "exclude": ("v7",)}))

    assert error.problem.startswith("spec.model.target.exclude: models/decision_engine has no version v7")


def test_when_no_version_may_be_the_target_every_versions_reasons_are_given() -> None:
    found = (
        version("v8", "2025-10-19T00:00:00+00:00", problems=("breaks the schema", "does not score")),
        version("v9", "2025-10-29T00:00:00+00:00", walk_forward=None),
        version("v10", TRAINED),
        version("v11", "2025-11-09T00:00:00+00:00"),
    )

    with pytest.raises(GateBlockedError) as caught:
        facts(found=observation(versions=found))

    assert caught.value.problem == "no version can be the target"
    assert [str(problem) for problem in caught.value.problems] == [
        "v11: newer than the withdrawn version",
        "v10: is being withdrawn",
        "v9: no walk-forward report is linked to it",
        "v8: breaks the schema; does not score",
    ]
    assert caught.value.hint == (
        f"stay held: rollbackctl hold --incident {INCIDENT}\n"
        "escalate: Platform Ops, docs/runbooks/rollback_multi_strategy.md"
    )


@pytest.mark.parametrize(
    "target", [{"version": "v8"}, {"sha256": digest("v8")}, {"alias": "baseline"}], ids=["version", "sha256", "alias"]
)
def test_a_target_may_be_named_in_three_ways(target: dict[str, str]) -> None:
    found = observation(repositories=(repository(aliases={"baseline": "v8"}),))

    decided = facts(plan(target), found)

    assert decided.target.version == "v8"
    assert [item.verdict for item in decided.candidates] == ["withdrawn", "eligible", "chosen"]
    assert decided.candidates[-1].reasons[0] == "named by the rollback plan"


@pytest.mark.parametrize(
    ("target", "problem", "hint"),
    [
        (
            {"version": "v99"},
            "spec.model.target.version: models/decision_engine has no version v99; did you mean v9?",
            "its versions: v8, v9, v10",
        ),
        (
            {"alias": "stabel"},
            "spec.model.target.alias: models/decision_engine has no alias stabel; did you mean stable?",
            "its aliases: champion, stable",
        ),
        (
            {"sha256": "0" * 64},
            f"spec.model.target.sha256: no version of models/decision_engine has the digest {'0' * 64}",
            "digests of the versions: rollbackctl plan PLAN --format json, field facts",
        ),
        (
            {"version": "v10"},
            "the target v10 is the version being withdrawn",
            "name another target, or another version to withdraw",
        ),
        (
            {"alias": "champion"},
            "the target v10 is the version being withdrawn",
            "name another target, or another version to withdraw",
        ),
    ],
)
def test_a_named_target_that_cannot_be_it_is_refused(target: dict[str, str], problem: str, hint: str) -> None:
    error = refused(plan(target))

    assert (error.problem, error.hint) == (problem, hint)


def test_an_alias_that_dangles_is_refused() -> None:
    found = observation(repositories=(repository(aliases={"stable": "v3"}),))

    error = refused(plan({"alias": "stable"}), found)

    assert error.problem.startswith("spec.model.target.alias: models/decision_engine has no version v3")


def test_a_target_whose_file_cannot_be_read_is_refused() -> None:
    gone = version("v9", "2025-10-29T00:00:00+00:00", sha256=None, canonical=None, problems=("its file is gone",))
    found = (versions()[0], gone, versions()[2])

    error = refused(plan({"version": "v9"}), observation(versions=found))

    assert error.problem == "models/decision_engine/model-v9.json (v9): its file is gone"
    assert error.hint == "restore the file, or name another version"


def test_a_withdrawn_version_whose_file_is_gone_can_still_be_withdrawn() -> None:
    gone = version("v10", None, sha256=None, canonical=None, problems=("its file is gone",), saved_at=TRAINED)

    decided = facts(found=observation(versions=(*versions()[:2], gone)))

    assert decided.withdrawn == Pinned("v10", "models/decision_engine/model-v10.json", "", "")
    assert decided.target.version == "v9"


def test_the_demands_on_a_target_come_from_plan_policy_and_runs() -> None:
    policy = Policy(roles=("ops",), bundle="required", hmac_keys={"k": HmacKey(env="K")})
    found = observation(runs=(run("r1", failed_check=True), run("r2", failed_check=True, target=None)))

    assert demands(plan({"select": "last-stable", "exclude": ("v8",)}), policy, found) == Demands(
        roles=("compliance", "ops", "risk"),
        bundle_required=True,
        signature_required=True,
        excluded=frozenset({"v8"}),
        failed=frozenset({"v9"}),
    )


def test_a_plan_adds_roles_and_takes_none_away() -> None:
    assert required_roles(plan(roles=("data",)), Policy()) == ("compliance", "data", "risk")
    assert required_roles(plan(roles=()), Policy()) == ("compliance", "risk")


# The reports that must be settled


def alerts(*days: int, **fields: Any) -> tuple[ReportFact, ...]:
    return tuple(report(f"d{day:02}", f"2025-11-{day:02}T00:00:00+00:00", **fields) for day in days)


def test_the_newest_reports_of_each_kind_must_be_settled_however_old_they_are() -> None:
    found = alerts(3, 2, 1) + alerts(6, 5, 4, kind="data_quality")

    assert names(to_settle(found, 2, versions()[2], None)) == ["d03", "d02", "d06", "d05"]


def test_reports_that_are_no_alerts_use_up_the_newest_ones() -> None:
    found = (*alerts(5, 4, is_alert=False), *alerts(3, 2))

    assert names(to_settle(found, 2, versions()[2], None)) == []
    assert names(to_settle(found, 3, versions()[2], None)) == ["d03"]


def test_every_alert_since_the_withdrawn_version_was_trained_must_be_settled() -> None:
    assert names(to_settle(alerts(12, 11, 10, 9, 8, 7), 1, versions()[2], None)) == ["d12", "d11", "d10", "d09", "d08"]


def test_every_alert_must_be_settled_when_nobody_knows_how_old_the_withdrawn_version_is() -> None:
    assert names(to_settle(alerts(3, 2, 1), 1, version("v10", None), None)) == ["d03", "d02", "d01"]


def test_a_report_after_the_cut_off_is_left_out_and_uses_up_nothing() -> None:
    found = alerts(5, 4, 3, 2)

    assert names(to_settle(found, 2, versions()[2], found[1].time)) == ["d04", "d03"]


def test_fractions_of_a_second_after_the_cut_off_are_after_it() -> None:
    found = (report("late", "2025-11-17T22:45:30.000001+00:00"), report("last", "2025-11-17T22:45:30+00:00"))

    assert names(to_settle(found, 5, versions()[2], "2025-11-17T22:45:30+00:00")) == ["last"]
    assert facts(found=observation(reports=found)).cutoff == found[0].time


def test_an_unreadable_or_undated_report_must_be_settled_too() -> None:
    found = (
        report("unreadable", None, is_alert=False, error="not JSON"),
        report("undated", None),
        report("undated and calm", None, is_alert=False),
    )

    assert names(to_settle(found, 0, versions()[2], "2025-11-01T00:00:00+00:00")) == ["unreadable", "undated"]


def test_an_unreadable_report_that_is_old_enough_is_forgotten() -> None:
    assert names(to_settle(alerts(9, 1, error="not JSON", is_alert=False), 1, versions()[2], None)) == ["d09"]


def test_a_plan_may_ask_for_more_reports_than_the_policy_and_not_for_fewer() -> None:
    found = observation(reports=alerts(7, 6, 5, 4), versions=versions())

    def count(asked: int, demanded: int) -> int:
        return len(facts(plan(withdraw="v10", reports=asked), found, Policy(reports=demanded)).pinned)

    assert (count(1, 2), count(3, 2), count(2, 2)) == (2, 3, 2)


def test_the_cut_off_of_an_earlier_plan_counts_when_it_is_compared_with_now() -> None:
    found = observation(reports=alerts(15, 14))

    earlier = resolve(plan(withdraw="v10"), Policy(), found, {"cutoff": found.reports[1].time})

    assert (earlier.cutoff, earlier.pinned) == (found.reports[1].time, (found.reports[1].path,))
    assert len(facts(plan(withdraw="v10"), found).pinned) == 2


@given(
    st.lists(st.tuples(st.integers(1, 28), st.booleans(), st.sampled_from(["drift", "data_quality"]))),
    st.integers(0, 4),
)
def test_an_alert_is_left_out_only_when_it_is_older_than_the_version_and_not_among_the_newest(
    drawn: list[tuple[int, bool, str]], newest: int
) -> None:
    found = [
        report(f"{number}", f"2025-11-{day:02}T00:00:00+00:00", is_alert=is_alert, kind=kind)
        for number, (day, is_alert, kind) in enumerate(sorted(drawn, reverse=True))
    ]

    settle = to_settle(found, newest, versions()[2], None)

    for kind in ("drift", "data_quality"):
        of_kind = [fact for fact in found if fact.kind == kind]
        wanted = {fact.path for fact in of_kind[:newest]} | {f.path for f in of_kind if f.time and f.time >= TRAINED}
        assert [f for f in settle if f.kind == kind] == [f for f in of_kind if f.is_alert and f.path in wanted]
