import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from rollbackctl.core.document import FORMAT_VERSION, PlanDocument
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.engine.history import History
from rollbackctl.engine.observe import observe
from rollbackctl.engine.planning import Planner
from rollbackctl.engine.registry import load_registry
from rollbackctl.engine.workspace import Actor, Workspace
from rollbackctl.render.json_text import render
from rollbackctl.spec.document import Policy, Spec, TargetChoice
from rollbackctl.spec.load import load_spec
from rollbackctl.spec.schema import encode, schemas
from rollbackctl.spec.yaml_values import load_values
from scripts.make_schemas import main
from tests.hostile import document
from tests.strategies import documents

REGISTRY = load_registry(Policy())
SCHEMAS = schemas(REGISTRY.gate_sections, REGISTRY.check_sections)
FOLDER = Path(__file__).parents[3] / "schemas"
PLAN = b"""\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {name: inc-2025-1117-drift, incident: INC-2025-1117, reason: data_drift_alert}
spec:
  trigger: {report: latest}
  model:
    repository: models/decision_engine
    withdraw: {version: v10}
    target: {select: last-stable, exclude: [v8]}
    serve_as: [decision-core, rollback]
    aliases: all
    deployed: [var/models/decision_engine]
  scheduler: {interval: PT6H}
  compliance: {roles: [risk, compliance], reports: 5}
  gates:
    data_drift:
      window: {path: data/live.parquet, time_column: time, last: P12D}
      segments: [symbol]
      limits: {psi: 0.2}
      tolerance: {rows: 0.5}
    replay: {window: {path: data/live.parquet}, limits: {flips: 0.2}}
  checks:
    probe: {features: {momentum: 0.0, volume_ratio: 1.0}}
    smoke: {mode: paper}
    data_drift: {}
"""


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name])


def problems(name: str, value: Any) -> list[str]:
    return [error.message for error in validator(name).iter_errors(value)]


@pytest.fixture
def planner(workspace: Path, clock: Any) -> Workspace:
    return Workspace(workspace, clock, Actor("ops", 1000, "host-1", 1))


@pytest.fixture
def real(planner: Workspace) -> PlanDocument:
    spec = Spec.default(name="inc-2025-1117-drift", incident="INC-2025-1117")
    observation = observe(planner, spec, History())
    return Planner(planner.registry, planner.policy).make(spec, observation, planner.now())


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_file_equals_its_model(name: str) -> None:
    assert (FOLDER / f"{name}.schema.json").read_bytes() == encode(SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_a_valid_one_with_a_title(name: str) -> None:
    schema = SCHEMAS[name]

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert "$id" not in schema


def test_checking_names_what_differs_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path, check=False) == 0
    (tmp_path / "plan.schema.json").write_text("{}\n")
    (tmp_path / "policy.schema.json").unlink()
    capsys.readouterr()

    assert main(tmp_path, check=True) == 1
    named = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert named == ["policy.schema.json", "plan.schema.json"]
    assert (tmp_path / "plan.schema.json").read_text() == "{}\n"
    assert main(tmp_path, check=False) == 0
    assert main(tmp_path, check=True) == 0


def test_the_plan_of_the_incident_workspace_is_valid(real: PlanDocument) -> None:
    assert problems("plan", json.loads(render(real))) == []


@pytest.mark.parametrize("name", ["plan", "observation"])
def test_a_plan_that_was_measured_and_its_observation_are_valid(name: str) -> None:
    file = {"plan": "plan.json", "observation": "world.json"}[name]
    value = json.loads((Path(__file__).parents[2] / "golden" / "measured" / file).read_bytes())

    assert problems(name, value) == []
    assert {"data_drift", "replay"} <= value.keys()


@given(documents())
def test_every_plan_has_the_shape_that_the_schema_describes(document: PlanDocument) -> None:
    value = json.loads(render(document))

    # Names, digests and addresses are the business of those who make plans, not of this strategy.
    found = [error for error in validator("plan").iter_errors(value) if error.validator not in ("pattern", "anyOf")]
    assert found == []


def test_the_schema_names_every_field_of_a_plan() -> None:
    value, schema = document("x").to_json(), SCHEMAS["plan"]
    records = {
        "resource_changes": schema["properties"]["resource_changes"]["items"],
        "steps": schema["properties"]["steps"]["items"],
        "candidates": schema["properties"]["candidates"]["items"],
        "undo": schema["properties"]["undo"]["items"],
        "gates": schema["$defs"]["verdict"],
    }

    assert set(schema["required"]) == set(value)
    for name, record in records.items():
        assert set(record["required"]) == set(record["properties"]) == set(value[name][0]), name


@pytest.mark.parametrize(("version", "is_read"), [(FORMAT_VERSION, True), ("1.7", True), ("2.0", False), ("1", False)])
def test_a_plan_of_another_major_version_is_not_valid(version: str, is_read: bool, real: PlanDocument) -> None:
    value = real.to_json() | {"format_version": version}

    assert (problems("plan", json.loads(json.dumps(value))) == []) is is_read


def test_keys_of_a_later_minor_version_are_allowed(real: PlanDocument) -> None:
    value = json.loads(render(real))

    assert problems("plan", value | {"later": 1}) == []
    assert problems("plan", value | {"steps": [value["steps"][0] | {"later": 1}]}) == []


def test_a_field_that_is_missing_is_named() -> None:
    value = {key: item for key, item in document("x").to_json().items() if key != "steps"}

    assert "'steps' is a required property" in problems("plan", json.loads(json.dumps(value)))


def test_a_rollback_plan_that_loads_is_valid() -> None:
    load_spec(PLAN, "plan.yaml", kinds=(), gates=REGISTRY.gate_sections, checks=REGISTRY.check_sections)

    assert problems("rollback-plan", load_values(PLAN, "plan.yaml").value) == []


def test_the_plan_that_a_saved_plan_keeps_is_valid(real: PlanDocument) -> None:
    assert problems("rollback-plan", json.loads(json.dumps(real.plan.spec))) == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (b"inc-2025-1117-drift", b"'-x y'"),
        (b"incident:", b"incidents:"),
        (b"data_drift_alert", b'"a\\u2028b"'),
        (b"PT6H", b"6h"),
        (b"probe:", b"'a b':"),
        (b"reports: 5", b"reports: 0"),
        (b"select: last-stable", b"select: newest"),
        (b"select: last-stable, exclude: [v8]", b"version: v9, alias: stable"),
    ],
)
def test_what_loading_refuses_the_schema_refuses(wrong: bytes, right: bytes) -> None:
    value = load_values(PLAN.replace(wrong, right), "plan.yaml").value

    with pytest.raises(ValidationError):
        Spec.model_validate_json(json.dumps(value))
    assert problems("rollback-plan", value)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (b"path: data/live.parquet, time_column: time", b"time_column: time"),
        (b"time_column: time", b"format: xml"),
        (b"segments: [symbol]", b"segments: symbol"),
        (b"limits: {psi: 0.2}", b"limits: {psi: high}"),
        (b"limits: {psi: 0.2}", b"min_rows: 0"),
        (b"limits: {psi: 0.2}", b"limit: {psi: 0.2}"),
        (b"tolerance: {rows: 0.5}", b"tolerance: {rows: -1}"),
        (b"limits: {flips: 0.2}", b"rows: 0"),
        (b"features: {momentum: 0.0, volume_ratio: 1.0}", b"features: {momentum: none}"),
        (b"mode: paper", b"mode: papers"),
        (b"data_drift: {}", b"data_drift: {psi: 1}"),
    ],
)
def test_what_loading_refuses_in_a_section_the_schema_refuses(wrong: bytes, right: bytes) -> None:
    plan = PLAN.replace(wrong, right)

    assert plan != PLAN
    with pytest.raises(InvalidInputError):
        load_spec(plan, "plan.yaml", kinds=(), gates=REGISTRY.gate_sections, checks=REGISTRY.check_sections)
    assert problems("rollback-plan", load_values(plan, "plan.yaml").value)


@given(
    st.dictionaries(
        st.sampled_from(["select", "version", "sha256", "alias"]),
        st.none() | st.sampled_from(["last-stable", "v9", "a" * 64]),
    )
)
def test_schema_and_model_agree_on_how_a_target_is_named(choice: dict[str, str | None]) -> None:
    try:
        TargetChoice.model_validate_json(json.dumps(choice))
        is_accepted = True
    except ValidationError:
        is_accepted = False
    plan = load_values(PLAN, "plan.yaml").value
    plan["spec"]["model"]["target"] = choice

    assert (problems("rollback-plan", plan) == []) is is_accepted


@given(st.dictionaries(st.sampled_from(["env", "file"]), st.none() | st.just("x")))
def test_schema_and_model_agree_on_where_a_key_lies(place: dict[str, str | None]) -> None:
    policy = {"hmac_keys": {"k": place}}
    try:
        Policy.model_validate_json(json.dumps(policy))
        is_accepted = True
    except ValidationError:
        is_accepted = False

    assert (problems("policy", policy) == []) is is_accepted


def test_the_default_policy_is_valid() -> None:
    assert problems("policy", Policy().model_dump(mode="json")) == []
    assert problems("policy", {}) == []


def test_an_observation_is_valid(planner: Workspace) -> None:
    spec = Spec.default(name="inc-2025-1117-drift", incident="INC-2025-1117")

    value = observe(planner, spec, History()).model_dump(mode="json")

    assert problems("observation", value) == []
