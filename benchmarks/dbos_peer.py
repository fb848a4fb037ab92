"""A step of DBOS, in a throw-away environment of its own; left out, and said so, where it cannot be installed."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import ENVIRONMENT

_INSTALL_S = 60.0
_SCRIPT = """
import statistics, sys, time
from dbos import DBOS, DBOSConfig

DBOS(config=DBOSConfig(name="bench", system_database_url="sqlite:///" + sys.argv[1], run_admin_server=False))
moments = []

@DBOS.step()
def step(number):
    return number

@DBOS.workflow()
def workflow():
    for number in range(200):
        moments.append(time.perf_counter())
        step(number)
    moments.append(time.perf_counter())

DBOS.launch()
workflow()
print(statistics.median(after - before for before, after in zip(moments, moments[1:])) * 1e3)
DBOS.destroy()
"""


def measure(folder: Path) -> tuple[float | None, str]:
    """Return the median of a step in ms, or None and why there is none."""
    folder.mkdir()
    python = folder / "venv" / "bin" / "python"
    end = time.monotonic() + _INSTALL_S
    try:
        _run(end, sys.executable, "-m", "venv", str(folder / "venv"))
        _run(end, str(python), "-m", "pip", "install", "--quiet", "dbos")
        script = folder / "step.py"
        script.write_text(_SCRIPT)
        return float(_run(time.monotonic() + _INSTALL_S, str(python), str(script), str(folder / "dbos.sqlite"))), ""
    except subprocess.TimeoutExpired:
        return None, "not measured: dbos was not installed within a minute"
    except (subprocess.CalledProcessError, ValueError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        return None, f"not measured: {said[-1] if said else error}"


def _run(end: float, *command: str) -> str:
    timeout_s = max(end - time.monotonic(), 0.0)
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=timeout_s,
        cwd=Path(command[0]).parent,
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
