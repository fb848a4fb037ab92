"""Signals during a run: the first one stops it after its current step, a second Ctrl-C at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rollbackctl.cli.app import App

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping_on_signals(app: App) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request to stop; restore the old handlers at the end."""

    def ask(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and app.stop_reason is not None:
            os._exit(130)  # the protocol survives a kill at any point; the run can be continued
        app.stop_reason = f"signal {signal.Signals(number).name}"
        app.say(f"{app.stop_reason}: stopping after the current step; press Ctrl-C again to stop at once")

    old = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """While a question waits for its answer, a signal ends the command at once: nothing has begun."""
    old = {number: signal.getsignal(number) for number in _SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
