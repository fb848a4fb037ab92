"""The errors that a caller of `bot_core` can meet; each carries facts, not a formatted screen."""

from collections.abc import Mapping


class BotCoreError(Exception):
    """Something is wrong with a named thing.

    Attributes:
        problem: What is wrong with which thing; also the text of the error.
        hint: What to do next, or "".
        path: The file it is about, or None.
        line: The line in that file, counted from 1, or None.
    """

    def __init__(self, problem: str, *, hint: str = "", path: str | None = None, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.path = path
        self.line = line

    @property
    def located(self) -> str:
        """The problem, after its file and line where it does not name them itself."""
        where = f"{self.path}:{self.line}" if self.path and self.line else self.path or ""
        is_named = where in self.problem or f"{self.path}, line {self.line}" in self.problem
        return self.problem if is_named else f"{where}: {self.problem}"


class FileFormatError(BotCoreError):
    """The content of a file is not what it must be."""


class UnsafePathError(BotCoreError):
    """A path leaves its root, or leads to a link, a FIFO, a device or another thing that is not a plain file."""


class MissingFileError(BotCoreError):
    """A file or folder that must exist does not."""


class UnresolvedReferenceError(BotCoreError):
    """A version or an alias cannot be resolved: missing, dangling, cyclic or quarantined."""


class IntegrityError(BotCoreError):
    """Bytes are not the bytes that were signed or recorded."""


class LockBrokenError(BotCoreError):
    """The file of a lock that is held is no longer there, so that the lock keeps nobody out."""


class LockTimeoutError(BotCoreError):
    """A lock was not free within the time given.

    Attributes:
        holder: What the holder wrote about itself; None when it wrote nothing.
        processes: The numbers of the processes that hold it, as far as the kernel tells this one.
    """

    def __init__(
        self,
        problem: str,
        *,
        holder: Mapping[str, object] | None,
        processes: tuple[int, ...] = (),
        hint: str = "",
        path: str | None = None,
    ) -> None:
        super().__init__(problem, hint=hint, path=path)
        self.holder = holder
        self.processes = processes
