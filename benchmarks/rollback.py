"""A whole rollback as an operator does it, in fresh processes: hold, plan, sign-offs, apply."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import TOOL, Row, run
from benchmarks.workspace import PLAN, ROLES, make_workspace

_ROUNDS = 5
_BY_HAND_MS = 31_000.0  # the runbook's nine processes and the smoke, measured once on such a machine


def measure(folder: Path) -> Iterator[Row]:
    """Measure every part of a rollback on fresh copies of the workspace."""
    times: dict[str, list[float]] = {}
    for number in range(_ROUNDS):
        held = make_workspace(folder / f"hold-{number}")
        _timed(times, "hold", held, "hold", "--incident", "INC-2025-1117")
        root = make_workspace(folder / f"rollback-{number}")
        _timed(times, "plan", root, "plan", PLAN)
        for role in ROLES:
            _timed(times, "sign-offs", root, *_signing(role))
        _timed(times, "apply", root, "apply", PLAN, "--yes")
    parts = {name: statistics.median(values) for name, values in times.items()}
    parts["sign-offs"] *= len(ROLES)
    yield Row("rollbackctl hold, no plan needed", parts["hold"], budget=1000)
    yield Row("plan + apply with its checks", parts["plan"] + parts["apply"], "by hand*", _BY_HAND_MS, 30, cheaper=True)
    yield Row("three sign-offs", parts["sign-offs"])
    yield Row(
        "the whole rollback", parts["plan"] + parts["sign-offs"] + parts["apply"], "by hand*", _BY_HAND_MS, cheaper=True
    )


def _signing(role: str) -> tuple[str, ...]:
    return "sign-off", "--plan", PLAN, "--role", role, "--status", "approved", "--by", "Bench"


def _timed(times: dict[str, list[float]], name: str, root: Path, *arguments: str) -> None:
    begun = time.perf_counter()
    run(TOOL, *arguments, cwd=root)
    times.setdefault(name, []).append((time.perf_counter() - begun) * 1e3)
