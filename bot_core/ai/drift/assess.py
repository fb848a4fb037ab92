"""A window against one model's training rows: how far each feature has moved, and how certain that is."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bot_core.ai.baseline import FeatureBaseline
from bot_core.ai.drift.measures import (
    jensen_shannon,
    kolmogorov_smirnov,
    moments,
    population_stability,
    wasserstein,
)
from bot_core.ai.drift.ruler import Moments, Profile, edges_of, known_edges
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


@frozen
class FeatureDrift:
    """How far one feature has moved.

    Attributes:
        measures: Effect sizes by name. Of numbers: psi, ks, wasserstein (in standard deviations of training),
            jensen_shannon; of text: psi, jensen_shannon, new_categories (share); where only moments are known:
            mean_shift (in standard deviations), stdev_ratio (the larger by the smaller), outside (share of values
            beyond the training range). All have missing (by how much the share has risen).
        values: How many values there are now.
        p_value: Adjusted for all features of the model; None where nothing can be said.
        is_approximate: Only moments of the training values are known.
        new_names: Some of the values that training did not have.
    """

    feature: str
    measures: Mapping[str, float]
    values: int
    p_value: float | None
    is_approximate: bool = False
    new_names: tuple[str, ...] = ()

    @property
    def effect(self) -> float:
        """What features are ranked by: the largest of the measures, each in units of what is worth a look."""
        return max((value / NOTABLE[name] for name, value in self.measures.items()), default=0.0)

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
        _numbers(name, feature, collapsed_tally(edge_set, tally, name, feature), profile.rows)
        for name, feature in profile.features.items()
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


def assess_segments(
    profile: Profile, edge_set: EdgeSet, tally: Tally
) -> dict[str, dict[str, tuple[int, tuple[FeatureDrift, ...]]]]:
    """As `assess`, with the rows, for each value of each segment, held against all training rows."""
    numbers = replace(profile, categories={})
    return {
        column: {value: (part.rows, assess(numbers, edge_set, part)) for value, part in parts.items()}
        for column, parts in tally.segments.items()
    }


def collapsed_tally(edge_set: EdgeSet, tally: Tally, name: str, feature: FeatureBaseline | Moments) -> FeatureTally:
    """A feature's counts at the edges of one model."""
    found = tally.features[name]
    return FeatureTally(collapsed(found.counts, edge_set.features[name], edges_of(feature)), found.missing)


def _numbers(name: str, feature: FeatureBaseline | Moments, tally: FeatureTally, rows: int | None) -> FeatureDrift:
    n = int(tally.counts.sum())
    share = tally.missing / (n + tally.missing) if n + tally.missing else 1.0
    if isinstance(feature, Moments):
        if not n:
            return FeatureDrift(name, {"missing": share}, 0, 0.0, is_approximate=True)
        measures, p_value = _by_moments(feature, tally.counts, rows)
        return FeatureDrift(name, measures | {"missing": share}, n, p_value, is_approximate=True)
    rise = max(0.0, share - feature.missing / (feature.n + feature.missing))
    gone = shares_p(feature.missing, feature.n + feature.missing, tally.missing, max(1, n + tally.missing))
    if not n:
        return FeatureDrift(name, {"missing": rise}, 0, gone)
    measures, p_value = _by_counts(feature, tally.counts)
    # Two looks at one feature: Bonferroni within it.
    return FeatureDrift(name, measures | {"missing": rise}, n, min(1.0, 2 * min(p_value, gone)))


def _by_counts(feature: FeatureBaseline, actual: "NDArray[np.int64]") -> tuple[dict[str, float], float]:
    import numpy as np

    edges, known, tens = edges_of(feature), known_edges(feature), _tens(feature)
    binned = [
        collapsed(np.array((0, *feature.counts, 0)), known.tolist(), tens),
        collapsed(actual, edges.tolist(), tens),
    ]
    n = int(actual.sum())
    now = np.cumsum(actual)[:-1] / n
    training = np.cumsum((0, *feature.counts)) / feature.n
    # With every value an edge, nothing lies between two of them.
    steps = feature.distinct == len(feature.counts)
    places = np.searchsorted(known, edges, side="right") - 1
    before = np.where(places < 0, 0.0, training[places]) if steps else np.interp(edges, known, training, left=0.0)
    exact = np.isin(edges, known) | (edges < known[0]) | (edges > known[-1]) | steps
    ks = kolmogorov_smirnov(before[exact], now[exact])
    measures = {
        "psi": population_stability(*binned),
        "ks": ks,
        "jensen_shannon": jensen_shannon(*binned),
    }
    if feature.stdev > 0:
        measures["wasserstein"] = wasserstein(edges, before, now, steps=steps) / feature.stdev
    return measures, smirnov_p(ks, feature.n, n)


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
    feature: Moments, counts: "NDArray[np.int64]", rows: int | None
) -> tuple[dict[str, float], float | None]:
    import numpy as np

    edges = edges_of(feature)
    n = int(counts.sum())
    mean, stdev = moments(edges, counts)
    measures = {}
    if feature.minimum is not None and feature.maximum is not None:
        ends = np.array((math.nextafter(feature.minimum, -math.inf), feature.maximum))
        low, _, high = collapsed(counts, edges.tolist(), ends)
        measures["outside"] = float(low + high) / n
    if feature.stdev <= 0:
        return measures, (0.0 if measures.get("outside") else 1.0) if measures else None
    measures["mean_shift"] = abs(mean - feature.mean) / feature.stdev
    error = math.sqrt(1 / n + (1 / rows if rows else 0.0))
    p_values = [normal_p(measures["mean_shift"] / error)]
    if stdev > 0:
        measures["stdev_ratio"] = max(stdev / feature.stdev, feature.stdev / stdev)
        # The logarithm of a standard deviation has the standard error 1/sqrt(2n) (normal values).
        p_values.append(normal_p(math.log(measures["stdev_ratio"]) / (error / math.sqrt(2))))
    return measures, min(1.0, len(p_values) * min(p_values))


def _text(name: str, counts: Mapping[str, int], missing: int, tally: CategoryTally) -> FeatureDrift:
    import numpy as np

    total, before = sum(counts.values()), sum(counts.values()) + missing
    known = {value: tally.counts.get(value, 0) for value in counts}
    new = tally.new + sum(count for value, count in tally.counts.items() if value not in counts)
    n = sum(known.values()) + new
    now = n + tally.missing
    share = tally.missing / now if now else 1.0
    measures = {"missing": max(0.0, share - (missing / before if before else 0.0))}
    names = tuple(sorted({*tally.new_names, *(v for v, c in tally.counts.items() if c and v not in counts)}))
    if not n or not total:
        return FeatureDrift(name, measures, n, 0.0 if before else None, new_names=names)
    expected, actual = np.array([*counts.values(), 0]), np.array([*known.values(), new])
    measures |= {
        "psi": population_stability(expected, actual),
        "jensen_shannon": jensen_shannon(expected, actual),
        "new_categories": new / n,
    }
    looks = [*zip(expected.tolist(), actual.tolist(), strict=True)]
    p_values = [shares_p(one, total, other, n) for one, other in looks]
    p_values.append(shares_p(missing, before, tally.missing, now))
    return FeatureDrift(name, measures, n, min(1.0, len(p_values) * min(p_values)), new_names=names)


def worst(features: Sequence[FeatureDrift], number: int = 3) -> tuple[FeatureDrift, ...]:
    """The features that have moved furthest, those that have drifted first."""
    return tuple(sorted(features, key=lambda item: (not item.has_drifted, -item.effect, item.feature))[:number])
