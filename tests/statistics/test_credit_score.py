"""How much of what hidden layers can learn a rule gets: between frozen hidden layers, 0, and backpropagation, 1."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from ascribe.errors import UserError
from ascribe.statistics import corrected_interval, credit_score, hidden_credit, summarize

from ..report.stand_in import RULES, diverge, in_folds, make_comparison, with_controls

RANDOM = np.random.default_rng(0)
FROZEN = 0.8 + 0.01 * RANDOM.normal(size=12)
EXACT = 0.9 + 0.01 * RANDOM.normal(size=12)
OWN = 0.87 + 0.02 * RANDOM.normal(size=12)


def test_backpropagation_is_1_and_frozen_0_exactly():
    assert credit_score(EXACT, EXACT, FROZEN) == (1.0, 1.0, 1.0)
    assert credit_score(FROZEN, EXACT, FROZEN) == (0.0, 0.0, 0.0)


def test_it_is_the_ratio_of_means_and_not_the_mean_of_ratios():
    value = credit_score([0.8, 0.8], [0.9, 1.0], [0.7, 0.7])[0]
    assert value == pytest.approx(0.1 / 0.25)


def errors_from_0(ratio, own, exact, frozen):
    """By how many of its standard errors the mean of own − frozen − ratio (exact − frozen) is from 0."""
    rest = own - frozen - ratio * (exact - frozen)
    return rest.mean() / stats.sem(rest)


def test_the_ends_are_as_many_standard_errors_away_as_resamples_say():
    """The quantile from scipy.stats.bootstrap on the same resamples, the ends by a search for roots."""
    value, low, high = credit_score(OWN, EXACT, FROZEN, resamples=3_000, seed=5)
    assert value == pytest.approx((OWN - FROZEN).mean() / (EXACT - FROZEN).mean(), rel=1e-12)
    studentized = lambda some, axis=-1: np.abs(some.mean(axis)) / stats.sem(some, axis=axis)
    rest = (OWN - FROZEN - value * (EXACT - FROZEN),)
    drawn = stats.bootstrap(rest, studentized, n_resamples=3_000, method="percentile", rng=np.random.default_rng(5))
    errors = np.quantile(drawn.bootstrap_distribution, 0.95, method="higher")
    root = lambda sign, *where: brentq(lambda one: errors_from_0(one, OWN, EXACT, FROZEN) - sign * errors, *where, xtol=1e-14)
    assert (low, high) == pytest.approx((root(1, value - 1.0, value), root(-1, value, value + 1.0)), rel=1e-9)
    assert errors > stats.t.ppf(0.975, 11) - 0.2  # of 12 normal differences it is near Student's


def test_of_so_few_pairs_that_resamples_bound_nothing_there_are_no_ends():
    for few in (2, 3):
        assert credit_score(OWN[:few], EXACT[:few], FROZEN[:few])[1:] == (-np.inf, np.inf)
    assert np.isfinite(credit_score(OWN[:6], EXACT[:6], FROZEN[:6])).all()


@pytest.mark.parametrize(("factor", "shift"), [(3.0, 1.0), (-2.0, 0.5), (1e-300, 0.0), (1e300, 0.0)])
def test_unit_and_origin_of_the_score_change_nothing(factor, shift):
    """Minus a score, such as a loss, has the same credit score: numerator and denominator change signs together."""
    there = [factor * values + shift for values in (OWN, EXACT, FROZEN)]
    assert credit_score(*there, resamples=500) == pytest.approx(credit_score(OWN, EXACT, FROZEN, resamples=500), rel=1e-9)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize("pairs", [5, 10, 20])
def test_it_covers_the_ratio_as_often_as_it_says(pairs, draw):
    """Of few pairs, too, and of skewed differences: more often rather than less (docs/statistics.md has the numbers)."""
    random = np.random.default_rng(1)
    scores = lambda mean, deviation: (
        mean
        + deviation * (random.normal(size=(300, pairs)) if draw == "normal" else random.exponential(size=(300, pairs)) - 1.0)
    )
    sets = zip(scores(0.86, 0.02), scores(0.9, 0.02), scores(0.8, 0.01), strict=True)
    ends = [credit_score(*one, resamples=399, seed=seed)[1:] for seed, one in enumerate(sets)]
    assert 0.93 < np.mean([low < 0.6 < high for low, high in ends]) < 0.995


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([0.1], [0.2], [0.0]), "at least 2 numbers; got 1"),
        (([0.1, 0.2], [0.2, np.nan], [0.0, 0.1]), "`backpropagation` holds finite numbers"),
        (([0.1, 0.2], [0.2, 0.3, 0.4], [0.0, 0.1]), "one number a pair; got 2, 3, 2"),
        (([0.1, 0.2], [0.5, 0.5], [0.5, 0.5]), "one mean"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        credit_score(*arguments)


def test_every_rule_of_a_comparison_has_its_score():
    comparison = with_controls(make_comparison(seeds=range(8)))
    found = hidden_credit(comparison)
    score = lambda runs: runs.scores["test_accuracy"]
    base, frozen = score(comparison.runs[RULES[0]]), score(comparison.controls["frozen"])
    mean, half_width = map(float, corrected_interval(base - frozen, 0.0))
    assert found.able is True and found.reason == "" and found.pairs == 8
    assert (found.difference, found.low, found.high) == pytest.approx((mean, mean - half_width, mean + half_width), rel=1e-12)
    assert list(found.scores) == list(RULES)
    assert found.scores[RULES[0]].value == found.scores[RULES[0]].low == 1.0
    own = found.scores[RULES[3]]
    assert (own.value, own.low, own.high) == credit_score(score(comparison.runs[RULES[3]]), base, frozen)
    row = {row.rule: row for row in summarize(comparison)}[RULES[3]]
    assert (row.credit_score, row.credit_score_low, row.credit_score_high) == (own.value, own.low, own.high)


def test_where_less_is_better_the_same():
    """Of the test loss: backpropagation's is lower than that of frozen."""
    comparison = with_controls(make_comparison(seeds=range(8)), "test_loss", gain=-0.1)
    found = hidden_credit(comparison, score="test_loss")
    assert found.able and found.difference < 0 and found.scores[RULES[0]].value == 1.0


@pytest.mark.parametrize(
    ("gain", "reason"), [(0.0, "within noise"), (-0.1, "backpropagation is worse than with hidden layers that stay")]
)
def test_a_task_that_cannot_show_it_has_no_scores(gain, reason):
    comparison = with_controls(make_comparison(seeds=range(8)), gain=gain)
    found = hidden_credit(comparison)
    assert found.able is False and reason in found.reason and found.scores == {}
    assert all(row.credit_score is None for row in summarize(comparison))


def test_noise_is_what_the_interval_of_the_gain_holds():
    comparison = with_controls(make_comparison(seeds=range(4)))
    base, frozen = comparison.runs[RULES[0]], comparison.controls["frozen"]
    frozen.scores["test_accuracy"] = base.scores["test_accuracy"] - np.array([0.1, 0.0, 0.0, 0.0])
    assert hidden_credit(comparison).able is False
    frozen.scores["test_accuracy"] = base.scores["test_accuracy"] - np.array([0.1, 0.09, 0.1, 0.11])
    assert hidden_credit(comparison).able is True
    frozen.scores["test_accuracy"] = base.scores["test_accuracy"] - 2e-8  # single precision
    assert hidden_credit(comparison).able is False


def test_whoever_did_not_take_part_is_named():
    comparison = make_comparison()
    found = hidden_credit(comparison)
    assert (found.able, found.difference, found.reason) == (None, None, "frozen did not take part")
    comparison.configuration["left_out"] = {"control frozen": "the network has no hidden layers"}
    assert hidden_credit(comparison).reason == "the network has no hidden layers"
    with_controls(comparison)
    comparison.runs.pop("backpropagation")
    comparison.reference = RULES[1]
    assert hidden_credit(comparison).reason == "backpropagation did not take part"


def test_runs_that_diverged_are_in_no_pair():
    comparison = with_controls(make_comparison(seeds=range(6)))
    diverge(comparison.runs[RULES[1]], [0, 1])
    diverge(comparison.runs[RULES[2]], [0, 1, 2, 3])
    comparison.controls["frozen"] = replace(comparison.controls["frozen"], diverged=np.arange(6) == 5)
    found = hidden_credit(comparison)
    assert found.pairs == 5 and found.scores[RULES[1]].pairs == 3 and RULES[2] not in found.scores
    assert (found.scores[RULES[1]].low, found.scores[RULES[1]].high) == (None, None)  # 3 seeds: a score, and no interval
    assert None not in (found.scores[RULES[3]].low, found.scores[RULES[3]].high)
    comparison.controls["frozen"] = replace(comparison.controls["frozen"], diverged=np.arange(6) > 1)
    few = hidden_credit(comparison)
    assert few.able is None and "fewer than 3 seeds" in few.reason and few.scores == {}


def test_folds_are_pairs_and_their_interval_knows_what_they_share():
    comparison = with_controls(make_comparison(seeds=range(8)))
    whole = SimpleNamespace(**vars(comparison) | {"runs": comparison.runs | comparison.controls})
    in_folds(whole, 4)
    found = hidden_credit(comparison)
    fold = lambda runs: runs.scores["test_accuracy"].reshape(4, 2).mean(axis=1)
    own, base, frozen = fold(comparison.runs[RULES[3]]), fold(comparison.runs[RULES[0]]), fold(comparison.controls["frozen"])
    value = (own - frozen).mean() / (base - frozen).mean()
    errors = stats.t.ppf(0.975, 3) * np.sqrt(1.0 + 4 / 3)
    at_end = [errors_from_0(end, own, base, frozen) for end in (found.scores[RULES[3]].low, found.scores[RULES[3]].high)]
    assert at_end == pytest.approx([errors, -errors], rel=1e-9)
    score = found.scores[RULES[3]]
    assert found.pairs == score.pairs == 4
    assert score.value == pytest.approx(value, rel=1e-12)
    assert found.high - found.low == pytest.approx(2 * corrected_interval(base - frozen, 1 / 3)[1])
