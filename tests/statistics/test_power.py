import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import power, seeds_needed

from ..later import Later

stats = Later("scipy.stats")

# TTestPower().solve_power(effect_size=…, alpha=…, power=…, alternative="two-sided") of statsmodels 0.15.0, which
# counts in fractions of a pair; from statsmodels.stats.power
SEEDS = [
    (0.2, 0.05, 0.8, 198.150820955562),
    (0.5, 0.05, 0.8, 33.36713118431779),
    (0.8, 0.05, 0.8, 14.30276455812943),
    (1.0, 0.05, 0.9, 12.585459677807366),
    (0.3, 0.01, 0.95, 201.2664886570353),
    (2.0, 0.05, 0.8, 4.22071858501904),
    (0.05, 0.05, 0.8, 3141.4654741036425),
]
# TTestPower().power(effect_size, pairs, alpha, alternative="two-sided") of the same
POWERS = [
    (0.5, 10, 0.05, 0.2931756065140767),
    (1.0, 6, 0.05, 0.5068419799585816),
    (0.3, 100, 0.01, 0.6457392841863409),
    (2.0, 3, 0.05, 0.4707494312784346),
    (5.0, 2, 0.05, 0.42096140914950364),
]


@pytest.mark.parametrize(("effect", "alpha", "wanted", "expected"), SEEDS)
def test_seeds_are_those_of_statsmodels(effect, alpha, wanted, expected):
    assert seeds_needed(3.0 * effect, 3.0, level=1.0 - alpha, power=wanted) == np.ceil(expected)


@pytest.mark.parametrize(("effect", "pairs", "alpha", "expected"), POWERS)
def test_the_power_is_that_of_statsmodels(effect, pairs, alpha, expected):
    assert power(effect, 1.0, pairs, level=1.0 - alpha) == pytest.approx(expected, rel=1e-9)


def test_the_power_is_how_often_the_test_finds_the_difference():
    samples = np.random.default_rng(0).normal(0.9, 1.0, size=(4_000, 8))
    found = stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05
    assert power(0.9, 1.0, 8) == pytest.approx(found.mean(), abs=0.025)


@pytest.mark.parametrize("effect", [0.01, 0.13, 0.6, 1.7, 2.3, 3.5, 7.0, 12.0, 40.0])
def test_one_seed_fewer_would_not_do(effect):
    seeds = seeds_needed(effect, 1.0)
    assert power(effect, 1.0, seeds) >= 0.8
    assert seeds == 2 or power(effect, 1.0, seeds - 1) < 0.8


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_a_difference_far_from_zero_has_a_power_too(level):
    """Where SciPy has no number for a tail: it grows with the difference, to 1."""
    powers = [power(effect, 1.0, pairs, level=level) for pairs in (2, 3, 8) for effect in np.linspace(0.1, 60.0, 200)]
    assert np.all(np.isfinite(powers))
    assert np.all(np.diff(np.reshape(powers, (3, 200)), axis=1) > -1e-12)
    assert powers[-1] == pytest.approx(1.0, abs=1e-12)


def test_no_deviation_needs_the_fewest():
    assert seeds_needed(0.01, 0.0) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(difference=0.0, deviation=1.0), "`difference` is a positive number; got 0.0"),
        (dict(difference=0.1, deviation=-1.0), "`deviation` is a positive number; got -1.0"),
        (dict(difference=0.1, deviation=float("nan")), "`deviation` is a positive number; got nan"),
        (dict(difference=0.1, deviation=1.0, power=1.0), "`power` is a number between 0 and 1; got 1.0"),
        (dict(difference=1e-9, deviation=1.0), "at least a millionth"),
    ],
)
def test_bad_input_meets_its_sentence(arguments, message):
    with pytest.raises(UserError, match=message):
        seeds_needed(**arguments)
