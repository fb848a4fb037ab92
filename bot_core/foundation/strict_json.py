"""Strict JSON: what a careful reader could misread is refused, with the file and the line."""

import codecs
import json
import math
import re
from typing import NoReturn, TypeAlias, Union

from bot_core.foundation.errors import FileFormatError

# Not with "|": an alias that names itself must be a string there, and `JsonValue | None` would then fail at run time.
JsonValue: TypeAlias = Union["dict[str, JsonValue]", "list[JsonValue]", str, int, float, bool, None]

MAX_DEPTH = 64
MAX_INTEGER = 2**63
# What a number that is out of bounds must have: many digits, or an exponent of three or more.
_LARGE = re.compile(r"[0-9]{19}|[0-9][eE]\+?[0-9]{3,}\s*(?:[,}\]]|\Z)")


def parse_json(data: bytes, source: str) -> JsonValue:
    """The JSON value in `data`.

    Args:
        data: The bytes of a whole file.
        source: The file's name, for the error.

    Raises:
        FileFormatError: Not UTF-8, a byte order mark, a syntax error, NaN, an infinite number, an integer beyond 64
            bits, a key given twice, a lone surrogate, or deeper than 64 levels. Carries the line.
    """
    text = _decode(data, source)
    try:
        is_large = _LARGE.search(text) is not None
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite if is_large else None,
            parse_int=_bounded if is_large else None,
        )
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _fault(error.msg, source, error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise _located(text, source) from error
    if _depth_exceeds(value):
        raise _located(text, source)
    return value


def parse_object(data: bytes, source: str) -> dict[str, JsonValue]:
    """The JSON object in `data`; like `parse_json`, and any other top-level value is refused."""
    value = parse_json(data, source)
    if not isinstance(value, dict):
        raise _fault("the top level is not an object", source, 1)
    return value


def encode_json(value: object, *, sort_keys: bool = False, newline: bool = False, indent: int | None = 2) -> bytes:
    """`value` as UTF-8 JSON text, the engine's own layout.

    Raises:
        ValueError: `value` holds NaN, an infinity or a lone surrogate.
    """
    text = json.dumps(value, sort_keys=sort_keys, indent=indent, ensure_ascii=False, allow_nan=False)
    return (text + "\n" * newline).encode()


def _decode(data: bytes, source: str) -> str:
    if data.startswith(codecs.BOM_UTF8):
        raise _fault("begins with a byte order mark", source, 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _fault("not UTF-8", source, data.count(b"\n", 0, error.start) + 1) from error


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError
    return result


def _refuse(_text: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return value


def _bounded(text: str) -> int:
    # The length first: int() of a very long text is slow.
    if len(text) > len(str(-MAX_INTEGER)) or abs(int(text)) > MAX_INTEGER:
        raise ValueError
    return int(text)


def _depth_exceeds(value: JsonValue) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LEXEME = r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+'


def _located(text: str, source: str) -> FileFormatError:
    """The error for the first fault in `text`, whose syntax is right at least up to there.

    The fast reader above only says that there is a fault: its hooks do not know where they are.
    """
    keys_per_level: list[set[str] | None] = []  # None for a list
    previous = ""
    for match in re.finditer(_LEXEME, text):
        lexeme = match.group()
        problem = ""
        if lexeme in "{[":
            keys_per_level.append(set() if lexeme == "{" else None)
            if len(keys_per_level) > MAX_DEPTH:
                problem = f"nested deeper than {MAX_DEPTH} levels"
        elif lexeme in "}]":
            keys_per_level.pop()
        elif lexeme not in ":,":
            problem = _scalar_fault(lexeme, keys_per_level[-1] if keys_per_level and previous in "{," else None)
        if problem:
            return _fault(problem, source, text.count("\n", 0, match.start()) + 1)
        previous = lexeme
    raise AssertionError(f"{source}: the fault was not found again")


def _scalar_fault(lexeme: str, keys: set[str] | None) -> str:
    """What is wrong with a scalar, or ""; `keys` are the earlier keys of the object when it is a key itself."""
    if lexeme.startswith('"'):
        return _string_fault(json.loads(lexeme), keys)
    if lexeme in ("true", "false", "null"):
        return ""
    # Only so much of it was read when the fault was met.
    number = found.group() if (found := _NUMBER.match(lexeme)) else lexeme
    try:
        _finite(number) if re.search("[.eE]", number) else _bounded(number)
    except ValueError:
        shown = lexeme if len(lexeme) <= 40 else lexeme[:40] + "…"
        return f"{shown} is not a finite number of at most 64 bits"
    return ""


def _string_fault(text: str, keys: set[str] | None) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        return f"lone surrogate in {text!a}"
    if keys is None:
        return ""
    if text in keys:
        return f"key {text!r} is given twice"
    keys.add(text)
    return ""


def _fault(problem: str, source: str, line: int) -> FileFormatError:
    return FileFormatError(f"{source}, line {line}: {problem}", path=source, line=line)
