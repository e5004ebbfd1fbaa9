import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import cohens_d, hedges_g, superiority

from ..later import Later

stats = Later("scipy.stats")


def test_cohens_d_is_t_over_the_root_of_the_pairs():
    own, other = np.random.default_rng(0).normal(size=(2, 9))
    assert cohens_d(own - other) == pytest.approx(stats.ttest_rel(own, other).statistic / 3.0, rel=1e-12)


@pytest.mark.parametrize("pairs", [4, 5, 10, 100])
def test_hedges_g_has_no_bias(pairs):
    """√n d_z is noncentral t, whose mean is known: times the correction it is the true effect."""
    values = np.random.default_rng(pairs).normal(size=pairs)
    correction = hedges_g(values) / cohens_d(values)
    expected = stats.nct.mean(pairs - 1, 0.7 * np.sqrt(pairs)) / np.sqrt(pairs)
    assert correction * expected == pytest.approx(0.7, rel=1e-9)
    assert correction == pytest.approx(1.0 - 3.0 / (4.0 * (pairs - 1) - 1.0), abs=0.01)


def test_superiority_is_the_share_of_pairs_that_win():
    assert superiority([0.1, 0.2, -0.1, 0.0]) == 2.5 / 4.0
    assert superiority([0.0, 0.0]) == 0.5
    own, other = np.random.default_rng(0).normal(size=(2, 30))
    assert superiority(own - other) + superiority(other - own) == 1.0


def test_where_they_are_not_defined_they_say_so():
    assert cohens_d([0.0, 0.0]) == 0.0
    assert np.isnan(cohens_d([0.1, 0.1, 0.1])) and np.isnan(cohens_d([0.3]))
    assert np.isnan(hedges_g([0.1, 0.2]))


@pytest.mark.parametrize("function", [cohens_d, hedges_g, superiority])
def test_bad_input_meets_its_sentence(function):
    with pytest.raises(UserError, match="got 1 that are not"):
        function([0.1, float("nan")])
