import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import paired, paired_runs

from ..report.stand_in import diverge, make_comparison


def test_a_pair_in_which_either_diverged_is_left_out_and_counted():
    pairs = paired([0.5, np.nan, 0.7, np.inf, 0.9], [0.4, 0.1, np.nan, 0.2, 0.1])
    np.testing.assert_allclose(pairs.differences, [0.1, 0.8])
    assert pairs.lost == 3


def test_runs_are_paired_by_seed():
    runs = make_comparison().runs
    own, other = runs["feedback alignment"], runs["backpropagation"]
    expected = own.scores["test_accuracy"] - other.scores["test_accuracy"]
    own.seeds = own.seeds[::-1]
    own.scores["test_accuracy"] = own.scores["test_accuracy"][::-1]
    np.testing.assert_allclose(np.sort(paired_runs(own, other, "test_accuracy").differences), np.sort(expected))
    own.seeds = (0, 1, 101, 102, 103)
    diverge(other, [1])
    pairs = paired_runs(own, other, "test_accuracy")
    assert (len(pairs.differences), pairs.lost) == (1, 1)
    own.seeds = (100, 101, 102, 103, 104)
    pairs = paired_runs(own, other, "test_accuracy")
    assert (len(pairs.differences), pairs.lost) == (0, 0)


def test_a_score_of_a_run_that_diverged_is_none():
    runs = make_comparison().runs
    own, other = runs["feedback alignment"], runs["backpropagation"]
    expected = own.scores["test_accuracy"] - other.scores["test_accuracy"]
    own.diverged[1] = other.diverged[3] = True
    pairs = paired_runs(own, other, "test_accuracy")
    np.testing.assert_allclose(pairs.differences, expected[[0, 2, 4]])
    assert pairs.lost == 2


def test_the_rounding_is_single_precision_s_at_the_largest_of_the_scores():
    assert paired([80.0, 0.5, np.nan], [-1.0, -160.0, 1e9]).rounding == 160.0 * 2.0**-23
    assert paired([np.nan, 1.0], [2.0, np.nan]).rounding == 0.0


def test_bad_input_meets_its_sentence():
    with pytest.raises(UserError, match="got 2 and 1: write nan where one is missing"):
        paired([0.1, 0.2], [0.1])
    with pytest.raises(UserError, match="write nan where a run has no number"):
        paired([0.1, "none"], [0.1, 0.2])
