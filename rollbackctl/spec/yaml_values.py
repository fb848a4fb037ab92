"""Strict YAML to plain values, with the place of every key: no anchors, tags, duplicate keys or non-finite numbers."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rollbackctl.core.errors import InvalidInputError, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
_INT = re.compile(r"[-+]?[0-9]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)$")
_WORDS = {"null": None, "Null": None, "NULL": None, "~": None, "": None} | {
    word: value for name, value in (("true", True), ("false", False)) for word in (name, name.title(), name.upper())
}

Place = tuple[str | int, ...]


@dataclass
class Loaded:
    """A document's plain value, and where each part of it stands: path -> (line, column), counted from 1."""

    source: str
    value: Any = None
    places: dict[Place, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, text: str, place: Place) -> Problem:
        """Make a problem at a place, or at the nearest place above it that exists."""
        while place not in self.places and place:
            place = place[:-1]
        line, column = self.places.get(place, (1, 1))
        return Problem(text, self.source, line, column)


def load_values(data: bytes, source: str) -> Loaded:
    """Read one YAML document; every problem that does not stop the parser is collected.

    Raises:
        InvalidInputError: The document is too large, not UTF-8, or not YAML.
    """
    from ruamel.yaml import YAML  # 40 ms: only where YAML is read
    from ruamel.yaml.error import YAMLError

    if len(data) > MAX_BYTES:
        raise _refusal(source, f"the file has {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        bad_line = data[: error.start].count(b"\n") + 1
        raise _refusal(source, "the file is not UTF-8", bad_line) from error
    loaded = Loaded(source)
    try:
        events = YAML(typ="safe", pure=True).parse(text)
        _Builder(loaded, events).document()
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        column = None if mark is None else mark.column + 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _refusal(source, f"not YAML: {problem}", line, column) from error
    return loaded


def _refusal(source: str, text: str, line: int | None = None, column: int | None = None) -> InvalidInputError:
    return InvalidInputError(
        f"{source} cannot be read",
        hint="mend the file and run the command again; nothing was changed",
        problems=(Problem(text, source, line, column),),
    )


class _Builder:
    """Builds values from parser events, so that nothing is composed or constructed before it is allowed."""

    def __init__(self, loaded: Loaded, events: Iterator[Any]) -> None:
        self.loaded = loaded
        self.events = events

    def document(self) -> None:
        documents = 0
        for event in self.events:
            if type(event).__name__ == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._note(event, "a second document; the file must hold one")
                    return
                self.loaded.value = self._node(next(self.events), (), 1)

    def _note(self, event: Any, text: str) -> None:
        mark = event.start_mark
        self.loaded.problems.append(Problem(text, self.loaded.source, mark.line + 1, mark.column + 1))

    def _node(self, event: Any, place: Place, depth: int) -> Any:
        self.loaded.places.setdefault(place, (event.start_mark.line + 1, event.start_mark.column + 1))
        if getattr(event, "anchor", None):
            word = "alias" if type(event).__name__ == "AliasEvent" else "anchor"
            self._note(event, f"the {word} '{event.anchor}' is not allowed; write the value out")
        if getattr(event, "tag", None):
            self._note(event, f"the tag '{event.tag}' is not allowed")
        if depth > MAX_DEPTH:
            raise _refusal(self.loaded.source, f"nested deeper than {MAX_DEPTH} levels", event.start_mark.line + 1)
        match type(event).__name__:
            case "ScalarEvent":
                return self._scalar(event)
            case "SequenceStartEvent":
                return list(self._items(place, depth))
            case "MappingStartEvent":
                return self._mapping(place, depth)
            case _:
                return None

    def _items(self, place: Place, depth: int) -> Iterator[Any]:
        index = 0
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            yield self._node(event, (*place, index), depth + 1)
            index += 1

    def _mapping(self, place: Place, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            key = self._node(event, (*place, "?"), depth + 1)
            del self.loaded.places[(*place, "?")]
            if not isinstance(key, str):
                self._note(event, f"the key {key!r} is not text; write it in quotes")
                key = str(key)
            if key in values:
                self._note(event, f"the key '{key}' stands twice")
            self.loaded.places[(*place, key)] = (event.start_mark.line + 1, event.start_mark.column + 1)
            values[key] = self._node(next(self.events), (*place, key), depth + 1)
        return values

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
            self._note(event, "a lone surrogate is not text")
            return ""
        if event.style in ("'", '"', "|", ">"):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            return self._number(event, int(text) if len(text) <= 20 else math.inf)
        if _FLOAT.match(text) or _SPECIAL_FLOAT.match(text):
            return self._number(event, float(text.replace(".inf", "inf").replace(".nan", "nan").lower().lstrip(".")))
        return text

    def _number(self, event: Any, number: float) -> float:
        if not math.isfinite(number):
            self._note(event, f"{event.value} is not a finite number")
            return 0
        return number
