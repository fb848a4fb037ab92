"""Measure everything, or what is named, and print one table; ends with 1 only where a benchmark could not run."""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import data_drift, drift_cluster, drift_scan, models, obedience, rollback, startup, steps
from benchmarks.measure import BenchmarkError, Row, table

_BENCHMARKS = {
    "startup": startup.measure,
    "steps": steps.measure,
    "rollback": rollback.measure,
    "models": models.measure,
    "obedience": obedience.measure,
    "data_drift": data_drift.measure,
    "drift_scan": drift_scan.measure,
    "drift_cluster": drift_cluster.measure,
}
_WITH_PEERS = {"data_drift": data_drift.measure_peers}


def main() -> int:
    """Print the table and return the exit code; a budget that is not kept is said, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *_BENCHMARKS], metavar="NAME", help=", ".join(_BENCHMARKS))
    parser.add_argument("--peers", action="store_true", help="install and measure other tools too; takes minutes")
    arguments = parser.parse_args()
    names = arguments.names or [*_BENCHMARKS]
    measures = [_BENCHMARKS[name] for name in names]
    if arguments.peers:
        measures += [_WITH_PEERS[name] for name in names if name in _WITH_PEERS]
    rows: list[Row] = []
    code = 0
    # Below the repository, not in /tmp: there a sync may cost nothing, because nothing is written to a disk.
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        for measure in measures:
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
    if "rollback" in names:
        print(
            "\n* the runbook's nine processes and the smoke, 31 s on a machine of this sort; not measured in this run"
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
