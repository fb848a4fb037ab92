"""The files that data drift is measured from, each read as a measurement reads it."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import parquet

from bot_core.ai.baseline import load_baseline, save_baseline
from bot_core.ai.drift.assess import assess, assess_segments
from bot_core.ai.drift.instants import to_us
from bot_core.ai.drift.ruler import Moments, Profile
from bot_core.ai.drift.scan import read_window, scan
from bot_core.ai.drift.tally import EdgeSet
from bot_core.ai.drift.window import Window
from bot_core.foundation.cache import DerivedCache
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import FileFormatError
from rollbackctl.data_drift.baseline import baseline_of
from rollbackctl.data_drift.measure import Subject, measure_one
from rollbackctl.spec.data_drift import DataDriftSettings
from tests.windows import CALM, START, SYMBOLS, write_window

CSV, PARQUET, JOURNAL = "data/live.csv", "data/live.parquet", "data/live.jsonl"
TRAINING = "data/training.csv"
CACHED = "cache/drift/row.json"
REPOSITORY = "models/decision_engine"
ARTIFACT = f"{REPOSITORY}/model-v9.json"
BASELINE = f"{REPOSITORY}/baselines/one.json"
_WITH_SIDECAR = "0" * 64
SIDECAR = f"{REPOSITORY}/baselines/of-{_WITH_SIDECAR}.json"
_KNOWN = Window("data/known.csv", "csv", "time")
_START_US = to_us(START)
_FEATURES = ("momentum", "spread_bps")
_TEXT = "symbol"

T = TypeVar("T")
R = TypeVar("R")


class OneHand:
    """Counts in this thread, whose time and memory are looked at."""

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """As `Pool.map`."""
        return map(function, tasks)


def write_drift_files(root: Path) -> None:
    """A file of each sort, as it should be."""
    pa.set_memory_pool(pa.system_memory_pool())  # the other pools reserve more than a starved process may have
    write_window(root / CSV, {name: CALM[name] for name in _FEATURES}, 20)
    write_window(root / TRAINING, {name: CALM[name] for name in _FEATURES}, 20)
    write_window(root / _KNOWN.path, {**CALM, "a": (1.5, 1.0)}, 60, texts={_TEXT: SYMBOLS, "c": ("x", "y")})
    minutes = pa.array((_START_US + minute * 60_000_000 for minute in range(20)), pa.timestamp("us", "UTC"))
    columns = {"time": minutes, _TEXT: [*SYMBOLS] * 10, "momentum": [0.5, None] * 10, "spread_bps": range(20)}
    parquet.write_table(pa.table(columns), root / PARQUET, row_group_size=10)
    (root / JOURNAL).write_text("".join(map(_record, range(20))))
    baseline = baseline_of(("a",), Window(_KNOWN.path, "csv"), root, OneHand())
    save_baseline(root / REPOSITORY, baseline)
    named = {"version": 1, "artifact_sha256": _WITH_SIDECAR, "baseline_sha256": baseline.sha256}
    (root / SIDECAR).write_text(json.dumps(named))
    cached_counts(root)
    with closing(sqlite3.connect((root / CACHED).with_name("cache.db"))) as connection:
        ((row,),) = connection.execute("SELECT value FROM Cache").fetchall()
    (root / CACHED).write_text(row)


def _record(minute: int) -> str:
    features = json.dumps({"momentum": minute / 10, "spread_bps": 2.5})
    fields = {"event": "decision", "timestamp": f"2025-11-15T00:{minute:02}:00+00:00", _TEXT: SYMBOLS[minute % 2]}
    return json.dumps({**fields, "model_features": features}) + "\n"


def csv_window(root: Path) -> None:
    _read_window(root, CSV, "csv", "time")


def parquet_window(root: Path) -> None:
    """The same; what a page claims to need is not asked for."""
    try:
        _read_window(root, PARQUET, "parquet", "time")
    except FileFormatError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from error
        raise


def journal_window(root: Path) -> None:
    _read_window(root, JOURNAL, "journal", None)


def _read_window(root: Path, path: str, form: str, time: str | None) -> None:
    """Count the rows, and read one after the other: all of them, and those of the last minutes."""
    for last in (None, timedelta(minutes=5)):
        window = Window(path, form, time, last=last)
        scanned = scan(window, root, _edges(), pool=OneHand())
        read = read_window(window, root, _FEATURES, (_TEXT,), pool=OneHand())
        assert sum(batch.rows for batch in read.batches) == read.rows == scanned.rows


@cache
def _edges() -> EdgeSet:
    features = dict.fromkeys(_FEATURES, Moments(0.0, 1.0))
    return EdgeSet.of([Profile(100, features, {_TEXT: ({SYMBOLS[0]: 100}, 0)}, "a test")], [_TEXT])


def cached_counts(root: Path) -> None:
    scan(_KNOWN, root, _edges(), pool=OneHand(), cache=DerivedCache((root / CACHED).parent))


def place_counts(path: Path, data: bytes) -> None:
    """The one row of the cache."""
    with closing(sqlite3.connect(path.with_name("cache.db"), isolation_level=None)) as connection:
        connection.execute("UPDATE Cache SET value = ?", (data.decode(errors="replace"),))


def training_rows(root: Path) -> None:
    baseline_of(_FEATURES, Window(TRAINING, "csv"), root, OneHand())


def training_figures(root: Path) -> None:
    """What an artifact itself says of its training rows."""
    _measure_one(root, "1" * 64)


def sidecar(root: Path) -> None:
    """The baseline that was made afterwards for an artifact."""
    _measure_one(root, _WITH_SIDECAR)


def _measure_one(root: Path, artifacts_digest: str) -> None:
    settings = DataDriftSettings.model_validate({"window": {"path": _KNOWN.path, "time_column": "time"}})
    measure_one(root, settings, Subject("v9", ARTIFACT, REPOSITORY, artifacts_digest), pool=OneHand())


def baseline(root: Path) -> None:
    found = load_baseline(root / BASELINE, sha256_hex((root / BASELINE).read_bytes()))
    found.encode()
    profile = Profile.of_baseline(found, "its training")
    edge_set = EdgeSet.of([profile], ["c"])
    scanned = scan(_KNOWN, root, edge_set, pool=OneHand())
    assess(profile, edge_set, scanned.tally)
    assess_segments(profile, edge_set, scanned.tally)
