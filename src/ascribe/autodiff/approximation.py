"""The universal approximation theorem as a construction: a sigmoid network written down from values of f, not trained.

Cut [a, b] into N pieces of width h, with t_j the left end of piece j and c_j its middle. The network is the sum of pieces

    G(x) = Σ_j f(c_j) P_j(x),   P_j(x) = σ(w(x − t_j)) − σ(w(x − t_{j+1})).

As w → ∞, σ(w(x − b)) becomes the step H(x; b), and P_j the piece P(x; t_j, h) that is 1 on piece j and 0 elsewhere:
`heaviside`, `piece`. Here w is finite. σ is any continuous function from 0 to 1 with a known tail, within τ of 0 below −d and
of 1 above d: 1 / (1 + exp(−z)) with d = 40 and τ = e⁻⁴⁰, or one of the others in `SIGMOIDS`. Then w = 250 d/h, so that a step
is over within 0.004 h on both its sides.

A piece falls where the next one rises, so that the two share a hidden unit, and the last piece never falls: N pieces take N
hidden units, not 2N, with the output weights α_j = f(c_j) − f(c_{j−1}), f(c_0) = 0. The first piece rises at t_1 = a − h,
left of the interval, so that no output bias is needed.

**The bound.** Let |f(x) − f(y)| ≤ ω(|x − y|), as with ω(δ) = L δ, and M = max_j |f(c_j)|. Of all steps, at most one is within
0.004 h of x. The others are within τ of 0, those to its right, or of 1, those to its left, whose α_j add up to the f(c_k) of
the last one. With the one beside x, if there is one,

    |G(x) − ((1 − s) f(c_k) + s f(c_{k+1}))| ≤ τ Σ_j |α_j|,   s = σ(w(x − t_{k+1})), between 0 and 1,

a mean of two values of f at c with |c − x| ≤ 0.505 h. Of this, 0.001 h is for rounding: that of t_j, c_j, θ_j and w x + θ_j
only moves the steps and the c_j, by at most 8 u (|a| + b − a) together. The rest is the rounding of σ, of α and of a sum of N
terms in any order, u = 2⁻⁵²:

    |G(x) − f(x)| ≤ ω(0.505 h) + (τ + (N + 32) u + 8 u_f) Σ_j |α_j| + N 2⁻¹⁰²²,

where the values of f are taken to be right to 4 u_f M, with u_f the precision in which f returns them, and the last term is
for underflow. To keep the first term below 0.99 ε takes N = 0.5101 L (b − a) / ε.

Source: "Neural networks" (course notes), section 2.2, theorem 2.1 and its proof, where w → ∞ and ε is not counted.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ascribe.checks import at_least, not_negative, positive, real, real_numbers
from ascribe.errors import UserError, shown

from .operators import logistic
from .values import Value

STEEPNESS = 250.0  # w h / d
REACH = 0.505  # how far, in h, the middle of a piece that matters may be from x
PRECISION = float(np.finfo(np.float64).eps)
SMALLEST = float(np.finfo(np.float64).tiny)
LARGEST = float(np.finfo(np.float64).max)
SHARES = (0.99, 0.5)  # of ε for ω(0.505 h): the second where rounding needs more than what the first leaves
MARGIN = 0.9  # the part of ε that errors on samples may reach


class Sigmoid(NamedTuple):
    """A continuous sigmoidal function: σ(z) between 0 and 1, within `tail` of 0 where z ≤ −`distance` and of 1 where
    z ≥ `distance`. `function`: σ of an array."""

    name: str
    function: Callable[[Any], Any]
    distance: float
    tail: float


SIGMOIDS = {
    one.name: one
    for one in (
        Sigmoid("logistic", logistic, 40.0, math.exp(-40.0)),
        Sigmoid("tanh", lambda z: 0.5 + 0.5 * np.tanh(z), 20.0, math.exp(-40.0)),
        Sigmoid("arctan", lambda z: 0.5 + np.arctan(z) / math.pi, 1e12, 1e-12 / math.pi),
    )
}
"""1 / (1 + exp(−z)), (1 + tanh z) / 2 and 1/2 + arctan(z) / π, whose tail is 1 / (π |z|) at most."""


def heaviside(x: Any, b: float = 0.0, w: float = math.inf, sigmoid: Any = "logistic") -> Value:
    """H(x; b) = lim σ(w(x − b)) as w → ∞: 0 where x < b and 1 where x > b; for a finite `w` the σ on the way there.

    At x = b it is σ(0) whatever w is, 1/2 for the three of `SIGMOIDS`. `sigmoid`: as in `approximate`.
    """
    numbers, place, steepness = real_numbers(x), real(b), real(w)
    if numbers is None or place is None or steepness is None or not (abs(place) <= LARGEST and steepness > 0):
        raise UserError(f"a step is at a number b, of numbers x, with a w above 0; got {shown(b)}, {shown(x)} and {shown(w)}.")
    with np.errstate(invalid="ignore", over="ignore"):
        z = np.where(numbers == place, 0.0, (steepness if steepness <= LARGEST else math.inf) * (numbers - place))
        return np.asarray(_sigmoid(sigmoid).function(z))[()]


def piece(x: Any, b: float, delta: float, w: float = math.inf, sigmoid: Any = "logistic") -> Value:
    """P(x; b, δ) = H(x; b) − H(x; b + δ): 1 between b and b + δ and 0 outside, in the limit of the default w."""
    if real(b) is None or real(delta) is None:
        raise UserError(f"a piece is between two numbers, b and b + δ; got {shown(b)} and {shown(delta)}.")
    return heaviside(x, b, w, sigmoid) - heaviside(x, b + delta, w, sigmoid)


@dataclasses.dataclass(frozen=True, eq=False)
class Approximation:
    """G(x) = Σ_j α_j σ(w_j x + θ_j), the sums of the universal approximation theorem for one input (2.1).

    `hidden_weights` w, `hidden_biases` θ, `output_weights` α: float64, `(N,)`. With `certified`, `error_bound` is a proven
    bound of |G − f| on all of `interval`, for G as it stands and as it is evaluated in float64, in whatever order its terms are
    added; without, it is the largest error on samples, with a margin. `sigmoid`: its σ.
    """

    hidden_weights: np.ndarray
    hidden_biases: np.ndarray
    output_weights: np.ndarray
    interval: tuple[float, float]
    epsilon: float
    error_bound: float
    certified: bool
    sigmoid: Sigmoid = SIGMOIDS["logistic"]

    @property
    def hidden(self) -> int:
        """N, the number of hidden units."""
        return len(self.output_weights)

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """Where each unit is at 1/2, t_j = −θ_j / w_j, ascending."""
        return -self.hidden_biases / self.hidden_weights

    @functools.cached_property
    def _left(self) -> np.ndarray:
        return np.concatenate([[0.0], np.cumsum(self.output_weights)])

    def __call__(self, x: Value) -> Value:
        """G at every number of x, in its shape. Only the steps on the two sides of x are computed: at all others w_j x + θ_j is
        so large that σ is taken for the 0 or 1 that it is within its tail of."""
        x = np.asarray(x, np.float64)
        after = np.searchsorted(self.steps, x, side="right")
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            total = self._left[np.maximum(after - 1, 0)]
            for j in (after - 1, after):
                i = np.clip(j, 0, self.hidden - 1)
                z = self.hidden_weights[i] * x + self.hidden_biases[i]
                total = total + np.where(i == j, self.output_weights[i] * self.sigmoid.function(z), 0.0)
        return total[()]

    def __str__(self) -> str:
        (a, b), units = self.interval, "one hidden unit" if self.hidden == 1 else f"{self.hidden:,} hidden units"
        kind = "certified" if self.certified else "estimated from samples"
        return f"sigmoid network with {units}: |G − f| ≤ {self.error_bound:.6g} on [{a:g}, {b:g}], {kind}"


def approximate(
    f: Callable[[Any], Any],
    interval: Any,
    epsilon: Any,
    *,
    lipschitz: Any = None,
    modulus: Any = None,
    sigmoid: Any = "logistic",
    limit: int = 1_000_000,
) -> Approximation:
    """A network with |G(x) − f(x)| < `epsilon` for all x in `interval` = (a, b), for a continuous f: the equations above.

    **Arguments:** `f`: from an array of numbers to as many, or from a number to a number; `lipschitz`: L with
    |f(x) − f(y)| ≤ L |x − y|; `modulus`: instead, a nondecreasing function ω with |f(x) − f(y)| ≤ ω(|x − y|), such as the
    square root for the square root; `sigmoid`: a name of `SIGMOIDS`, or a `Sigmoid` of your own; `limit`: of the number of
    hidden units.

    **Returns:** an `Approximation`. It is certified, if the given L or ω is true; that samples of f agree with it is checked.
    With neither, N is doubled until the error is below 0.9 ε on at least 4N + 4096 samples: estimated, and not certified.

    **Raises:** `UserError` where N would exceed `limit`, where rounding in float64 leaves no room for ε, where samples of f
    contradict L or ω, and for an f that is not finite or does not return one number for each x.
    """
    (a, b), epsilon = _checked(interval, epsilon)
    sigma = _sigmoid(sigmoid)
    limit = at_least(1, "limit", limit)
    if lipschitz is None and modulus is None:
        return _estimated(f, a, b, epsilon, sigma, limit)
    omega = _modulus(lipschitz, modulus)
    rounding = math.inf
    for share in SHARES:
        n = _pieces(omega, b - a, share * epsilon)
        if n > limit:
            with np.errstate(over="ignore"):
                possible = omega(np.array([REACH * (b - a) / limit]))[0] / share
            raise UserError(
                f"ε = {epsilon:g} takes {n:,} hidden units, more than the limit of {limit:,}: raise limit, take ε above "
                f"{possible:.4g}, a shorter interval, or a smaller lipschitz or modulus if one holds."
            )
        network, precision = _built(f, a, b, epsilon, sigma, n)
        if share == SHARES[0]:
            _contradicted(f, omega, a, b, n)
        with np.errstate(over="ignore"):
            near = float(omega(np.array([REACH * (b - a) / n]))[0])
            total = float(np.abs(network.output_weights).sum())
            rounding = (sigma.tail + (n + 32) * PRECISION + 8 * precision) * total + n * SMALLEST
            bound = (near + rounding) * (1 + 8 * PRECISION)
        if bound < epsilon:
            return dataclasses.replace(network, error_bound=bound, certified=True)
    blamed = "rounding" if sigma.tail < PRECISION else "the tail of this σ and rounding"
    raise UserError(
        f"ε = {epsilon:g} cannot be certified: {blamed} alone may cost {rounding:.2g} with values of f this large; take a "
        "larger ε, subtract a constant from f, or let f return float64."
    )


def pieces_needed(epsilon: Any, interval: Any, *, lipschitz: Any = None, modulus: Any = None) -> int:
    """N, the least with ω(0.505 (b − a) / N) ≤ 0.99 ε: ⌈0.5101 L (b − a) / ε⌉ for a Lipschitz constant L, so that half the ε
    takes twice the hidden units. `approximate` takes as many, unless rounding needs more than the rest of ε.

    **Raises:** `UserError` for input that is none, and where ω stays above 0.99 ε.
    """
    (a, b), epsilon = _checked(interval, epsilon)
    return _pieces(_modulus(lipschitz, modulus), b - a, SHARES[0] * epsilon)


def _sigmoid(given: Any) -> Sigmoid:
    """The σ of that name; one of the user's is asked at some numbers whether it is what it says."""
    if isinstance(given, str) and given in SIGMOIDS:
        return SIGMOIDS[given]
    if not isinstance(given, Sigmoid):
        raise UserError(f"`sigmoid` is one of {', '.join(SIGMOIDS)}, or a Sigmoid of your own; got {shown(given)}.")
    distance, tail = real(given.distance), real(given.tail)
    if distance is None or tail is None or not (0 < distance < 1e100 and 0 <= tail < 0.5):
        raise UserError(
            f"a Sigmoid has a distance above 0 and a tail from 0 to below 0.5; got {shown(given.distance)} and "
            f"{shown(given.tail)}."
        )
    given = Sigmoid(str(given.name), given.function, float(distance), float(tail))
    beyond = given.distance * np.geomspace(1.0, 1e6, 25)
    z = np.concatenate([-beyond[::-1], np.linspace(-given.distance, given.distance, 1001)[1:-1], beyond])
    y, _ = _values(given.function, z, given.name)
    far = np.abs(z) >= given.distance
    if np.min(y) < 0 or np.max(y) > 1 or np.max(np.abs(y - (z > 0))[far]) > given.tail:
        raise UserError(
            f"the sigmoid {shown(given.name)} stays between 0 and 1, and within {given.tail:g} of these beyond "
            f"±{given.distance:g}; this one does not: give it another distance or tail, or scale it."
        )
    return given


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _checked(interval: Any, epsilon: Any) -> tuple[tuple[float, float], float]:
    listed = isinstance(interval, tuple | list) or (isinstance(interval, np.ndarray) and interval.ndim)
    ends = [_number(end) for end in interval] if listed else []
    if len(ends) != 2 or not (ends[0] < ends[1] and math.isfinite(ends[1] - ends[0])):
        raise UserError(f"the interval is two finite numbers (a, b) with a < b, as in (0, 1); got {shown(interval)}.")
    return (ends[0], ends[1]), positive("epsilon", epsilon, "try 0.01")


def _modulus(lipschitz: Any, modulus: Any) -> Callable[[np.ndarray], np.ndarray]:
    """ω as a function of arrays."""
    if (lipschitz is None) == (modulus is None):
        raise UserError("give one of the two, lipschitz or modulus: a number L, or a function ω(δ).")
    if lipschitz is not None:
        constant = not_negative("lipschitz", lipschitz)
        return lambda distance: constant * distance
    if not callable(modulus):
        raise UserError(f"modulus is a function ω(δ), as in lambda d: 2 * d ** 0.5; got {modulus!r}.")

    def omega(distance: np.ndarray) -> np.ndarray:
        values, _ = _values(modulus, distance, "modulus")
        rising = values[np.argsort(distance)]
        if rising[0] < 0 or np.any(rising[1:] < rising[:-1] - 1e-12 * rising[-1]):
            raise UserError("modulus is at least 0 and never falls as δ grows; the given one does not keep to that.")
        return values

    return omega


def _pieces(omega: Callable[[np.ndarray], np.ndarray], width: float, target: float) -> int:
    """The least N with ω(0.505 width / N) ≤ target: by powers of two, then by halving."""
    enough = lambda counts: omega(REACH * width / counts) <= target
    with np.errstate(over="ignore"):
        ladder = enough(2.0 ** np.arange(63))
        if not ladder.any():
            raise UserError(
                f"no number of pieces is enough for ε = {target / SHARES[0]:g}: lipschitz or modulus allows f to change by "
                f"more over a distance of {REACH * width / 2**62:.2g}; take a larger ε, or a modulus that goes to 0 with δ."
            )
        high = 2 ** int(np.argmax(ladder))
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(np.array([float(middle)]))[0] else (middle, high)
    return high


def _values(f: Callable[[Any], Any], x: np.ndarray, name: str = "f") -> tuple[np.ndarray, float]:
    """f at each x, and the precision in which it returned its values: by one call, or by one for each number."""
    with np.errstate(all="ignore"):
        try:
            y = np.asarray(f(x.copy()))
        except Exception:  # whatever a function of numbers does with an array
            y = np.empty(0, object)
        if y.shape != x.shape or y.dtype.kind not in "biuf":
            y = np.array([_value(f, number, name) for number in x.tolist()])
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        hint = "leave that point out of the interval" if name == "f" else "lower it to a finite number there"
        raise UserError(f"{name}({float(x[bad[0]])!r}) is {y[bad[0]]}, but every value has to be finite: {hint}.")
    precision = float(np.finfo(y.dtype).eps) if y.dtype.kind == "f" else PRECISION
    return y.astype(np.float64), max(precision, PRECISION)


def _value(f: Callable[[Any], Any], x: float, name: str) -> Any:
    try:
        y = np.asarray(f(x))
    except Exception as error:
        raise UserError(
            f"{name} takes a number or an array of numbers and failed with both; at {x!r} with {type(error).__name__}: {error}."
        ) from error
    if y.shape != () or y.dtype.kind not in "biuf":
        what = f"an array of shape {y.shape}" if y.shape else repr(y.item())
        raise UserError(f"{name} returns one real number for each number; at {x!r} it returned {what}.")
    return y[()]


def _built(
    f: Callable[[Any], Any], a: float, b: float, epsilon: float, sigmoid: Sigmoid, n: int
) -> tuple[Approximation, float]:
    """The network of n pieces, not yet judged, and the precision of f's values."""
    h = (b - a) / n
    values, precision = _values(f, a + h * (np.arange(n) + 0.5))
    size = max(abs(a) + (b - a), abs(b))
    if not (h > 0 and 1024 * 8 * precision * size <= h and math.isfinite(STEEPNESS * sigmoid.distance / h * size)):
        raise UserError(
            f"floating-point numbers near {size:.3g} cannot hold {n:,} steps {h:.2g} apart precisely enough: take a larger ε, "
            "let f return float64, or shift and scale x so that the interval is near 0."
        )
    steps = a + h * np.arange(n)
    steps[0] = a - h
    w = np.full(n, STEEPNESS * sigmoid.distance / h)
    with np.errstate(over="ignore"):
        arrays = w, -w * steps, np.diff(values, prepend=0.0)
    for array in arrays:
        array.setflags(write=False)
    return Approximation(*arrays, (a, b), epsilon, math.nan, False, sigmoid), precision


def _scattered(a: float, b: float, count: int) -> np.ndarray:
    """One random number in each of `count` equal parts of [a, b], the same ones every time; so no period of f hides."""
    parts = (np.arange(count) + np.random.default_rng(count).random(count)) / count
    return np.clip(a + (b - a) * parts, a, b)


def _contradicted(f: Callable[[Any], Any], omega: Callable[[np.ndarray], np.ndarray], a: float, b: float, n: int) -> None:
    """Raises `UserError` where f changes more between neighboring samples than ω allows."""
    x = np.unique(np.concatenate([[a, b], _scattered(a, b, max(n, 4096))]))
    y, precision = _values(f, x)
    with np.errstate(over="ignore"):
        change, distance = np.abs(np.diff(y)), np.diff(x)
        allowed = omega(distance + 8 * precision * np.abs(x).max()) + 16 * precision * np.abs(y).max()
        i = int(np.argmax(change - allowed))
        slope = change[i] / distance[i]
    if change[i] > allowed[i]:
        raise UserError(
            f"f contradicts the given lipschitz or modulus: between x = {x[i]:.10g} and {x[i + 1]:.10g} it changes by "
            f"{change[i]:.4g}, a slope of {slope:.4g}, where at most {allowed[i]:.4g} is allowed."
        )


def _estimated(f: Callable[[Any], Any], a: float, b: float, epsilon: float, sigmoid: Sigmoid, limit: int) -> Approximation:
    n = 1
    while True:
        network, _ = _built(f, a, b, epsilon, sigmoid, n)
        w = network.hidden_weights[0]
        edges = (network.steps[1:, None] + np.array([-1.0, 0.0, 1.0]) / w).ravel()
        samples = np.concatenate([[a, b], _scattered(a, b, 4 * n + 4096), edges])
        worst, place = 0.0, a
        for x in np.array_split(samples, 1 + len(samples) // 2**18):
            error = np.abs(network(x) - _values(f, x)[0])
            if not error.max() <= worst:
                worst, place = float(error.max()), float(x[np.argmax(error)])
            if not worst <= MARGIN * epsilon:
                break
        else:
            return dataclasses.replace(network, error_bound=worst / MARGIN)
        if n == limit:
            raise UserError(
                f"ε = {epsilon:g} takes more hidden units than the limit of {limit:,}, where the error is still {worst:.3g} at "
                f"x = {place:.10g}: raise limit, or take a larger ε; if f jumps there, no number of units is enough."
            )
        n = min(2 * n, limit)
