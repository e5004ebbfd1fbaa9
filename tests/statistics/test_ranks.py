import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import critical_difference, friedman, ranks, ranks_over

from ..later import Later
from ..report.stand_in import RULES, diverge, make_comparison

stats = Later("scipy.stats")

# Demšar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets. Of the two 0.975 in one row he ranks
# the first higher, so it has a digit more here.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_ranks_are_scipys():
    scores = np.random.default_rng(0).integers(0, 4, size=(20, 6)).astype(float)
    np.testing.assert_array_equal(ranks(scores), stats.rankdata(-scores, axis=1))
    np.testing.assert_array_equal(ranks(scores, higher_is_better=False), stats.rankdata(scores, axis=1))


def test_no_score_ranks_last():
    np.testing.assert_array_equal(ranks([[0.5, np.nan, 0.7, np.nan]]), [[2.0, 3.5, 1.0, 3.5]])
    np.testing.assert_array_equal(ranks([[0.5, np.nan, 0.7]], higher_is_better=False), [[1.0, 3.0, 2.0]])


@pytest.mark.parametrize("levels", [3, 1_000_000])  # with many ties, and with none
def test_the_friedman_test_is_scipys(levels):
    scores = np.random.default_rng(levels).integers(0, levels, size=(12, 5)) + np.arange(5.0)
    expected = stats.friedmanchisquare(*scores.T)
    np.testing.assert_allclose(friedman(ranks(scores)), (expected.statistic, expected.pvalue), rtol=1e-10)


def test_rules_that_tie_everywhere_are_alike():
    assert friedman(ranks(np.ones((4, 3)))) == (0.0, 1.0)


def test_demsars_example():
    """His average ranks, χ² (which he does not correct for ties), and Nemenyi's critical differences (2.569 and 2.291 times
    0.488)."""
    found = ranks(DEMSAR)
    np.testing.assert_allclose(found.mean(axis=0), [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    uncorrected = friedman(found)[0] * np.sum((found - 2.5) ** 2) / (14 * 4 * (4**2 - 1) / 12)
    assert uncorrected == pytest.approx(9.28, abs=5e-3)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, level=0.9) == pytest.approx(1.12, abs=5e-3)


def test_nemenyis_quantiles_are_those_of_demsars_table():
    """Table 5(a), at 0.05: with √(k (k + 1) / (6 N)) = 1 the critical difference would be the quantile itself."""
    for rules, quantile in zip(range(2, 11), [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164], strict=True):
        found = critical_difference(rules, 1) / np.sqrt(rules * (rules + 1) / 6.0)
        assert found == pytest.approx(quantile, abs=1.1e-3)


def test_comparisons_of_different_tasks_are_ranked_together():
    comparisons = [make_comparison(), make_comparison("regression", (1,), 1)]
    summary = ranks_over(comparisons)
    assert summary.rules == RULES and summary.data_sets == ("two moons", "two moons")
    means = [one.runs[rule].scores["test_rmse"].mean() for one in comparisons[1:] for rule in RULES]
    np.testing.assert_array_equal(summary.ranks[1], stats.rankdata(means))
    assert list(summary.average_ranks.values()) == sorted(summary.ranks.mean(axis=0))
    assert summary.average_ranks["backpropagation"] == 1.0
    assert summary.statistic == friedman(summary.ranks)[0]


def test_survivors_do_not_outrank_rules_that_finished():
    comparisons = [make_comparison(rules=RULES[:4]), make_comparison(rules=(*RULES[:4], "another"))]
    diverge(comparisons[0].runs[RULES[0]], [1])
    for rule in RULES[1:3]:
        diverge(comparisons[1].runs[rule], range(5))
    summary = ranks_over(comparisons)
    np.testing.assert_array_equal(summary.ranks, [[4, 1, 2, 3], [1, 3.5, 3.5, 2]])
    assert summary.left_out == ("another",)


def test_a_rule_of_which_nothing_is_left_ranks_below_one_of_which_something_is():
    comparison = make_comparison(rules=RULES[:3])
    diverge(comparison.runs[RULES[0]], range(5))
    diverge(comparison.runs[RULES[1]], range(4))
    np.testing.assert_array_equal(ranks_over([comparison, comparison]).ranks, [[3, 2, 1]] * 2)


def test_bad_input_meets_its_sentence():
    with pytest.raises(UserError, match="at least 2 comparisons; got 1"):
        ranks_over([make_comparison()])
    with pytest.raises(UserError, match="got none in common"):
        ranks_over([make_comparison(rules=("a", "b")), make_comparison(rules=("c", "d"))])
    with pytest.raises(UserError, match="got 'test_f1': backpropagation has"):
        ranks_over([make_comparison(), make_comparison()], score="test_f1")
    with pytest.raises(UserError, match="at least 2 rules; got 1"):
        friedman([[1.0], [1.0]])
    with pytest.raises(UserError, match="`rules` is an integer of at least 2; got 1"):
        critical_difference(1, 5)
