"""Fifty features of a market, of which eight can be made to drift; the truth is known, so that it can be asked for."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rows = tuple[Mapping[str, "NDArray[np.float64]"], Mapping[str, "NDArray[np.int64]"]]
Draw = Callable[["np.random.Generator", int], "NDArray[np.float64]"]

VENUES = ("A", "B", "C", "D")
# What has truly moved, and how.
DRIFTED = (
    "shift",  # by 0.3 standard deviations
    "scale",  # by half
    "tails",  # two rows of a hundred lie eight standard deviations out
    "gaps",  # eight rows more of a hundred have no value
    "skewed_shift",  # a lognormal, by 0.3 standard deviations
    "flag",  # on in 45 rows of a hundred, not in 30
    "count",  # 3.8 by row, not 3
    "venue",  # a fourth place, with a tenth of the rows
)
_SHAPES: Mapping[str, Draw] = {
    "normal": lambda random, rows: random.standard_normal(rows),
    "lognormal": lambda random, rows: random.lognormal(size=rows),
    "heavy": lambda random, rows: random.standard_t(3, rows),
    "uniform": lambda random, rows: random.random(rows),
    "waiting": lambda random, rows: random.standard_exponential(rows),
    "trades": lambda random, rows: random.poisson(4.0, rows).astype(float),
    "switch": lambda random, rows: (random.random(rows) < 0.2).astype(float),
}
_STABLE = 41
_LOGNORMAL_STDEV = 2.1612


def draw(seed: int, rows: int, *, drifted: bool) -> Rows:
    """Some rows, as numbers by feature, and places in `VENUES` by column of text; NaN and -1 where missing."""
    import numpy as np

    random = np.random.default_rng(seed)
    numbers = {}
    for place in range(_STABLE):
        shape = [*_SHAPES][place % len(_SHAPES)]
        numbers[f"{shape}_{place}"] = _SHAPES[shape](random, rows)
    numbers["constant"] = np.full(rows, 0.1)
    by = 1.0 if drifted else 0.0
    numbers["shift"] = random.standard_normal(rows) + 0.3 * by
    numbers["scale"] = random.standard_normal(rows) * (1 + 0.5 * by)
    numbers["tails"] = random.standard_normal(rows)
    out = random.random(rows) < 0.02 * by
    numbers["tails"][out] = 8 * np.sign(numbers["tails"][out])
    numbers["gaps"] = random.standard_normal(rows)
    numbers["gaps"][random.random(rows) < 0.01 + 0.08 * by] = np.nan
    numbers["skewed_shift"] = random.lognormal(size=rows) + 0.3 * _LOGNORMAL_STDEV * by
    numbers["flag"] = (random.random(rows) < 0.3 + 0.15 * by).astype(float)
    numbers["count"] = random.poisson(3 + 0.8 * by, rows).astype(float)
    shares = np.array((0.6, 0.2, 0.2, 0.0)) * (1 - 0.1 * by) + np.array((0, 0, 0, 0.1)) * by
    return numbers, {"venue": random.choice(len(VENUES), rows, p=shares)}
