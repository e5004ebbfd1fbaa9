import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import holm

# multipletests(p, method="holm")[1] of statsmodels 0.15.0, from statsmodels.stats.multitest
STATSMODELS = [
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
    ([0.001953125, 0.8, 0.02, 0.02, 0.6], [0.009765625, 1.0, 0.08, 0.08, 1.0]),
    ([0.5, 0.9, 0.7], [1.0, 1.0, 1.0]),
]


@pytest.mark.parametrize(("p_values", "expected"), STATSMODELS)
def test_it_is_that_of_statsmodels(p_values, expected):
    np.testing.assert_allclose(holm(p_values), expected, rtol=1e-12)


def test_it_is_that_of_statsmodels_where_that_is_installed():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).uniform(size=20) ** 3
    np.testing.assert_allclose(holm(p_values), multitest.multipletests(p_values, method="holm")[1], rtol=1e-12)


def test_a_test_that_was_not_made_does_not_count():
    np.testing.assert_array_equal(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert np.isnan(holm([np.nan])).all()


def test_one_test_needs_no_correction():
    assert holm([0.03]).tolist() == [0.03]


def test_bad_input_meets_its_sentence():
    with pytest.raises(UserError, match="lie between 0 and 1"):
        holm([0.5, 1.5])
