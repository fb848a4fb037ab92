"""Asking the run that holds the workspace to stop after its current step, so that a hold can be placed."""

import os
from contextlib import suppress
from pathlib import Path

from bot_core.foundation.atomic_file import make_folder, remove_durable, write_atomic
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_inside_or_none
from rollbackctl.engine.runs import STORE


@frozen
class StopRequest:
    """The file `var/rollbackctl/stop-request`; whoever holds the workspace next takes it away."""

    root: Path

    def ask(self, by: str) -> None:
        """Ask; `by` says who."""
        make_folder(self.root / STORE, root=self.root, mode=None)
        write_atomic(self._path, by.encode(), root=self.root, mode=self._mode())

    def asked_by(self) -> str | None:
        """Return who asks; None when nobody does."""
        data = read_inside_or_none(self.root, f"{STORE}/stop-request")
        return None if data is None else data.decode(errors="replace")

    def clear(self) -> None:
        """Forget the request."""
        if self.asked_by() is not None:
            remove_durable(self._path, root=self.root)

    @property
    def _path(self) -> Path:
        return self.root / STORE / "stop-request"

    def _mode(self) -> int:
        """As open as the store itself."""
        with suppress(OSError):
            return 0o660 if os.stat(self.root / STORE).st_mode & 0o020 else 0o600
        return 0o600
