"""From YAML to a document: every problem at once, each with its line and column."""

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from bot_core.ai.drift.window import has_login
from rollbackctl.core.errors import InvalidInputError, Problem
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.yaml_values import Loaded, Place, load_values

D = TypeVar("D", bound=BaseModel)


def load_spec(
    data: bytes,
    source: str,
    *,
    kinds: Collection[str],
    gates: Mapping[str, type[BaseModel] | None],
    checks: Mapping[str, type[BaseModel] | None],
) -> Spec:
    """Read a rollback plan.

    Args:
        data: The YAML.
        source: Its name, for messages.
        kinds: Resource kinds that exist; a section for another one is refused.
        gates: Gates that exist, each with what its section must hold; None: anything.
        checks: Sections of checks that exist, each with what it must hold; None: anything.

    Raises:
        InvalidInputError: With every problem found, its line and its column.
    """
    loaded = load_values(data, source)
    known = {("spec", "resources"): kinds, ("spec", "gates"): gates, ("spec", "checks"): checks}
    problems = list(loaded.problems)
    for place, names in known.items():
        problems += _unknown_names(loaded, place, names)
    for group, sections in (("gates", gates), ("checks", checks)):
        for name, settings in sections.items():
            if settings is not None:
                problems += _settings_problems(loaded, ("spec", group, name), settings)
    return _validated(Spec, loaded, problems, "mend the rollback plan, then: rollbackctl validate " + source)


def load_policy(data: bytes, source: str) -> Policy:
    """Read the firm's policy.

    Raises:
        InvalidInputError: With every problem found, its line and its column.
    """
    loaded = load_values(data, source)
    if loaded.value is None and not loaded.problems:
        return Policy()
    return _validated(Policy, loaded, list(loaded.problems), "the policy's owner must mend it; nothing was changed")


def _validated(model: type[D], loaded: Loaded, problems: list[Problem], hint: str) -> D:
    document: D | None = None
    try:
        document = model.model_validate_json(json.dumps(loaded.value))
    except ValidationError as error:
        worded: dict[Place, str] = {}
        for item in error.errors(include_url=False):
            place, text = _worded(model, loaded, item)
            worded.setdefault(place, text)
        # Of the branches of a union, that one counts which went further into the document.
        outer = {place[:length] for place in worded for length in range(len(place))}
        problems += [loaded.problem(text, place) for place, text in worded.items() if place not in outer]
    if document is None or problems:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
        raise InvalidInputError(f"{loaded.source} has {count}", hint=hint, problems=tuple(problems))
    return document


def _section(loaded: Loaded, place: Place) -> dict[str, Any] | None:
    """The mapping at a place; None where there is none."""
    section: Any = loaded.value
    for part in place:
        section = section.get(part) if isinstance(section, dict) else None
    return section if isinstance(section, dict) else None


def _settings_problems(loaded: Loaded, place: Place, model: type[BaseModel]) -> list[Problem]:
    section = _section(loaded, place)
    try:
        if section is not None:
            model.model_validate_json(json.dumps(section))
    except ValidationError as error:
        items = ({**item, "loc": (*place, *item["loc"])} for item in error.errors(include_url=False))
        return [loaded.problem(text, where) for where, text in (_worded(Spec, loaded, item) for item in items)]
    return []


def _unknown_names(loaded: Loaded, place: Place, names: Collection[str]) -> list[Problem]:
    section = _section(loaded, place)
    if section is None:
        return []
    word = str(place[-1])
    return [
        loaded.problem(
            f"{'.'.join(map(str, place))}.{name}: there is no such {word[:-1]}{_suggestion(name, names)}",
            (*place, name),
        )
        for name in section
        if name not in names
    ]


def _worded(model: type[BaseModel], loaded: Loaded, item: Any) -> tuple[Place, str]:
    place = _place(loaded, item)
    name = ".".join(map(str, place)) or "the document"
    match item["type"]:
        case "missing":
            return place, f"{name} is missing"
        case "extra_forbidden":
            return place, f"{name} is not a known field{_suggestion(str(place[-1]), _fields(model, place[:-1]))}"
        case "string_type" if isinstance(item["input"], int | float | bool):
            return place, f"{name} is {loaded.written.get(place, item['input'])}, not text; write it in quotes"
        case _:
            found, message = item["input"], item["msg"].removeprefix("Value error, ")
            is_shown = isinstance(found, str) and not has_login(found)
            return place, f"{name}: {found!r}: {message}" if is_shown else f"{name}: {message}"


def _place(loaded: Loaded, item: Any) -> Place:
    """Where the document has what an error is about; a union names its branch in the location, and a key says so."""
    place: Place = ()
    for part in item["loc"]:
        if (*place, part) in loaded.places:
            place = (*place, part)
    return (*place, item["loc"][-1]) if item["type"] == "missing" else place


def _fields(model: Any, place: Place) -> list[str]:
    is_mapping = False  # its next part is a key of anybody's choice
    for part in place:
        if is_mapping:
            is_mapping = False
            continue
        field = model.model_fields.get(part) if model is not None else None
        if field is None:
            return []
        options = (field.annotation, *get_args(field.annotation))
        model = next((option for option in options if hasattr(option, "model_fields")), None)
        is_mapping = get_origin(field.annotation) is dict
    return list(model.model_fields) if model is not None else []


def _suggestion(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), 1)
    return f"; did you mean {near[0]}?" if near else ""
