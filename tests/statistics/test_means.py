"""The Student-t interval of a mean: SciPy's, and by hand with quantiles of a printed table."""

import numpy as np
import pytest

from ascribe.statistics.means import finished, interval

from ..later import Later

stats = Later("scipy.stats")

# t of 1, 4 and 9 degrees of freedom: two-sided 95 %, as every textbook prints it.
TABLE = {2: 12.706, 5: 2.776, 10: 2.262}


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("count", [2, 3, 10])
def test_it_is_scipys(count, level):
    values = np.random.default_rng(count).normal(3.0, 2.0, count)
    mean, half_width = interval(values, level=level)
    low, high = stats.t.interval(level, count - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([mean - half_width, mean + half_width], [low, high], rtol=1e-12)


@pytest.mark.parametrize("count", TABLE)
def test_it_is_the_printed_quantile_times_the_standard_error(count):
    """Of 0, 0, …, 1 the mean is 1/n and the variance, divided by n - 1, is 1/n too."""
    mean, half_width = interval(np.eye(count)[0])
    assert float(mean) == pytest.approx(1 / count)
    assert float(half_width) == pytest.approx(TABLE[count] / count, rel=2e-4)


def test_one_value_has_a_mean_and_no_interval():
    mean, half_width = interval(np.array([[4.0, np.nan, np.nan], [np.inf, 7.0, np.nan]]))
    np.testing.assert_array_equal(mean, [4.0, 7.0, np.nan])
    assert np.isnan(half_width).all()


def test_of_seeds_that_diverged_nothing_is_left_and_what_was_given_stays():
    values = np.array([[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(finished(values, np.array([False, True, False])), [[1, 2], [np.nan, np.nan], [5, 6]])
    scores = np.array([0.5, 0.25])
    np.testing.assert_array_equal(finished(scores, np.array([1, 0])), [np.nan, 0.25])
    assert scores[0] == 0.5
