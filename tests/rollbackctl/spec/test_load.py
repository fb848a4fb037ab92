import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.state import content_id
from rollbackctl.spec.document import Policy, Spec, seconds
from rollbackctl.spec.load import load_policy, load_spec

HEAD = b"apiVersion: rollbackctl/v1alpha1\nkind: RollbackPlan\nmetadata: {name: inc-1, incident: INC-1}\n"
KINDS, GATES, CHECKS = ("kafka_offset",), {"approval": None, "data_drift": None}, {"probe": None, "smoke": None}


def load(data: bytes) -> Spec:
    return load_spec(data, "plan.yaml", kinds=KINDS, gates=GATES, checks=CHECKS)


def refused(data: bytes) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        load(data)
    return caught.value


def problems(body: str, head: bytes = HEAD) -> list[str]:
    """Give the problems of a plan whose body begins at line 4."""
    return [str(problem).removeprefix("plan.yaml:") for problem in refused(head + body.encode()).problems]


def test_three_fields_are_enough_and_the_rest_are_the_runbooks_values() -> None:
    spec = load(HEAD + b"spec: {model: {}}")

    assert spec == Spec.default(name="inc-1", incident="INC-1")
    model, journal, compliance = spec.spec.model, spec.spec.journal, spec.spec.compliance
    assert spec.metadata.reason == "data_drift_alert"
    assert spec.spec.trigger.report == "latest"
    assert (model.repository, model.target.select, model.quarantine) == ("models/decision_engine", "last-stable", True)
    assert (model.withdraw, model.serve_as, model.aliases, model.deployed) == (None, None, "all", "all")
    assert (spec.spec.serving.model_dir, spec.spec.serving.thresholds) == ("var/models", None)
    assert (spec.spec.autotrader.config, spec.spec.autotrader.maintenance) == ("config/auto_trader.yaml", True)
    assert (spec.spec.scheduler.state, spec.spec.scheduler.mark_executed, spec.spec.scheduler.interval) == (
        "audit/ai_decision/scheduler.json",
        True,
        None,
    )
    assert (journal.write, journal.read) == ("logs/decision_journal/rollback.log", "logs/decision_journal")
    assert (journal.environment, journal.portfolio, journal.risk_profile) == (
        "ai-monitoring",
        "ai-manager",
        "ai-monitoring",
    )
    assert (compliance.roles, compliance.reports) == (("risk", "compliance"), 5)
    assert compliance.checklist == "docs/compliance/ai_pipeline_signoff.md"
    assert compliance.incident_journal == "audit/ai_decision/incident_journal.md"


def test_a_plan_with_everything_is_read() -> None:
    spec = load(
        HEAD
        + b"""\
spec:
  trigger: {report: drift/20251117T224530Z_drift_alert.json}
  model:
    withdraw: {version: "1.10"}
    target: {select: last-stable, exclude: ["1.8"]}
    serve_as: [decision-core, rollback]
    aliases: [champion]
    deployed: [var/models/decision_engine]
  serving: {thresholds: config/thresholds.yaml}
  scheduler: {interval: PT6H}
  compliance: {roles: [Risk, data_governance]}
  gates: {data_drift: {max_psi: 0.2}}
  checks: {probe: {features: {momentum: 0}}}
  resources: {kafka_offset: [1, {topic: x}]}
"""
    ).spec

    assert spec.model.withdraw is not None
    assert (spec.model.withdraw.version, spec.model.target.exclude) == ("1.10", ("1.8",))
    assert (spec.model.aliases, spec.model.deployed) == (("champion",), ("var/models/decision_engine",))
    assert spec.compliance.roles == ("risk", "data_governance")
    assert (spec.gates, spec.checks) == ({"data_drift": {"max_psi": 0.2}}, {"probe": {"features": {"momentum": 0}}})
    assert spec.resources == {"kafka_offset": [1, {"topic": "x"}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("spec:\n  model: {}\n  modle: {}\n", ["6:3: spec.modle is not a known field; did you mean model?"]),
        ("spec: {model: {}}\nextra: 1\n", ["5:1: extra is not a known field"]),
        (
            "spec:\n  model:\n    target: {vresion: v9}\n",
            [
                "6:14: spec.model.target.vresion is not a known field; did you mean version?",
            ],
        ),
        (
            "spec:\n  model:\n    withdraw: {versoin: v9}\n",
            [
                "6:5: spec.model.withdraw.version is missing",
                "6:16: spec.model.withdraw.versoin is not a known field; did you mean version?",
            ],
        ),
        ("spec: {}\n", ["4:1: spec.model is missing"]),
        ("", ["1:1: spec is missing"]),
        (
            "spec:\n  model: {}\n  gates: {data_drfit: {}}\n",
            ["6:11: spec.gates.data_drfit: there is no such gate; did you mean data_drift?"],
        ),
        (
            "spec:\n  model: {}\n  checks:\n    smoek: {mode: paper}\n",
            ["7:5: spec.checks.smoek: there is no such check; did you mean smoke?"],
        ),
        (
            "spec:\n  model: {}\n  resources: {kafka_ofset: 1}\n",
            ["6:15: spec.resources.kafka_ofset: there is no such resource; did you mean kafka_offset?"],
        ),
        ("spec:\n  model: {}\n  gates: {zzz: {}}\n", ["6:11: spec.gates.zzz: there is no such gate"]),
        ("spec:\n  model: {}\n  gates: {approval: 1}\n", ["6:11: spec.gates.approval: Input should be an object"]),
    ],
)
def test_an_unknown_or_missing_field_is_refused_at_its_place(body: str, expected: list[str]) -> None:
    assert problems(body) == expected


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("1.10", "is 1.10, not text; write it in quotes"),
        ("010", "is 010, not text; write it in quotes"),
        ("10", "is 10, not text; write it in quotes"),
        ("1e3", "is 1e3, not text; write it in quotes"),
        ("true", "is true, not text; write it in quotes"),
        ("False", "is False, not text; write it in quotes"),
        ("~", ": Input should be a valid string"),
        ("[v10]", ": Input should be a valid string"),
        ("''", ": '': String should have at least 1 character"),
    ],
)
def test_a_version_is_text_and_the_message_shows_it_as_it_was_written(written: str, problem: str) -> None:
    name = "spec.model.withdraw.version"
    words = f"{name}{problem}" if problem.startswith(":") else f"{name} {problem}"

    assert problems(f"spec:\n  model:\n    withdraw: {{version: {written}}}\n") == [f"6:16: {words}"]


@pytest.mark.parametrize("written", ["v10", "'1.10'", '"010"', "2025-11-18", "1.2.3", "yes"])
def test_a_version_in_quotes_or_that_is_no_number_is_read_as_it_is(written: str) -> None:
    spec = load(HEAD + f"spec: {{model: {{withdraw: {{version: {written}}}}}}}".encode())

    assert spec.spec.model.withdraw is not None
    assert spec.spec.model.withdraw.version == written.strip("'\"")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("model: {repository: /etc}", "repository: '/etc': must be a path below the workspace"),
        ("model: {repository: a/../b}", "repository: 'a/../b': must be a path below the workspace"),
        ("model: {repository: ''}", "repository: '': must be a path below the workspace"),
        ("model: {}, serving: {model_dir: a//b}", "model_dir: 'a//b': must be a path below the workspace"),
        ("model: {}, serving: {thresholds: ../t.yaml}", "thresholds: '../t.yaml': must be a path below the workspace"),
        ("model: {}, autotrader: {config: ./a}", "config: './a': must be a path below the workspace"),
        ("model: {}, scheduler: {state: a/}", "state: 'a/': must be a path below the workspace"),
        ("model: {}, journal: {write: ..}", "write: '..': must be a path below the workspace"),
        ("model: {}, journal: {read: /logs}", "read: '/logs': must be a path below the workspace"),
        ("model: {}, compliance: {checklist: /a}", "checklist: '/a': must be a path below the workspace"),
        (r'model: {}, compliance: {incident_journal: "a\0"}', r"incident_journal: 'a\x00': must be a path below"),
        ("model: {target: {}}", "target: name the target in exactly one way: select, version, sha256 or alias"),
        ("model: {target: {version: a, alias: b}}", "target: name the target in exactly one way"),
        ("model: {target: {version: a, exclude: [b]}}", "target: exclude goes with select only"),
        ("model: {target: {select: newest}}", "select: 'newest': Input should be 'last-stable'"),
        ("model: {target: {sha256: ABC}}", "sha256: 'ABC': String should match pattern"),
        ("model: {target: {alias: ''}}", "alias: '': String should have at least 1 character"),
        ("model: {serve_as: []}", "serve_as: Tuple should have at least 1 item"),
        ("model: {serve_as: [../x]}", "serve_as.0: '../x': String should match pattern"),
        ("model: {aliases: champion}", "aliases: 'champion': Input should be 'all'"),
        ("model: {deployed: [a, 1.50]}", "deployed.1 is 1.50, not text; write it in quotes"),
        ("model: {quarantine: yes}", "quarantine: 'yes': Input should be a valid boolean"),
        ("model: {quarantine: 1}", "quarantine: Input should be a valid boolean"),
        ("model: {}, scheduler: {interval: 6h}", "interval: '6h': String should match pattern"),
        ("model: {}, scheduler: {interval: P}", "interval: 'P': String should match pattern"),
        (
            "model: {}, serving: {model_dir: var/rollbackctl/x}",
            "serving.model_dir lies in the run store var/rollbackctl",
        ),
        (
            "model: {}, journal: {write: a}, autotrader: {config: a}",
            "autotrader.config and journal.write name the same file",
        ),
        ("model: {}, compliance: {reports: 0}", "reports: Input should be greater than or equal to 1"),
        ("model: {}, compliance: {reports: 1001}", "reports: Input should be less than or equal to 1000"),
        ("model: {}, compliance: {reports: 5.0}", "reports: Input should be a valid integer"),
        ("model: {}, compliance: {reports: '5'}", "reports: '5': Input should be a valid integer"),
        ("model: {}, compliance: {roles: ['']}", "roles.0: '': String should match pattern"),
        ("model: {}, compliance: {roles: risk}", "roles: 'risk': Input should be a valid array"),
    ],
)
def test_a_value_of_the_wrong_sort_is_refused(body: str, expected: str) -> None:
    found = problems(f"spec: {{{body}}}\n")

    assert len(found) == 1
    assert found[0].startswith("4:")
    assert expected in found[0]


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "..", "a" * 101, "a\\nb", "\\u202ea"])
def test_a_name_that_could_be_misread_is_refused(name: str) -> None:
    head = HEAD.replace(b"inc-1", f'"{name}"'.encode())

    assert [problem.split(" ")[1] for problem in problems("spec: {model: {}}", head)] == ["metadata.name:"]


def test_a_reason_is_one_line() -> None:
    head = HEAD.replace(b"}", b', reason: "a\\nb"}')

    assert problems("spec: {model: {}}", head)[0].startswith("3:42: metadata.reason: 'a\\nb': ")


def test_a_document_that_is_no_plan_is_refused() -> None:
    assert [str(problem) for problem in refused(b"[]").problems] == [
        "plan.yaml:1:1: the document: Input should be an object"
    ]
    assert [str(problem) for problem in refused(b"").problems] == [
        "plan.yaml:1:1: the document: Input should be an object"
    ]


def test_another_version_or_kind_of_document_is_refused() -> None:
    head = HEAD.replace(b"v1alpha1", b"v2").replace(b"RollbackPlan", b"Policy")

    assert problems("spec: {model: {}}", head) == [
        "1:1: apiVersion: 'rollbackctl/v2': Input should be 'rollbackctl/v1alpha1'",
        "2:1: kind: 'Policy': Input should be 'RollbackPlan'",
    ]


def test_all_problems_are_given_at_once_in_the_order_of_the_file() -> None:
    error = refused(
        b"""\
apiVersion: rollbackctl/v1alpha1
kind: &k RollbackPlan
metadata: {name: a b, incident: INC-1, incident: INC-2}
spec:
  modle: {}
  compliance: {reports: .nan, roles: [1]}
  gates: {data_drfit: {}}
---
x: 1
"""
    )

    assert [str(problem).removeprefix("plan.yaml:") for problem in error.problems] == [
        "2:7: the anchor 'k' is not allowed; write the value out",
        "3:12: metadata.name: 'a b': String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'",
        "3:40: the key 'incident' stands twice",
        "4:1: spec.model is missing",
        "5:3: spec.modle is not a known field; did you mean model?",
        "6:16: spec.compliance.reports: Input should be greater than or equal to 1",
        "6:25: .nan is not a finite number of at most 64 bits",
        "6:39: spec.compliance.roles.0 is 1, not text; write it in quotes",
        "7:11: spec.gates.data_drfit: there is no such gate; did you mean data_drift?",
        "8:1: a second document; the file must hold one",
    ]
    assert error.problem == "plan.yaml has 10 problems"
    assert error.hint == "mend the rollback plan, then: rollbackctl validate plan.yaml"


def test_one_problem_is_counted_in_the_singular() -> None:
    assert refused(HEAD + b"spec: {}").problem == "plan.yaml has 1 problem"


def test_a_key_that_is_not_text_is_refused_once_as_a_key_and_once_as_a_field() -> None:
    assert problems("spec: {model: {}, 1.10: x}\n") == [
        "4:19: the key 1.10 is not text; write it in quotes",
        "4:19: spec.1.10 is not a known field",
    ]


def test_the_plan_as_json_is_what_its_author_decided() -> None:
    spec = load(HEAD + b"spec: {model: {quarantine: false, target: {version: v9}}, trigger: {report: latest}}")

    assert spec.to_json() == {
        "apiVersion": "rollbackctl/v1alpha1",
        "kind": "RollbackPlan",
        "metadata": {"name": "inc-1", "incident": "INC-1"},
        "spec": {"model": {"quarantine": False, "target": {"version": "v9"}}},
    }


def test_layout_order_and_stated_defaults_do_not_change_the_digest() -> None:
    one = load(HEAD + b"spec: {model: {target: {select: last-stable}, aliases: all}, compliance: {reports: 5}}")
    other = load(b"# c\nspec:\n  model: {}\n" + HEAD)

    assert content_id(one.to_json()) == content_id(other.to_json())


names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,8}\Z")
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63), 2**63)
some_or_all = st.just("all") | st.lists(words, max_size=2)
targets = (
    st.fixed_dictionaries({"select": st.just("last-stable")}, optional={"exclude": st.lists(words, max_size=2)})
    | st.fixed_dictionaries({"version": words})
    | st.fixed_dictionaries({"alias": words})
)
models = st.fixed_dictionaries(
    {},
    optional={
        "withdraw": st.fixed_dictionaries({"version": words}),
        "target": targets,
        "aliases": some_or_all,
        "deployed": some_or_all,
        "serve_as": st.lists(names, min_size=1, max_size=2),
        "quarantine": st.booleans(),
    },
)
compliance = st.fixed_dictionaries(
    {}, optional={"reports": st.integers(1, 1000), "roles": st.lists(st.sampled_from(["Risk", "ops"]))}
)
bodies = st.fixed_dictionaries(
    {"model": models},
    optional={
        "compliance": compliance,
        "checks": st.fixed_dictionaries({"probe": st.dictionaries(names, numbers)}),
        "resources": st.fixed_dictionaries({"kafka_offset": st.lists(st.none() | integers | words)}),
        "scheduler": st.fixed_dictionaries({"interval": st.sampled_from(["PT6H", "P1D", "P1DT2H3M4S"])}),
    },
)


@given(names, names, bodies)
def test_a_plan_is_read_back_from_its_own_json(name: str, incident: str, body: Any) -> None:
    value = {
        "apiVersion": "rollbackctl/v1alpha1",
        "kind": "RollbackPlan",
        "metadata": {"name": name, "incident": incident},
        "spec": body,
    }
    spec = load(json.dumps(value, ensure_ascii=False).encode())

    again = Spec.model_validate_json(json.dumps(spec.to_json()))

    assert again == spec
    assert again.to_json() == spec.to_json()


lines = st.sampled_from(
    [
        *("spec:", "  model: {}", "  model:", "    aliases: [1]", "    deployed: all"),
        *(
            "    withdraw: {version: 1.10}",
            "    target: {select: last-stable, alias: x}",
            "  compliance: {roles: [[]]}",
        ),
        *("  gates: {x y: 1}", "  gates: 7", "  checks: {probe: [1]}", "  resources: [a]"),
        *("    a: &x 1", "  - *x", "1: 2", "? [a]", "spec: [1]", "metadata: {}", "metadata: 3", "---", "\t", "}"),
    ]
)


@given(st.binary(max_size=40) | st.lists(lines, max_size=8).map(lambda some: "\n".join(some).encode()), st.booleans())
@example(b"spec: {model: {}}", True)
def test_any_bytes_are_a_plan_or_refused_with_every_place(data: bytes, has_head: bool) -> None:
    try:
        load(HEAD * has_head + data)
    except InvalidInputError as error:
        found = error.problems
    else:
        return

    assert found
    assert all(problem.line and problem.column and problem.text and problem.path == "plan.yaml" for problem in found)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"null\n"])
def test_an_empty_policy_is_the_default_one(data: bytes) -> None:
    policy = load_policy(data, "config/rollbackctl.yaml")

    assert policy == Policy()
    assert (policy.roles, policy.reports, policy.bundle) == (("risk", "compliance"), 5, "optional")
    assert (policy.expires_after, policy.hmac_keys, policy.limits, policy.plugins) == ("PT24H", {}, {}, ())
    assert policy.operators_group is None


def test_a_policy_is_read() -> None:
    policy = load_policy(
        b"""\
roles: [Risk, Compliance, data_governance]
reports: 7
bundle: required
hmac_keys: {k1: {env: KEY}, k2: {file: /etc/keys/k2}}
expires_after: P1DT12H
limits: {psi: 0.2, share: 1}
plugins: [rollbackctl-kafka]
operators_group: ops
""",
        "config/rollbackctl.yaml",
    )

    assert policy.roles == ("risk", "compliance", "data_governance")
    assert (policy.hmac_keys["k1"].env, policy.hmac_keys["k2"].file) == ("KEY", "/etc/keys/k2")
    assert (policy.limits, policy.bundle, policy.operators_group) == ({"psi": 0.2, "share": 1.0}, "required", "ops")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"role: [risk]", "1:1: role is not a known field; did you mean roles?"),
        (b"roles: []", "1:1: roles: Tuple should have at least 1 item after validation, not 0"),
        (b"bundle: maybe", "1:1: bundle: 'maybe': Input should be 'optional' or 'required'"),
        (b"hmac_keys:\n  k1: {evn: K}", "2:8: hmac_keys.k1.evn is not a known field; did you mean env?"),
        (b"hmac_keys: {k1: {}}", "1:13: hmac_keys.k1: give exactly one of env and file"),
        (b"hmac_keys: {k1: {env: K, file: f}}", "1:13: hmac_keys.k1: give exactly one of env and file"),
        (b"limits: {psi: .inf}", "1:15: .inf is not a finite number of at most 64 bits"),
        (b"operators_group: 010", "1:1: operators_group is 010, not text; write it in quotes"),
        (b"[roles]", "1:1: the document: Input should be an object"),
        (b"roles: [risk", "1:13: not YAML: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_a_policy_that_is_wrong_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_policy(data, "policy.yaml")

    assert [str(problem) for problem in caught.value.problems] == [f"policy.yaml:{expected}"]


@pytest.mark.parametrize(
    ("duration", "length_s"), [("PT6H", 21600), ("P1D", 86400), ("P1DT2H3M4S", 93784), ("PT90M", 5400), ("PT0S", 0)]
)
def test_a_duration_is_read_as_seconds(duration: str, length_s: int) -> None:
    assert seconds(duration) == length_s


@given(st.from_regex(r"\AP([0-9]{1,3}D)?(T([0-9]{1,3}[HMS]){0,4})?\Z"))
@example("PT1H1H")
@example("PT1S1H")
@example("P1DT")
@example("P999999DT999999H999999M999999S")
def test_a_duration_that_loads_has_a_length(duration: str) -> None:
    try:
        policy = load_policy(f"expires_after: {duration}".encode(), "policy.yaml")
    except InvalidInputError:
        return

    assert timedelta(seconds=seconds(policy.expires_after)) >= timedelta(0)


@pytest.mark.parametrize(
    "duration", ["P", "PT", "P1DT", "PT1H1H", "PT1S1H", "1D", "P1", "P1W", "P1M", "PT-1H", "P9999999D"]
)
def test_what_is_no_duration_of_days_and_times_is_refused(duration: str) -> None:
    with pytest.raises(InvalidInputError, match="1 problem"):
        load_policy(f"expires_after: {duration}".encode(), "policy.yaml")
