"""The name of one resource: its kind and its name within the kind."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Address:
    """``kind/name``; the total order is the print order."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return ``kind/name``."""
        return f"{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``kind/name``; the name may contain slashes.

        Raises:
            ValueError: There is no slash, or one side of the first one is empty.
        """
        kind, slash, name = text.partition("/")
        if not slash or not kind or not name:
            raise ValueError(f"{text!r} is not kind/name")
        return cls(kind, name)
