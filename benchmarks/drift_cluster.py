"""A window of Parquet counted by two threads, by two of Dask, and by two workers of a cluster, one of which is killed.

BENCH_DRIFT_ROWS says how many rows there are (default a million).
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import drift_scan
from benchmarks.measure import BenchmarkError, Row, interleaved
from bot_core.ai.drift.cluster import Cluster
from bot_core.ai.drift.scan import Pool, Threads, scan
from bot_core.ai.drift.window import Window
from tests.cluster import OneDies, running

_FEATURES = 50
_FILES = 4
_CANDIDATES = 16
_ROUNDS = 3


class DaskThreads:
    """Two threads of Dask's embedded scheduler."""

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        """As `Pool.map`."""
        from dask.threaded import get

        graph = {("task", number): (function, task) for number, task in enumerate(tasks)}
        yield from get(graph, [*graph], num_workers=2)


def measure(folder: Path) -> Iterator[Row]:
    """Count the same files in turn; the digests must be one."""
    rows = int(os.environ.get("BENCH_DRIFT_ROWS", "1000000"))
    for number in range(_FILES):
        _write(folder / f"window/{number}.parquet", rows // _FILES, number)
    edges = drift_scan.edge_set(_CANDIDATES)
    digests: dict[str, set[str]] = {}

    def counted(name: str, pool: Pool) -> None:
        found = scan(Window("window", "parquet", "time"), folder, edges, pool=pool)
        digests.setdefault(name, set()).add(found.digest)

    begun = time.perf_counter()
    with running(folder, workers=2) as members:
        started = (time.perf_counter() - begun) * 1e3
        pools = {"threads": Threads(2), "dask": DaskThreads(), "cluster": Cluster(members.url)}
        next(iter(pools["cluster"].map(abs, [1])))
        begun = time.perf_counter()
        next(iter(pools["cluster"].map(abs, [1])))
        connected = (time.perf_counter() - begun) * 1e3
        times = interleaved({name: lambda name=name: counted(name, pools[name]) for name in pools}, _ROUNDS)
        dying = OneDies(members)
        counted("killed", dying)
    if len({digest for some in digests.values() for digest in some}) > 1 or not dying.lost:
        raise BenchmarkError(f"the counts differ: {digests}")
    what = f"{_CANDIDATES} candidates, {rows:,} rows x 50, {_FILES} files"
    peer = "2 threads"
    yield Row(f"{what}, Dask's threads", times["dask"], peer, times["threads"], note="identical counts")
    yield Row(f"{what}, 2 workers of a cluster", times["cluster"], peer, times["threads"], note="identical counts")
    yield Row(f"{what}, one worker killed", None, note="identical counts, ok")
    yield Row("a cluster: started", started, note="scheduler and 2 workers, on this machine")
    yield Row("a cluster: connected, one task, closed", connected)


def _write(path: Path, rows: int, seed: int) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(exist_ok=True)
    matrix = np.random.default_rng(seed).standard_normal((_FEATURES, rows))
    columns = {f"f{number}": values for number, values in enumerate(matrix)}
    columns["time"] = pa.array(np.arange(rows), pa.timestamp("s", "UTC"))
    parquet.write_table(pa.table(columns), path, row_group_size=1 << 17)
