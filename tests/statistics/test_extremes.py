"""Numbers near the ends of what a float can hold: a unit of 2^±1000 changes no digit of any statistic."""

import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import (
    bootstrap_interval,
    cohens_d,
    epochs_to_target,
    grid_summary,
    hedges_g,
    median_epochs,
    paired,
    power,
    seeds_needed,
    sign_flip_test,
    superiority,
)
from ascribe.statistics.means import interval

UNITS = [2.0**1020, 2.0**-1000]
SAMPLES = [[1.0, 1.0], [1.0, -1.0], [1.0, 2.0, 5.0], [1.0, 2.0, 4.0, -3.0], np.linspace(-1.0, 3.0, 20)]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("values", SAMPLES)
def test_a_unit_changes_no_digit(values, unit):
    values = np.asarray(values)
    np.testing.assert_array_equal(
        bootstrap_interval(values * unit, resamples=200), np.multiply(bootstrap_interval(values, resamples=200), unit)
    )
    for statistic in (sign_flip_test, cohens_d, hedges_g, superiority):
        np.testing.assert_array_equal(statistic(values * unit), statistic(values))
    with np.errstate(over="ignore"):
        for ours, theirs in zip(interval(values * unit), interval(values), strict=True):
            np.testing.assert_array_equal(ours, theirs * unit)
    scores = np.abs(values[:, None])
    assert grid_summary(scores * unit) == grid_summary(scores)


@pytest.mark.parametrize("unit", [1.0, *UNITS])
def test_rounding_has_the_unit_of_the_differences(unit):
    values = np.asarray([1.0, 1.1, 0.9]) * unit
    assert bootstrap_interval(values, rounding=0.3 * unit) == (pytest.approx(unit), pytest.approx(unit))
    assert np.isnan(cohens_d(values, rounding=0.3 * unit))
    assert sign_flip_test(values, rounding=0.7 * unit) == 0.75  # sums of 3 less 2.1, and of 1.2, 1.0 and 0.8 in its unit


def test_the_ends_by_hand():
    assert sign_flip_test([1e308, 1e308]) == 0.5  # the least that two pairs can say
    assert bootstrap_interval([1e308, -1e308]) == (-1e308, 1e308)
    low, high = bootstrap_interval([1e-300, 2e-300, 5e-300])
    assert 1e-300 <= low < 8e-300 / 3 < high <= 5e-300
    assert power(1e308, 1e-300, 5) == 1.0 and seeds_needed(1e308, 1e-300) == 2


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: paired([1e308], [-1e308]), "`own` and `reference` differ by more than a float can hold"),
        (lambda: sign_flip_test([10**400]), "`differences` is a list of numbers; got"),
        (lambda: sign_flip_test([1.0], rounding="x"), "`rounding` is a finite number that is not negative; got 'x'"),
        (
            lambda: bootstrap_interval([1.0, 2.0], rounding=None),
            "`rounding` is a finite number that is not negative; got None",
        ),
        (lambda: power(10**400, 1.0, 5), "`difference` is a positive number; got 1000"),
        (lambda: power(1.0, 1.0, 10**400), "`pairs` is 9,223,372,036,854,775,807 at most; got 1000"),
        (lambda: epochs_to_target([[1.0]], "x"), "`target` is a finite number; got 'x'"),
        (lambda: median_epochs("x"), "`epochs` holds one entry a run; got 'x'"),
        (lambda: median_epochs(5), "`epochs` holds one entry a run; got 5"),
    ],
)
def test_what_is_no_number_is_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
