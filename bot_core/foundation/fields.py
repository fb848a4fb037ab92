"""Reading the fields of a mapping that came from a file, so that what is wrong is named with the file and the place."""

import math
from collections.abc import Iterator, Mapping
from types import EllipsisType

from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen


@frozen
class Fields:
    """A mapping and where it stands.

    Attributes:
        values: As they were read.
        source: The file, or a name for what is no file.
        place: The mapping's own place in the file, like `profiles.balanced`; "" for the whole file.
    """

    values: Mapping[str, object]
    source: str
    place: str = ""

    def number(self, name: str, default: float | EllipsisType = ..., *, at_least: float | None = None) -> float:
        """A finite number; absent and null give the default.

        Raises:
            FileFormatError: It is no finite number, less than `at_least`, or missing where there is no default.
        """
        value = self.values.get(name)
        if value is None and not isinstance(default, EllipsisType):
            return default
        if value is None:
            raise self.fault(f"{self.at(name)} is missing")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fault(f"{self.at(name)} is {value!r}, not a finite number")
        if at_least is not None and value < at_least:
            raise self.fault(f"{self.at(name)} is {value!r}, less than {at_least:g}")
        return float(value)

    def optional_number(self, name: str, *, at_least: float | None = None) -> float | None:
        """A finite number; None where it is absent or null."""
        return None if self.values.get(name) is None else self.number(name, at_least=at_least)

    def text(self, name: str) -> str:
        """A text that is not empty.

        Raises:
            FileFormatError: It is missing, empty or no text.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            raise self.fault(f"{self.at(name)} is {'missing' if value is None else f'{value!r}, not a text'}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; absent and null are false."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.fault(f"{self.at(name)} is {value!r}, neither true nor false")
        return value is True

    def inner(self, name: str) -> "Fields":
        """The mapping under a name; an empty one where it is absent or null."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise self.fault(f"{self.at(name)} is {value!r}, not a mapping")
        return Fields(value or {}, self.source, self.at(name))

    def each(self) -> Iterator[tuple[str, "Fields"]]:
        """Every mapping in this one, by its name."""
        for name in self.values:
            yield str(name), self.inner(name)

    def fault(self, problem: str) -> FileFormatError:
        """The error for something wrong in the file."""
        return FileFormatError(f"{self.source}: {problem}", path=self.source)

    def at(self, name: str) -> str:
        """The place of a field, from the top of the file."""
        return f"{self.place}.{name}" if self.place else str(name)
