"""Names of files: what can be said of one that is not text, and hidden names beside a file."""

import hashlib
import os

# A name has at most 255 bytes on every file system in use; what stands around a hidden name's stem needs the rest.
_LONGEST_STEM = 220


def legible(name: str) -> str:
    r"""A name or path in which every byte that is not UTF-8 is an escape, such as ``\xff``; a text is itself."""
    return os.fsencode(name).decode(errors="backslashreplace")


def hidden_beside(name: str) -> str:
    """What the hidden names beside the file `name` (lock, temporary files) begin with; short, however long that is."""
    encoded = os.fsencode(name)
    return f".{name}" if len(encoded) <= _LONGEST_STEM else f".{hashlib.sha256(encoded).hexdigest()}"
