"""The command line as a process of its own: a clock that stands still, and something that happens on the way.

Usage: python -m tests.driver '{"now": ISO, "at": [EVENT, STEP], …}' ARGUMENT…

When the run tells EVENT of STEP, the process sends itself the signals in `send`, or writes a byte to the descriptor
`ready` and stands still until one comes from `go`. `kill_at` ends it with SIGKILL at that call of a Python or built-in
function, counted from the first one named `from`; `count_to` names a descriptor that is told how many there were.
"""

import json
import os
import signal
import sys
from datetime import datetime
from types import FrameType
from typing import Any

from rollbackctl.cli.app import App
from rollbackctl.cli.main import main, run
from rollbackctl.engine.events import Event


class DrivenApp(App):
    """An app in which something happens when a run comes to a step."""

    order: dict[str, Any]

    def listen(self, event: Event) -> None:
        """Tell the event as usual, then do what was ordered."""
        super().listen(event)
        if [event.type, event.fields.get("step")] != self.order.get("at"):
            return
        for name in self.order.get("send", ()):
            os.kill(os.getpid(), signal.Signals[name])
        if "ready" in self.order:
            os.write(self.order["ready"], b".")
            os.read(self.order["go"], 1)


class Calls:
    """Counts calls from the first one of a function's name on, and kills the process at one of them."""

    def __init__(self, first: str, last: int | None) -> None:
        self.count = 0
        self._first = first
        self._last = last

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """See one call."""
        if self.count or frame.f_code.co_name == self._first:
            self.count += event in ("call", "c_call", "c_return")
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def drive(order: dict[str, Any], argv: list[str]) -> int:
    """Run the command line and return its exit code."""
    if order.keys() == {"now"}:
        run(argv, lambda: datetime.fromisoformat(order["now"]))
    app = DrivenApp(lambda: datetime.fromisoformat(order["now"]), os.environ)
    app.order = order
    calls = Calls(order.get("from", "main"), order.get("kill_at"))
    if "kill_at" in order or "count_to" in order:
        sys.setprofile(calls)
    code = main(argv, app)
    sys.setprofile(None)
    app.close()
    if "count_to" in order:
        os.write(order["count_to"], str(calls.count).encode())
    return code


if __name__ == "__main__":
    sys.exit(drive(json.loads(sys.argv[1]), sys.argv[2:]))
