"""How long a fresh process takes, against an empty interpreter and the whole stack imported eagerly."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import PYTHON, TOOL, Row, interleaved, run
from benchmarks.workspace import PLAN, make_workspace

# `import pydantic` by itself loads next to nothing: it imports its parts when they are asked for.
_STACK = (
    "import click, jsonschema, ruamel.yaml, diskcache, numpy, sklearn.ensemble; from pydantic import BaseModel, Field"
)
_ROUNDS = 15


def measure(folder: Path) -> Iterator[Row]:
    """Measure start-up, every command in the same rounds."""
    root = make_workspace(folder / "startup")
    times = interleaved(
        {
            "empty": lambda: run(PYTHON, "-c", "pass"),
            "help": lambda: run(TOOL, "--help"),
            "plan": lambda: run(TOOL, "plan", PLAN, cwd=root),
            "eager": lambda: run(PYTHON, "-c", _STACK),
        },
        _ROUNDS,
    )
    empty, eager = times["empty"], times["eager"]
    yield Row("empty interpreter", empty)
    yield Row("the whole stack, imported eagerly", eager, "empty interpreter", empty)
    yield Row("rollbackctl --help", times["help"], "empty interpreter", empty, 6)
    yield Row("rollbackctl plan, target v9", times["plan"], "empty interpreter", empty, 25)
    yield Row("rollbackctl plan, target v9", times["plan"], "eager stack", eager, 0.2)
