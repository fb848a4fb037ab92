"""Data drift by scipy, NannyML and Evidently: the same two tables, made from the same seed in each environment."""

from collections.abc import Callable, Iterator

from benchmarks import peers
from benchmarks.measure import BenchmarkError, Row

# What each needs beside itself, because its own metadata ask for less or for too much, as installed in November 2026.
_PACKAGES = {
    "scipy": ("scipy",),
    "nannyml": ("nannyml", "statsmodels", "pandas<3"),
    "evidently": ("evidently", "pandas<3"),
}
_TABLES = """
import json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
rows, features = int(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(0)
names = [f"f{number}" for number in range(features)]
training, window = (random.standard_normal((features, rows)) for _ in range(2))
def table(columns):
    import pandas
    return pandas.DataFrame(dict(zip(names, columns)))
"""
_SCRIPTS = {
    "scipy": """
from scipy.stats import ks_2samp, wasserstein_distance
edges = [np.quantile(column, np.arange(1, 10) / 10) for column in training]
shares = [np.bincount(np.searchsorted(at, column), minlength=10) / rows for at, column in zip(edges, training)]
begun = time.perf_counter()
for before, now, at, p in zip(training, window, edges, shares):
    ks_2samp(before, now, method="asymp")
    wasserstein_distance(before, now)
    q = np.bincount(np.searchsorted(at, now), minlength=10) / rows
    np.sum((q - p) * np.log(q / p))
print(json.dumps({"ms": (time.perf_counter() - begun) * 1e3}))
""",
    "nannyml": """
import nannyml
from nannyml.usage_logging import disable_usage_logging
disable_usage_logging()
before, now = table(training), table(window)
calculator = nannyml.UnivariateDriftCalculator(
    column_names=names, chunk_size=rows,
    continuous_methods=["kolmogorov_smirnov", "wasserstein", "jensen_shannon"])
begun = time.perf_counter()
calculator.fit(before)
fitted = time.perf_counter()
calculator.calculate(now)
print(json.dumps({"ms": (time.perf_counter() - fitted) * 1e3, "fit_ms": (fitted - begun) * 1e3}))
""",
    "evidently": """
from evidently import Report
from evidently.presets import DataDriftPreset
before, now = table(training), table(window)
begun = time.perf_counter()
for method in ("psi", "ks", "wasserstein"):
    Report([DataDriftPreset(method=method)]).run(now, before)
print(json.dumps({"ms": (time.perf_counter() - begun) * 1e3}))
""",
}


def rows(ours: Callable[[int], float], features: int) -> Iterator[Row]:
    """Compare.

    Args:
        ours: Measures KS, W1 and PSI of so many rows, and gives the time in ms. It is asked before the peer and after
            it, and the longer time counts: a machine is not equally busy all the time.
        features: How many there are.
    """
    for peer, size, budget in (("scipy", 1_000_000, 25), ("nannyml", 1_000_000, 20), ("evidently", 100_000, 30)):
        what = f"KS + W1 + PSI, {size:,} rows x {features}"
        before_ms = ours(size)
        try:
            python = peers.python_with(peer, *_PACKAGES[peer])
            found = peers.figures(python, _TABLES + _SCRIPTS[peer], str(size), str(features))
        except BenchmarkError as error:
            yield Row(what, before_ms, peer, note=f"not measured: {str(error).splitlines()[-1]}")
            continue
        fit = f"its fit before, {found['fit_ms']:.0f} ms, is left out" if "fit_ms" in found else ""
        yield Row(what, max(before_ms, ours(size)), peer, found["ms"], budget, cheaper=True, note=fit)
