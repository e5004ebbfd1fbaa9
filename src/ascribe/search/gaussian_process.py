"""Exact Gaussian-process regression: the surrogate of Bayesian optimization.

Everything is computed in float64 (`jax.enable_x64` around each call; the rest of the program keeps its precision). Arrays
are padded to a few fixed sizes, so that one compiled program serves every number of observations within a size.

Source: Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, algorithm 2.1 and eq. 5.9; the priors are
BoTorch's, after Hvarfner, Hellsten & Nardi (2024), "Vanilla Bayesian optimization performs great in high dimensions".
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ascribe.checks import array, positive, refusal
from ascribe.errors import UserError, shown

SMALLEST = 64  # observations of the smallest padded size; larger ones are its doubles
NOISE_FLOOR = 1e-6  # variance, in units of the standardized y: keeps the Cholesky factor of repeated points finite
BLOCK = 64  # the Cholesky factor of larger matrices is built from blocks of this size
SUBSET = 64  # observations that larger fits begin with
SQRT5 = 5.0**0.5


class GaussianProcess(eqx.Module):
    """The posterior of f ~ GP(μ, k) given y = f(x) + noise, y standardized, k the Matérn-5/2 kernel:

        k(r) = (1 + √5 r + 5/3 r²) exp(-√5 r),   r² = Σ_i (x_i - x'_i)² / length_scales_i²

    with an output scale of 1 (y has variance 1) and the constant μ by generalized least squares, 1ᵀ C⁻¹ y / 1ᵀ C⁻¹ 1 with
    C = K + noise I: the plain mean is too low once a search has gathered its points around the minimum. Built by
    `fit` or, at hyper-parameters of one's own, by `condition`.

    `length_scales`: `(dimensions,)`, in units of the cube's side; `noise`: its variance, in units of y's variance; `center`:
    μ, in the unit of y; `scale`: the standard deviation of y; `inputs`: `(observations, dimensions)`; `factor`: the lower
    Cholesky factor L of C, `(observations, observations)`; `weights`: C⁻¹ (y - center) / scale.
    """

    length_scales: Float[np.ndarray, " dimensions"]
    noise: float
    center: float
    scale: float
    inputs: Float[np.ndarray, "observations dimensions"]
    factor: Float[np.ndarray, "observations observations"]
    weights: Float[np.ndarray, " observations"]

    def predict(self, x: Any) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
        """The mean and the variance of f (without the noise) at `x`: `(points, dimensions)`, in the unit of y and its square.

        mean = center + scale k(x)ᵀ weights;  variance = scale² (1 - |L⁻¹ k(x)|²).

        **Raises:** `UserError` where x is not an array of that shape.
        """
        x = inputs_of(x)
        count, dimensions = self.inputs.shape
        if x.shape[1] != dimensions:
            raise refusal("x", f"an array of points, (points, {dimensions})", f"the shape {x.shape}")
        size = bucket(count)
        factor = np.eye(size)
        factor[:count, :count] = self.factor
        points = pad(x, bucket(len(x)))
        with double_precision():
            mean, variance = _predict(
                points, pad(self.inputs, size), mask(count, size), factor, pad(self.weights, size), self.length_scales
            )
        mean, variance = (np.asarray(a)[: len(x)] for a in (mean, variance))
        return self.center + self.scale * mean, self.scale**2 * variance


def fit(x: Any, y: Any) -> GaussianProcess:
    """The Gaussian process whose hyper-parameters maximize their posterior density over θ = (log length-scales, log noise),

        log p(θ | y) = -½ (y - μ)ᵀ C⁻¹ (y - μ) - ½ log |C| + log p(length-scales) + log p(noise) + const

    by quasi-Newton ascent from the better two of six fixed starts. The priors are LogNormal(√2 + ½ log d, √3) for each of the d
    length-scales and LogNormal(-4, 1) for the noise, as densities over the length-scale and the noise themselves: without the
    terms -θ that this adds, length-scales grow until batches go to the corners of the cube.

    **Arguments:** `x`: `(observations, dimensions)`, in the unit cube; `y`: `(observations,)`, finite.

    **Raises:** `UserError` for an empty or non-finite x or y, or where their lengths differ.
    """
    x, y = observations_of(x, y)
    center, scale = standardization(y)
    length_scales, noise = fit_standardized(x, (y - center) / scale)
    return condition(x, y, length_scales, noise)


def condition(x: Any, y: Any, length_scales: Any, noise: float) -> GaussianProcess:
    """The Gaussian process of given hyper-parameters: `length_scales`, one for each dimension or one for all, and `noise`, a
    variance in units of y's variance.

    **Raises:** `UserError` as `fit`, for a hyper-parameter that is not a positive number, and for a noise that rounding loses
    where points repeat.
    """
    x, y = observations_of(x, y)
    count, dimensions = x.shape
    noise, wanted = positive("noise", noise), f"one positive number or {dimensions}"
    scales = array("length_scales", length_scales, wanted, lambda shape: shape in ((), (1,), (dimensions,)))
    if not np.all(scales > 0):
        raise refusal("length_scales", wanted, shown(scales.tolist()))
    length_scales = np.broadcast_to(scales, (dimensions,)).copy()
    center, scale = standardization(y)
    size = bucket(count)
    with double_precision():
        factor, weights, mean, apart = _condition(
            pad(x, size), pad((y - center) / scale, size), mask(count, size), length_scales, np.float64(noise)
        )
    if not apart:
        raise UserError(
            f"points that are equal, or nearly so for these length-scales, are told apart by their noise alone, and {noise:g} "
            f"is lost in rounding: take a `noise` of {NOISE_FLOOR:g} or more, or leave out what repeats."
        )
    factor, weights = np.asarray(factor)[:count, :count], np.asarray(weights)[:count]
    return GaussianProcess(length_scales, noise, center + scale * float(mean), scale, x, factor, weights)


def fit_standardized(
    x: Float[np.ndarray, "observations dimensions"], y: Float[np.ndarray, " observations"], size: int | None = None
) -> tuple[Float[np.ndarray, " dimensions"], float]:
    """The length-scales and the noise of `fit`, for a y that has mean 0 and variance 1 (or is 0).

    Above 64 observations the first start is the optimum for 64 of them (evenly spaced in the order of y), and
    only the best start ascends: most of the way is gone in matrices of 64 rows.
    """
    size = bucket(len(x)) if size is None else size
    starts, ascents = starts_of(x.shape[1]), 2
    if len(x) > SUBSET:
        some = np.argsort(y, kind="stable")[np.linspace(0, len(x) - 1, SUBSET).round().astype(int)]
        center, scale = standardization(y[some])
        length_scales, noise = fit_standardized(x[some], (y[some] - center) / scale)
        starts[0], ascents = np.log([*length_scales, noise]), 1
    with double_precision():
        theta = np.asarray(_fit(pad(x, size), pad(y, size), mask(len(x), size), starts, np.int64(ascents)))
    return np.exp(theta[:-1]), float(np.exp(theta[-1]))


def starts_of(dimensions: int) -> Float[np.ndarray, "starts hyperparameters"]:
    """The fixed starts: length-scales of 0.15, 0.4 and 1, in units of √dimensions, with noise of 0.001 and 0.1."""
    return np.asarray(
        [
            [*[np.log(scale * dimensions**0.5)] * dimensions, np.log(noise)]
            for scale in (0.15, 0.4, 1.0)
            for noise in (1e-3, 1e-1)
        ]
    )


def standardization(y: Float[np.ndarray, " observations"]) -> tuple[float, float]:
    """The mean and the standard deviation of y; 1 in place of a deviation of 0."""
    unit = np.abs(y).max() or 1.0  # squares of 1e200 would overflow
    center, scale = (y / unit).mean() * unit, (y / unit).std() * unit
    return float(center), float(scale) if scale > 1e-12 * unit else 1.0


def inputs_of(x: Any) -> Float[np.ndarray, "points dimensions"]:
    """Points as an array of float64, checked."""
    return array("x", x, "an array of points, (points, dimensions)", lambda shape: len(shape) == 2 and shape[1] > 0)


def observations_of(x: Any, y: Any) -> tuple[Float[np.ndarray, "observations dimensions"], Float[np.ndarray, " observations"]]:
    """Observations as arrays of float64, checked."""
    x = inputs_of(x)
    advice = "give each a finite number, a large one in place of NaN"
    y = array("y", y, f"one number for each of the {len(x)} points of `x`", lambda shape: shape == (len(x),), advice)
    if len(x) == 0:
        raise UserError("a Gaussian process has at least one observation; got none.")
    return x, y


# Padding: row i of a padded array counts where mask[i] is 1. Padded rows of C are those of the identity.


def bucket(count: int) -> int:
    """The padded size of `count` rows: the next of 64, 128, 256, …"""
    return max(SMALLEST, 1 << (count - 1).bit_length())


def pad(rows: np.ndarray, size: int) -> np.ndarray:
    """`rows`, then rows of zeros."""
    return np.concatenate([rows, np.zeros((size - len(rows), *rows.shape[1:]))])


def mask(count: int, size: int) -> np.ndarray:
    """`count` ones, then zeros."""
    return (np.arange(size) < count).astype(np.float64)


@functools.cache
def _threads():
    import scipy.linalg  # noqa: F401, PLC0415 - loads the OpenBLAS that JAX calls
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - scikit-learn's, with scikit-learn

    return ThreadpoolController()


@contextlib.contextmanager
def double_precision():
    """float64, and LAPACK on one thread.

    JAX takes the LAPACK of SciPy, whose threads spin while they wait for each other: on two cores with other work on them, a
    Cholesky factor of 128 rows took 115 ms, and 0.3 ms on one thread.
    """
    with jax.enable_x64(True), _threads().limit(limits=1, user_api="blas"):
        yield


# What is compiled.


def squared_distances(a: Array, b: Array, length_scales: Array) -> Array:
    """Σ_i (a_i - b_i)² / length_scales_i², by differences: the expanded square loses digits where points are near."""
    differences = (a[:, None, :] - b[None, :, :]) / length_scales[None, None, :]
    return (differences**2).sum(-1)


def matern(squared: Array) -> Array:
    """(1 + √5 r + 5/3 r²) exp(-√5 r) as a function of r²; its derivative by r² is -5/6 (1 + √5 r) exp(-√5 r), finite at 0."""
    r = jnp.sqrt(squared)
    return (1 + SQRT5 * r + 5 / 3 * squared) * jnp.exp(-SQRT5 * r)


def covariance(x: Array, rows: Array, length_scales: Array, noise: Array) -> tuple[Array, Array]:
    """C = K + noise I and r²; C has the identity's rows where padded."""
    squared = squared_distances(x, x, length_scales)
    both = rows[:, None] * rows[None, :]
    return both * matern(squared) + jnp.diag(jnp.where(rows > 0, noise, 1.0)), squared


def factorize(c: Array) -> tuple[Array, Array]:
    """The lower Cholesky factor L of C, and L⁻¹.

    Of two halves: L₂₁ = C₂₁ L₁₁⁻ᵀ, L₂₂ that of C₂₂ - L₂₁ L₂₁ᵀ, and (L⁻¹)₂₁ = -L₂₂⁻¹ L₂₁ L₁₁⁻¹: products, which cost half of
    what a triangular solve with the identity does.
    """
    size = c.shape[0]
    if size <= BLOCK:
        lower = jax.lax.linalg.cholesky(c, symmetrize_input=False)
        return lower, jax.scipy.linalg.solve_triangular(lower, jnp.eye(size), lower=True)
    half = size // 2
    first, first_inverse = factorize(c[:half, :half])
    below = c[half:, :half] @ first_inverse.T
    second, second_inverse = factorize(c[half:, half:] - below @ below.T)
    zeros = jnp.zeros((half, size - half))
    below_inverse = -second_inverse @ (below @ first_inverse)
    return (
        jnp.block([[first, zeros], [below, second]]),
        jnp.block([[first_inverse, zeros], [below_inverse, second_inverse]]),
    )


def whiten(inverse: Array, y: Array, rows: Array) -> tuple[Array, Array]:
    """L⁻¹ (y - μ) and μ = 1ᵀ C⁻¹ y / 1ᵀ C⁻¹ 1."""
    ones, whitened = inverse @ rows, inverse @ y
    mean = (ones @ whitened) / (ones @ ones)
    return whitened - mean * ones, mean


def negative_log_posterior(theta: Array, x: Array, y: Array, rows: Array) -> tuple[Array, Array]:
    """-log p(θ | y) up to a constant, and its gradient, θ = (log length-scales, log noise).

    ∂/∂θ_j = -½ tr((α αᵀ - C⁻¹) ∂C/∂θ_j) - ∂ log p(θ)/∂θ_j with α = C⁻¹ (y - μ) (Rasmussen & Williams, eq. 5.9;
    that μ moves with θ changes nothing, since the value is stationary in μ), and
    ∂k/∂ log l_i = 5/3 (1 + √5 r) exp(-√5 r) (x_i - x'_i)² / l_i². With P the product of the first factors, symmetric,
    Σ_ab P_ab (x_ai - x_bi)² = 2 Σ_a x_ai² Σ_b P_ab - 2 x_iᵀ P x_i.
    """
    dimensions = x.shape[1]
    length_scales, noise = jnp.exp(theta[:-1]), jnp.exp(theta[-1])
    c, squared = covariance(x, rows, length_scales, noise)
    lower, inverse = factorize(c)
    whitened, _ = whiten(inverse, y, rows)
    alpha = whitened @ inverse
    value = 0.5 * whitened @ whitened + jnp.log(jnp.diagonal(lower)).sum()
    r = jnp.sqrt(squared)
    outer = rows[:, None] * rows[None, :] * (alpha[:, None] * alpha[None, :] - inverse.T @ inverse)
    p = outer * (5 / 3) * (1 + SQRT5 * r) * jnp.exp(-SQRT5 * r)
    scaled = x / length_scales[None, :]
    by_length = 2 * (p.sum(1)[:, None] * scaled**2).sum(0) - 2 * (scaled * (p @ scaled)).sum(0)
    by_noise = noise * jnp.trace(outer)
    gradient = -0.5 * jnp.concatenate([by_length, by_noise[None]])
    mean = jnp.concatenate([jnp.full(dimensions, 2**0.5 + 0.5 * np.log(dimensions)), jnp.asarray([-4.0])])
    variance = jnp.concatenate([jnp.full(dimensions, 3.0), jnp.ones(1)])
    value = value + (0.5 * (theta - mean) ** 2 / variance + theta).sum()
    return value, gradient + (theta - mean) / variance + 1


def minimize(
    function: Callable[[Array], tuple[Array, Array]],
    start: Array,
    low: Array,
    high: Array,
    *,
    iterations: Any,
    tolerance: float,
    step: float,
) -> tuple[Array, Array]:
    """Projected BFGS within a box: the minimizer and the minimum of a function that returns its value and gradient.

    Every iteration evaluates one point, start + t × direction clipped to the box: it is accepted where the value falls enough
    (Armijo), else t shrinks. So there is no inner loop and `vmap` runs many of them in step. Coordinates at a bound that the
    gradient pushes against are held. The first step has the length `step` and none is longer than 10 of them. It ends when no
    free coordinate's gradient exceeds `tolerance`, or a step is rejected ten times.
    """
    eye = jnp.eye(start.shape[0])

    def free_of(x, g):
        return jnp.where(((x <= low) & (g > 0)) | ((x >= high) & (g < 0)), 0.0, 1.0)

    def direction_of(x, g, h, fresh):
        free = free_of(x, g)
        g = g * free
        newton = -(free * (h @ g))
        steepest = fresh | (newton @ g >= 0)
        newton = jnp.where(steepest, -g, newton)
        longest = jnp.abs(newton).max() + 1e-300
        return newton * jnp.where(steepest, step / longest, jnp.minimum(1.0, 10 * step / longest))

    def unfinished(state):
        count, x, value, gradient, _, t, _ = state
        slope = jnp.abs(free_of(x, gradient) * gradient).max()
        return (count == 0) | ((count < iterations) & (slope > tolerance) & (t > 1e-6) & jnp.isfinite(value))

    def advance(state):
        count, x, value, gradient, h, t, fresh = state
        trial = jnp.clip(x + t * direction_of(x, gradient, h, fresh), low, high)
        moved = trial - x
        new_value, new_gradient = function(trial)
        accepted = (new_value <= value + 1e-4 * gradient @ moved) & jnp.all(jnp.isfinite(new_gradient))
        change = new_gradient - gradient
        curvature = moved @ change
        updates = accepted & (curvature > 1e-12)
        rho = 1 / jnp.where(updates, curvature, 1.0)
        scaled = jnp.where(fresh, curvature / jnp.where(updates, change @ change, 1.0), 1.0) * jnp.where(fresh, eye, h)
        left = eye - rho * moved[:, None] * change[None, :]
        new_h = left @ scaled @ left.T + rho * moved[:, None] * moved[None, :]
        return (
            count + 1,
            jnp.where(accepted, trial, x),
            jnp.where(accepted, new_value, value),
            jnp.where(accepted, new_gradient, gradient),
            jnp.where(updates, new_h, h),
            jnp.where(accepted, 1.0, 0.25 * t),
            fresh & ~updates,
        )

    # The first iteration does not move: `function` is compiled once, not twice.
    nothing = jnp.asarray(np.inf), jnp.zeros_like(start)
    state = (jnp.asarray(0, jnp.int32), start, *nothing, eye, jnp.asarray(1.0), jnp.asarray(True))
    _, x, value, *_ = jax.lax.while_loop(unfinished, advance, state)
    return x, value


@jax.jit
def _fit(x, y, rows, starts, ascents):
    dimensions, count = x.shape[1], starts.shape[0]
    objective = lambda theta: negative_log_posterior(theta, x, y, rows)
    low = jnp.concatenate([jnp.full(dimensions, np.log(1e-3)), jnp.full(1, np.log(NOISE_FLOOR))])
    high = jnp.concatenate([jnp.full(dimensions, np.log(1e4)), jnp.full(1, np.log(1e2))])

    def job(state):
        """The first jobs evaluate one start each, the last ones ascend from the best: one loop, so one compiled objective."""
        number, values, best, theta = state
        screens = number < count
        chosen = jnp.where(screens, number, jnp.argmin(values))
        iterations = jnp.where(screens, 1, 60)
        x, value = minimize(objective, starts[chosen], low, high, iterations=iterations, tolerance=1e-2, step=0.3)
        values = values.at[chosen].set(jnp.where(screens & jnp.isfinite(value), value, jnp.inf))
        return number + 1, values, jnp.minimum(value, best), jnp.where(value < best, x, theta)

    state = (jnp.asarray(0), jnp.full(count, np.inf), jnp.asarray(np.inf), starts[0])
    return jax.lax.while_loop(lambda state: state[0] < count + ascents, job, state)[-1]


@jax.jit
def _condition(x, y, rows, length_scales, noise):
    """L, C⁻¹ (y - μ), μ, and whether the pivots of C, the squares of L's diagonal, are more than its rounding error."""
    lower, inverse = factorize(covariance(x, rows, length_scales, noise)[0])
    whitened, mean = whiten(inverse, y, rows)
    rounding = x.shape[0] * jnp.finfo(lower.dtype).eps
    apart = jnp.min(jnp.diagonal(lower)) ** 2 > rounding  # not so for NaN
    return *(jnp.where(apart, one, jnp.zeros_like(one)) for one in (lower, whitened @ inverse, mean)), apart


@jax.jit
def _predict(points, x, rows, factor, weights, length_scales):
    cross = rows[:, None] * matern(squared_distances(x, points, length_scales))
    whitened = jax.scipy.linalg.solve_triangular(factor, cross, lower=True)
    return weights @ cross, jnp.maximum(1 - (whitened**2).sum(0), 0.0)
