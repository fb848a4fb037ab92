"""How certain a change is: by sample size, and with many features looked at together."""

import math
from collections.abc import Sequence


def smirnov_p(statistic: float, n: int, m: int) -> float:
    """How probable a two-sample Kolmogorov-Smirnov statistic at least as large is where nothing has changed.

    Args:
        statistic: From 0 to 1.
        n: Values of the one sample, at least 1.
        m: Values of the other, at least 1.

    Returns:
        The limit for large samples with Stephens' correction for small ones; on ties, or where the statistic is known
        at edges only, an upper bound.

    Source: Kolmogorov (1933); Stephens (1970), as in Press et al., Numerical Recipes, 14.3.
    """
    size = math.sqrt(n * m / (n + m))
    scaled = (size + 0.12 + 0.11 / size) * statistic
    if scaled < 0.2:  # the series converges slowly there, and is 1 to twelve digits
        return 1.0
    terms = range(1, int(5 / scaled) + 2)  # those that follow are below the precision of a float
    total = sum((-1.0) ** (term - 1) * math.exp(-2 * (term * scaled) ** 2) for term in terms)
    return min(1.0, max(0.0, 2 * total))


def shares_p(expected: int, of: int, actual: int, of_now: int) -> float:
    """How probable a difference of two shares at least as large is where nothing has changed.

    Args:
        expected: How many of the `of` values at training time.
        of: All values at training time, at least 1.
        actual: How many of the `of_now` values now.
        of_now: All values now, at least 1.

    For large counts this is the z-test of two proportions. That test calls one value among a thousand certain where
    training had none among a million; this one does not.

    Source: Anscombe, The Transformation of Poisson, Binomial and Negative-Binomial Data (1948).
    """
    if expected + actual in (0, of + of_now):
        return 1.0
    difference = _angle(actual, of_now) - _angle(expected, of)
    return normal_p(difference / math.sqrt(1 / of + 1 / of_now))


def _angle(count: int, of: int) -> float:
    """A share as an angle whose standard error is 1 / sqrt(of), whatever the share."""
    return 2 * math.asin(math.sqrt((count + 3 / 8) / (of + 3 / 4)))


def normal_p(z: float) -> float:
    """How probable a standard normal value is that lies at least as far from zero, on either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being many, so that with probability 1 - alpha none is below alpha by chance.

    It needs no independence: features hang together.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = least
    return adjusted
