"""Measuring, and the table of what was measured."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
TOOL = str(Path(sys.executable).parent / "rollbackctl")
# As an operator's shell runs it: compiled modules are kept, nothing of this shell's own settings of the tool.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("ROLLBACKCTL_") and name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONSTARTUP")
}


class BenchmarkError(Exception):
    """A benchmark could not run."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured.
        measured_ms: The median.
        peer: What it is compared with; "" where there is nothing.
        peer_ms: The peer's median in the same run.
        times: How often the one goes into the other.
        budget: What `times` (or `measured_ms`, without a peer) may be; None where there is no budget.
        cheaper: Whether `times` says how much cheaper than the peer it is, and must be at least the budget.
        note: Anything else that must be said.
    """

    what: str
    measured_ms: float | None
    peer: str = ""
    peer_ms: float | None = None
    budget: float | None = None
    cheaper: bool = False
    note: str = ""

    @property
    def times(self) -> float | None:
        """The ratio that the budget is about; None without a peer."""
        if self.measured_ms is None or self.peer_ms is None:
            return None
        return self.peer_ms / self.measured_ms if self.cheaper else self.measured_ms / self.peer_ms

    @property
    def verdict(self) -> str:
        """Say ok or over; "" where there is no budget, or nothing was measured."""
        value = self.measured_ms if self.peer_ms is None else self.times
        if self.budget is None or value is None:
            return ""
        return "ok" if (value >= self.budget if self.cheaper else value <= self.budget) else "over"

    def cells(self) -> tuple[str, ...]:
        """Return the row's texts."""
        peer = "" if self.peer_ms is None else f"{self.peer}, {_ms(self.peer_ms)}"
        ratio = "" if self.times is None else f"{self.times:.2f}x" + (" cheaper" if self.cheaper else "")
        return self.what, _ms(self.measured_ms), peer or self.peer, ratio, self._budget(), self.verdict, self.note

    def _budget(self) -> str:
        if self.budget is None:
            return ""
        unit = "x" if self.peer else " ms"
        return f"{'≥' if self.cheaper else '≤'} {self.budget:g}{unit}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} ms" if value < 1 else f"{value:.1f} ms"


def interleaved(acts: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Do all acts in turn, `rounds` times; return the median time of each in ms. One round before is not counted."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for act in acts.values():
        act()
    for _ in range(rounds):
        for name, act in acts.items():
            begun = time.perf_counter()
            act()
            times[name].append((time.perf_counter() - begun) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def run(*command: str, cwd: Path | None = None, codes: Sequence[int] = (0,)) -> str:
    """Run one process and return its stdout.

    Raises:
        BenchmarkError: It ended with another code.
    """
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise BenchmarkError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


HEADER = ("what", "measured", "limit or peer", "ratio", "budget", "", "")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
