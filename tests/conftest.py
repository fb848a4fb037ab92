import json
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

import tests.unpickling  # noqa: F401 - an audit hook for all tests

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)

# Shared machines are slow at times; how long one example takes says nothing about the code.
settings.register_profile("rollbackctl", deadline=None)
settings.load_profile("rollbackctl")

# The suite runs on every core as it is; more threads of scikit-learn's would only wait for each other, at full speed.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the golden files; review the difference like code")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the harnesses of tests/reliability counted, added up over all processes."""
    totals: dict[str, Counter[str]] = {}
    reports = [report for some in terminalreporter.stats.values() for report in some]
    for report in (report for report in reports if getattr(report, "when", None) == "call"):
        for name, value in report.user_properties:
            if name == "figures":
                totals.setdefault(value[0], Counter()).update(value[1])
    for harness, numbers in sorted(totals.items()):
        each_ms = numbers["ms"] / max(1, numbers["trials"])
        shown = [f"{count} {name}" for name, count in numbers.items() if name != "ms"]
        terminalreporter.write_line(f"{harness}: {', '.join(shown)}, {each_ms:.0f} ms each")


class Clock:
    """A clock that stands still until a test sets it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A copy of the public incident workspace, with the files' own times."""
    root = tmp_path / "ws"
    shutil.copytree(FIXTURES / "ws_public", root)
    for name, mtime in json.loads((FIXTURES / "ws_public.mtimes.json").read_text()).items():
        os.utime(root / name, (mtime, mtime))
    return root
