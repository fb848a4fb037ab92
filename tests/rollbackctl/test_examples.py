"""The examples that the project ships say what is true."""

from pathlib import Path

from rollbackctl.engine.registry import load_registry
from rollbackctl.engine.workspace import read_spec
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.load import load_policy

ROOT = Path(__file__).parents[2]


def test_the_example_plan_states_the_defaults() -> None:
    spec = read_spec(ROOT / "plans/inc-2025-1117.yaml", load_registry(Policy()))

    default = Spec.default(name="inc-2025-1117-drift", incident="INC-2025-1117")
    stated = {"probe": {"features": {"momentum": 0.0, "volume_ratio": 1.0}}}
    assert spec.spec.checks == stated
    assert spec.spec.model_copy(update={"checks": {}}) == default.spec
    assert spec.metadata == default.metadata


def test_the_example_policy_states_the_defaults() -> None:
    assert load_policy((ROOT / "config/rollbackctl.yaml").read_bytes(), "config/rollbackctl.yaml") == Policy()


def test_the_example_plan_names_every_field() -> None:
    text = (ROOT / "plans/inc-2025-1117.yaml").read_text(encoding="utf-8")

    for section in (Spec, *(field.annotation for field in Spec.model_fields["spec"].annotation.model_fields.values())):
        for name in getattr(section, "model_fields", {}):
            assert f"{name}:" in text
