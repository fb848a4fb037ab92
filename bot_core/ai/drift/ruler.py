"""Where to count: the edges at which the values of a window are held against one model's training rows."""

import math
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from bot_core.ai.baseline import Baseline, FeatureBaseline
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Edges of its own that a window needs, in standard deviations of training. Within the training range: wherever the
# baseline leaves a wider gap than this, in so many pieces at most. Beyond it: as close up to sixteen, then in steps of
# a twelfth of an octave up to 64; what lies further out counts as if it lay there, so that no absurd value outweighs
# all others.
RESOLUTION = 1 / 16
_MOST_PIECES = 32
_NEAR, _OCTAVES, _PER_OCTAVE = 16, 2, 12
# The standard deviation of a constant, as floats compute it, to its mean.
_ROUNDING = 1e-12
# Where cells are to be fine: all but this share of the training values on each side.
_OUTER = 0.002


@frozen
class Moments:
    """All that the running engine's artifacts say of a feature; `minimum` and `maximum` are None where they do not."""

    mean: float
    stdev: float
    minimum: float | None = None
    maximum: float | None = None


@frozen
class Profile:
    """What a model's training rows looked like.

    Attributes:
        rows: How many there were; None where the artifact does not say.
        features: A `FeatureBaseline`, or `Moments` where there is no better, by feature.
        categories: How often each value was there, and how many were missing, by column of text.
        source: Where this comes from, in words.
        segments: The features by column of text and value, where they are known.
    """

    rows: int | None
    features: Mapping[str, FeatureBaseline | Moments]
    categories: Mapping[str, tuple[Mapping[str, int], int]]
    source: str
    segments: Mapping[str, Mapping[str, Mapping[str, FeatureBaseline]]] = field(default_factory=dict)

    @property
    def is_approximate(self) -> bool:
        """Whether there is a feature of which no more than moments are known."""
        return any(isinstance(feature, Moments) for feature in self.features.values())

    @cached_property
    def edges(self) -> "Mapping[str, NDArray[np.float64]]":
        """The edges at which a window is counted, by feature; see `edges_of`."""
        return {name: edges_of(feature) for name, feature in self.features.items()}

    @classmethod
    def of_baseline(cls, baseline: Baseline, source: str) -> "Profile":
        """The profile in a baseline."""
        categories = {name: (item.counts, item.missing) for name, item in baseline.categories.items()}
        return cls(baseline.rows, baseline.features, categories, source, baseline.segments)


def edges_of(feature: FeatureBaseline | Moments) -> "NDArray[np.float64]":
    """The edges at which a window is counted for a feature.

    Those of the baseline, both ends of the training range, and more beyond it; for moments, steps around the mean.

    Returns:
        Ascending, all different, at least one, shape (edges,).
    """
    import numpy as np

    step = RESOLUTION * spread(feature)
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.arange(1, _NEAR / RESOLUTION + 1) * step
        far = near[-1] * 2 ** (np.arange(1, _OCTAVES * _PER_OCTAVE + 1) / _PER_OCTAVE)
        core = _parted(_around(feature, near) if isinstance(feature, Moments) else known_edges(feature), step)
        beyond = np.concatenate((near, far))
        return _rising(np.concatenate((core[0] - beyond[::-1], core, core[-1] + beyond)))


def spread(feature: FeatureBaseline | Moments) -> float:
    """The standard deviation in training; 0 for a constant, also where rounding made it a little more."""
    if feature.minimum is None:
        return feature.stdev if feature.stdev > _ROUNDING * abs(feature.mean) else 0.0
    return 0.0 if feature.minimum == feature.maximum else feature.stdev


def known_edges(feature: FeatureBaseline) -> "NDArray[np.float64]":
    """Where the training distribution is known exactly within its range: just below, at each edge, at the maximum."""
    import numpy as np

    return np.array((math.nextafter(feature.minimum, -math.inf), *feature.edges, feature.maximum))


def _around(feature: Moments, near: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Steps around the mean, and both ends of the range where they are known."""
    import numpy as np

    ends = [end for end in (_before(feature.minimum), feature.maximum) if end is not None]
    return _rising(np.sort(np.concatenate((feature.mean - near, (feature.mean, *ends), feature.mean + near))))


def _parted(edges: "NDArray[np.float64]", step: float) -> "NDArray[np.float64]":
    """The edges, and wherever they lie further apart than the step, others between them."""
    import numpy as np

    widths = np.diff(edges)
    wide = (widths > step) & np.isfinite(widths) & (step > 0)
    pieces = np.ones(len(widths), np.int64)
    pieces[wide] = np.minimum(_MOST_PIECES, np.ceil(widths[wide] / step))
    first = np.cumsum(pieces) - pieces
    number = np.arange(pieces.sum()) - np.repeat(first, pieces)
    between = np.repeat(edges[:-1], pieces) + number * np.repeat(np.where(wide, widths, 0.0) / pieces, pieces)
    return _rising(np.append(between, edges[-1]))


def _rising(edges: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Of edges that never fall, the finite ones, each once; -0.0 and 0.0 are one."""
    import numpy as np

    finite = edges[np.isfinite(edges)] + 0.0
    rising: NDArray[np.float64] = finite[np.append(True, finite[1:] > finite[:-1])]
    return rising


def inner_range(feature: FeatureBaseline | Moments) -> tuple[float, float]:
    """Between which values nearly all of the training values lie."""
    if isinstance(feature, Moments):
        return feature.mean - 3 * feature.stdev, feature.mean + 3 * feature.stdev
    if not feature.edges:
        return feature.minimum, feature.maximum
    import numpy as np

    below = np.cumsum(feature.counts[:-1])
    low = int(np.searchsorted(below, _OUTER * feature.n, side="right")) - 1
    high = int(np.searchsorted(below, (1 - _OUTER) * feature.n)) - 1
    return feature.edges[max(0, low)], feature.edges[high]


def _before(value: float | None) -> float | None:
    return None if value is None else math.nextafter(value, -math.inf)
