"""How far features have moved between two windows: the figures of the pipeline's drift report."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean, pstdev

from bot_core.ai.feature_checks import is_finite

LEAST_ROWS = 20
_BINS = 10
_SMOOTHING = 0.5  # rows added to each bin, so that an empty one does not make the index infinite


def measure_feature_drift(
    baseline: Mapping[str, Sequence[float | None]],
    production: Mapping[str, Sequence[float | None]],
    *,
    psi_threshold: float = 0.35,
    ks_threshold: float = 0.1,
) -> dict[str, dict[str, object]]:
    """The `metrics` of a drift report, for `save_drift_report`.

    A feature triggers where its population stability index (nats) or its Kolmogorov-Smirnov distance (0 to 1) reaches
    the threshold; the report triggers where a feature does. `feature_drift.score` is the mean shift of the means in
    pooled standard deviations, `volatility_shift.score` the mean absolute logarithm of the ratio of the standard
    deviations; both leave out features that are constant in a window.

    Args:
        baseline: Values by feature in the window that the model knows, shape (rows,).
        production: Values by feature now, shape (rows,). Features that the baseline lacks are passed over.
        psi_threshold: In nats.
        ks_threshold: 0 to 1.

    Returns:
        Finite figures only. A feature with fewer than 20 finite values in a window is in `insufficient_features` and
        evaluated no further.
    """
    pairs = {name: (_finite(baseline[name]), _finite(production.get(name, ()))) for name in sorted(baseline)}
    enough = {name: pair for name, pair in pairs.items() if min(map(len, pair)) >= LEAST_ROWS}
    features = {name: _figures(before, now) for name, (before, now) in enough.items()}
    triggered = [n for n, found in features.items() if found["psi"] >= psi_threshold or found["ks"] >= ks_threshold]
    most = {key: max((found[key] for found in features.values()), default=0.0) for key in ("psi", "ks")}
    moving = [found for found in features.values() if found["baseline_std"] > 0 and found["production_std"] > 0]
    return {
        "distribution_summary": {
            "features_evaluated": len(features),
            "insufficient_features": [name for name in pairs if name not in enough],
            "ks_threshold": ks_threshold,
            "max_ks": most["ks"],
            "max_psi": most["psi"],
            "psi_threshold": psi_threshold,
            "triggered_features": triggered,
        },
        "feature_drift": {**most, "score": _mean([_shift(found) for found in moving]), "threshold": psi_threshold},
        "features": dict(features),
        "triggered": {"value": bool(triggered)},
        "volatility_shift": {
            "score": _mean(
                [abs(math.log(found["production_std"]) - math.log(found["baseline_std"])) for found in moving]
            )
        },
    }


def population_stability(before: Sequence[float], now: Sequence[float]) -> float:
    """Population stability index of two samples over the deciles of the first.

    Args:
        before: Sorted finite values at training time, at least one.
        now: Sorted finite values now, at least one.

    Returns:
        Index in nats, 0 for equal shares; half a row is added to each bin, so it is finite.

    Source: Siddiqi, Credit Risk Scorecards (2006), system stability report.
    """
    edges = sorted({before[len(before) * i // _BINS] for i in range(1, _BINS)})
    return math.fsum(
        (q - p) * math.log(q / p) for p, q in zip(_shares(before, edges), _shares(now, edges), strict=True)
    )


def kolmogorov_smirnov(before: Sequence[float], now: Sequence[float]) -> float:
    """Greatest distance between the distribution functions of two sorted samples of at least one value, 0 to 1.

    Source: Massey, The Kolmogorov-Smirnov Test for Goodness of Fit (1951), the statistic of two samples.
    """
    return max(
        abs(bisect_right(before, value) / len(before) - bisect_right(now, value) / len(now))
        for value in {*before, *now}
    )


def _finite(values: Sequence[float | None]) -> list[float]:
    return sorted(float(value) for value in values if is_finite(value))


def _figures(before: list[float], now: list[float]) -> dict[str, float]:
    means = fmean(before), fmean(now)
    return {
        "baseline_count": float(len(before)),
        "baseline_mean": means[0],
        "baseline_std": pstdev(before),
        "ks": kolmogorov_smirnov(before, now),
        "mean_abs_diff": abs(means[0] - means[1]),
        "production_count": float(len(now)),
        "production_mean": means[1],
        "production_std": pstdev(now),
        "psi": population_stability(before, now),
    }


def _shares(ordered: Sequence[float], edges: Sequence[float]) -> list[float]:
    places = [0, *(bisect_left(ordered, edge) for edge in edges), len(ordered)]
    whole = len(ordered) + _SMOOTHING * (len(edges) + 1)
    return [(high - low + _SMOOTHING) / whole for low, high in pairwise(places)]


def _shift(found: Mapping[str, float]) -> float:
    return found["mean_abs_diff"] / math.hypot(found["baseline_std"], found["production_std"]) * math.sqrt(2.0)


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
