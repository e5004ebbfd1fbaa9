import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import bootstrap, bootstrap_interval

from ..later import Later

stats = Later("scipy.stats")


@pytest.mark.parametrize("size", [3, 10, 41])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_it_is_scipys_on_the_same_resamples(size, level):
    """On whole numbers, whose means tie exactly: SciPy lets rounding decide whether a resampled mean equals the mean."""
    values = np.round(1_000.0 * np.random.default_rng(size).exponential(size=size))
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=2_000, method="BCa", rng=np.random.default_rng(7)
    ).confidence_interval
    found = bootstrap_interval(values, level=level, resamples=2_000, seed=7)
    np.testing.assert_allclose(found, (expected.low, expected.high), rtol=1e-12)


def test_blocks_draw_the_same_numbers(monkeypatch):
    values = np.random.default_rng(0).normal(size=13)
    whole = bootstrap_interval(values, resamples=1_001, seed=3)
    monkeypatch.setattr(bootstrap, "BLOCK", 13 * 100)
    assert bootstrap_interval(values, resamples=1_001, seed=3) == pytest.approx(whole, rel=1e-14)


def test_rounding_decides_nothing():
    values = np.random.default_rng(1).integers(-3, 6, size=10)
    whole = np.array(bootstrap_interval(values.astype(float)))
    np.testing.assert_allclose(bootstrap_interval(values / 40.0), whole / 40.0, rtol=1e-12)


def test_it_moves_with_its_sample():
    values = np.random.default_rng(0).exponential(size=12)
    low, high = bootstrap_interval(values)
    assert bootstrap_interval(values) == (low, high)
    assert bootstrap_interval(values, seed=1) != (low, high)
    assert bootstrap_interval(3.0 * values + 1.0) == pytest.approx((3.0 * low + 1.0, 3.0 * high + 1.0), rel=1e-12)
    assert bootstrap_interval(values, level=0.5)[0] > low


def test_it_covers_the_mean_as_often_as_it_says():
    """Of 30 normal differences; below about 10 it covers less (docs/statistics.md)."""
    random = np.random.default_rng(0)
    intervals = [bootstrap_interval(random.normal(size=30), resamples=499, seed=i) for i in range(400)]
    assert 0.91 < np.mean([low < 0.0 < high for low, high in intervals]) < 0.97


def test_equal_differences_have_no_width():
    assert bootstrap_interval([0.25, 0.25, 0.25]) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(differences=[0.1]), "at least 2 numbers; got 1"),
        (dict(differences=[0.1, float("nan"), 0.2]), "got 1 that are not"),
        (dict(differences=[[0.1, 0.2]]), r"got the shape \(1, 2\)"),
        (dict(differences=["a", "b"]), "a list of numbers; got"),
        (dict(differences=[0.1, 0.2], level=95.0), "between 0 and 1; got 95.0: try 0.95"),
        (dict(differences=[0.1, 0.2], resamples=0), "positive integer; got 0"),
        (dict(differences=[0.1, 0.2], seed=-1), "not negative; got -1"),
    ],
)
def test_bad_input_meets_its_sentence(arguments, message):
    with pytest.raises(UserError, match=message):
        bootstrap_interval(**arguments)
