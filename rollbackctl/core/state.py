"""The comparable part of a resource, and the values in it that only a run can know."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

PLACEHOLDER = re.compile(r"\$\{run\.([a-z_]+)\}")

RUN_ID = "${run.id}"
RUN_TIME = "${run.time}"
RUN_ACTOR = "${run.actor}"
RUN_SIGNERS = "${run.signers}"
RUN_ENGINE = "${run.engine}"
RUN_NOT_HELD = "${run.not_held}"
HELD_BY = f"held by rollbackctl run {RUN_ID}"


class State(BaseModel):
    """Base of the state of every kind: fields of JSON, comparable, nothing that changes without a move."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the fields as JSON values."""
        return self.model_dump(mode="json")


S = TypeVar("S", bound=State)


def state_json(state: State | None) -> dict[str, JsonValue] | None:
    """Return the JSON of a state; None is the absent resource."""
    return None if state is None else state.to_json()


def content_id(value: object) -> str:
    """Return the SHA-256 (hex) of a JSON value in canonical form: sorted keys, compact, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def resolve(state: S | None, values: Mapping[str, str]) -> S | None:
    """Replace each ``${run.name}`` in a state by ``values[name]``.

    Raises:
        KeyError: A placeholder has no value.
    """
    if state is None or not placeholders(state):
        return state
    return type(state).model_validate(_replace(state.to_json(), values))


def placeholders(state: State | None) -> frozenset[str]:
    """Return the names of the placeholders that a state holds."""
    if state is None:
        return frozenset()
    return frozenset(name for text in _strings(state.to_json()) for name in PLACEHOLDER.findall(text))


def matches(pattern: State | None, found: State | None) -> bool:
    """Tell whether a state is the planned one, where a placeholder stands for any text."""
    if pattern is None or found is None or not placeholders(pattern):
        return pattern == found
    return _matches(pattern.to_json(), found.to_json())


def _replace(value: JsonValue, values: Mapping[str, str]) -> JsonValue:
    match value:
        case str():
            return PLACEHOLDER.sub(lambda found: values[found.group(1)], value)
        case list():
            return [_replace(item, values) for item in value]
        case dict():
            return {key: _replace(item, values) for key, item in value.items()}
        case _:
            return value


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for item in value.values():
                yield from _strings(item)


def _matches(pattern: JsonValue, found: JsonValue) -> bool:
    match pattern:
        case str() if PLACEHOLDER.search(pattern):
            parts = PLACEHOLDER.split(pattern)[::2]
            return (
                isinstance(found, str) and re.fullmatch(".+?".join(map(re.escape, parts)), found, re.DOTALL) is not None
            )
        case dict():
            return (
                isinstance(found, dict)
                and pattern.keys() == found.keys()
                and all(_matches(item, found[key]) for key, item in pattern.items())
            )
        case list():
            return (
                isinstance(found, list)
                and len(pattern) == len(found)
                and all(_matches(a, b) for a, b in zip(pattern, found, strict=True))
            )
        case _:
            return pattern == found
