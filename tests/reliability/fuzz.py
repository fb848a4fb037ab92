"""Fuzz every loader, guided by coverage, for a given time: ``python -m tests.reliability.fuzz --seconds 30``."""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from random import Random
from types import CodeType, FrameType

import atheris

# It names each module that it instruments.
with redirect_stderr(StringIO()), atheris.instrument_imports(include=["bot_core", "rollbackctl"]):
    from tests.reliability.loaders import KEPT, LOADERS, desk, judge, seeds

from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError
from rollbackctl.core.errors import RollbackError
from tests.reliability.child import starve_of_memory
from tests.reliability.mutation import varied
from tests.unpickling import OURS

CORPUS = KEPT[0]
_MAX_BYTES = 32 * 1024
_KEPT_BYTES = 6 * 1024  # of what is found for one loader
_HANG_S = 30
_MEMORY_MB = 1024  # an allocation that asks for more fails


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, and say for each loader what was tried and reached; 1 where a loader does what none may do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loaders", nargs="*", metavar="LOADER", help=f"one of {', '.join(LOADERS)}; default: all")
    parser.add_argument("--seconds", type=float, default=30.0, help="for all together")
    parser.add_argument("--keep", action="store_true", help="add what reaches new places to the corpus")
    asked = parser.parse_args(argv)
    names = asked.loaders or list(LOADERS)
    at_once = os.cpu_count() or 1
    seconds = max(1, round(asked.seconds * at_once / len(names)))
    failed = []
    print(f"{'loader':<18}{'executions':>12}{'edges':>8}{'features':>10}{'new inputs':>12}")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        for first in range(0, len(names), at_once):
            batch = names[first : first + at_once]
            running = [(name, Path(folder, name), _start(name, Path(folder, name), seconds)) for name in batch]
            for name, place, child in running:
                _, status = os.waitpid(child, 0)
                log = (place / "log").read_text(errors="replace")
                print(_row(name, log), flush=True)
                if status:
                    failed.append(name)
                    _tell(name, place, log)
                elif asked.keep:
                    _keep(name, place)
    return 1 if failed else 0


def _start(name: str, place: Path, seconds: int) -> int:
    """Fuzz one loader in a child of this process."""
    for folder in ("found", "seeds"):
        (place / folder).mkdir(parents=True)
    flags = (f"-max_total_time={seconds}", f"-timeout={_HANG_S}", f"-rss_limit_mb={_MEMORY_MB}", "-print_final_stats=1")
    return _forked(name, place, [*flags, f"-max_len={_MAX_BYTES}", str(place / "found"), str(place / "seeds")])


def _forked(name: str, place: Path, arguments: Sequence[str]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        with open(place / "log", "wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        root = desk(place)
        for number, data in enumerate(seeds(name, root)):
            (place / "seeds" / str(number)).write_bytes(data)
        starve_of_memory(_MEMORY_MB << 20)
        whole = ["fuzz", f"-artifact_prefix={place}/", *arguments]
        atheris.Setup(whole, lambda data: _judge(name, root, data, place), custom_mutator=_mutate)
        atheris.Fuzz()
    finally:
        os._exit(2)


def _judge(name: str, root: Path, data: bytes, place: Path) -> None:
    try:
        judge(name, root, data)
    except BaseException:
        (place / f"crash-{sha256_hex(data)[:16]}").write_bytes(data)
        raise


def _mutate(data: bytes, max_size: int, seed: int) -> bytes:
    random = Random(seed)  # noqa: S311 - libFuzzer's own seed
    changed = varied(data, random) if random.randint(0, 2) else None
    return changed[:max_size] if changed else atheris.Mutate(data, max_size)


def _row(name: str, log: str) -> str:
    reached = re.findall(r"cov: (\d+) ft: (\d+)", log) or [("0", "0")]
    words = ("number_of_executed_units", "new_units_added")
    tried, new = (re.findall(rf"stat::{word}:\s+(\d+)", log) or ["0"] for word in words)
    return f"{name:<18}{int(tried[0]):>12,}{int(reached[-1][0]):>8,}{int(reached[-1][1]):>10,}{int(new[0]):>12,}"


def _tell(name: str, place: Path, log: str) -> None:
    """Show why a loader failed, and put its input where it is not lost."""
    print("\n".join(log.splitlines()[-40:]))
    for path in (path for path in place.iterdir() if path.name.startswith(("crash", "timeout", "oom", "leak"))):
        kept = shutil.copy(path, Path.cwd() / f"{path.name}.{name}")
        print(f"the input: {kept}; when it is mended, keep it: {CORPUS / name}")


def _keep(name: str, place: Path) -> None:
    """Add to the corpus what reaches lines that nothing in it reaches, the smallest first."""
    known: set[tuple[CodeType, int]] = set()
    for data in seeds(name, place / "kept"):
        known |= _reached(name, place / "ws", data)
    left = _KEPT_BYTES
    for data in sorted((path.read_bytes() for path in (place / "found").iterdir()), key=lambda data: (len(data), data)):
        new = _reached(name, place / "ws", data) - known
        if new and len(data) <= left:
            known, left = known | new, left - len(data)
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            (CORPUS / name / sha256_hex(data)[:16]).write_bytes(data)


def _reached(name: str, root: Path, data: bytes) -> set[tuple[CodeType, int]]:
    """The lines of ours that a loader comes to on an input."""
    found: set[tuple[CodeType, int]] = set()

    def trace(frame: FrameType, _event: str, _value: object) -> object:
        if frame.f_code.co_filename.startswith(OURS):
            found.add((frame.f_code, frame.f_lineno))
            return trace
        return None

    loader = LOADERS[name]
    loader.place(root / loader.path, data)
    sys.settrace(trace)
    try:
        with suppress(BotCoreError, RollbackError):
            loader.read(root)
    finally:
        sys.settrace(None)
    return found


if __name__ == "__main__":
    sys.exit(main())
