"""Windows and edge sets that tests of scanning share."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bot_core.ai.drift.scan import Scanned, Threads, scan
from bot_core.ai.drift.tally import EdgeSet
from bot_core.ai.drift.window import Window
from bot_core.foundation.cache import DerivedCache

EDGES = (-1.0, 0.0, 0.5, 2.0)
START = datetime(2025, 11, 17, tzinfo=UTC)
POOL = Threads(2)


def edge_set(*names: str, texts: Sequence[str] = (), segments: Sequence[str] = ()) -> EdgeSet:
    """The same four edges for each feature; BTC and ETH are the known values of each column of text."""
    return EdgeSet(
        dict.fromkeys(names, np.array(EDGES)),
        dict.fromkeys(names, (-1.0, 2.0)),
        dict.fromkeys(texts, ("BTC", "ETH")),
        tuple(segments),
    )


def times(rows: int, first: int = 0) -> pa.Array:
    """One row a second from START on."""
    begin = int(START.timestamp()) * 10**6
    return pa.array([begin + second * 10**6 for second in range(first, first + rows)], pa.timestamp("us", "UTC"))


def write_parquet(path: Path, columns: Mapping[str, Any], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(dict(columns)), path, **options)


def count(root: Path, edges: EdgeSet, path: str, format: str = "parquet", **more: Any) -> Scanned:  # noqa: A002
    keyed = {name: more.pop(name) for name in ("cache", "progress") if name in more}
    return scan(Window(path, format, **more), root, edges, pool=POOL, **keyed)


def counts(scanned: Scanned, name: str) -> tuple[list[int], int]:
    found = scanned.tally.features[name]
    return found.counts.tolist(), found.missing


def plain(values: Any) -> tuple[list[int], int]:
    """What numpy counts between the edges: values up to the first one, then (edge, next edge], then above."""
    column = np.array(values, float)
    there = column[~np.isnan(column)]
    places = np.searchsorted(np.array(EDGES), there, side="left")
    return np.bincount(places, minlength=len(EDGES) + 1).tolist(), int(np.isnan(column).sum())


def cache_in(folder: Path) -> DerivedCache:
    return DerivedCache(folder / "cache")
