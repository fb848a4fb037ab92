"""Other people's tools, each in an environment of its own that is made once, in build/bench-peers, and used again."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import ENVIRONMENT, BenchmarkError, run

_FOLDER = Path("build/bench-peers")
_INSTALL_S = 600.0


def python_with(name: str, *requirements: str) -> str:
    """The interpreter of an environment that has these packages.

    Raises:
        BenchmarkError: They cannot be installed here.
    """
    folder = (_FOLDER / name).absolute()
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"installing {', '.join(requirements)} in {folder}", file=sys.stderr)
    try:
        for command in (
            (sys.executable, "-m", "venv", "--clear", str(folder)),
            (str(python), "-m", "pip", "install", "--quiet", *requirements),
        ):
            subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{name} was not installed within ten minutes") from error
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"{name} was not installed: {error.stderr.strip() or error}") from error
    stamp.write_text(wanted)
    return str(python)


def figures(python: str, script: str, *arguments: str) -> dict[str, float]:
    """What a script prints as JSON on its last line.

    Raises:
        BenchmarkError: It failed.
    """
    last = run(python, "-c", script, *arguments).splitlines()[-1]
    found: dict[str, float] = json.loads(last)
    return found
