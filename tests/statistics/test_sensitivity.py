import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import grid_summary


def test_accuracies_are_shares_of_the_best():
    summary = grid_summary([[0.4, 0.6], [0.9, 0.7], [0.8, 0.78], [0.2, 0.2]])
    shares = np.array([0.5, 0.8, 0.79, 0.2]) / 0.8
    assert summary.mean == pytest.approx(shares.mean())
    assert summary.quartiles == pytest.approx(tuple(np.quantile(shares, [0.25, 0.5, 0.75])))
    assert (summary.near_best, summary.candidates, summary.diverged) == (0.5, 4, 0)
    assert grid_summary([[0.4, 0.6], [0.9, 0.7]], near=0.4).near_best == 1.0


def test_errors_are_shares_too_whatever_their_unit():
    errors = np.array([[2.0, 4.0], [1.0, 2.0], [15.0, 15.0]])
    summary = grid_summary(-errors)
    assert summary.mean == pytest.approx(np.mean([0.5, 1.0, 0.1]))
    assert grid_summary(-100.0 * errors).mean == pytest.approx(summary.mean)


def test_a_candidate_that_diverged_on_any_seed_is_worth_nothing():
    summary = grid_summary([[0.8, -np.inf], [0.8, 0.8], [np.nan, np.nan]])
    assert (summary.mean, summary.near_best, summary.diverged) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 2)
    assert grid_summary([[-np.inf, 0.5]]) is None


def test_a_flat_grid_is_1_and_no_error_is_the_best():
    assert grid_summary(np.full((5, 2), 0.3)).mean == 1.0
    assert grid_summary(np.zeros((5, 2))).mean == 1.0
    assert grid_summary([[0.0], [-2.0]]).mean == 0.5


def test_bad_input_meets_its_sentence():
    with pytest.raises(UserError, match=r"all negative \(minus errors\); got -1 to 1"):
        grid_summary([[1.0], [-1.0]])
    with pytest.raises(UserError, match=r"rows of one length; got the shape \(2,\)"):
        grid_summary([1.0, 2.0])
