"""How certain a change is: against published tables, scipy and other tests."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import kolmogorov
from scipy.stats import fisher_exact, norm

from bot_core.ai.drift.significance import holm, normal_p, shares_p, smirnov_p

MANY = 10**12  # values, so that the correction for small samples is none
p_values = st.lists(st.floats(0, 1), max_size=40)


@pytest.mark.parametrize(("critical", "p_value"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)])
def test_critical_values_of_smirnovs_table(critical: float, p_value: float) -> None:
    # Smirnov, Table for Estimating the Goodness of Fit of Empirical Distributions (1948).
    statistic = critical / math.sqrt(MANY / 2)

    assert smirnov_p(statistic, MANY, MANY) == pytest.approx(p_value, rel=1e-3)


@given(st.floats(0, 1), st.integers(1, 10**7), st.integers(1, 10**7))
def test_the_p_value_is_kolmogorovs_of_the_corrected_statistic(statistic: float, n: int, m: int) -> None:
    size = math.sqrt(n * m / (n + m))
    expected = kolmogorov((size + 0.12 + 0.11 / size) * statistic)

    assert smirnov_p(statistic, n, m) == pytest.approx(expected, abs=1e-9)
    assert smirnov_p(statistic, n, m) == smirnov_p(statistic, m, n)


@given(st.floats(-30, 30))
def test_a_normal_value_is_as_far_out_as_scipy_says(z: float) -> None:
    assert normal_p(z) == pytest.approx(2 * norm.sf(abs(z)), rel=1e-9)


@pytest.mark.parametrize("rows", [20_000, 200_000])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3, 0.5, 0.97])
def test_shares_of_large_samples_are_compared_as_by_the_z_test(share: float, rows: int) -> None:
    for deviations in (0.0, 0.5, 1.0, 2.0, 3.0, 5.0):
        before = round(share * rows)
        now = before + round(deviations * math.sqrt(2 * rows * share * (1 - share)))
        pooled = (before + now) / (2 * rows)
        z = (now - before) / rows / math.sqrt(2 * pooled * (1 - pooled) / rows)
        assert shares_p(before, rows, now, rows) == pytest.approx(2 * norm.sf(z), abs=0.003)


@pytest.mark.parametrize("now", range(1, 6))
def test_a_rare_value_is_not_called_certain_sooner_than_by_fishers_exact_test(now: int) -> None:
    exact = float(fisher_exact([[0, 1_000_000], [now, 1_000 - now]]).pvalue)

    # The z-test, for comparison, gives 1e-222 for one value.
    assert exact < shares_p(0, 1_000_000, now, 1_000) < 0.05


def test_equal_shares_are_no_change() -> None:
    assert shares_p(0, 10, 0, 1_000_000) == shares_p(5, 5, 7, 7) == 1.0
    assert shares_p(1, 3, 1, 3) == 1.0


def test_holms_procedure_on_a_published_example() -> None:
    # Wikipedia, Holm-Bonferroni method, "Example": at 0.05 the first and the fourth are rejected, the others not.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p_values)
def test_adjusted_values_keep_their_order_and_lie_between_the_raw_ones_and_bonferronis(raw: list[float]) -> None:
    adjusted = holm(raw)

    order = np.argsort(raw, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
    assert all(one <= other <= min(1.0, len(raw) * one) for one, other in zip(raw, adjusted, strict=True))


@given(p_values.filter(len), st.floats(0.001, 0.2))
def test_holm_rejects_step_by_step(raw: list[float], alpha: float) -> None:
    rejected = 0
    for rank, value in enumerate(sorted(raw)):
        if value * (len(raw) - rank) >= alpha:
            break
        rejected += 1

    assert sum(value < alpha for value in holm(raw)) == rejected
