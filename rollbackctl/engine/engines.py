"""Running engines: which of them have acknowledged the serving state, and which have not."""

import time
from pathlib import Path

from bot_core.ai.acknowledgement import EngineAck, is_alive, read_acks
from bot_core.ai.serving import read_serving
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from rollbackctl.core.errors import CheckFailedError

_WAIT_S = 2.0
_POLL_S = 0.02


@frozen
class Engine:
    """One engine that ever acknowledged; `standing` is acknowledged, waiting, gone or on another host."""

    host: str
    pid: int
    generation: int
    standing: str

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.host} pid {self.pid}: {self.standing} (generation {self.generation})"


def engines(root: Path, model_dir: str, host: str) -> tuple[Engine, ...]:
    """Return every engine that has registered under a model folder; writes nothing."""
    folder = root / model_dir
    try:
        generation = read_serving(folder).generation
    except BotCoreError:
        return (
            Engine("all hosts", 0, -1, f"unknown, {model_dir}/serving.json cannot be read: they cannot score either"),
        )
    return tuple(Engine(a.host, a.pid, a.generation, _standing(a, generation, host)) for a in read_acks(folder))


def _standing(ack: EngineAck, generation: int, host: str) -> str:
    if ack.generation == generation:
        return "acknowledged"
    alive = is_alive(ack, host)
    if alive is None:
        return "on another host, has not acknowledged"
    return "waiting" if alive else "gone"


def require_acknowledged(root: Path, model_dir: str, host: str) -> tuple[Engine, ...]:
    """Wait, for a bounded time, until every live engine of this host obeys the present serving state.

    Returns:
        Every engine, for showing.

    Raises:
        CheckFailedError: A live engine has not acknowledged; the holds stay in place.
    """
    end = time.monotonic() + _WAIT_S
    while True:
        found = engines(root, model_dir, host)
        waiting = [engine for engine in found if engine.standing == "waiting"]
        if not waiting:
            return found
        if time.monotonic() >= end:
            raise CheckFailedError(
                "\n".join(
                    ["an engine did not acknowledge; the holds are in place", *(f"  {engine}" for engine in waiting)]
                ),
                hint="it obeys before its next score; wait for one, or stop that process, then run the command again",
            )
        time.sleep(_POLL_S)
