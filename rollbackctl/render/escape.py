"""Foreign text made harmless: nothing in a name steers a terminal, hides, or means anything in Markdown."""

import re

_HIDDEN = re.compile(
    "["
    r"\u0000-\u001f\u007f-\u009f"  # C0, DEL and C1: newlines, tabs, terminal sequences
    r"\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # line separators, bidirectional controls
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u2800\u3164"  # unseen
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001345f"  # other format characters
    r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"  # spaces that are not the space
    r"\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff"  # no characters, or private ones
    "]"
)

# A mention on GitHub begins at an @ that follows no letter or digit; what follows one is an address or a host.
_MARKUP = re.compile(r"[`<]|(?<![A-Za-z0-9])@")

_WORD = re.compile(r"""[("']?(?:[^\W_]+(?:[-'’][^\W\d_]+)*(?:\(s\))?|[0-9]+(?:\.[0-9]+)*%?)[)"',.;:!?]*""")
_LINKED = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)  # GitHub links what may be a commit
_LIST_ITEM = re.compile(r"[0-9]+[.)]")
_SIGNS = {"->": "→", "-": "–", "…": "…"}


def plain(text: str) -> str:
    r"""Write every control, bidirectional, invisible and line-breaking character as an escape, such as ``\x1b``.

    What comes out is one line that shows all that is in it. Applying it again changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(_escaped, text)


def clip(text: str, limit: int) -> str:
    """Cut a plain text after `limit` characters and say how many follow."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def fenced(text: str) -> str:
    r"""Make a text harmless within a Markdown fence: `plain`, and backticks, tags and mentions as escapes.

    GitHub reads neither tags nor mentions within a fence; other readers of the same text (mail, chat) may.
    """
    return _MARKUP.sub(_escaped, plain(text))


def code(text: str) -> str:
    """Return a text as a Markdown code span, in which nothing is read as markup, mention, reference or link."""
    return f"`{fenced(text) or ' '}`"


def markdown(text: str) -> str:
    """Return a text as Markdown prose: plain words stay, everything else becomes a code span.

    An allowlist, since what is active in Markdown differs by reader: mentions, issue and commit references, bare
    links and custom references all survive backslashes and entities, and none survives a code span.
    """
    pieces: list[str] = []
    span: list[str] = []
    for token in plain(text).split():
        if _is_prose(token):
            _close(span, pieces)
            pieces.append(_SIGNS.get(token, token))
            continue
        core = token.rstrip(",.;:") or token
        span.append(core)
        if core != token:
            _close(span, pieces, token[len(core) :])
    _close(span, pieces)
    return " ".join(pieces) or code("")  # an empty list item would make a heading of the line above it


def _is_prose(token: str) -> bool:
    if token in _SIGNS:
        return True
    linked = _LINKED.fullmatch(token.strip("(),.;:!?\"'"))
    return _WORD.fullmatch(token) is not None and linked is None and _LIST_ITEM.fullmatch(token) is None


def _close(span: list[str], pieces: list[str], suffix: str = "") -> None:
    """End the code span that is being collected, if there is one."""
    if span:
        pieces.append(code(" ".join(span)) + suffix)
        span.clear()


def _escaped(found: re.Match[str]) -> str:
    point = ord(found.group())
    if point < 0x100:
        named = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
        return named.get(point, f"\\x{point:02x}")
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
