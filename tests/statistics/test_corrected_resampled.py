"""The corrected resampled t-test beside a loop over its definition, its limit, and what it is for: folds of one data set."""

import numpy as np
import pytest
from scipy import stats

from ascribe import statistics
from ascribe.errors import UserError
from ascribe.statistics import corrected_interval, corrected_t_test, paired_runs, resampled, summarize

from ..report.stand_in import RULES, diverge, in_folds, make_comparison

DIFFERENCES = np.array([0.021, 0.004, 0.017, -0.003, 0.011])


def reference(differences, n_test, n_train):
    """Nadeau & Bengio's statistic, written out: mean, standard error, p-value and the 95 % half width."""
    count = len(differences)
    mean = sum(differences) / count
    variance = sum((one - mean) ** 2 for one in differences) / (count - 1)
    error = ((1 / count + n_test / n_train) * variance) ** 0.5
    student = stats.t(count - 1)
    return mean, error, 2 * student.sf(abs(mean) / error), student.ppf(0.975) * error


@pytest.mark.parametrize(("n_test", "n_train"), [(20, 80), (1, 9), (50, 50)])
def test_it_is_the_published_statistic(n_test, n_train):
    mean, _, p_value, half_width = reference(DIFFERENCES, n_test, n_train)
    found = corrected_interval(DIFFERENCES, n_test / n_train)
    np.testing.assert_allclose(found, (mean, half_width), rtol=1e-12)
    assert corrected_t_test(DIFFERENCES, test_to_train=n_test / n_train) == pytest.approx(p_value, rel=1e-10)


def test_without_shared_examples_it_is_the_paired_t_test():
    expected = stats.ttest_1samp(DIFFERENCES, 0.0).pvalue
    for values in (DIFFERENCES, 1e200 * DIFFERENCES, -DIFFERENCES):
        assert corrected_t_test(values, test_to_train=0.0) == pytest.approx(expected)
    np.testing.assert_array_equal(corrected_interval(DIFFERENCES, 0.0), statistics.interval(DIFFERENCES))
    small = corrected_t_test(DIFFERENCES, test_to_train=1e-12)
    assert small == pytest.approx(stats.ttest_1samp(DIFFERENCES, 0.0).pvalue, rel=1e-9)


def test_the_interval_excludes_zero_where_the_test_rejects():
    for shift in np.linspace(-0.02, 0.02, 21):
        values = DIFFERENCES + shift
        mean, half_width = corrected_interval(values, 0.25, level=0.9)
        assert (abs(mean) > half_width) == (corrected_t_test(values, test_to_train=0.25) < 0.1)


def test_what_is_equal_differs_by_nothing():
    rounding = 1e-7
    assert corrected_t_test([1e-8, -1e-8, 0.0], test_to_train=0.5, rounding=rounding) == 1.0
    assert corrected_t_test([0.0, 0.0], test_to_train=0.5) == 1.0
    assert corrected_t_test([0.5, 0.5, 0.5], test_to_train=0.5) == 0.0
    assert corrected_t_test([0.1, 0.1, 0.1], test_to_train=0.5, rounding=rounding) < 1e-10


def test_bands_are_taken_column_by_column_and_skip_what_is_missing():
    table = np.array([[1.0, 2.0, 5.0], [2.0, np.nan, np.nan], [4.0, 8.0, np.nan]])
    mean, half_width = corrected_interval(table, 0.5)
    for column in range(2):
        own = table[np.isfinite(table[:, column]), column]
        np.testing.assert_allclose((mean[column], half_width[column]), corrected_interval(own, 0.5))
    assert mean[2] == 5.0 and np.isnan(half_width[2])


@pytest.mark.parametrize("bad", [[0.1], [], [0.1, np.nan], "abc"])
def test_fewer_than_two_numbers_are_refused(bad):
    with pytest.raises(UserError, match="`differences`"):
        corrected_t_test(bad, test_to_train=0.25)
    with pytest.raises(UserError, match="`test_to_train` is a finite number that is not negative"):
        corrected_t_test(DIFFERENCES, test_to_train=-0.25)


def test_of_folds_each_counts_once_however_many_of_its_seeds_finished():
    comparison = in_folds(make_comparison(seeds=range(6), rules=RULES[:2]), 3)
    own, other = (comparison.runs[rule] for rule in RULES[:2][::-1])
    assert own.folds == (1, 1, 2, 2, 3, 3) and own.seeds == (0, 1) * 3
    diverge(own, [3])
    values, ratio = resampled(own, statistics.finished(own.scores["test_accuracy"], own.diverged))
    scores = own.scores["test_accuracy"]
    np.testing.assert_allclose(values, [scores[:2].mean(), scores[2], scores[4:].mean()])
    assert ratio == 0.5
    pairs = paired_runs(own, other, "test_accuracy")
    apart = scores - other.scores["test_accuracy"]
    np.testing.assert_allclose(pairs.differences, [apart[:2].mean(), apart[2], apart[4:].mean()])
    assert (pairs.lost, pairs.test_to_train) == (1, 0.5)
    diverge(own, [2])
    pairs = paired_runs(own, other, "test_accuracy")
    assert len(pairs.differences) == 2 and pairs.test_to_train == 0.5  # it stays that of three folds


def test_a_row_of_folds_has_what_is_made_for_folds_alone():
    comparison = in_folds(make_comparison(seeds=range(10), rules=RULES[:3]), 5)
    rows = {row.rule: row for row in summarize(comparison)}
    p_values = []
    for rule in RULES[1:3]:
        apart = comparison.runs[rule].scores["test_accuracy"] - comparison.runs[RULES[0]].scores["test_accuracy"]
        mean, _, p_value, half_width = reference(apart.reshape(5, 2).mean(axis=1), 20, 80)
        row = rows[rule]
        assert (row.difference, row.high - row.difference) == (pytest.approx(mean), pytest.approx(half_width))
        assert row.p_value == pytest.approx(p_value)
        assert (row.pairs, row.lost, row.seeds) == (5, 0, 10)
        assert (row.cohens_d, row.hedges_g, row.seeds_needed) == (None, None, None)
        p_values.append(row.p_value)
    assert [rows[rule].adjusted_p_value for rule in RULES[1:3]] == statistics.holm(p_values).tolist()


def test_of_a_single_fold_that_is_left_no_test_is_made():
    comparison = in_folds(make_comparison(seeds=range(4), rules=RULES[:2]), 2)
    diverge(comparison.runs[RULES[1]], [0, 1])
    row = {row.rule: row for row in summarize(comparison)}[RULES[1]]
    assert (row.pairs, row.low, row.p_value, row.adjusted_p_value) == (1, None, None, None)
    assert row.difference is not None


def test_its_errors_are_those_of_the_level_where_an_uncorrected_test_has_three_times_as_many():
    """Two rules that are alike, on folds whose scores are correlated as those of five folds: 1 / 5 = n_test / n."""
    rng = np.random.default_rng(0)
    count, share, draws = 5, 0.2, 4000
    common = np.sqrt(share) * rng.normal(size=(draws, 1))
    values = common + np.sqrt(1 - share) * rng.normal(size=(draws, count))
    corrected = np.mean([corrected_t_test(row, test_to_train=share / (1 - share)) < 0.05 for row in values])
    plain = np.mean([corrected_t_test(row, test_to_train=0.0) < 0.05 for row in values])
    assert corrected == pytest.approx(0.05, abs=0.015)
    assert plain > 2 * corrected
