"""Windows of production rows for tests, as CSV: each feature is spread as a normal variable, by its quantiles."""

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import NormalDist

# Mean and standard deviation of the features of the public workspace, as its versions were trained on them.
CALM: Mapping[str, tuple[float, float]] = {
    "atr_pct": (0.8, 0.19),
    "momentum": (0.0, 1.0),
    "rsi_norm": (0.0, 0.48),
    "spread_bps": (2.5, 0.72),
    "volume_ratio": (0.99, 0.34),
}
STORM: Mapping[str, tuple[float, float]] = {**CALM, "momentum": (-1.6, 2.6), "spread_bps": (6.5, 1.6)}
START = datetime(2025, 11, 15, tzinfo=UTC)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def write_window(
    path: Path,
    features: Mapping[str, tuple[float, float]] = CALM,
    rows: int = 1200,
    *,
    texts: Mapping[str, Sequence[str]] | None = None,
    start: datetime = START,
) -> Path:
    """Write a window with a row a minute.

    Args:
        path: The file.
        features: Mean and standard deviation by name.
        rows: How many.
        texts: Columns of text, each with the values that it takes in turn; by default the symbols.
        start: When the first row was.
    """
    columns = {name: _spread(NormalDist(*told), rows, place) for place, (name, told) in enumerate(features.items())}
    told = {"symbol": SYMBOLS} if texts is None else texts
    lines = [",".join(("time", *told, *columns))]
    for row in range(rows):
        words = (values[row % len(values)] for values in told.values())
        figures = (f"{column[row]:.6f}" for column in columns.values())
        lines.append(",".join(((start + timedelta(minutes=row)).isoformat(), *words, *figures)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def _spread(known: NormalDist, rows: int, place: int) -> list[float]:
    """The quantiles, in an order in which neighbours differ, another one for each place."""
    step = next(step for step in itertools.count(rows * 3 // 8 + 2 * place + 1) if math.gcd(step, rows or 1) == 1)
    return [known.inv_cdf((row * step % rows + 0.5) / rows) for row in range(rows)]
