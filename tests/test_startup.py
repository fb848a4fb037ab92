"""What a command does not load: loading is most of the time that a short command takes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HEAVY = frozenset(
    {"diskcache", "jsonschema", "numpy", "pydantic", "pydantic_core", "ruamel", "scipy", "sklearn", "sqlite3"}
)
WHERE_ALL_IS_VALID = HEAVY - {"pydantic", "pydantic_core", "ruamel"}
PLAN = """
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {name: inc-2025-1117-drift, incident: INC-2025-1117}
spec: {model: {target: {version: v9}}}
"""
DRIVER = """
import json, sys
from rollbackctl.cli.main import run
try:
    run()
finally:
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""


def loaded(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """Return the top-level modules that a command has loaded by its end."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads((folder / "modules.json").read_text())}


@pytest.fixture
def planned(workspace: Path) -> Path:
    """The incident's workspace with a plan that names its target."""
    (workspace / "plan.yaml").write_text(PLAN)
    return workspace


@pytest.fixture
def valid(planned: Path) -> Path:
    """That workspace without v8, which breaks the schema."""
    manifest = planned / "models" / "decision_engine" / "manifest.json"
    value = json.loads(manifest.read_text())
    del value["versions"]["v8"]
    manifest.write_text(json.dumps(value))
    return planned


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("--version",)])
def test_help_and_version_load_nothing_heavy(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert loaded(tmp_path, *arguments) & HEAVY == set()


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_a_plan_with_a_named_target_and_valid_artifacts_loads_only_what_it_reads_with(valid: Path, form: str) -> None:
    modules = loaded(valid, "plan", "plan.yaml", "--format", form)

    assert modules & WHERE_ALL_IS_VALID == set()
    assert {"pydantic", "ruamel"} <= modules


def test_an_artifact_that_breaks_the_schema_has_its_faults_worded_by_jsonschema(planned: Path) -> None:
    modules = loaded(planned, "plan", "plan.yaml")

    assert "jsonschema" in modules
    assert "numpy" not in modules


def test_a_hold_does_not_look_at_artifacts(planned: Path) -> None:
    assert loaded(planned, "hold", "--incident", "INC-2025-1117") & WHERE_ALL_IS_VALID == set()


def test_what_the_policy_does_not_name_is_not_loaded_by_the_libraries_either(valid: Path, tmp_path: Path) -> None:
    about = tmp_path / "site" / "stranger-1.0.dist-info"
    about.mkdir(parents=True)
    (about.parent / "stranger.py").write_text("plugin = None\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[pydantic]\nstranger = stranger:plugin\n[rollbackctl.kinds]\nstranger = stranger:plugin\n"
    )

    modules = loaded(valid, "plan", "plan.yaml", environment={"PYTHONPATH": str(about.parent)})

    assert "stranger" not in modules
