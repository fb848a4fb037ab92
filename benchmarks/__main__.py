"""Measure everything and print one table; ends with 1 only where a benchmark could not run."""

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import models, obedience, rollback, startup, steps
from benchmarks.measure import BenchmarkError, Row, table


def main() -> int:
    """Print the table and return the exit code; a budget that is not kept is said, and is no failure."""
    rows: list[Row] = []
    code = 0
    # Below the repository, not in /tmp: there a sync may cost nothing, because nothing is written to a disk.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        for measure in (startup.measure, steps.measure, rollback.measure, models.measure, obedience.measure):
            try:
                for row in measure(Path(folder)):
                    rows.append(row)
                    print(".", end="", file=sys.stderr, flush=True)
            except (BenchmarkError, OSError) as error:
                print(f"\n{measure.__module__} could not run: {error}", file=sys.stderr)
                code = 1
    print(file=sys.stderr)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; medians\n")
    print(table(rows))
    print("\n* the runbook's nine processes and the smoke, 31 s on a machine of this sort; not measured in this run")
    return code


if __name__ == "__main__":
    sys.exit(main())
