"""Foreign text made harmless for whoever reads it: nothing in a name steers a terminal, hides, or ends a line."""

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


def plain(text: str) -> str:
    r"""Write every control, bidirectional, invisible and line-breaking character as an escape, such as ``\x1b``.

    What comes out is one line that shows all that is in it. Applying it again changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub(escaped, text)


def escaped(found: re.Match[str]) -> str:
    """Return a character as an escape."""
    point = ord(found.group())
    if point < 0x100:
        named = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
        return named.get(point, f"\\x{point:02x}")
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
