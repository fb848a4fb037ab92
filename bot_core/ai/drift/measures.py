"""How far two distributions lie apart, from counts between the same edges.

All are effect sizes: they say how much has changed, not how certain that is. `significance.py` says the latter.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def population_stability(expected: "NDArray[np.int64]", actual: "NDArray[np.int64]") -> float:
    """Population stability index of two binned samples.

    Half a value is added to every bin of both samples (Jeffreys), so that an empty bin does not make it infinite.

    Args:
        expected: Counts per bin at training time, shape (bins,).
        actual: Counts per bin now, same bins.

    Returns:
        Index in nats, 0 for equal counts; no upper bound. Above 0.1 a change is called moderate, above 0.25 major: both
        are conventions for ten bins, not laws.

    Source: Siddiqi, Credit Risk Scorecards (2006), system stability report. It is the symmetric divergence of Jeffreys
    (1946); Yurdakul, Statistical Properties of Population Stability Index (2018), gives its distribution.
    """
    import numpy as np

    p, q = _smoothed(expected), _smoothed(actual)
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(expected: "NDArray[np.int64]", actual: "NDArray[np.int64]") -> float:
    """Jensen-Shannon distance of two binned samples: the root of the divergence, logarithms to base 2.

    Args:
        expected: Counts per bin at training time, shape (bins,).
        actual: Counts per bin now, same bins.

    Returns:
        From 0 (equal shares) to 1 (nothing in common).

    Source: Lin (1991); that its root is a metric: Endres and Schindelin (2003).
    """
    import numpy as np

    p, q = expected / expected.sum(), actual / actual.sum()
    middle = (p + q) / 2

    def divergence(share: "NDArray[np.float64]") -> float:
        there = share > 0
        return float(np.sum(share[there] * np.log2(share[there] / middle[there])))

    return float(np.sqrt(max(0.0, (divergence(p) + divergence(q)) / 2)))


def kolmogorov_smirnov(expected: "NDArray[np.float64]", actual: "NDArray[np.float64]") -> float:
    """Largest difference of two distribution functions, at the points where both are known.

    Args:
        expected: Distribution function at training time, at each of some points, shape (points,).
        actual: Distribution function now, at the same points.

    Returns:
        From 0 to 1; between two points more is possible, at most what the one or the other rises by there.

    Source: Smirnov (1939), the two-sample statistic.
    """
    import numpy as np

    return float(np.max(np.abs(expected - actual)))


def wasserstein(
    edges: "NDArray[np.float64]",
    expected: "NDArray[np.float64]",
    actual: "NDArray[np.float64]",
    steps: "NDArray[np.bool_] | None" = None,
) -> float:
    """Earth mover's distance of order one: the area between two distribution functions.

    What lies beyond the outermost edges counts as if it lay on them.

    Args:
        edges: Ascending, shape (edges,).
        expected: Distribution function at training time, at each edge, shape (edges,).
        actual: Distribution function now, at each edge.
        steps: Of which intervals (edge, next edge] the values all lie on the upper edge, shape (edges - 1,); in the
            others they are spread evenly. Default: of none.

    Returns:
        In the unit of the edges; divide by the standard deviation at training time for the normalised one.

    Source: Vallender (1974) for the formula on the line.
    """
    import numpy as np

    difference = expected - actual
    width, left, right = np.diff(edges), np.abs(difference[:-1]), np.abs(difference[1:])
    both = left + right
    crossing = difference[:-1] * difference[1:] < 0
    # Two straight lines that cross enclose two triangles.
    height = np.where(crossing, (left**2 + right**2) / np.where(both > 0, both, 1.0), both)
    if steps is not None:
        height = np.where(steps, 2 * left, height)
    return float(np.sum(width * height) / 2)


def moments(edges: "NDArray[np.float64]", counts: "NDArray[np.int64]") -> tuple[float, float, float]:
    """Mean, standard deviation and kurtosis of a binned sample, each value taken for the middle of its bin.

    Args:
        edges: Ascending, shape (bins - 1,); what lies beyond them counts as if it lay on them.
        counts: Values per bin, at least one value, shape (bins,).

    Returns:
        The kurtosis is 3 for normal values, and is called 3 where all values are in one bin.
    """
    import numpy as np

    there = counts > 0
    middles = np.concatenate((edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]))[there]
    shares = counts[there] / counts.sum()
    mean = float(np.sum(middles * shares))
    squares = (middles - mean) ** 2
    variance = float(np.sum(squares * shares))
    kurtosis = float(np.sum(squares**2 * shares)) / variance**2 if variance else 3.0
    return mean, float(np.sqrt(variance)), kurtosis


def _smoothed(counts: "NDArray[np.int64]") -> "NDArray[np.float64]":
    shares: NDArray[np.float64] = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares
