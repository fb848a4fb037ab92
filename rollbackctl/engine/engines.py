"""Running engines: which of them have acknowledged the serving state, and which was the first to decide by it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot_core.ai.acknowledgement import EngineAck, is_alive, read_acks
from bot_core.ai.serving import read_serving
from bot_core.config.auto_trader import read_maintenance
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_inside_or_none
from bot_core.runtime.journal_scan import journal_files, scan_file
from rollbackctl.core.errors import CheckFailedError, Problem
from rollbackctl.spec.document import Spec

_WAIT_S = 2.0
_POLL_S = 0.02
_DECISION_WAIT_S = 30.0
# Nobody here can tell whether an engine on another host lives; one that does acknowledges within this time.
_ELSEWHERE_WAIT_S = 0.5
_ACKNOWLEDGED, _WAITING, _GONE = "acknowledged", "waiting", "gone"
_ELSEWHERE = "on another host, has not acknowledged"
NONE_SEEN = "none seen"


@frozen
class Engine:
    """One engine that ever acknowledged; `standing` is acknowledged, waiting, gone or on another host."""

    host: str
    pid: int
    generation: int
    standing: str

    def __str__(self) -> str:
        """Return one line for a person."""
        if self.pid == 0:  # no process is known
            return f"{self.host}: {self.standing}"
        return f"{self.host} pid {self.pid}: {self.standing} (generation {self.generation})"


def engines(root: Path, model_dir: str, host: str) -> tuple[Engine, ...]:
    """Return every engine that has registered under a model folder; writes nothing."""
    folder = root / model_dir
    try:
        generation = read_serving(folder).generation
    except (BotCoreError, OSError):
        return (_unknown(f"{model_dir}/serving.json cannot be read, so they cannot score"),)
    try:
        acks = read_acks(folder)
    except (BotCoreError, OSError):
        return (_unknown(f"{model_dir}/engines cannot be read"),)
    return tuple(Engine(a.host, a.pid, a.generation, _standing(a, generation, host)) for a in acks)


def _unknown(reason: str) -> Engine:
    return Engine("on all hosts", 0, -1, f"unknown: {reason}")


def _standing(ack: EngineAck, generation: int, host: str) -> str:
    alive = is_alive(ack, host)
    if alive is False:
        return _GONE
    if ack.generation == generation:
        return _ACKNOWLEDGED
    return _ELSEWHERE if alive is None else _WAITING


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
        waiting = [engine for engine in found if engine.standing == _WAITING]
        if not waiting:
            return found
        if time.monotonic() >= end:
            raise CheckFailedError(
                "an engine did not acknowledge; the holds are in place",
                problems=tuple(Problem(str(engine)) for engine in waiting),
                hint="it obeys before its next score; wait for one, or stop that process, then run the command again",
            )
        time.sleep(_POLL_S)


def first_decision(root: Path, spec: Spec, sha256: str, host: str, pause: Callable[[], None]) -> str:
    """Wait, for a bounded time, until an engine has decided with an artifact under the present serving state.

    Args:
        root: The workspace.
        spec: Says where engines acknowledge and where they write decisions.
        sha256: The artifact's digest.
        host: This host.
        pause: Called again and again while waiting; what it raises ends the wait.

    Returns:
        Which engine was the first, and when; or that none was seen; or why none may decide.

    Raises:
        CheckFailedError: A live engine has not decided.
    """
    model_dir, begun, sizes = spec.spec.serving.model_dir, time.monotonic(), dict[str, int]()
    while True:
        serving = read_serving(root / model_dir)
        found = _decision(root, spec.spec.journal.read, sha256, str(serving.generation), sizes)
        if found is not None:
            return f"{found.get('engine', 'unnamed')}, first decision at {found.get('timestamp')}"
        seen = engines(root, model_dir, host)
        live = [engine for engine in seen if engine.standing in (_ACKNOWLEDGED, _WAITING)]
        waited_s = time.monotonic() - begun
        if not live and (waited_s >= _ELSEWHERE_WAIT_S or all(engine.standing == _GONE for engine in seen)):
            return NONE_SEEN
        if live and (reason := _obstacle(root, spec, attached=serving.attached)):
            return f"{len(live)} seen, none may decide: {reason}"
        if waited_s >= _DECISION_WAIT_S:
            raise CheckFailedError(
                f"the target is released, but no engine has decided with it (sha256 {sha256[:12]}) in "
                f"{_DECISION_WAIT_S:g} s by the journal {spec.spec.journal.read}; "
                "ai_model_rollback_completed is not recorded",
                problems=tuple(Problem(str(engine)) for engine in live),
                hint="give it a candidate, or stop that process, then run the command again",
            )
        pause()
        time.sleep(_POLL_S)


def _decision(root: Path, journal: str, sha256: str, generation: str, sizes: dict[str, int]) -> dict[str, Any] | None:
    """The first decision with an artifact by a generation; files that are as long as `sizes` says are not read."""
    needle = f'"serving_generation":"{generation}"'.encode()
    for name in journal_files(root, journal):
        size = (root / name).stat().st_size if (root / name).exists() else 0
        if size == sizes.get(name, 0):
            continue
        sizes[name] = size
        for _, _, record in scan_file(root, name, needles=[needle]).records:
            if (record.get("model_sha256"), record.get("serving_generation")) == (sha256, generation):
                return record
    return None


def _obstacle(root: Path, spec: Spec, *, attached: bool) -> str:
    """Why no engine may decide now; empty when one may."""
    if not attached:
        return "serving is detached"
    config = spec.spec.autotrader.config
    data = read_inside_or_none(root, config)
    is_on = data is not None and read_maintenance(data, config).value
    return f"maintenance is on in {config}" if is_on else ""
