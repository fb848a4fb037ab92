"""Strict YAML to plain values, with the place of every key: no anchors, tags, duplicate keys or non-finite numbers."""

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot_core.foundation.bounded_yaml import bounded_yaml
from rollbackctl.core.errors import InvalidInputError, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000  # a plan has some dozens; the parser needs seconds for what fits in MAX_BYTES
MAX_INTEGER = 2**63  # as in every JSON file that a plan is saved to
_INT = re.compile(r"[-+]?[0-9]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)$")
_WORDS = {"null": None, "Null": None, "NULL": None, "~": None, "": None} | {
    word: value for name, value in (("true", True), ("false", False)) for word in (name, name.title(), name.upper())
}

Place = tuple[str | int, ...]


@dataclass
class Loaded:
    """A document's plain value, and where each part of it stands: path -> (line, column), counted from 1.

    `written` is the text of each number, truth value and null as its author wrote it: `1.10`, not 1.1.
    """

    source: str
    value: Any = None
    places: dict[Place, tuple[int, int]] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)
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
        InvalidInputError: The document is too large, too deep, not UTF-8, or not YAML.
    """
    loaded = Loaded(source)
    if len(data) > MAX_BYTES:
        raise _refusal(loaded, Problem(f"the file has {len(data)} bytes; at most {MAX_BYTES} are read", source))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _refusal(loaded, _at(data[: error.start].decode(), source, "the file is not UTF-8")) from error
    _Builder(loaded, _events(text, loaded)).document()
    return loaded


def _events(text: str, loaded: Loaded) -> Iterator[Any]:
    """Yield the parser's events; nothing is composed or constructed.

    Raises:
        InvalidInputError: The text is not YAML.
    """
    from ruamel.yaml.error import YAMLError  # 40 ms: only where YAML is read
    from ruamel.yaml.reader import ReaderError

    try:
        yield from bounded_yaml(MAX_DEPTH).parse(text)
    except ReaderError as error:
        problem = f"not YAML: the character U+{error.character:04X} is not allowed"
        raise _refusal(loaded, _at(text[: error.position], loaded.source, problem)) from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (None, None) if mark is None else (mark.line + 1, mark.column + 1)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _refusal(loaded, Problem(f"not YAML: {problem}", loaded.source, *place)) from error
    except (ValueError, OverflowError) as error:  # from the parser alone: an escape or a version beyond all bounds
        raise _refusal(loaded, _beyond_bounds(text, loaded.source)) from error


def _beyond_bounds(text: str, source: str) -> Problem:
    for found in re.finditer(r"\\U([0-9A-Fa-f]{8})", text):
        if int(found[1], 16) > sys.maxunicode:
            return _at(text[: found.start()], source, f"not YAML: the escape {found[0]} is no character")
    return Problem("not YAML: a number in it is too large", source, 1, 1)


def _at(before: str, source: str, problem: str) -> Problem:
    """Place a problem after a text."""
    return Problem(problem, source, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _refusal(loaded: Loaded, problem: Problem) -> InvalidInputError:
    return InvalidInputError(
        f"{loaded.source} cannot be read",
        hint="mend the file and run the command again; nothing was changed",
        problems=(*loaded.problems, problem),
    )


class _Builder:
    """Builds values from parser events, so that nothing is composed or constructed before it is allowed."""

    def __init__(self, loaded: Loaded, events: Iterator[Any]) -> None:
        self.loaded = loaded
        self.events = events
        self.values = 0

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
        self.loaded.problems.append(self._problem(event, text))

    def _problem(self, event: Any, text: str) -> Problem:
        mark = event.start_mark
        return Problem(text, self.loaded.source, mark.line + 1, mark.column + 1)

    def _node(self, event: Any, place: Place, depth: int) -> Any:
        self.loaded.places.setdefault(place, (event.start_mark.line + 1, event.start_mark.column + 1))
        if getattr(event, "anchor", None):
            word = "alias" if type(event).__name__ == "AliasEvent" else "anchor"
            self._note(event, f"the {word} '{event.anchor}' is not allowed; write the value out")
        if getattr(event, "tag", None):
            self._note(event, f"the tag '{event.tag}' is not allowed")
        self.values += 1
        if depth > MAX_DEPTH:
            raise _refusal(self.loaded, self._problem(event, f"nested deeper than {MAX_DEPTH} levels"))
        if self.values > MAX_VALUES:
            raise _refusal(self.loaded, self._problem(event, f"more than {MAX_VALUES} values"))
        match type(event).__name__:
            case "ScalarEvent":
                return self._scalar(event, place)
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
            key = self._key(event, place, depth)
            if key in values:
                self._note(event, f"the key '{key}' stands twice")
            self.loaded.places[(*place, key)] = (event.start_mark.line + 1, event.start_mark.column + 1)
            values[key] = self._node(next(self.events), (*place, key), depth + 1)
        return values

    def _key(self, event: Any, place: Place, depth: int) -> str:
        here = (*place, -1)  # no part of a mapping has a number for a name
        key = self._node(event, here, depth + 1)
        del self.loaded.places[here]
        if isinstance(key, str):
            return key
        written = self.loaded.written.pop(here, None)
        if written:
            self._note(event, f"the key {written} is not text; write it in quotes")
        elif written is not None:
            self._note(event, "the key is empty")
        elif key is not None:
            self._note(event, "the key is not text but a list or a mapping")
        return written or str(key)

    def _scalar(self, event: Any, place: Place) -> Any:
        text: str = event.value
        if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
            self._note(event, "a lone surrogate is not text")
            return ""
        if event.style in ("'", '"', "|", ">"):
            return text
        if text in _WORDS:
            self.loaded.written[place] = text
            return _WORDS[text]
        number = _number(text)
        if number is None:
            return text
        self.loaded.written[place] = text
        if not math.isfinite(number):
            shown = text if len(text) <= 40 else text[:40] + "…"
            self._note(event, f"{shown} is not a finite number of at most 64 bits")
            return 0
        return number


def _number(text: str) -> float | None:
    """Return the number that a plain scalar is, infinite where it is too large; None when it is text."""
    if _INT.match(text):
        # The length first: int() of a very long text is slow.
        is_small = len(text) <= len(str(-MAX_INTEGER)) and abs(int(text)) <= MAX_INTEGER
        return int(text) if is_small else math.inf
    if _SPECIAL_FLOAT.match(text):
        return math.inf
    return float(text) if _FLOAT.match(text) else None
