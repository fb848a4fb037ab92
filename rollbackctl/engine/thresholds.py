"""The orchestrator's thresholds that a rollback plan names instead of the runbook's."""

from dataclasses import MISSING, fields
from pathlib import Path

from bot_core.config.decision_engine import parse_decision_engine
from bot_core.config.models import DecisionOrchestratorThresholds
from bot_core.foundation.safe_file import read_inside_or_none
from rollbackctl.core.errors import InvalidInputError, Problem
from rollbackctl.spec.yaml_values import Loaded, load_values

_HINT = "its fields are those of bot_core.config.models.DecisionOrchestratorThresholds"


def read_thresholds(root: Path, path: str) -> bytes:
    """Return the bytes of a file of thresholds after checking that it is one.

    Raises:
        InvalidInputError: It does not exist, or a field is missing, unknown or no number; all are named.
        FileFormatError: The count of positions is no whole number.
    """
    data = read_inside_or_none(root, path)
    if data is None:
        raise InvalidInputError(
            f"spec.serving.thresholds: {path} does not exist", hint="name a YAML file of the workspace"
        )
    loaded = load_values(data, path)
    problems = [*loaded.problems, *_problems(loaded)]
    if problems:
        raise InvalidInputError(f"{path} holds no thresholds", hint=_HINT, problems=tuple(problems))
    parse_decision_engine(data, path)  # what the check reads it with must take it, too
    return data


def _problems(loaded: Loaded) -> list[Problem]:
    if not isinstance(loaded.value, dict):
        return [loaded.problem("it is no mapping", ())]
    known = {field.name: field.default is MISSING for field in fields(DecisionOrchestratorThresholds)}
    found = [loaded.problem(f"{name} is no threshold", (name,)) for name in loaded.value if name not in known]
    for name, is_needed in known.items():
        value = loaded.value.get(name)
        if value is None and is_needed:
            found.append(loaded.problem(f"{name} is missing", ()))
        elif value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            found.append(loaded.problem(f"{name} is {value!r}, not a number", (name,)))
    return found
