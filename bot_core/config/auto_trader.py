"""The maintenance flag of the auto trader's YAML file, changed without touching any other byte."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from bot_core.foundation.bounded_yaml import bounded_yaml
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen, replace

if TYPE_CHECKING:
    from ruamel.yaml.events import Event, NodeEvent

_SECTION = "auto_trader"
_KEY = "maintenance"
_MERGE = "<<"
_MAX_BYTES = 256 * 1024
_MAX_DEPTH = 64
# YAML 1.1, which the engine's parser speaks: `no` and `off` are booleans.
_WORDS = {
    spelling: value
    for word, value in (("true", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("off", False))
    for spelling in (word, word.capitalize(), word.upper())
}
_NULLS = ("", "~", "null", "Null", "NULL")


@frozen
class MaintenanceFlag:
    """The flag as the file has it.

    Attributes:
        value: Whether maintenance is on; False where nobody says anything.
        token: The section's own value as written (`no`, `"off"`, `*flag`; empty for a key without a value);
            None when the section has no such key of its own, so that the flag is inherited by a merge or missing.
        rest: Digest of everything but the flag: the same whatever token is set, None included.
        exists: False when neither the section nor a mapping merged into it has the key.
    """

    value: bool
    token: str | None
    rest: str
    exists: bool


def read_maintenance(data: bytes, source: str) -> MaintenanceFlag:
    """Read `auto_trader.maintenance`.

    Raises:
        FileFormatError: Not one UTF-8 YAML document of at most 256 KiB, no `auto_trader` section of its own, the key
            written twice, or a flag that is neither true nor false.
    """
    site = _locate(data, source)
    return MaintenanceFlag(site.value, site.token, site.rest, site.exists)


def set_maintenance(data: bytes, source: str, token: str | None) -> bytes:
    """The file with `token` as the section's own flag; exactly one line differs.

    Where the section has no such key of its own, one is put in before its others; with `token` None that one is taken
    out again. To set a token, and then the one that `read_maintenance` gave before, leads back to the same bytes.

    Raises:
        FileFormatError: As `read_maintenance`; or the change cannot be made without changing more.
    """
    site = _locate(data, source)
    changed = site.with_token(token).encode()
    try:
        after = _locate(changed, source)
        is_clean = (after.token, after.rest) == (token, site.rest)
    except FileFormatError:
        is_clean = False
    if not is_clean:
        raise FileFormatError(
            f"{_SECTION}.{_KEY} cannot be set to {token!r} without changing more of the file",
            hint="change the flag by hand",
            path=source,
            line=site.line,
        )
    return changed


@frozen
class _Slot:
    """Where a flag is put in, and what stands before and after its value there."""

    start: int
    opening: str
    closing: str


@frozen
class _Site:
    """The flag's token and the text around it.

    `opening` and `closing` belong to a flag that was, or would be, put in: they come and go with it.
    `is_spaced` says that one space, or nothing at all, stands between the colon and the value.
    """

    head: str
    tail: str
    token: str | None
    line: int
    opening: str = ""
    closing: str = ""
    is_spaced: bool = True
    value: bool = False
    exists: bool = False

    @property
    def rest(self) -> str:
        # NUL cannot occur in YAML, so this keeps two files apart that differ by that space only.
        gap = "" if self.is_spaced else "\0"
        return sha256_hex(f"{self.head}{gap}{self.tail}".encode())

    def with_token(self, token: str | None) -> str:
        if token is None:
            return self.head + self.tail
        value = f" {token}" if self.is_spaced and token else token
        return f"{self.head}{self.opening}{value}{self.closing}{self.tail}"


@frozen
class _Node:
    """A YAML node and where it is written; an alias has its own place and the content of what it repeats."""

    start: int
    end: int
    line: int
    column: int
    scalar: str | None = None
    is_plain: bool = False
    is_flow: bool = False
    is_alias: bool = False
    items: tuple["_Node", ...] = ()
    pairs: tuple[tuple["_Node", "_Node"], ...] | None = None
    flag: "_Node | None" = None


@lru_cache(maxsize=4)  # a run looks at the same few bytes ten times, and reading YAML takes 8 ms
def _locate(data: bytes, source: str) -> _Site:
    text = _decode(data, source)
    section = _section(_compose(text, source), source)
    own = _only(section, _KEY, source)
    if _only(section, f"{_KEY}:", source):  # `{maintenance:}`, which parsers read in two ways
        raise FileFormatError(f"{_SECTION}.{_KEY} has no value", path=source, line=section.line)
    slot = _slot(text, section, source, is_alone=len(section.pairs or ()) == (own is not None))
    site = _unset_site(text, section, slot) if own is None else _own_site(text, section, own, slot, source)
    flag = section.flag
    return site if flag is None else replace(site, value=_truth(flag, source), exists=True)


def _unset_site(text: str, section: _Node, slot: _Slot) -> _Site:
    return _Site(text[: slot.start], text[slot.start :], None, section.line, slot.opening, slot.closing)


def _own_site(text: str, section: _Node, own: tuple[_Node, _Node], slot: _Slot, source: str) -> _Site:
    key = own[0]
    start, end = _value_span(text, *own, source)
    token = text[start:end]
    if len(token.splitlines()) > 1:
        raise FileFormatError(f"{_SECTION}.{_KEY} is written over several lines", path=source, line=key.line)
    is_spaced = start == end or text[start - 2 : start] == ": "
    head = text[: start - 1] if is_spaced and token else text[:start]
    put_in = _Site(text[: slot.start], text[end + len(slot.closing) :], token, key.line, slot.opening, slot.closing)
    if put_in.with_token(token) == text and _is_first(section, key, end + len(slot.closing)):
        return put_in
    return _Site(head, text[end:], token, key.line, is_spaced=is_spaced)


def _is_first(section: _Node, key: _Node, stop: int) -> bool:
    """Whether the flag is the section's first key and, in a block, the next key's line begins at `stop`."""
    pairs = section.pairs or ()
    if pairs[0][0] is not key:
        return False
    return section.is_flow or (len(pairs) > 1 and pairs[1][0].start - pairs[1][0].column == stop)


def _slot(text: str, section: _Node, source: str, *, is_alone: bool) -> _Slot:
    if section.is_flow:
        return _Slot(text.index("{", section.start) + 1, f"{_KEY}:", "" if is_alone else ", ")
    first = (section.pairs or ())[0][0]
    start = first.start - first.column
    indent, before = text[start : first.start], text[:start]
    ending = next((ending for ending in ("\r\n", "\n", "\r") if before.endswith(ending)), None)
    if indent.strip(" ") or ending is None:
        raise FileFormatError(f"{_SECTION} does not begin on a line of its own", path=source, line=first.line)
    return _Slot(start, f"{indent}{_KEY}:", ending)


def _value_span(text: str, key: _Node, value: _Node, source: str) -> tuple[int, int]:
    if value.end > value.start:
        return value.start, value.end
    colon = re.compile(r"\s*:").match(text, key.end)
    if colon is None:
        raise FileFormatError(f"{_SECTION}.{_KEY} has no value and no colon", path=source, line=key.line)
    return colon.end(), colon.end()


def _truth(node: _Node, source: str) -> bool:
    if node.scalar in _WORDS:
        return _WORDS[node.scalar]
    if node.is_plain and node.scalar in _NULLS:
        return False
    problem = "a collection" if node.scalar is None else repr(node.scalar)
    raise FileFormatError(f"{_SECTION}.{_KEY} is {problem}, neither true nor false", path=source, line=node.line)


def _section(root: _Node | None, source: str) -> _Node:
    if root is None or root.pairs is None:
        raise FileFormatError("the top level is not a mapping", path=source, line=1)
    pair = _only(root, _SECTION, source)
    if pair is None:
        raise FileFormatError(f"{_SECTION} is missing", path=source, line=root.line)
    section = pair[1]
    if section.is_alias:
        raise FileFormatError(f"{_SECTION} only repeats another section", path=source, line=section.line)
    if section.pairs is None:
        raise FileFormatError(f"{_SECTION} is not a mapping", path=source, line=pair[0].line)
    return section


def _only(mapping: _Node, key: str, source: str) -> tuple[_Node, _Node] | None:
    found = [pair for pair in mapping.pairs or () if pair[0].scalar == key]
    if len(found) > 1:
        raise FileFormatError(f"{key} is written twice", path=source, line=found[1][0].line)
    return found[0] if found else None


def _decode(data: bytes, source: str) -> str:
    if len(data) > _MAX_BYTES:
        raise FileFormatError(f"larger than {_MAX_BYTES} bytes", path=source)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileFormatError("not UTF-8", path=source, line=line) from error


def _compose(text: str, source: str) -> _Node | None:
    """The document's top node, None for an empty file."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import DocumentStartEvent, NodeEvent

    root = None
    try:
        events = bounded_yaml(_MAX_DEPTH).parse(text)
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise FileFormatError("more than one document", path=source, line=event.start_mark.line + 1)
            if isinstance(event, NodeEvent):
                root = _Composer(events, source).node(event, 1)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise FileFormatError(f"not YAML: {error.problem}", path=source, line=line) from error
    except (YAMLError, ValueError, OverflowError) as error:  # the latter two: an escape or a version beyond all bounds
        raise FileFormatError("not YAML: a character that YAML does not allow", path=source) from error
    return root


class _Composer:
    """Builds nodes from events; anchors are known once their node is complete, so that nothing contains itself."""

    def __init__(self, events: Iterator["Event"], source: str) -> None:
        self._events = events
        self._source = source
        self._anchors: dict[str, _Node] = {}

    def node(self, event: "NodeEvent", depth: int) -> _Node:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent

        mark = event.start_mark
        place = _Node(mark.index, event.end_mark.index, mark.line + 1, mark.column)
        if depth > _MAX_DEPTH:
            raise FileFormatError(f"deeper than {_MAX_DEPTH} levels", path=self._source, line=place.line)
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor, place)
        if isinstance(event, ScalarEvent):
            node = replace(place, scalar=event.value, is_plain=event.style is None)
        else:
            children = self._children(depth + 1)
            if isinstance(event, MappingStartEvent):
                pairs = tuple(zip(children[::2], children[1::2], strict=True))
                node = replace(place, pairs=pairs, flag=_effective_flag(pairs), is_flow=event.flow_style)
            else:
                node = replace(place, items=children)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _children(self, depth: int) -> tuple[_Node, ...]:
        from ruamel.yaml.events import NodeEvent

        children: list[_Node] = []
        for event in self._events:
            if not isinstance(event, NodeEvent):
                return tuple(children)
            children.append(self.node(event, depth))
        return tuple(children)

    def _alias(self, anchor: str, place: _Node) -> _Node:
        if anchor not in self._anchors:
            raise FileFormatError(f"*{anchor} repeats nothing before it", path=self._source, line=place.line)
        return replace(
            self._anchors[anchor], start=place.start, end=place.end, line=place.line, column=place.column, is_alias=True
        )


def _effective_flag(pairs: tuple[tuple[_Node, _Node], ...]) -> _Node | None:
    """The flag of a mapping, merges included, in the precedence of the engine's parser."""
    own = [value for key, value in pairs if key.scalar == _KEY]
    if own:
        return own[-1]
    merged = [value for key, value in pairs if key.scalar == _MERGE and key.is_plain]
    sources = [source for value in merged for source in (value.items[::-1] if value.pairs is None else (value,))]
    flags = [source.flag for source in sources if source.flag is not None]
    return flags[-1] if flags else None
