"""Data drift of fifty features: how long it takes, how exact it is, and whether what has drifted is named."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import drift_peers
from benchmarks.drift_rows import DRIFTED, VENUES, Rows, draw
from benchmarks.measure import Row, interleaved
from bot_core.ai.baseline import make_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.drift.assess import FeatureDrift, assess
from bot_core.ai.drift.ruler import Profile
from bot_core.ai.drift.tally import Batch, Counter, EdgeSet, TextColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEATURES = 50
_TRAINING = 200_000
_CANDIDATES = 16
_BATCH = 500_000
_ROUNDS = 3
_DEMANDED = 0.003


def measure(_folder: Path) -> Iterator[Row]:
    """Measure what needs no peer, up to a million rows."""
    yield from _speed(1_000_000)
    yield from _exactness()
    yield from _named((10_000, 100_000, 1_000_000))


def measure_peers(_folder: Path) -> Iterator[Row]:
    """Measure scipy, NannyML and Evidently as well, and ten million rows."""
    yield from drift_peers.rows(_one_candidate_ms, _FEATURES)
    yield from _named((10_000_000,))


def _speed(rows: int) -> Iterator[Row]:
    """One candidate, and sixteen."""
    profiles, batch = _market(rows, _CANDIDATES)
    counters = [Counter(EdgeSet.of(some)) for some in (profiles[:1], profiles)]
    times = interleaved(
        {
            "one pass": lambda: counters[0].count(batch),
            "all pass": lambda: counters[1].count(batch),
            "one": lambda: _held(profiles[:1], batch),
            "all": lambda: _held(profiles, batch),
        },
        _ROUNDS,
    )
    table = f"{rows:,} rows x {_FEATURES}"
    each_ns = times["one pass"] * 1e6 / (rows * _FEATURES)
    peer = "the same for 1"
    note = f"{each_ns:.1f} ns by value, one core"
    yield Row(f"1 candidate: {table} counted, in memory", times["one pass"], note=note)
    yield Row(f"{_CANDIDATES} candidates: {table} counted", times["all pass"], peer, times["one pass"], 2)
    yield Row("1 candidate, with edges, grids and measures", times["one"])
    yield Row(f"{_CANDIDATES} candidates, with edges, grids and measures", times["all"], peer, times["one"])


def _one_candidate_ms(rows: int) -> float:
    profiles, batch = _market(rows, 1)
    return interleaved({"one": lambda: _held(profiles, batch)}, _ROUNDS)["one"]


def _market(rows: int, candidates: int) -> tuple[list[Profile], Batch]:
    """Models that were trained on ever other rows, and a window."""
    import numpy as np

    random = np.random.default_rng(0)
    names = [f"f{number}" for number in range(_FEATURES)]
    profiles = [
        _profile({name: random.normal(place / 10, 1 + place / 20, _TRAINING) for name in names})
        for place in range(candidates)
    ]
    return profiles, Batch(rows, {name: random.standard_normal(rows) for name in names}, {})


def _held(profiles: list[Profile], batch: Batch) -> list[tuple[FeatureDrift, ...]]:
    """Everything from the window's values to the measures of each candidate."""
    edge_set = EdgeSet.of(profiles)
    tally = Counter(edge_set).count(batch)
    return [assess(profile, edge_set, tally) for profile in profiles]


def _exactness() -> Iterator[Row]:
    import numpy as np
    from scipy.stats import ks_2samp, wasserstein_distance

    random = np.random.default_rng(1)
    furthest = {"ks": 0.0, "wasserstein": 0.0}
    shapes: tuple[Callable[[int], NDArray[np.float64]], ...] = (
        random.standard_normal,
        lambda size: random.lognormal(size=size),
        lambda size: random.standard_t(3, size),
        random.random,
        random.standard_exponential,
    )
    for draws in shapes:
        training, window = draws(_TRAINING), draws(_TRAINING)
        mean, unit = training.mean(), training.std()
        profile = _profile({"x": training})
        for moved in (window, window + 0.3 * unit, mean + 1.5 * (window - mean)):
            exact = {
                "ks": ks_2samp(training, moved, method="asymp").statistic,
                "wasserstein": wasserstein_distance(training, moved) / unit,
            }
            found = _held([profile], Batch(_TRAINING, {"x": moved}, {}))[0][0].measures
            for name, value in exact.items():
                furthest[name] = max(furthest[name], abs(found[name] - value))
    for name, value in furthest.items():
        verdict = "ok" if value <= _DEMANDED else "over"
        yield Row(
            f"{name} against scipy on all values", None, note=f"at most {value:.4f} off, ≤ {_DEMANDED}, {verdict}"
        )
    training, window = random.standard_normal(100_000), random.standard_normal(100_000) + 1
    profile = _profile({"x": training})
    without, outlier = (
        _held([profile], Batch(len(values), {"x": values}, {}))[0][0].measures["psi"]
        for values in (window, np.append(window, 1e300))
    )
    change = abs(outlier / without - 1)
    yield Row(
        "psi with one value of 1e300 among 100,000",
        None,
        note=f"{without:.4f}, changes by {change:.4%}, ≤ 1 %, {'ok' if change <= 0.01 else 'over'}",
    )


def _named(sizes: tuple[int, ...]) -> Iterator[Row]:
    """Whether exactly the eight features that have drifted are named; rows are drawn in batches and thrown away."""
    training, texts = draw(0, _TRAINING, drifted=False)
    profile = _profile(training, {"venue": [VENUES[code] for code in texts["venue"].tolist()]})
    edge_set = EdgeSet.of([profile])
    counter = Counter(edge_set)
    for rows in sizes:
        spent, tallies = 0.0, []
        for start in range(0, rows, _BATCH):
            batch = _batch(draw(1 + start // _BATCH, min(_BATCH, rows - start), drifted=True))
            begun = time.perf_counter()
            tallies.append(counter.count(batch))
            spent += time.perf_counter() - begun
        begun = time.perf_counter()
        found = {item.feature for item in assess(profile, edge_set, reduce(add, tallies)) if item.has_drifted}
        spent += time.perf_counter() - begun
        amiss = sorted(found ^ set(DRIFTED))
        note = f"amiss: {', '.join(amiss)}" if amiss else "exactly those 8 named, ok"
        yield Row(f"8 drifted of 50, {rows:,} rows", spent * 1e3, note=note)


def _batch(rows: Rows) -> Batch:
    numbers, texts = rows
    return Batch(len(numbers["shift"]), numbers, {name: TextColumn(codes, VENUES) for name, codes in texts.items()})


def _profile(
    numbers: "Mapping[str, NDArray[np.float64]]", texts: Mapping[str, list[str | None]] | None = None
) -> Profile:
    import numpy as np

    matrix = np.column_stack([*numbers.values()])
    nothing = np.zeros(len(matrix))
    return Profile.of_baseline(
        make_baseline(FeatureTable(tuple(numbers), matrix, nothing, nothing, texts or {})), "benchmark"
    )
