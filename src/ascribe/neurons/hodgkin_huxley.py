"""The Hodgkin–Huxley model: a spike from the opening and closing of sodium and potassium channels.

    C dV/dt = J_in − g_L (V − V_L) − g_Na m³h (V − V_Na) − g_K n⁴ (V − V_K)
    dx/dt = (x_∞(V) − x) / τ_x(V) = α_x(V) (1 − x) − β_x(V) x,   x = n, m, h

Source: "Neural networks" (course notes), section 1.3, which shows no values; those of `squid` are the standard ones of the
squid axon at 6.3 °C (Hodgkin & Huxley 1952, in the modern sign convention).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.errors import UserError
from ascribe.types import Array, Callable

from .base import AbstractModel, Step
from .integrators import INTEGRATORS
from .quantities import check_shapes, leaf, not_negative, numbers, positive, whole_steps

THRESHOLD = -20.0
"""mV. Peaks sink as the current grows: below 0 mV from about 65 µA/cm² on, below −20 mV from about 100 on."""

COARSEST, WINDOW = 2.5e-4, 5e-4
"""Seconds: the largest step; and what passes between two spikes, at least."""

STEEPEST = 2.1
"""Of e^{−V/720}, so that float32 holds what is made of its powers. It is reached 534 mV below rest, where every gate is
shut or open."""

MILLISECONDS = 1000.0
"""In a second. The rates α and β are written per millisecond."""

SERIES = tuple(
    B / math.factorial(2 * k + 2) for k, B in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6))
)
NEAR = 0.6
"""x / (1 − e^{−x}) = 1 + x/2 + Σ_k B_2k x^{2k} / (2k)!, with Bernoulli's numbers B; for |x| below `NEAR` to 1e-16."""


class State(NamedTuple):
    """V in mV, and the gates n, m, h."""

    V: Array
    n: Array
    m: Array
    h: Array


class Gates(NamedTuple):
    """Something of each gate."""

    n: Any
    m: Any
    h: Any


class HodgkinHuxley(AbstractModel):
    """A point neuron with a sodium, a potassium and a leak channel.

    `C` capacitance, µF/cm²; `g_Na`, `g_K`, `g_L` largest conductances, mS/cm²; `V_Na`, `V_K`, `V_L` zero-current
    potentials, mV; `V_shift`: added to every voltage in the rates of the gates, mV; `threshold`: an upward crossing of it
    is a spike, mV. Currents are in µA/cm², outward positive, J_in inward. Any parameter may be an array: then it stands for
    as many neurons.

    A conductance of 0 is a blocked channel: g_Na = 0 as under tetrodotoxin, g_K = 0 as under tetraethylammonium. Rest moves
    with it: without potassium to −0.63 mV, so that an experiment starts from `simulate(…, initial=-65.0)`.

    **Raises:** `UserError` for a capacitance that is not positive, conductances below 0 or all of them 0, values that are
    not finite, and arrays of different shapes.
    """

    C: Array
    g_Na: Array  # noqa: N815
    g_K: Array  # noqa: N815
    g_L: Array  # noqa: N815
    V_Na: Array
    V_K: Array
    V_L: Array
    V_shift: Array
    threshold: Array

    input_unit = "µA/cm²"
    traces = ("V", "n", "m", "h")
    methods = tuple(INTEGRATORS)
    default_step = 1e-5

    def __init__(
        self,
        C: Any = 1.0,
        g_Na: Any = 120.0,
        g_K: Any = 36.0,
        g_L: Any = 0.3,
        V_Na: Any = 50.0,
        V_K: Any = -77.0,
        V_L: Any = -54.387,
        V_shift: Any = 0.0,
        threshold: Any = THRESHOLD,
    ):
        capacitance = positive("C", C, "µF/cm²")
        conductances = {"g_Na": g_Na, "g_K": g_K, "g_L": g_L}
        opened = {name: not_negative(name, g, "mS/cm²") for name, g in conductances.items()}
        check_shapes(**opened)
        if np.any(sum(opened.values()) == 0):
            raise UserError("one of the conductances g_Na, g_K and g_L at least is above 0: all of them are 0.")
        self.g_Na, self.g_K, self.g_L = map(leaf, opened.values())
        potentials = {name: numbers(name, V, "mV") for name, V in (("V_Na", V_Na), ("V_K", V_K), ("V_L", V_L))}
        for name, V in potentials.items():
            if np.all(np.abs(V) < 0.2) and np.any(V != 0):
                raise UserError(f"{name} is in mV; did you mean {float(np.ravel(V)[0]) * 1000:g}?")
        self.V_Na, self.V_K, self.V_L = map(leaf, potentials.values())
        shift, level = numbers("V_shift", V_shift, "mV"), numbers("threshold", threshold, "mV")
        check_shapes(C=capacitance, **opened, **potentials, V_shift=shift, threshold=level)
        self.C, self.V_shift, self.threshold = leaf(capacitance), leaf(shift), leaf(level)

    @classmethod
    def squid(cls) -> "HodgkinHuxley":
        """The standard axon, 6.3 °C: rest at −65 mV."""
        return cls()

    @classmethod
    def rest_minus_70(cls) -> "HodgkinHuxley":
        """The same with every voltage 5 mV lower, as the course notes have it: rest at −70 mV, and −18.18 µA/cm² hold
        −120 mV. The spikes come at the same times."""
        return cls(V_Na=45.0, V_K=-82.0, V_L=-59.387, V_shift=-5.0, threshold=THRESHOLD - 5.0)

    # The channels

    def fractions(self, V: Array) -> Gates:
        """(A, B, D) of every gate with α = A / D and β = B / D, per millisecond, `(…)` as V: without a division.

        In mV above −65 (and `V_shift`) the exponentials of the rates are those of −V/80, −V/20, −V/18 and −V/10, the 9th,
        36th, 40th and 72nd powers of one. (The limit of that one is not for overflow alone: XLA makes e^x e^x into another
        exponential, e^{2x}, but not what has passed a minimum.)
        """
        u = V - self.V_shift + 65.0
        root = jnp.minimum(jnp.exp(u * (-1.0 / 720.0)), STEEPEST)
        fourth = jnp.square(jnp.square(root))
        eighth = jnp.square(fourth)
        eightieth = eighth * root
        twentieth = jnp.square(jnp.square(eightieth))
        eighteenth, tenth = twentieth * fourth, jnp.square(twentieth)
        n, n_below = _linear_exponential(0.1 * u - 1.0, tenth * math.exp(1.0))
        m, m_below = _linear_exponential(0.1 * u - 2.5, tenth * math.exp(2.5))
        h_below = 1.0 + tenth * math.exp(3.0)
        return Gates(
            n=(0.1 * n, 0.125 * eightieth * n_below, n_below),
            m=(m, 4.0 * eighteenth * m_below, m_below),
            h=(0.07 * twentieth * h_below, jnp.ones_like(u), h_below),
        )

    def rates(self, V: Array) -> tuple[Gates, Gates]:
        """α and β of every gate, per millisecond, `(…)` as V."""
        found = self.fractions(V)
        return Gates(*(a / d for a, _, d in found)), Gates(*(b / d for _, b, d in found))

    def gates(self, V: Any) -> tuple[Gates, Gates]:
        """x_∞(V) = α / (α + β) and τ_x(V) = 1 / (α + β), in seconds, of n, m and h.

        **Raises:** `UserError` for a V that is no finite number and no array of such.
        """
        V = V if isinstance(V, jax.Array) else numbers("V", V, "mV")
        alpha, beta = self.rates(jnp.asarray(V, self.C.dtype))
        steady = Gates(*(a / (a + b) for a, b in zip(alpha, beta, strict=True)))
        return steady, Gates(*(1.0 / (MILLISECONDS * (a + b)) for a, b in zip(alpha, beta, strict=True)))

    # The equations

    def conductance(self, n: Array, m: Array, h: Array) -> tuple[Array, Array]:
        """G and S of the channels' current G V − S: all conductances open, and each times its potential."""
        g_Na, g_K = self.g_Na * m * m * m * h, self.g_K * jnp.square(n * n)
        return self.g_L + g_Na + g_K, self.g_L * self.V_L + g_Na * self.V_Na + g_K * self.V_K

    def currents(self, state: State) -> dict[str, Array]:
        """The channels' currents in µA/cm², outward: I_L = g_L (V − V_L), I_Na = g_Na m³h (V − V_Na), I_K = g_K n⁴ (V −
        V_K)."""
        V, n, m, h = state
        return {
            "I_L": self.g_L * (V - self.V_L),
            "I_Na": self.g_Na * m**3 * h * (V - self.V_Na),
            "I_K": self.g_K * n**4 * (V - self.V_K),
        }

    def derivative(self, state: State, J: Any) -> State:
        """(dV/dt, dn/dt, dm/dt, dh/dt) per millisecond."""
        V, n, m, h = state
        G, S = self.conductance(n, m, h)
        alpha, beta = self.rates(V)
        slopes = [a - (a + b) * x for a, b, x in zip(alpha, beta, (n, m, h), strict=True)]
        return State((J + S - G * V) / self.C, *slopes)

    def vector_field(self, t: Any, y: Any, args: Any) -> Array:
        """dy/dt for y = (V, n, m, h), an array `(4, …)`, per second: what SciPy's `solve_ivp` and Diffrax integrate.

        `args`: J_in, a number or a function of t.
        """
        y = jnp.asarray(y)
        J = args(t) if callable(args) else args
        return MILLISECONDS * jnp.stack(self.derivative(State(*y), J))

    # States

    def steady_state(self, J: Any = 0.0) -> State:
        """The state in which nothing moves under the constant current J: the root of J_in − G(V) V + S(V), by bisection.

        It exists for every J, if there is a leak. It need not be stable: between about 9.8 and 154.5 µA/cm² it is not, and
        the neuron fires.

        **Raises:** `UserError` for a current without a leak (g_L = 0): a negative one shuts every channel, and then nothing
        holds V.
        """
        J = numbers("the current", J, self.input_unit)
        if np.any((np.asarray(self.g_L) == 0) & (J != 0)):
            raise UserError("without a leak (g_L = 0) there is no steady state under a current: take J=0, or g_L above 0.")
        return _steady(self, jnp.asarray(J, self.C.dtype))

    def resting_state(self) -> State:
        """The steady state without a current: V = −64.99637933 mV for `squid`."""
        return self.steady_state(0.0)

    # For `simulate`

    @property
    def shape(self) -> tuple[int, ...]:
        return jnp.broadcast_shapes(*(jnp.shape(p) for p in jax.tree.leaves(self)))

    def check(self, dt: float) -> None:
        if dt > COARSEST:
            raise UserError(f"dt={dt:g} is in seconds, and a spike takes 0.001 s; did you mean {dt / 1000:g}?")

    def window(self, dt: float) -> int:
        return max(1, int(whole_steps(WINDOW, dt)))

    def start(self, shape: tuple[int, ...], dtype: Any, V: Any = None) -> State:
        if V is None:
            state = self.resting_state()
        else:
            V = jnp.asarray(numbers("V", V, "mV"), dtype)
            state = State(V, *self.gates(V)[0])
        return State(*(jnp.broadcast_to(x, shape).astype(dtype) for x in state))

    def places(self, method: str) -> tuple[float, ...]:
        return (0.0, 0.5, 1.0) if method == "rk4" else (0.5,)

    def stepper(self, dt: Array, method: str, parts: int = 1) -> tuple[Callable[[Any], Any], Step]:
        return INTEGRATORS[method](self, dt * MILLISECONDS)

    def read(self, state: State) -> dict[str, Array]:
        return state._asdict()

    @property
    def level(self) -> Array:
        return self.threshold


def _linear_exponential(x: Array, exponential: Array) -> tuple[Array, Array]:
    """Numerator and denominator of x / (1 − e^{−x}) with `exponential` = e^{−x}; near 0, where it is 0 / 0, of its
    series."""
    near = jnp.abs(x) < NEAR
    square = jnp.square(jnp.where(near, x, 0.0))  # what is not taken must not overflow on the way back either
    total = jnp.full_like(x, SERIES[-1])
    for coefficient in reversed(SERIES[:-1]):
        total = total * square + coefficient
    return jnp.where(near, 1.0 + 0.5 * x + square * total, x), jnp.where(near, 1.0, 1.0 - exponential)


@jax.jit
def _steady(model: HodgkinHuxley, J: Array) -> State:
    def push(V: Array) -> Array:
        G, S = model.conductance(*model.gates(V)[0])
        return J + S - G * V

    shape = jnp.broadcast_shapes(J.shape, model.shape)
    reach = 1.0 + jnp.abs(J) / jnp.where(J == 0.0, 1.0, model.g_L)  # the leak alone balances J that far away
    low = jnp.broadcast_to(jnp.minimum(jnp.minimum(model.V_Na, model.V_K), model.V_L) - reach, shape)
    high = jnp.broadcast_to(jnp.maximum(jnp.maximum(model.V_Na, model.V_K), model.V_L) + reach, shape)

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        up = push(middle) > 0
        return jnp.where(up, middle, ends[0]), jnp.where(up, ends[1], middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (low, high))
    V = 0.5 * (low + high)
    return State(V, *model.gates(V)[0])
