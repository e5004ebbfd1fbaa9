import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import permutation, sign_flip_test, smallest_p_value

from ..later import Later

stats = Later("scipy.stats")


def scipys(values, **arguments):
    return stats.permutation_test(
        (values, np.zeros_like(values)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        **arguments,
    ).pvalue


@pytest.mark.parametrize("size", [2, 5, 10, 13])
def test_exact_p_values_are_scipys(size):
    values = np.random.default_rng(size).normal(0.4, 1.0, size=size)
    assert sign_flip_test(values) == pytest.approx(scipys(values, n_resamples=np.inf), rel=1e-12)


def test_accuracies_tie_often():
    """Multiples of 1/40, as accuracies are: their sums tie, and differ by rounding alone."""
    values = np.random.default_rng(1).integers(-3, 6, size=12) / 40.0
    assert sign_flip_test(values) == pytest.approx(scipys(values, n_resamples=np.inf), rel=1e-12)
    whole = np.round(values * 40.0)
    assert sign_flip_test(values) == sign_flip_test(whole)


def test_a_sum_may_be_off_by_the_rounding_of_every_difference():
    """Twelve whole numbers, each off by up to a hundredth: sums that tie are apart by more than that, and tie still."""
    random = np.random.default_rng(1)
    whole, off = random.integers(-3, 6, size=12), random.uniform(-0.01, 0.01, size=12)
    assert sign_flip_test(whole + off, rounding=0.01) == sign_flip_test(whole)
    assert sign_flip_test(whole + off) < sign_flip_test(whole)


def test_beyond_16_pairs_patterns_are_sampled(monkeypatch):
    values = np.random.default_rng(2).normal(0.35, 1.0, size=18)
    monkeypatch.setattr(permutation, "EXACT_PAIRS", 18)
    exact = sign_flip_test(values)
    assert exact == pytest.approx(scipys(values, n_resamples=9_999, rng=np.random.default_rng(0)), abs=0.015)
    monkeypatch.undo()
    sampled = sign_flip_test(values, resamples=40_000)
    assert sampled == pytest.approx(exact, abs=4.0 * np.sqrt(exact * (1 - exact) / 40_000))
    assert sampled != exact
    assert sampled == sign_flip_test(values, resamples=40_000) != sign_flip_test(values, resamples=40_000, seed=1)
    monkeypatch.setattr(permutation, "BLOCK", 18 * 1_000)
    assert sign_flip_test(values, resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_16_pairs_are_the_most_that_are_gone_through():
    values = np.random.default_rng(3).normal(0.35, 1.0, size=17)
    exact = scipys(values[:16], n_resamples=np.inf)
    assert sign_flip_test(values[:16]) == sign_flip_test(values[:16], seed=1) == pytest.approx(exact, rel=1e-12)
    assert sign_flip_test(values, seed=0) != sign_flip_test(values, seed=1)


def test_a_sampled_p_value_is_never_zero():
    assert sign_flip_test(np.full(60, 1.0), resamples=99) == 1 / 100


def test_the_smallest_p_value_is_reached_and_not_passed():
    for pairs in (1, 3, 6):
        assert sign_flip_test(np.arange(1.0, pairs + 1.0)) == smallest_p_value(pairs) == 2.0 / 2**pairs


def test_no_difference_is_no_evidence():
    assert sign_flip_test([0.0, 0.0, 0.0]) == 1.0
    assert sign_flip_test([1.0, -1.0]) == 1.0
    assert sign_flip_test([0.0, 1.0, 2.0]) == sign_flip_test([1.0, 2.0]) == 0.5


def test_under_the_hypothesis_it_finds_as_often_as_it_may():
    random = np.random.default_rng(0)
    p_values = [sign_flip_test(random.normal(size=8)) for _ in range(500)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.047, abs=0.025)  # 12 of 256 patterns are below 0.05


def test_bad_input_meets_its_sentence():
    with pytest.raises(UserError, match="got 1 that are not: `paired` leaves such pairs out"):
        sign_flip_test([0.1, float("inf")])
    with pytest.raises(UserError, match="none empty"):
        sign_flip_test([])
    with pytest.raises(UserError, match="`pairs` is a positive integer; got 0"):
        smallest_p_value(0)
