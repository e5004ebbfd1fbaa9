"""The Gaussian process is scikit-learn's, its hyper-parameters are a maximum, and padding is not seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.search import condition, fit
from ascribe.search.gaussian_process import (
    bucket,
    double_precision,
    factorize,
    fit_standardized,
    negative_log_posterior,
)

from ..later import Later

gaussian_process, kernels = Later("sklearn.gaussian_process"), Later("sklearn.gaussian_process.kernels")


def observations(count, dimensions, seed=0):
    x = np.random.default_rng(seed).random((count, dimensions))
    return x, np.sin(5 * x).sum(1) + x[:, 0] * x[:, -1]


@pytest.mark.parametrize(("count", "dimensions"), [(1, 1), (10, 1), (40, 3), (100, 4)])
def test_posterior_is_that_of_scikit_learn(count, dimensions):
    x, y = observations(count, dimensions)
    y = 100 + 7 * y
    length_scales, noise = 0.3 + 0.2 * np.arange(dimensions), 1e-3
    ours = condition(x, y, length_scales, noise)
    theirs = gaussian_process.GaussianProcessRegressor(kernels.Matern(length_scales, nu=2.5), alpha=noise, optimizer=None)
    theirs.fit(x, (y - ours.center) / ours.scale)
    points = np.random.default_rng(1).random((70, dimensions))
    mean, deviation = theirs.predict(points, return_std=True)
    found_mean, found_variance = ours.predict(points)
    np.testing.assert_allclose(found_mean, ours.center + ours.scale * mean, rtol=1e-10)
    np.testing.assert_allclose(found_variance, (ours.scale * deviation) ** 2, rtol=1e-8, atol=1e-10 * ours.scale**2)
    np.testing.assert_allclose(theirs.L_, ours.factor, atol=1e-12)


def test_center_is_by_generalized_least_squares():
    x, y = observations(30, 2)
    process = condition(x, y, 0.5, 0.01)
    r = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1)) / 0.5
    c = (1 + 5**0.5 * r + 5 / 3 * r**2) * np.exp(-(5**0.5) * r) + 0.01 * np.eye(30)
    solved = np.linalg.solve(c, np.stack([y, np.ones(30)], axis=1)).sum(0)
    assert process.center == pytest.approx(solved[0] / solved[1], rel=1e-9)


def test_log_likelihood_is_that_of_scikit_learn():
    """Between two length-scales, our posterior differs from their likelihood by the prior alone."""
    x, y = observations(30, 2)
    values, likelihoods, priors = [], [], []
    for scales in ([0.3, 0.7], [1.0, 0.2]):
        logs = np.log(scales)
        with double_precision():
            theta = jnp.asarray([*logs, np.log(0.01)])
            values.append(float(jax.jit(negative_log_posterior)(theta, x, y, np.ones(30))[0]))
        centered = y - condition(x, y, scales, 0.01).center
        theirs = gaussian_process.GaussianProcessRegressor(kernels.Matern(scales, nu=2.5), alpha=0.01, optimizer=None).fit(
            x, centered
        )
        likelihoods.append(theirs.log_marginal_likelihood(logs))
        # log of LogNormal(√2 + ½ log 2, √3), as a density over the length-scale
        priors.append((-0.5 * (logs - 2**0.5 - 0.5 * np.log(2)) ** 2 / 3 - logs).sum())
    assert values[0] - values[1] == pytest.approx(likelihoods[1] - likelihoods[0] + priors[1] - priors[0], rel=1e-10)


def test_gradient_is_that_of_differences():
    x, y = observations(25, 3)
    rows = jnp.ones(25)
    with double_precision():
        value = jax.jit(lambda theta: negative_log_posterior(theta, jnp.asarray(x), jnp.asarray(y), rows))
        theta = np.asarray([-1.0, 0.3, 0.8, -4.0])
        gradient = np.asarray(value(theta)[1])
        for i, step in enumerate(1e-5 * np.eye(4)):
            difference = float(value(theta + step)[0] - value(theta - step)[0]) / 2e-5
            assert gradient[i] == pytest.approx(difference, rel=1e-7)


@pytest.mark.parametrize("count", [1, 6, 40, 90])
def test_hyperparameters_are_a_local_maximum(count):
    x, y = observations(count, 2)
    y = (y - y.mean()) / (y.std() or 1.0)
    length_scales, noise = fit_standardized(x, y)
    theta = np.log([*length_scales, noise])
    with double_precision():
        value = jax.jit(lambda theta: negative_log_posterior(theta, jnp.asarray(x), jnp.asarray(y), jnp.ones(count)))
        least, gradient = value(theta)
        assert np.abs(gradient).max() < 0.02
        for step in 0.05 * np.concatenate([np.eye(3), -np.eye(3)]):
            assert value(theta + step)[0] > least


def test_without_a_signal_the_fit_is_the_mode_of_the_priors():
    """One observation says nothing: length-scales exp(√2 + ½ log d - 3), noise exp(-4 - 1), the -σ² being the Jacobian's."""
    length_scales, _ = fit_standardized(np.asarray([[0.5, 0.5]]), np.zeros(1))
    np.testing.assert_allclose(length_scales, np.exp(2**0.5 - 3) * 2**0.5, rtol=0.03)


def test_padding_does_not_change_the_answer():
    x, y = observations(20, 2)
    y = (y - y.mean()) / y.std()
    small, large = fit_standardized(x, y), fit_standardized(x, y, size=128)
    np.testing.assert_allclose(small[0], large[0], rtol=1e-6)
    assert small[1] == pytest.approx(large[1], rel=1e-6)


def test_sizes_are_few():
    assert [bucket(count) for count in (1, 64, 65, 128, 129, 512)] == [64, 64, 128, 128, 256, 512]


def test_the_factor_of_blocks_is_the_factor():
    x, _ = observations(256, 3)
    c = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1)) + 1e-4 * np.eye(256)
    with double_precision():
        lower, inverse = (np.asarray(a) for a in jax.jit(factorize)(c))
    np.testing.assert_allclose(lower, np.linalg.cholesky(c), atol=1e-9)
    np.testing.assert_allclose(lower @ inverse, np.eye(256), atol=1e-9)


def test_it_interpolates_without_noise_and_reverts_far_away():
    x, y = observations(30, 2)
    process = condition(x, y, 0.3, 1e-8)
    mean, variance = process.predict(x)
    np.testing.assert_allclose(mean, y, atol=1e-5)
    assert variance.max() < 1e-6
    mean, variance = process.predict([[1e3, 1e3]])
    np.testing.assert_allclose([mean[0], variance[0]], [process.center, process.scale**2], rtol=1e-10)


def test_it_learns_a_smooth_function():
    x, y = observations(40, 2)
    process = fit(x, y)
    points, values = observations(50, 2, seed=1)
    mean, variance = process.predict(points)
    assert np.abs(mean - values).max() < 0.1
    assert np.abs((mean - values) / np.sqrt(variance)).mean() < 2


@pytest.mark.parametrize("y", [np.full(6, 3.0), np.asarray([1e100, -1e100, 0, 0, 1, 2.0]), 1e-200 * np.arange(6.0)])
def test_extreme_values(y):
    mean, variance = fit(observations(6, 1)[0], y).predict([[0.3]])
    assert np.isfinite(mean).all()
    assert variance[0] >= 0


def test_repeated_points_average():
    x = np.asarray([[0.2], [0.2], [0.8]])
    mean, _ = condition(x, [0.0, 1.0, 0.5], 0.1, 0.01).predict([[0.2]])
    assert mean[0] == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.zeros(3), np.zeros(3), "an array of points"),
        (np.zeros((3, 0)), np.zeros(3), "an array of points"),
        (np.zeros((0, 2)), np.zeros(0), "at least one observation"),
        (np.zeros((3, 2)), np.zeros(2), "one number for each of the 3 points"),
        ([[np.nan]], [0.0], "`x` .* got 1 that are missing"),
        ([[0.1], [0.2]], [0.0, np.inf], "`y` .* got 1 that are missing"),
    ],
)
def test_bad_observations(x, y, sentence):
    with pytest.raises(UserError, match=sentence):
        fit(x, y)


@pytest.mark.parametrize(("length_scales", "noise"), [(0.0, 0.1), ([0.1, -1.0], 0.1), (0.1, 0.0), (np.nan, 0.1)])
def test_bad_hyperparameters(length_scales, noise):
    with pytest.raises(UserError, match="positive number"):
        condition(*observations(5, 2), length_scales, noise)


def test_other_bad_arguments():
    with pytest.raises(UserError, match="one positive number or 2"):
        condition(*observations(5, 2), [1.0, 2.0, 3.0], 0.1)
    with pytest.raises(UserError, match=r"\(points, 2\); got the shape \(1, 3\)"):
        condition(*observations(5, 2), 1.0, 0.1).predict(np.zeros((1, 3)))


def test_a_noise_that_rounding_loses_is_refused_where_points_repeat():
    """Four observations of one point and one of another: the mean of the four, as their noise goes to 0."""
    x, y = np.array([[0.1, 0.9]] * 4 + [[0.6, 0.6]]), np.array([1.0, 1.2, 0.8, 1.0, 3.0])
    with jax.debug_nans(True), pytest.raises(UserError, match=r"told apart by their noise alone, and 1e-18 is lost"):
        condition(x, y, 0.3, 1e-18)
    mean, variance = condition(x, y, 0.3, 1e-9).predict([[0.1, 0.9]])
    assert mean[0] == pytest.approx(1.0, abs=1e-6)
    assert variance[0] == pytest.approx(0.0, abs=1e-6)
    alone = condition(x[[0, 4]], y[[0, 4]], 0.3, 1e-18)  # apart, they need none
    np.testing.assert_allclose(alone.predict(x[[0, 4]])[0], [1.0, 3.0])
