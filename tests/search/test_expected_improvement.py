"""Expected Improvement against integration, and the search: a function of its record, in the cube, and good at its work."""

import importlib

import jax
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.search import expected_improvement, fit, log_expected_improvement, suggest

from ..later import Later

stats = Later("scipy.stats")
integrate = Later("scipy.integrate")

MODULE = importlib.import_module("ascribe.search.expected_improvement")  # the module; the name is the function's


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0, 1, 0), (2, 0.5, 1.8), (-1, 3, 4), (5, 1, 0), (0, 0.01, 0.05)])
def test_it_is_the_integral(mean, deviation, best):
    integral, _ = integrate.quad(
        lambda f: (best - f) * stats.norm.pdf(f, mean, deviation),
        best - 40 * deviation,
        best,
        epsabs=0,
        epsrel=1e-12,
        points=[min(mean, best - 1e-9)],
        limit=200,
    )
    found = expected_improvement(mean, deviation**2, best)
    assert found == pytest.approx(integral, rel=1e-9)
    assert log_expected_improvement(mean, deviation**2, best) == pytest.approx(np.log(integral), rel=1e-9)


def test_logarithm_is_exact_far_from_the_best():
    """At u = -t the parenthesis is 1/t² - 3/t⁴ + …; the two branches meet at t = 15."""
    for t in (50.0, 1e3, 1e6, 1e9):
        expected = -0.5 * t**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(t) + np.log1p(-3 / t**2 + 15 / t**4)
        assert log_expected_improvement(t, 1.0, 0.0) == pytest.approx(expected, rel=1e-9)
    below, above = log_expected_improvement(np.asarray([15 - 1e-9, 15 + 1e-9]), 1.0, 0.0)
    assert below - above == pytest.approx(2e-9 * 15, rel=0.01)


def test_it_has_a_unit_and_limits():
    assert expected_improvement(30.0, 100.0, 20.0) == pytest.approx(10 * expected_improvement(3.0, 1.0, 2.0), rel=1e-12)
    np.testing.assert_allclose(expected_improvement([1.0, 3.0], 0.0, 2.0), [1.0, 0.0])
    assert log_expected_improvement(3.0, 0.0, 2.0) == -np.inf
    assert expected_improvement(-100.0, 1.0, 0.0) == pytest.approx(100.0, rel=1e-12)
    assert expected_improvement(1e3, 1.0, 0.0) == 0.0


@pytest.mark.parametrize("u", [-1e4, -20.0, -15.0, -3.0, -0.1, 0.0, 0.1, 2.0, 30.0])
def test_its_derivative_is_that_of_differences(u):
    with jax.enable_x64(True):
        derivative = jax.jit(jax.grad(MODULE.log_scaled))(u)
        step = 1e-5 * max(abs(u), 1.0)
        values = np.asarray(jax.jit(MODULE.log_scaled)(np.asarray([u - step, u + step])))
    assert float(derivative) == pytest.approx((values[1] - values[0]) / (2 * step), rel=1e-6)


def record(count, dimensions, seed=0):
    x = np.random.default_rng(seed).random((count, dimensions))
    return x, ((x - 0.3) ** 2).sum(1)


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(len(points), 1)]


def test_it_begins_with_a_sobol_sequence_that_goes_on():
    nothing = np.zeros((0, 3))
    eight = suggest(nothing, [], 8, seed=1)
    first = suggest(nothing, [], 3, seed=1)
    rest = suggest(first, np.zeros(3), 5, seed=1)
    np.testing.assert_array_equal(eight, np.concatenate([first, rest]))
    assert not np.array_equal(eight, suggest(nothing, [], 8, seed=2))
    np.testing.assert_array_equal(suggest(*record(10, 3), 2, seed=1, initial=11), suggest(nothing, [], 12, seed=1)[10:])


@pytest.mark.parametrize("count", [1, 5])
def test_it_is_a_function_of_its_arguments(count):
    x, y = record(12, 2)
    points = suggest(x, y, count, seed=3)
    suggest(*record(14, 2, seed=5), 4, seed=9)
    np.testing.assert_array_equal(points, suggest(x, y, count, seed=3))
    assert points.shape == (count, 2)
    assert points.dtype == np.float64
    assert points.min() >= 0
    assert points.max() <= 1


def test_one_point_is_where_expected_improvement_is_highest():
    x, y = record(12, 2)
    y = y + np.sin(9 * x[:, 0])
    process = fit(x, y)
    best = y.min()
    grid = np.stack(np.meshgrid(*2 * [np.linspace(0, 1, 101)]), axis=-1).reshape(-1, 2)
    highest = expected_improvement(*process.predict(grid), best).max()
    chosen = suggest(x, y, 1, seed=0)
    assert expected_improvement(*process.predict(chosen), best)[0] >= highest * (1 - 1e-6)


def test_the_points_of_a_batch_are_distinct_even_where_nothing_can_improve():
    """A search that has converged: trap 4 of the prototype, batches of near-duplicates."""
    x, y = record(30, 2)
    x = np.concatenate([x, [[0.3, 0.3]], 0.3 + 1e-3 * np.random.default_rng(0).random((10, 2))])
    y = ((x - 0.3) ** 2).sum(1)
    points = suggest(x, y, 23, seed=0)
    assert distances(np.concatenate([x[:31], points])).min() > 1e-3


def test_a_batch_spreads_over_minima():
    """Two minima, one on either side: a batch that did not regard pending points would go to one of them."""
    x = np.linspace(0, 1, 11)[:, None]
    points = suggest(x, np.cos(4 * np.pi * x[:, 0]), 4, seed=0)[:, 0]
    assert (points < 0.5).any()
    assert (points > 0.5).any()


def matern(distances):
    r = np.sqrt(5) * np.abs(distances)
    return (1 + r + r**2 / 3) * np.exp(-r)


@pytest.mark.parametrize("seed", range(3))
def test_the_second_point_of_a_batch_is_where_the_mean_over_draws_of_the_first_is_highest(seed):
    """Conditioned by hand on each draw of f at the first point, on a fine grid."""
    x = np.linspace(0.05, 0.95, 6)
    y = np.random.default_rng(seed).normal(size=6)
    length, noise, draws = 0.15, 1e-4, MODULE.DRAWS
    z = np.random.default_rng(seed + 10).normal(size=(2, draws))
    offers = np.linspace(0, 1, MODULE.NEAR + MODULE.SPREAD)
    offers = np.random.default_rng(0).permutation(offers)[:, None]
    pad = lambda rows: MODULE.gp.pad(rows, MODULE.gp.bucket(8))
    with MODULE.gp.double_precision():
        found = MODULE._propose(
            pad(x[:, None]),
            pad(y),
            np.asarray(6),
            np.asarray(2),
            (np.asarray([length]), np.float64(noise)),
            offers,
            pad(z),
        )
    first, second = np.asarray(found)[6:8, 0]

    c = matern((x[:, None] - x) / length) + noise * np.eye(6)
    mean = np.linalg.solve(c, y).sum() / np.linalg.solve(c, np.ones(6)).sum()
    at_first = matern((x - first) / length)
    expected = at_first @ np.linalg.solve(c, y - mean)
    deviation = np.sqrt(1 - at_first @ np.linalg.solve(c, at_first))
    drawn = expected + deviation * z[0]
    points = np.append(x, first)
    whole = matern((points[:, None] - points) / length) + np.diag([noise] * 6 + [0.0])
    grid = np.append(np.linspace(0, 1, 2001), second)
    weights = np.linalg.solve(whole, matern((points[:, None] - grid) / length))
    means = np.concatenate([np.tile(y - mean, (draws, 1)), drawn[:, None]], axis=1) @ weights
    variance = np.maximum(1 - (matern((points[:, None] - grid) / length) * weights).sum(0), MODULE.VARIANCE_FLOOR)
    best = np.minimum((y - mean).min(), drawn)[:, None]
    improvement = expected_improvement(means, variance, best).mean(0)
    assert improvement[-1] >= improvement.max() * (1 - 1e-3)


def test_it_does_not_recompile_within_a_size():
    compiled = []
    suggest(*record(20, 2), 4, seed=0)
    suggest(*record(20, 2), 1, seed=0)
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **about: compiled.append(event) if "backend_compile" in event else None
    )
    for observations, count in ((21, 4), (50, 7), (13, 2), (25, 1), (60, 1)):
        suggest(*record(observations, 2), count, seed=0)
    assert not compiled


def test_precision_outside_is_untouched():
    with jax.enable_x64(False):
        inside = suggest(*record(12, 2), 2, seed=0)
        assert jax.numpy.zeros(1).dtype == np.float32
    np.testing.assert_allclose(inside, suggest(*record(12, 2), 2, seed=0), atol=1e-9)


def test_padding_does_not_change_the_points():
    size = MODULE.gp.bucket
    with pytest.MonkeyPatch.context() as patch:
        small = suggest(*record(20, 2), 2, seed=0)
        patch.setattr(MODULE.gp, "bucket", lambda count: 2 * size(count))
        np.testing.assert_allclose(small, suggest(*record(20, 2), 2, seed=0), atol=1e-5)


@pytest.mark.parametrize(
    "y",
    [
        np.full(12, 2.0),
        np.append(np.linspace(0, 1, 11), 1e30),
        np.append(np.full(11, 1e308), -1e308),
        np.arange(12) * 1e-300,
    ],
)
def test_extreme_values(y):
    points = suggest(record(12, 2)[0], y, 3, seed=0)
    assert np.isfinite(points).all()
    assert distances(points).min() > 1e-3


@pytest.mark.parametrize("count", [1, 3])
def test_one_dimension_one_observation_and_repeated_points(count):
    assert suggest([[0.5]], [1.0], count, seed=0, initial=1).shape == (count, 1)
    points = suggest(np.full((9, 1), 0.5), np.arange(9.0), count, seed=0, initial=1)
    assert np.abs(points - 0.5).min() > 1e-3


def test_penalties_are_lowered_and_better_values_stay():
    y = np.asarray([3.0, 1.0, 2.0, 4.0, 1e30, 2.5, 1.5, 1e12])
    np.testing.assert_array_equal(MODULE.below_fence(y), [3.0, 1.0, 2.0, 4.0, 6.1875, 2.5, 1.5, 6.1875])
    mostly = np.asarray([3.0, 1.0, 2.0, *12 * [1e30]])
    np.testing.assert_array_equal(MODULE.below_fence(mostly), [3.0, 1.0, 2.0, *12 * [5.0]])
    even = np.linspace(0, 1, 101)
    np.testing.assert_array_equal(MODULE.below_fence(even), even)
    np.testing.assert_array_equal(MODULE.below_fence(even**2), np.minimum(even**2, 0.75**2 + 0.5 * (0.75**2 - 0.25**2)))
    np.testing.assert_array_equal(MODULE.below_fence(np.full(5, 1e30)), np.full(5, 1e30))


def test_the_size_of_a_penalty_does_not_matter():
    x, y = record(16, 2)
    y[3] = 1e6
    one = suggest(x, y, 2, seed=0)
    y[3] = 1e300
    np.testing.assert_array_equal(one, suggest(x, y, 2, seed=0))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": np.full((2, 2), 1.5)}, "in the unit cube; got one outside"),
        ({"x": np.zeros(2)}, "an array of points"),
        ({"y": [0.0, np.nan]}, "`y` .* got 1 that are missing"),
        ({"y": [0.0]}, "one number for each of the 2 points"),
        ({"count": 0}, "`count` is a positive integer; got 0"),
        ({"seed": -1}, "`seed` is an integer that is not negative; got -1"),
    ],
)
def test_bad_arguments(change, sentence):
    arguments = {"x": np.zeros((2, 2)), "y": [0.0, 1.0], "count": 1, "seed": 0} | change
    x, y, count = (arguments.pop(name) for name in ("x", "y", "count"))
    with pytest.raises(UserError, match=sentence):
        suggest(x, y, count, **arguments)


def branin(x):
    a, b = 15 * x[:, 0] - 5, 15 * x[:, 1]
    square = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2
    return square + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10 - 0.39788735772973816


def hartmann(x):
    a = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    p = [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
    inner = (np.asarray(a)[None] * (x[:, None, :] - 1e-4 * np.asarray(p)[None]) ** 2).sum(-1)
    return 3.322368011391339 - np.exp(-inner) @ np.asarray([1.0, 1.2, 3.0, 3.2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "dimensions", "total", "batch", "bound"), [(branin, 2, 40, 8, 0.03), (hartmann, 6, 96, 16, 0.008)]
)
def test_the_search_is_as_good_as_the_field(function, dimensions, total, batch, bound):
    """Median regret over 5 seeds. BoTorch in benchmarks/bayesian_optimization.py: Branin 0.013, its worst seed 0.030 (bound:
    the medians of 5 seeds vary), Hartmann 0.0080 (the bound); ours 0.0061 and 0.00019."""
    regrets = []
    for seed in range(5):
        x = suggest(np.zeros((0, dimensions)), [], batch, seed=seed)
        while len(x) < total:
            x = np.concatenate([x, suggest(x, function(x), batch, seed=seed, initial=1)])
        regrets.append(function(x).min())
    assert np.median(regrets) < bound
