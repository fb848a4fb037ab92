import subprocess
import sys
from pathlib import Path

import pytest

import bot_core.ai

HEAVY = {"numpy", "sklearn", "jsonschema", "ruamel", "diskcache", "pydantic", "socket", "sqlite3"}
RUNBOOK = {
    "AIManager",
    "ModelRepository",
    "ensure_compliance_sign_offs",
    "load_recent_data_quality_reports",
    "load_recent_drift_reports",
    "summarize_data_quality_reports",
    "summarize_drift_reports",
}


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_none_of_its_modules() -> None:
    extra = modules_after("import bot_core.ai") - modules_after("")

    assert extra - {"typing", "collections.abc", "contextlib"} <= modules_after("import typing") | {
        "bot_core",
        "bot_core.ai",
    }


def test_no_name_loads_anything_heavy() -> None:
    code = "import bot_core.ai\nfor name in dir(bot_core.ai): getattr(bot_core.ai, name)"

    assert modules_after(code) & HEAVY == set()


def test_every_name_is_there_and_is_its_modules_own() -> None:
    assert set(dir(bot_core.ai)) >= RUNBOOK
    for name in dir(bot_core.ai):
        assert getattr(bot_core.ai, name).__name__ == name or name == "FilesystemModelRepository"


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        bot_core.ai.nonsense  # noqa: B018
