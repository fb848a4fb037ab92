"""Plans and observations in files of the user's own: saved, read again, planned from elsewhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot_core.foundation.atomic_file import write_atomic
from bot_core.foundation.safe_file import read_given
from bot_core.foundation.strict_json import encode_json, parse_object
from rollbackctl.core.commands import quote
from rollbackctl.core.document import PlanDocument, read_document
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.observation import Observation
from rollbackctl.engine.planning import Planner
from rollbackctl.engine.registry import load_registry
from rollbackctl.engine.workspace import read_spec
from rollbackctl.spec.document import Policy

_AGAIN = "make it again from its YAML: rollbackctl plan YAML --out FILE"
_OBSERVE = "observe on the host: rollbackctl observe PLAN --out"


def write_outside(path: Path, data: bytes) -> None:
    """Write a file of the user's own; after a crash it is the old one or the new one.

    Raises:
        InvalidInputError: Its folder does not exist.
    """
    if not path.absolute().parent.is_dir():
        raise InvalidInputError(f"{path} cannot be written: its folder does not exist", hint="make the folder first")
    write_atomic(path.absolute(), data)


def save_document(path: Path, document: PlanDocument) -> None:
    """Save a plan."""
    write_outside(path, encode_json(document.to_json(), sort_keys=True, newline=True))


def is_saved_plan(path: Path) -> bool:
    """Tell whether a file is a saved plan rather than YAML; a missing file is neither."""
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


def load_document(path: Path, shown: str, policy: Policy | None = None) -> PlanDocument:
    """Read a saved plan.

    Raises:
        InvalidInputError: It is none, was edited, or belongs to a later format.
    """
    value = _read(path, shown, _AGAIN)
    try:
        return read_document(value, load_registry(policy or Policy()).states)
    except (ValueError, ValidationError) as error:
        raise InvalidInputError(f"{shown}: {str(error).splitlines()[0]}", hint=_AGAIN) from error


def plan_from_world(plan: Path, world: Path, clock: Callable[[], datetime], shown: str) -> PlanDocument:
    """Make a plan from an observation; the workspace is not needed, and nothing is written.

    Raises:
        InvalidInputError: The plan or the observation cannot be read, or they are not of the same files.
    """
    value = _read(world, world.name, f"{_OBSERVE} {quote(world.name)}")
    try:
        observation = Observation.model_validate(value)
        policy = Policy.model_validate_json(encode_json(observation.policy))
        registry = load_registry(policy)
        timestamp = clock().astimezone(UTC).replace(microsecond=0).isoformat()
        if observation.repository not in {fact.path for fact in observation.repositories}:
            raise InvalidInputError(
                f"{world.name}: repository: {observation.repository} is not among the repositories",
                hint=f"{_OBSERVE} {quote(world.name)}",
            )
        return Planner(registry, policy).make(read_spec(plan, registry, shown), observation, timestamp)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInputError(
            f"{world.name}: {place}: {first['msg']}", hint=f"{_OBSERVE} {quote(world.name)}"
        ) from error


def _read(path: Path, shown: str, hint: str) -> dict[str, Any]:
    try:
        data = read_given(path)
    except OSError as error:
        raise InvalidInputError(f"{shown} cannot be read: {error.strerror}", hint=hint) from error
    return parse_object(data, shown)
