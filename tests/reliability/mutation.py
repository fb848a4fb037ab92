"""Valid documents made hostile: wrong types, keys too many, doubled or in another order, what is huge, deep or odd."""

import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.hostile import NAMES

_WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 1e308, -0.0, 0.5, "", " ", [], {}, [[]], {"": {}}),
    *("null", "1", "-1", "NaN", "latest", "all", "v9", "v10", "..", "/", "a/b", "../../etc/passwd", "con", "PT0S"),
    *("2025-11-18T08:00:00+00:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2025-11-18", "24:00"),
    *NAMES.values(),
)
# Written as they are: no reader may take them for anything.
_RAW = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1e-999", '"\\ud800"', "01", "0x1", "'a'", "*a")
_LARGE = 2_000


class _Raw(str):
    """A text that stands in the document as it is."""


class _Pairs(list[Any]):
    """An object as its keys and values, in any order and as often as may be."""


def varied(data: bytes, random: Random) -> bytes | None:
    """The bytes of a JSON document, or of lines of JSON, changed; None where they are neither."""
    for lines in ([data], data.splitlines()):
        at = random.randrange(len(lines) or 1)
        try:
            lines[at] = mutated(json.loads(lines[at]), random)
        except (ValueError, IndexError, RecursionError):
            continue
        return b"\n".join(lines) + b"\n" * (len(lines) > 1)
    return None


def mutated(document: Any, random: Random) -> bytes:
    """A JSON document (which is YAML, too) with a few things changed."""
    tree = _opened(document)
    for _ in range(random.randint(1, 4)):
        tree = _changed(tree, random)
    data = _text(tree).encode(errors="surrogatepass")
    return data[: random.randint(0, len(data))] if random.randint(0, 30) == 0 else data


def _opened(value: Any) -> Any:
    if isinstance(value, dict):
        return _Pairs([key, _opened(item)] for key, item in value.items())
    return [_opened(item) for item in value] if isinstance(value, list) else value


def _changed(tree: Any, random: Random) -> Any:
    """The tree with one node changed: on the way down, ever less likely where it stands."""
    if not isinstance(tree, list) or not tree or random.randint(0, 5) == 0:
        return _other(tree, random)
    at = random.randrange(len(tree))
    if isinstance(tree, _Pairs):
        tree[at] = [tree[at][0], _changed(tree[at][1], random)]
    else:
        tree[at] = _changed(tree[at], random)
    return tree


def _other(node: Any, random: Random) -> Any:
    """Something else in a node's place."""
    how = random.randint(0, 9)
    if how <= 4 or not isinstance(node, list):
        return _wrong(node, random)
    if how == 5:
        random.shuffle(node)
    elif how == 6 and node:
        node.append(deepcopy(random.choice(node)))
    elif how == 7 and node:
        del node[random.randrange(len(node))]
    elif isinstance(node, _Pairs):
        node.insert(random.randint(0, len(node)), [random.choice((*NAMES.values(), "", "x")), _wrong(node, random)])
    else:
        node.insert(random.randint(0, len(node)), _wrong(node, random))
    return node


def _wrong(node: Any, random: Random) -> Any:
    how = random.randint(0, 11)
    if how == 0:
        depth = random.choice((31, 33, 63, 65, _LARGE))
        return _Raw("[" * depth + "]" * depth) if random.randint(0, 1) else _Raw('{"a":' * depth + "1" + "}" * depth)
    if how == 1:
        return _Raw(random.choice(_RAW))
    if how == 2:
        return random.choice(("a", "\u202e", "<", "\U0001f600", "9")) * random.choice((300, _LARGE))
    if how == 3:
        inner = deepcopy(node)
        return [inner] if random.randint(0, 1) else _Pairs([["a", inner]])
    if how == 4 and isinstance(node, str) and node:
        at = random.randint(0, len(node))
        return node[:at] + random.choice((*NAMES.values(), "\x00", "/", ".")) + node[at:]
    return _opened(random.choice(_WRONG))


def _text(tree: Any) -> str:
    if isinstance(tree, _Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {_text(value)}" for key, value in tree) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(_text, tree)) + "]"
    return str(tree) if isinstance(tree, _Raw) else json.dumps(tree, ensure_ascii=False)
