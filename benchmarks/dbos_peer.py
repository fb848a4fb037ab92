"""A step of DBOS, in a throw-away environment of its own; left out, and said so, where it cannot be installed."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from benchmarks.measure import ENVIRONMENT

_INSTALL_S = 60.0
_SCRIPT = """
import sys, time
from dbos import DBOS, DBOSConfig

DBOS(config=DBOSConfig(name="bench", system_database_url="sqlite:///dbos.sqlite", run_admin_server=False))

@DBOS.step()
def step(number):
    return number

@DBOS.workflow()
def workflow():
    for number, _ in enumerate(sys.stdin):
        begun = time.perf_counter()
        step(number)
        print("step", (time.perf_counter() - begun) * 1e3, flush=True)

DBOS.launch()
workflow()
DBOS.destroy()
"""


class NotInstalledError(Exception):
    """DBOS cannot be measured here."""


class Peer:
    """An installed DBOS."""

    def __init__(self, folder: Path) -> None:
        """Make the environment.

        Raises:
            NotInstalledError: That did not succeed within a minute.
        """
        self._folder = folder
        self._python = folder / "venv" / "bin" / "python"
        end = time.monotonic() + _INSTALL_S
        folder.mkdir()
        (folder / "steps.py").write_text(_SCRIPT)
        try:
            self._run(end, sys.executable, "-m", "venv", "venv")
            self._run(end, str(self._python), "-m", "pip", "install", "--quiet", "dbos")
        except subprocess.TimeoutExpired as error:
            raise NotInstalledError("not measured: dbos was not installed within a minute") from error
        except subprocess.CalledProcessError as error:
            raise NotInstalledError(f"not measured: {(error.stderr.strip() or str(error)).splitlines()[-1]}") from error
        os.sync()  # what the installation wrote must not be in the way of what is measured

    def __enter__(self) -> Self:
        """Start a workflow on SQLite that makes one empty step when it is asked to."""
        self._process = subprocess.Popen(
            [str(self._python), "steps.py"],
            cwd=self._folder,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate()

    def step(self) -> float:
        """Have one step made; return its time in ms.

        Raises:
            NotInstalledError: The workflow does not run here.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise NotInstalledError("not measured: not started")
        try:
            process.stdin.write("\n")
            process.stdin.flush()
        except OSError as error:
            raise NotInstalledError("not measured: dbos does not run here") from error
        for line in process.stdout:
            if line.startswith("step "):
                return float(line.split()[1])
        raise NotInstalledError("not measured: dbos does not run here")

    def _run(self, end: float, *command: str) -> None:
        left_s = max(end - time.monotonic(), 0.0)
        subprocess.run(
            command, cwd=self._folder, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=left_s
        )
