"""A measurement in the form of the running engine's drift report."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from bot_core.ai.drift.assess import FeatureDrift


def report_metrics(features: Sequence[FeatureDrift], limits: Mapping[str, float]) -> dict[str, dict[str, object]]:
    """The `metrics` of a drift report, for `save_drift_report`.

    A feature triggers where a measure is at or above its limit and the change is certain. `feature_drift.score` is the
    mean shift of the means in pooled standard deviations, `volatility_shift.score` the mean absolute logarithm of the
    ratio of the standard deviations; both leave out what is constant.

    Args:
        features: As `assess` gives them.
        limits: By the name of the measure.

    Returns:
        Finite figures only. `distribution_summary` says in `approximate` whether only moments of training are known,
        and in `insufficient_features` which features are without a value now.
    """
    there = [item for item in features if item.values]
    triggered = sorted(item.feature for item in features if item.beyond(limits))
    most = {name: max((item.measures.get(name, 0.0) for item in there), default=0.0) for name in ("ks", "psi")}
    moving = [item.figures for item in there if _moves(item.figures)]
    return {
        "distribution_summary": {
            "approximate": any(item.is_approximate for item in features),
            "features_evaluated": len(there),
            "insufficient_features": sorted(item.feature for item in features if not item.values),
            "limits": dict(limits),
            "max_ks": most["ks"],
            "max_psi": most["psi"],
            "triggered_features": triggered,
        },
        "feature_drift": {**most, "score": _mean([_shift(found) for found in moving]), "threshold": limits.get("psi")},
        "features": {item.feature: {**item.figures, **item.measures, "certain": item.is_certain} for item in features},
        "triggered": {"value": bool(triggered)},
        "volatility_shift": {
            "score": _mean([abs(math.log(found["production_std"] / found["baseline_std"])) for found in moving])
        },
    }


def _moves(figures: Mapping[str, float]) -> bool:
    return figures.get("baseline_std", 0.0) > 0 and figures.get("production_std", 0.0) > 0


def _shift(figures: Mapping[str, float]) -> float:
    pooled = math.hypot(figures["baseline_std"], figures["production_std"]) / math.sqrt(2)
    return abs(figures["production_mean"] - figures["baseline_mean"]) / pooled


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
