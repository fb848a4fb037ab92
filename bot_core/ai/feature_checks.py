"""What a set of features lacks, and which of its values lie beyond what training saw."""

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TypeGuard

Ranges = Mapping[str, tuple[float, float]]


def check_completeness(
    expected: Iterable[str], features: Mapping[str, object], context: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The finding `completeness`: an alert where a feature is absent, or present without a finite number.

    Args:
        expected: Names of the features that must be there.
        features: By name.
        context: What the features belong to; repeated in the finding.
    """
    names = sorted(set(expected))
    missing = [name for name in names if name not in features]
    unusable = [name for name in names if name in features and not is_finite(features[name])]
    return {
        "category": "completeness",
        "status": "alert" if missing or unusable else "ok",
        "context": dict(context or {}),
        "expected_features": names,
        "missing_features": missing,
        "null_features": unusable,
        "unexpected_features": sorted(set(features) - set(names)) if names else [],
    }


def check_bounds(
    ranges: Ranges, features: Mapping[str, object], context: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The finding `bounds`: an alert where a value is outside its range, or no number at all.

    An absent, empty or infinite value is for `check_completeness`.

    Args:
        ranges: Least and greatest allowed value by feature; an infinite one is no limit, and null in the finding.
        features: By name.
        context: What the features belong to; repeated in the finding.
    """
    violations = []
    for name in sorted(ranges):
        value, (low, high) = features.get(name), ranges[name]
        if reason := _fault(value, low, high):
            limits = {"min": _limit(low), "max": _limit(high)}
            shown = float(value) if is_finite(value) else str(value)
            violations.append({"feature": name, "value": shown, **limits, "reason": reason})
    return {
        "category": "bounds",
        "status": "alert" if violations else "ok",
        "context": dict(context or {}),
        "monitored_features": sorted(ranges),
        "violations": violations,
    }


def known_features(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """The features in an artifact's metadata, sorted: `feature_names`, else those of the stats or the scalers."""
    names = metadata.get("feature_names")
    if isinstance(names, list | tuple) and names:
        return tuple(sorted(map(str, names)))
    return next(
        (tuple(sorted(found)) for key in ("feature_stats", "feature_scalers") if (found := _at(metadata, key))), ()
    )


def known_ranges(metadata: Mapping[str, object]) -> dict[str, tuple[float, float]]:
    """Least and greatest value in training by feature, for those whose metadata.feature_stats say both."""
    ranges = {}
    for name, entry in sorted(_at(metadata, "feature_stats").items()):
        low, high = (entry.get("min"), entry.get("max")) if isinstance(entry, Mapping) else (None, None)
        if is_finite(low) and is_finite(high):
            ranges[name] = (float(low), float(high))
    return ranges


def is_enforced_by(metadata: Mapping[str, object]) -> bool:
    """Whether an artifact's own metadata ask that an alert keeps a score from being made: `data_quality.enforce`."""
    return _at(metadata, "data_quality").get("enforce") is True


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a number, and neither NaN nor infinite."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _fault(value: object, low: float, high: float) -> str:
    if not isinstance(value, bool) and isinstance(value, Real):
        return "out_of_bounds" if is_finite(value) and not low <= value <= high else ""
    return "" if value is None else "non_numeric"


def _limit(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _at(metadata: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = metadata.get(key)
    return value if isinstance(value, Mapping) else {}
