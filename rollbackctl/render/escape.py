"""Foreign text made harmless in Markdown: nothing in a name means anything there."""

import re

from rollbackctl.core.plain import escaped, plain

# A mention on GitHub begins at an @ that follows no letter or digit; what follows one is an address or a host.
_MARKUP = re.compile(r"[`<]|(?<![A-Za-z0-9])@")

_WORD = re.compile(r"""[("']?(?:[^\W_]+(?:[-'’][^\W\d_]+)*(?:\(s\))?|[0-9]+(?:\.[0-9]+)*%?)[)"',.;:!?]*""")
_LINKED = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)  # GitHub links what may be a commit
_LIST_ITEM = re.compile(r"[0-9]+[.)]")
_SIGNS = {"->": "→", "-": "–", "…": "…"}


def clip(text: str, limit: int) -> str:
    """Cut a plain text after `limit` characters and say how many follow."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def fenced(text: str) -> str:
    r"""Make a text harmless within a Markdown fence: `plain`, and backticks, tags and mentions as escapes.

    GitHub reads neither tags nor mentions within a fence; other readers of the same text (mail, chat) may.
    """
    return _MARKUP.sub(escaped, plain(text))


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
