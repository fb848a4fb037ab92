"""A window of Parquet, two threads: counting it against decoding it, 16 candidates against one, and peak memory.

BENCH_DRIFT_ROWS says how many rows there are (default a million), BENCH_DRIFT_LARGE how many in the larger file of the
memory's two (default twice as many). All of it: BENCH_DRIFT_ROWS=10000000 BENCH_DRIFT_LARGE=100000000, 50 GB of disk.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measure import PYTHON, Row, interleaved, run
from bot_core.ai.baseline import make_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.drift.ruler import Profile
from bot_core.ai.drift.scan import Threads, scan
from bot_core.ai.drift.tally import EdgeSet
from bot_core.ai.drift.window import Window

_FEATURES = 50
_TRAINING = 20_000
_CANDIDATES = 16
_THREADS = 2
_GROUP = 1 << 18
_BATCH = 1 << 15
_BUFFER = 1 << 16
_ROUNDS = 3
_MEGABYTES = 600


def measure(folder: Path) -> Iterator[Row]:
    """Write a file of random values, then decode and count it in turn; then count it in fresh processes."""
    rows = int(os.environ.get("BENCH_DRIFT_ROWS", "1000000"))
    larger = int(os.environ.get("BENCH_DRIFT_LARGE", str(2 * rows)))
    _write(folder / "window.parquet", rows)
    one, all_of_them = edge_set(1), edge_set(_CANDIDATES)
    times = interleaved(
        {
            "decode": lambda: _decode(folder / "window.parquet"),
            "one": lambda: count(folder, one),
            "all": lambda: count(folder, all_of_them),
        },
        _ROUNDS,
    )
    what = f"{rows:,} rows x {_FEATURES}, Parquet, {_THREADS} threads"
    yield Row(f"1 candidate, {what}", times["one"], "decoding alone", times["decode"], 2.3)
    yield Row(f"{_CANDIDATES} candidates, {what}", times["all"], "1 candidate", times["one"], 2)
    sizes, peaks = (rows, larger), []
    for size in sizes:
        _write(folder / "window.parquet", size)
        peaks.append([_peak(folder, candidates) for candidates in (1, _CANDIDATES)])
    (folder / "window.parquet").unlink()
    for candidates, found in zip((1, _CANDIDATES), zip(*peaks, strict=True), strict=True):
        said = ", ".join(f"{peak} MB at {size:,} rows" for peak, size in zip(found, sizes, strict=True))
        verdict = "ok" if max(found) <= _MEGABYTES else "over"
        yield Row(f"peak memory, candidates: {candidates}", None, note=f"{said}, ≤ {_MEGABYTES} MB, {verdict}")


def edge_set(candidates: int) -> EdgeSet:
    """What has to be counted for so many models, each trained on a market of its own."""
    import numpy as np

    profiles = []
    for seed in range(candidates):
        matrix = np.random.default_rng(seed).normal(seed / 20, 1 + seed / 40, size=(_TRAINING, _FEATURES))
        matrix[:, ::5] = np.exp(matrix[:, ::5])
        nothing = np.zeros(_TRAINING)
        names = tuple(f"f{number}" for number in range(_FEATURES))
        profiles.append(Profile.of_baseline(make_baseline(FeatureTable(names, matrix, nothing, nothing)), "benchmark"))
    return EdgeSet.of(profiles)


def count(folder: Path, edges: EdgeSet) -> int:
    """Scan the window, without a cache; give its rows."""
    return scan(Window("window.parquet", "parquet", "time"), folder, edges, pool=Threads(_THREADS)).rows


def _peak(folder: Path, candidates: int) -> int:
    """The peak of a fresh process's memory in MB."""
    return int(run(PYTHON, "-m", "benchmarks.drift_scan", str(folder), str(candidates)))


def _write(path: Path, rows: int) -> None:
    """The same random values over and over: how long it takes to draw them is not what is measured."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    matrix = np.random.default_rng(99).standard_normal((_FEATURES, min(rows, _GROUP)))
    matrix[::5] = np.exp(matrix[::5])
    columns = {f"f{number}": pa.array(values) for number, values in enumerate(matrix)}
    writer = None
    for start in range(0, rows, _GROUP):
        length = min(_GROUP, rows - start)
        times = pa.array(np.arange(start, start + length), pa.timestamp("s", "UTC"))
        table = pa.table({"time": times, **{name: values[:length] for name, values in columns.items()}})
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=_GROUP)
    if writer:
        writer.close()


def _decode(path: Path) -> None:
    """Every row group as it is read for counting, and nothing done with it: the floor."""
    from pyarrow import parquet

    def decode(group: int) -> None:
        with parquet.ParquetFile(path, buffer_size=_BUFFER) as file:
            for _ in file.iter_batches(_BATCH, row_groups=[group], use_threads=False):
                pass

    with parquet.ParquetFile(path) as file, ThreadPoolExecutor(_THREADS) as executor:
        list(executor.map(decode, range(file.metadata.num_row_groups)))


if __name__ == "__main__":
    count(Path(sys.argv[1]), edge_set(int(sys.argv[2])))
    # Not getrusage: what it says has the parent's peak in it, from before the process became this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
