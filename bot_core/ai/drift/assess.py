"""A window against one model's training rows: how far each feature has moved, and how certain that is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from bot_core.ai.baseline import FeatureBaseline
from bot_core.ai.drift.measures import (
    jensen_shannon,
    kolmogorov_smirnov,
    moments,
    population_stability,
    wasserstein,
)
from bot_core.ai.drift.ruler import RESOLUTION, Moments, Profile, known_edges, spread
from bot_core.ai.drift.significance import holm, normal_p, shares_p, smirnov_p
from bot_core.ai.drift.tally import CategoryTally, EdgeSet, FeatureTally, Tally, collapsed
from bot_core.foundation.frozen import frozen, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# From here on a change is worth a person's look. PSI: Siddiqi (2006); the mean, in standard deviations: Cohen (1988),
# a small effect; the others: the defaults of the tools in use (0.1), a twentieth of the rows.
NOTABLE: Mapping[str, float] = {
    "psi": 0.1,
    "ks": 0.1,
    "wasserstein": 0.1,
    "jensen_shannon": 0.1,
    "missing": 0.05,
    "new_categories": 0.05,
    "mean_shift": 0.2,
    "stdev_ratio": 1.25,
    "outside": 0.05,
}
ALPHA = 0.01
_BINS = 10
_TAIL = 0.01
_LEAST = 100  # values from which on moments say anything


@frozen
class FeatureDrift:
    """How far one feature has moved.

    Attributes:
        measures: Effect sizes by name. Of numbers: psi, ks, wasserstein (in standard deviations of training),
            jensen_shannon; of text: psi, jensen_shannon, new_categories (share); where only moments are known:
            mean_shift (in standard deviations), stdev_ratio (the larger by the smaller), outside (share of values
            beyond the training range). All have missing: by how much the share has risen; with moments only, from 0.
            Empty where there are no rows.
        values: How many values there are now.
        p_value: Adjusted for all looks at all features of the model; None where there are no rows.
        is_approximate: Only moments of the training values are known.
        new_names: Some of the values that training did not have.
        figures: Of numbers: baseline_count (where it is known), baseline_mean, baseline_std, production_count,
            production_mean, production_std; the production's mean and deviation are from counts, as close as bins are.
    """

    feature: str
    measures: Mapping[str, float]
    values: int
    p_value: float | None
    is_approximate: bool = False
    new_names: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def effect(self) -> float:
        """What features are ranked by: the largest of the measures, each in units of what is worth a look."""
        return max((_in_units(name, value) for name, value in self.measures.items()), default=0.0)

    @property
    def is_certain(self) -> bool:
        """Whether it is no play of chance, among so many features."""
        return self.p_value is not None and self.p_value < ALPHA

    @property
    def has_drifted(self) -> bool:
        """Whether the change is both certain and worth a look."""
        return self.is_certain and self.effect >= 1

    def beyond(self, limits: Mapping[str, float]) -> dict[str, float]:
        """The measures at or above their limit, where the change is certain."""
        if not self.is_certain:
            return {}
        return {name: value for name, value in self.measures.items() if value >= limits.get(name, math.inf)}


def _in_units(name: str, value: float) -> float:
    """A measure in units of what is worth a look; 0 where nothing has changed."""
    return math.log(value) / math.log(NOTABLE[name]) if name == "stdev_ratio" else value / NOTABLE[name]


def assess(profile: Profile, edge_set: EdgeSet, tally: Tally) -> tuple[FeatureDrift, ...]:
    """Hold a window against one model.

    Args:
        profile: The model's training rows.
        edge_set: What was counted; it holds the profile's edges.
        tally: The window's counts.

    Returns:
        Every feature of the profile, the largest effect first. A feature without a value now has only `missing`.
    """
    found = [
        _numbers(name, profile, edge_set.features[name], tally.features[name])
        for name in profile.features
        if name in tally.features
    ]
    found += [
        _text(name, counts, missing, tally.categories[name])
        for name, (counts, missing) in profile.categories.items()
        if name in tally.categories
    ]
    adjusted = holm([1.0 if item.p_value is None else item.p_value for item in found])
    settled = [
        replace(item, p_value=None if item.p_value is None else p_value)
        for item, p_value in zip(found, adjusted, strict=True)
    ]
    return tuple(sorted(settled, key=lambda item: (-item.effect, item.feature)))


@frozen
class SegmentDrift:
    """As `assess`, for the rows of one value of a segment.

    Attributes:
        is_own: Whether they are held against the training rows of the same value; else, where nothing is known of
            those, against all training rows, from which a segment may differ without any drift.
    """

    rows: int
    features: tuple[FeatureDrift, ...]
    is_own: bool


def assess_segments(profile: Profile, edge_set: EdgeSet, tally: Tally) -> dict[str, dict[str, SegmentDrift]]:
    """Hold the rows of each value of each segment against one model."""
    return {
        column: {
            value: _segment(profile, profile.segments.get(column, {}).get(value, {}), edge_set, part)
            for value, part in parts.items()
        }
        for column, parts in tally.segments.items()
    }


def _segment(profile: Profile, known: Mapping[str, FeatureBaseline], edge_set: EdgeSet, part: Tally) -> SegmentDrift:
    own = {name: feature for name, feature in known.items() if feature.n}
    held = replace(profile, features=own) if own else profile
    found = assess(held, edge_set, part)
    return SegmentDrift(part.rows, found, bool(own))


def _numbers(name: str, profile: Profile, counted_at: "NDArray[np.float64]", tally: FeatureTally) -> FeatureDrift:
    feature, edges, rows = profile.features[name], profile.edges[name], profile.rows
    counts = collapsed(tally.up_to, counted_at, edges)
    n = int(counts.sum())
    now = n + tally.missing
    is_approximate = isinstance(feature, Moments)
    if not now:
        return FeatureDrift(name, {}, 0, None, is_approximate)
    missing, before = (0, rows or now) if isinstance(feature, Moments) else (feature.missing, feature.rows)
    measures: dict[str, float] = {}
    p_values = [shares_p(missing, before, tally.missing, now)]
    if n:
        if isinstance(feature, Moments):
            measures, others = _by_moments(feature, edges, counts, rows)
        else:
            measures, others = _by_counts(feature, edges, counts)
        p_values += others
    measures["missing"] = max(0.0, tally.missing / now - missing / before)
    figures = _figures(feature, edges, counts, rows) if n else {}
    return FeatureDrift(name, measures, n, _least(p_values), is_approximate, figures=figures)


def _figures(
    feature: FeatureBaseline | Moments, edges: "NDArray[np.float64]", counts: "NDArray[np.int64]", rows: int | None
) -> dict[str, float]:
    unit = spread(feature) or 1.0
    mean, stdev, _ = moments(edges / unit - feature.mean / unit, counts)
    known = rows if isinstance(feature, Moments) else feature.n
    count = {} if known is None else {"baseline_count": float(known)}
    training = {"baseline_mean": feature.mean, "baseline_std": feature.stdev}
    return {
        **count,
        **training,
        "production_count": float(counts.sum()),
        "production_mean": feature.mean + unit * mean,
        "production_std": unit * stdev,
    }


def _least(p_values: Sequence[float]) -> float:
    """The p-value of several looks at one feature (Bonferroni)."""
    return min(1.0, len(p_values) * min(p_values))


def _by_counts(
    feature: FeatureBaseline, edges: "NDArray[np.float64]", actual: "NDArray[np.int64]"
) -> tuple[dict[str, float], list[float]]:
    import numpy as np

    trained_up_to, up_to = np.cumsum((0, *feature.counts, 0)), np.cumsum(actual)
    n = int(up_to[-1])
    known, tens = known_edges(feature), _tens(feature)
    binned = [collapsed(trained_up_to, known, tens), collapsed(up_to, edges, tens)]
    up_to, trained_up_to = up_to[:-1], trained_up_to[:-1]
    now, training = up_to / n, trained_up_to / feature.n
    at = np.searchsorted(edges, known)
    # Before the first edge that is known, and beyond the last one, the distance is no larger than there.
    ks = kolmogorov_smirnov(training, now[at])
    steps = np.zeros(len(edges), np.bool_)
    if feature.distinct == len(feature.counts):  # with every value an edge, nothing lies between two of them
        ks = max(ks, kolmogorov_smirnov(training[:-1], now[at[1:] - 1]))
        steps[at] = True
    measures = {
        "psi": population_stability(*binned),
        "ks": ks,
        "jensen_shannon": jensen_shannon(*binned),
    }
    if stdev := spread(feature):
        measures["wasserstein"] = wasserstein(edges / stdev, _trained(feature, edges), now, steps[1:])
    tails = (np.searchsorted(training, _TAIL), np.searchsorted(training, 1 - _TAIL, side="right") - 1)
    return measures, [
        smirnov_p(ks, feature.n, n),
        *(shares_p(int(trained_up_to[tail]), feature.n, int(up_to[at[tail]]), n) for tail in tails),
    ]


def _trained(feature: FeatureBaseline, edges: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """The distribution function in training: exact at the known edges and, with every value an edge, between them.

    Else one of a bin's values is on its upper edge; of the others those further out than `x` fall off exponentially.
    """
    import numpy as np

    known, n = known_edges(feature), feature.n
    up_to = np.cumsum((0, *feature.counts, 0))
    places = np.searchsorted(known, edges, side="right") - 1
    inside = np.maximum(places, 0)
    found = np.where(places < 0, 0, up_to[inside]).astype(float)
    if feature.distinct == len(feature.counts):
        return found / n
    after = np.minimum(inside + 1, len(known) - 1)
    with np.errstate(over="ignore"):
        width = known[after] - known[inside]
    parted = (places >= 0) & (width > 0) & np.isfinite(width)
    part = np.divide(edges - known[inside], width, out=np.zeros(len(edges)), where=parted)
    below, above = np.maximum(up_to[inside], 1), np.maximum(n - up_to[inside], 1)
    rising = below * (np.maximum(up_to[after] - 1, 1) / below) ** part
    falling = above * ((n - up_to[after] + 1) / above) ** part
    between = np.where(2 * below < n, rising, n - falling)
    # A segment of the training rows leaves bins empty.
    return np.where((part > 0) & (up_to[after] > up_to[inside]), between, found) / n


def _tens(feature: FeatureBaseline) -> "NDArray[np.float64]":
    """Edges of bins with a tenth of the training values each; where ties leave fewer, also both ends of the range."""
    import numpy as np

    below = np.cumsum(feature.counts)
    ranks = np.ceil(np.arange(1, _BINS) / _BINS * feature.n)
    places = np.unique(np.searchsorted(below, ranks))
    edges = np.array(feature.edges)[places[places < len(feature.edges)]]
    if len(edges) < _BINS - 1:
        ends = (math.nextafter(feature.minimum, -math.inf), feature.maximum)
        edges = np.unique(np.concatenate((edges, ends)))
    return edges


def _by_moments(
    feature: Moments, edges: "NDArray[np.float64]", counts: "NDArray[np.int64]", rows: int | None
) -> tuple[dict[str, float], list[float]]:
    import numpy as np

    n = int(counts.sum())
    measures: dict[str, float] = {}
    if feature.minimum is not None and feature.maximum is not None:
        ends = np.array((math.nextafter(feature.minimum, -math.inf), feature.maximum))
        low, _, high = collapsed(np.cumsum(counts), edges, ends)
        measures["outside"] = float(low + high) / n
    unit = spread(feature)
    if not unit:  # one value other than a constant is certain to be a change
        return measures, [0.0 if measures.get("outside") else 1.0]
    mean, stdev, kurtosis = moments(edges / unit - feature.mean / unit, counts)
    measures["mean_shift"] = abs(mean)
    if n < _LEAST:
        return measures, []
    stdev = max(stdev, RESOLUTION / math.sqrt(12))  # what is in one bin may be a constant
    measures["stdev_ratio"] = max(stdev, 1 / stdev)
    of_training = 1 / rows if rows else 0.0
    # A single value as far out as the training range goes is enough for that kurtosis.
    reach = max((abs(end - feature.mean) for end in (feature.minimum, feature.maximum) if end is not None), default=0.0)
    kurtosis = max(kurtosis, 3.0, (reach / unit) ** 4 / (rows or n))
    # The standard error of a variance of 1, and of its logarithm: Cramér (1946), 27.4; for normal values sqrt(2/n).
    # Where tails are heavy, the one form is sure too soon of a rise, the other of a fall.
    error = math.sqrt((1 / n + of_training) * (kurtosis - 1))
    change = min(abs(stdev**2 - 1), 2 * abs(math.log(stdev)))
    return measures, [
        normal_p(mean / math.sqrt(max(1.0, stdev) ** 2 / n + of_training)),
        normal_p(change / error),
    ]


def _text(name: str, counts: Mapping[str, int], missing: int, tally: CategoryTally) -> FeatureDrift:
    import numpy as np

    total = sum(counts.values())
    known = {value: tally.counts.get(value, 0) for value in counts}
    new = tally.new + sum(count for value, count in tally.counts.items() if value not in counts)
    names = tuple(sorted({*tally.new_names, *(v for v, c in tally.counts.items() if c and v not in counts)}))
    n, before = sum(known.values()) + new, total + missing
    now = n + tally.missing
    if not now or not before:
        return FeatureDrift(name, {}, n, None, new_names=names)
    measures = {"missing": max(0.0, tally.missing / now - missing / before)}
    p_values = [shares_p(missing, before, tally.missing, now)]
    if n:
        measures["new_categories"] = new / n
    if n and total:
        expected, actual = np.array((*counts.values(), 0)), np.array((*known.values(), new))
        measures |= {"psi": population_stability(expected, actual), "jensen_shannon": jensen_shannon(expected, actual)}
        looks = zip(expected.tolist(), actual.tolist(), strict=True)
        p_values += [shares_p(one, total, other, n) for one, other in looks]
    return FeatureDrift(name, measures, n, _least(p_values), new_names=names)


def worst(features: Sequence[FeatureDrift], number: int = 3) -> tuple[FeatureDrift, ...]:
    """The features that have moved furthest, those that have drifted first."""
    return tuple(sorted(features, key=lambda item: (not item.has_drifted, -item.effect, item.feature))[:number])
