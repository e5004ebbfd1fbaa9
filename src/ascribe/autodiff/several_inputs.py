"""The universal approximation theorem for n inputs as a construction: waves, each of which is a function of one number.

A sum Σ_j α_j σ(w_j · x + θ_j) with one hidden layer has no unit for a box of [0, 1]ⁿ, only units that are constant along
planes. So f is first made a sum of waves, which are constant along planes too; and what one wave does along its direction,
`approximate` builds.

**Waves.** f is continued to negative x_i as an even function, sampled at the middles of M = m + 1 parts of every axis, and
smoothed there by the Fejér–Korovkin kernel, K(φ) = 1 + 2 Σ_k ρ_k cos kφ ≥ 0, ρ_1 = cos(π / (m + 2)), the narrowest of degree
m: a mean of values of f,

    (J f)(x) = Σ_k c_k Π_i cos(π k_i x_i),   0 ≤ k_i ≤ m,
    c_k = Π_i ρ_{k_i} (2 − [k_i = 0]) · (the mean of f(x) Π_i cos(π k_i x_i) over the samples),

and a product of cosines is a sum of waves: cos a cos b = (cos(a + b) + cos(a − b)) / 2. So J f = Σ_κ C_κ cos(π κ · x), with
whole numbers κ_i.

**The bound.** With |f(x) − f(y)| ≤ L Σ_i |x_i − y_i|, a mean with weights K differs from f by no more than L/π times the mean
of Σ_i |φ_i|, and 1 − cos φ ≥ 2 φ²/π² makes that

    |J f − f| ≤ L n √((1 − ρ_1) / 2) ≈ L n π / (2 (m + 2)).

Waves whose |C_κ| add up to a tenth of ε are left out. The rest of ε is shared among the others, in proportion to √(|C_κ| Σ_i
|κ_i|), which takes the fewest hidden units in all.

**How many.** m grows as n L / ε, and there are up to 2^(n−1) (m + 1)ⁿ waves: exponentially many in the number n of inputs.
That is what the theorem leaves open: it says that some N is enough.

Source: "Neural networks" (course notes), section 2.2, theorem 2.1, whose proof is for one input; Korovkin, "Linear operators
and approximation theory" (1960), chapter III, for the kernel."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ascribe.checks import at_least, not_negative, positive
from ascribe.errors import UserError

from .approximation import PRECISION, Approximation, Sigmoid, approximate, pieces_needed
from .values import Value

SHARES = (0.5, 0.1, 0.389, 0.001)
"""Of ε: for the smoothing, the waves that are left out, building the others, and the constant; the rest is for rounding."""
SAMPLES = 4_000_000
"""Waves, and so samples of f, at most."""


@dataclasses.dataclass(frozen=True, eq=False)
class CubeApproximation:
    """G(x) = Σ_j α_j σ(w_j · x + θ_j) on [0, 1]ⁿ: `waves[i]` of the number `directions[i]` · x, all added.

    `directions`: whole numbers κ, `(waves, n)`; `error_bound`: a proven bound of |G − f| on all of [0, 1]ⁿ, if the Lipschitz
    constant that was given holds.
    """

    directions: np.ndarray
    waves: tuple[Approximation, ...]
    epsilon: float
    error_bound: float

    @property
    def hidden(self) -> int:
        """N, the number of hidden units."""
        return sum(wave.hidden for wave in self.waves)

    @property
    def sigmoid(self) -> Sigmoid:
        """σ."""
        return self.waves[0].sigmoid

    @functools.cached_property
    def hidden_weights(self) -> np.ndarray:
        """w, `(N, n)`."""
        return np.concatenate([wave.hidden_weights[:, None] * k for wave, k in zip(self.waves, self.directions, strict=True)])

    @functools.cached_property
    def hidden_biases(self) -> np.ndarray:
        """θ, `(N,)`."""
        return np.concatenate([wave.hidden_biases for wave in self.waves])

    @functools.cached_property
    def output_weights(self) -> np.ndarray:
        """α, `(N,)`."""
        return np.concatenate([wave.output_weights for wave in self.waves])

    def __call__(self, x: Value) -> Value:
        """G at points `(…, n)`, in the shape `(…,)`: wave by wave, as in `Approximation`."""
        x = np.asarray(x, np.float64)
        inputs = self.directions.shape[1]
        if x.shape[-1:] != (inputs,):
            raise UserError(f"points are {inputs} numbers each, of the shape (…, {inputs}); got {x.shape}.")
        total = np.zeros(x.shape[:-1])
        for wave, k in zip(self.waves, self.directions, strict=True):
            total = total + wave(x @ k)
        return total[()]

    def __str__(self) -> str:
        return (
            f"sigmoid network of {self.directions.shape[1]} inputs with {self.hidden:,} hidden units in {len(self.waves):,} "
            f"waves: |G − f| ≤ {self.error_bound:.6g}, certified"
        )


def approximate_cube(
    f: Callable[[Any], Any],
    inputs: Any,
    epsilon: Any,
    *,
    lipschitz: Any,
    sigmoid: Any = "logistic",
    limit: int = 1_000_000,
) -> CubeApproximation:
    """A network of one hidden layer with |G(x) − f(x)| < `epsilon` for all x in [0, 1]ⁿ, n = `inputs`: the equations above.

    **Arguments:** `f`: from points `(points, n)` to numbers `(points,)`; `lipschitz`: L with |f(x) − f(y)| ≤ L Σ_i |x_i − y_i|,
    which neighboring samples are checked for; `sigmoid`, `limit`: as in `approximate`.

    **Returns:** a `CubeApproximation`, certified if L holds. For one input `approximate` takes fewer units.

    **Raises:** `UserError` where it would take more samples of f or hidden units than there may be, and where samples of f
    contradict L, are not finite, or are not one number for each point.
    """
    n, most = at_least(1, "inputs", inputs), at_least(1, "limit", limit)
    constant, epsilon = not_negative("lipschitz", lipschitz), positive("epsilon", epsilon, "try 0.1")
    degree = constant * n * math.pi / (2.0 * SHARES[0] * epsilon) - 2.0
    if not degree < SAMPLES or n * math.log(2.0 * max(degree, 1.0) + 3.0) > math.log(2.0 * SAMPLES):
        raise UserError(
            f"ε = {epsilon:g} takes too many waves, up to degree {max(degree, 1.0):.3g} along each of {n} axes, more than "
            f"{SAMPLES:,} in all: take a larger ε, fewer inputs, or a smaller lipschitz if one holds."
        )
    degree = max(0, math.ceil(degree))
    values = _samples(f, n, degree + 1)
    _contradicted(values, constant)
    shares = _shares(degree)
    smoothed = constant * n * math.sqrt(max(0.0, 1.0 - shares[1]) / 2.0) if degree else 0.5 * constant * n
    heights = _heights(values, shares)
    directions, amplitudes, left_out = _waves(heights, SHARES[1] * epsilon)
    rounding = 8.0 * PRECISION * values.size * len(directions) * max(1.0, float(np.max(np.abs(values))))
    roots = np.sqrt(np.abs(amplitudes) * np.abs(directions).sum(axis=1))
    parts = [SHARES[2] * epsilon * root / roots.sum() if root else SHARES[3] * epsilon for root in roots]
    ends = [(float(k[k < 0].sum()), float(k[k > 0].sum())) if k.any() else (0.0, 1.0) for k in directions]
    slopes = [math.pi * abs(c) if k.any() else 0.0 for k, c in zip(directions, amplitudes, strict=True)]
    units = sum(pieces_needed(*of, lipschitz=slope) for *of, slope in zip(parts, ends, slopes, strict=True))
    if units > most:
        raise UserError(
            f"ε = {epsilon:g} takes {units:,} hidden units in {len(directions):,} waves, more than the limit of {most:,}: "
            "raise limit, take a larger ε, or a smaller lipschitz if one holds."
        )
    built = []
    for k, c, part, interval, slope in zip(directions, amplitudes, parts, ends, slopes, strict=True):
        wave = (lambda s, c=c: c * np.cos(math.pi * s)) if k.any() else (lambda s, c=c: np.full_like(s, c))
        built.append(approximate(wave, interval, part, lipschitz=slope, sigmoid=sigmoid, limit=2 * most))
    bound = smoothed + left_out + sum(wave.error_bound for wave in built) + rounding
    if not bound < epsilon:
        raise UserError(
            f"ε = {epsilon:g} cannot be certified: rounding may cost {rounding:.2g} with values of f this large; take a larger "
            "ε, or subtract a constant from f."
        )
    return CubeApproximation(directions, tuple(built), epsilon, bound)


def _samples(f: Callable[[Any], Any], n: int, parts: int) -> np.ndarray:
    """f at the middles of `parts` parts of every axis, `(parts,) * n`."""
    middles = (np.arange(parts) + 0.5) / parts
    points = np.stack(np.meshgrid(*[middles] * n, indexing="ij"), axis=-1).reshape(-1, n)
    try:
        y = np.asarray(f(points.copy()))
    except Exception as error:
        raise UserError(
            f"f takes points of the shape (points, {n}) and failed with them: {type(error).__name__}: {error}."
        ) from error
    if y.shape != (len(points),) or y.dtype.kind not in "biuf":
        raise UserError(
            f"f returns one real number for each of {len(points)} points, of the shape ({len(points)},); got "
            f"{y.dtype} of {y.shape}."
        )
    if not np.all(np.isfinite(y)):
        place = points[int(np.argmin(np.isfinite(y)))]
        raise UserError(f"f is not finite at {place.tolist()}, but every value has to be: change f there.")
    return y.astype(np.float64).reshape([parts] * n)


def _contradicted(values: np.ndarray, constant: float) -> None:
    """Raises `UserError` where f changes more between neighboring samples than L allows."""
    parts = len(values)
    allowed = constant / parts + 64.0 * PRECISION * (1.0 + float(np.max(np.abs(values))))
    for axis in range(values.ndim):
        change = float(np.max(np.abs(np.diff(values, axis=axis)), initial=0.0))
        if change > allowed:
            raise UserError(
                f"f contradicts the given lipschitz: along input {axis + 1} it changes by {change:.4g} over {1 / parts:.4g}, a "
                f"slope of {change * parts:.4g}, where {constant:g} is allowed."
            )


def _shares(degree: int) -> np.ndarray:
    """ρ_0 … ρ_m of the Fejér–Korovkin kernel: the correlation of sin(π (j + 1) / (m + 2)) with itself, so that K ≥ 0."""
    wave = np.sin(math.pi * np.arange(1, degree + 2) / (degree + 2))
    return np.correlate(wave, wave, "full")[degree:] / (wave @ wave)


def _heights(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """c_k for 0 ≤ k_i ≤ m, in the shape of the samples."""
    parts = len(values)
    k = np.arange(parts)
    cosines = np.cos(math.pi * k[:, None] * (k + 0.5) / parts) * (np.where(k == 0, 1.0, 2.0) * shares / parts)[:, None]
    for axis in range(values.ndim):
        values = np.moveaxis(np.tensordot(cosines, values, axes=(1, axis)), 0, axis)
    return values


def _waves(heights: np.ndarray, spare: float) -> tuple[np.ndarray, np.ndarray, float]:
    """κ and C_κ of the waves that are kept, the constant one first, and the sum of |C_κ| of the others, at most `spare`."""
    n = heights.ndim
    found = np.stack(np.meshgrid(*[np.arange(size) for size in heights.shape], indexing="ij"), axis=-1).reshape(-1, n)
    amplitudes = heights.ravel()
    order = np.argsort(np.abs(amplitudes), kind="stable")
    gone = np.cumsum(np.abs(amplitudes[order])) <= spare
    kept = np.sort(order[~gone])
    left_out = float(np.abs(amplitudes[order[gone]]).sum())
    directions, sizes = [], []
    for k, amplitude in zip(found[kept], amplitudes[kept], strict=True):
        nonzero = np.flatnonzero(k)
        ways = list(itertools.product((1, -1), repeat=max(len(nonzero) - 1, 0)))
        for signs in ways:  # the first of them stays positive: cos is even
            turned = k.copy()
            turned[nonzero[1:]] *= np.array(signs, int)
            directions.append(turned)
            sizes.append(amplitude / len(ways))
    if not directions:
        return np.zeros((1, n), int), np.zeros(1), left_out
    return np.array(directions), np.array(sizes), left_out
