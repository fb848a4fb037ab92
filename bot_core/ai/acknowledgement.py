"""What running engines say they obey: `model_dir/engines/<host>-<pid>.json`, one file a process."""

import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from bot_core.ai.instant import format_instant, parse_instant
from bot_core.foundation.atomic_file import make_folder, remove_durable, write_atomic
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import list_inside, read_inside
from bot_core.foundation.strict_json import encode_json, parse_object

_FOLDER = "engines"


@frozen
class EngineAck:
    """The generation of `serving.json` that one engine process says it obeys.

    Attributes:
        pid: 0 where the file cannot be read and its name does not say.
        generation: -1 where the file cannot be read.
        time: None where the file cannot be read.
        started: When the process began, in the kernel's ticks since boot, so that another process which has its number
            later is not taken for it; None where the writer could not tell.
        error: What is wrong with the file, or "".
    """

    host: str
    pid: int
    generation: int
    time: datetime | None
    started: int | None = None
    error: str = ""

    @property
    def engine(self) -> str:
        """The engine's name, as the decision journal has it too."""
        return f"{self.host}-{self.pid}"


def write_ack(model_dir: Path, generation: int, now: datetime) -> None:
    """Say, durably, that this process obeys `generation`; after a crash the earlier word stands, or this one."""
    fields = {
        "host": this_host(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "generation": generation,
        "time": format_instant(now),
    }
    make_folder(model_dir / _FOLDER, root=model_dir, mode=None)
    data = encode_json(fields, sort_keys=True, newline=True)
    write_atomic(model_dir / _FOLDER / f"{this_engine()}.json", data, root=model_dir)


def read_acks(model_dir: Path) -> tuple[EngineAck, ...]:
    """What every engine has acknowledged, by file name; an unreadable file is an entry with its `error`."""
    return tuple(_ack(model_dir, name) for name in list_inside(model_dir, _FOLDER, suffix=".json"))


def forget_dead(model_dir: Path) -> None:
    """Remove what processes of this host said that have ended since; what cannot be read stays."""
    for ack in read_acks(model_dir):
        if not ack.error and is_alive(ack, this_host()) is False:
            remove_durable(model_dir / _FOLDER / f"{ack.engine}.json", root=model_dir)


def is_alive(ack: EngineAck, host: str) -> bool | None:
    """Whether the engine's process still runs; None when it is on another host than `host` or its number is unknown."""
    if ack.host != host or ack.pid <= 0:
        return None
    try:
        os.kill(ack.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return ack.started is None or _started(ack.pid) in (None, ack.started)


def this_host() -> str:
    """The name of this host, as it stands in acknowledgements."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", os.uname().nodename) or "localhost"


def this_engine() -> str:
    """The name of this process as an engine."""
    return f"{this_host()}-{os.getpid()}"


def _started(pid: int) -> int | None:
    """When a process began, in ticks since boot; -1 when it has ended and only waits for its parent; None: unknown."""
    with suppress(OSError, ValueError, IndexError):
        # See proc(5); the second field, the command, may hold anything, a closing bracket included.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return -1 if fields[0] in ("Z", "X") else int(fields[19])
    return None


def _ack(model_dir: Path, name: str) -> EngineAck:
    source = str(model_dir / _FOLDER / name)
    try:
        raw = parse_object(read_inside(model_dir, f"{_FOLDER}/{name}"), source)
        host, pid, generation, time = (raw.get(key) for key in ("host", "pid", "generation", "time"))
        moment, started = parse_instant(time), raw.get("started")
        if not isinstance(host, str) or not isinstance(pid, int) or not isinstance(generation, int) or moment is None:
            raise FileFormatError(f"{source} is not an acknowledgement", path=source)
        return EngineAck(host, pid, generation, moment, started if isinstance(started, int) else None)
    except (BotCoreError, OSError) as error:
        host, _, number = name.removesuffix(".json").rpartition("-")
        return EngineAck(host, int(number) if number.isdecimal() else 0, -1, None, error=str(error))
