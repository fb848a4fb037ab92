"""Versions that must not be used again: one small file each, which no other writer of the manifest can lose."""

from pathlib import Path

from bot_core.foundation.errors import FileFormatError, UnsafePathError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import list_inside, read_inside
from bot_core.foundation.strict_json import encode_json, parse_object

FOLDER = "quarantine"


@frozen
class Quarantine:
    """A version that is withdrawn.

    Attributes:
        sha256: Digest of the artifact's canonical JSON: a copy under another name is caught as well.
    """

    version: str
    sha256: str
    incident: str
    reason: str

    @classmethod
    def parse(cls, data: bytes, source: str) -> "Quarantine":
        """The quarantine in a file's bytes; keys it does not know are passed over.

        Raises:
            FileFormatError: Not JSON, or one of the four texts is missing; names file and place.
        """
        raw = parse_object(data, source)
        texts: dict[str, str] = {}
        for name in ("version", "sha256", "incident", "reason"):
            value = raw.get(name)
            if not isinstance(value, str):
                raise FileFormatError(f"{source}: {name} is {'not a text' if name in raw else 'missing'}", path=source)
            texts[name] = value
        return cls(**texts)

    def encode(self) -> bytes:
        """The file's bytes: indent 2, sorted keys, newline."""
        fields = {
            "version": self.version,
            "sha256": self.sha256,
            "incident": self.incident,
            "reason": self.reason,
        }
        return encode_json(fields, sort_keys=True, newline=True)

    def words(self) -> str:
        """Why, in words for an error."""
        return f"quarantined by incident {self.incident}: {self.reason}"


def quarantine_file(version: str) -> str:
    """Where the quarantine of a version lies, relative to the repository.

    Raises:
        UnsafePathError: The version cannot be a file's name.
    """
    return f"{FOLDER}/{plain_name(version)}.json"


def plain_name(name: str) -> str:
    """`name`, if it is the name of a file in the folder at hand and nothing more.

    Raises:
        UnsafePathError: It is empty, hidden, or holds a separator or NUL.
    """
    if not name or name.startswith(".") or any(character in name for character in "/\\\0"):
        raise UnsafePathError(f"{name!r} cannot be the name of a file in the repository", path=name)
    return name


def read_quarantines(base: Path) -> tuple[Quarantine, ...]:
    """Every quarantine of a repository; writes nothing.

    Raises:
        FileFormatError: One of the files cannot be read or speaks of another version than its name: nobody can then
            tell what is quarantined, so nothing is allowed.
    """
    return tuple(_read(base, name) for name in list_inside(base, FOLDER, suffix=".json"))


def _read(base: Path, name: str) -> Quarantine:
    source = str(base / FOLDER / name)
    quarantine = Quarantine.parse(read_inside(base, f"{FOLDER}/{name}"), source)
    if f"{quarantine.version}.json" != name:
        raise FileFormatError(f"{source}: version is {quarantine.version!r}, unlike the file's name", path=source)
    return quarantine
