"""Running engines and the trader's maintenance flag: obeyed before each decision, changed between two of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bot_core.config.auto_trader import MaintenanceFlag, read_maintenance, set_maintenance
from bot_core.foundation.atomic_file import sync, write_atomic
from bot_core.foundation.errors import BotCoreError, MissingFileError
from bot_core.foundation.lock import FileLock
from bot_core.foundation.names import hidden_beside
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.shared_lock import SharedLock
from bot_core.foundation.watched_file import WatchedFile

_WAIT_S = 10.0


class InMaintenanceError(BotCoreError):
    """A decision was asked for while the trader is in maintenance."""


def change_maintenance(
    root: Path, relative: str, token: str | None, *, expected: MaintenanceFlag | None = None
) -> None:
    """Set the flag's token, durably, when no engine is in the middle of a decision; see `set_maintenance`.

    When this returns, no decision is made by the flag before. After a crash the file has one token or the other.

    Args:
        root: A trusted folder.
        relative: The trader's file below it.
        token: As the section itself shall write the flag; None: not at all.
        expected: What the file must still say, or nothing is changed; None: it may say anything.

    Raises:
        LockTimeoutError: An engine did not finish its decision in time; nothing is changed.
        FileFormatError: As `set_maintenance`.
        MissingFileError: There is no such file.
    """
    path = root / relative
    with FileLock(_lock_path(path), root=root, announces=True).hold(timeout_s=_WAIT_S) as require_held:
        before = read_inside(root, relative)
        if expected is not None and read_maintenance(before, relative) != expected:
            return
        after = set_maintenance(before, relative, token)
        if after == before:
            sync(path)
        else:
            require_held()
            write_atomic(path, after, root=root)


class MaintenanceWatch:
    """The flag as a running engine obeys it.

    To ask costs a few system calls; the file is read only when it has changed. No file means that there is no trader
    to stop.
    """

    def __init__(self, config: Path) -> None:
        """Name the trader's file; nothing is read or written yet."""
        self._config = config
        self._lock = SharedLock(_lock_path(config), timeout_s=_WAIT_S)
        self._is_on = WatchedFile(config.parent, config.name, _reader(config.name))

    def require_held(self) -> None:
        """See, within `off`, that nobody can have changed the flag meanwhile; LockBrokenError where somebody can."""
        self._lock.require_held()

    @contextmanager
    def off(self) -> Iterator[None]:
        """Held while a decision is made: a share of the lock that a change of the flag takes alone.

        Raises:
            InMaintenanceError: The flag is set.
            FileFormatError: The file cannot be read as the trader's, so that nobody knows.
            LockTimeoutError: Somebody who changes the flag does not come to an end.
        """
        with ExitStack() as stack:
            with suppress(MissingFileError):  # without its folder there is no file whose flag anybody could change
                stack.enter_context(self._lock)
            if self._is_on.value():
                raise InMaintenanceError(f"maintenance is on in {self._config}")
            yield


def _lock_path(config: Path) -> Path:
    return config.with_name(f"{hidden_beside(config.name)}.lock")


def _reader(name: str) -> Callable[[bytes | None], bool]:
    return lambda data: data is not None and read_maintenance(data, name).value
