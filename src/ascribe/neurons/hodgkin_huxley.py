"""The Hodgkin–Huxley model: a spike from the opening and closing of sodium and potassium channels.

    C dV/dt = J_in − g_L (V − V_L) − g_Na m³h (V − V_Na) − g_K n⁴ (V − V_K)
    dx/dt = (x_∞(V) − x) / τ_x(V) = α_x(V) (1 − x) − β_x(V) x,   x = n, m, h

Source: "Neural networks" (course notes), section 1.3, which shows no values; those of `squid` are the standard ones of the
squid axon at 6.3 °C (Hodgkin & Huxley 1952, in the modern sign convention).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.errors import UserError
from ascribe.types import Array, Callable

from .base import AbstractModel, Step
from .integrators import INTEGRATORS
from .quantities import leaf, numbers, positive

THRESHOLD = -20.0
"""mV. Peaks sink as the current grows: below 0 mV from about 65 µA/cm² on, below −20 mV from about 100 on."""

COARSEST, WINDOW = 2.5e-4, 5e-4
"""Seconds: the largest step; and what passes between two spikes, at least."""

MILLISECONDS = 1000.0
"""In a second. The rates α and β are written per millisecond."""

SERIES = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160)
NEAR = 0.3
"""Where x / (1 − exp(−x)) is computed by its series at 0, where it is 0 / 0: to 1e-12 at the ends."""


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

    **Raises:** `UserError` for a capacitance or conductance that is not positive, or values that are not finite.
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
    voltage_unit = "mV"
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
        self.C = leaf(positive("C", C, "µF/cm²"))
        conductances = {"g_Na": g_Na, "g_K": g_K, "g_L": g_L}
        self.g_Na, self.g_K, self.g_L = (leaf(positive(name, g, "mS/cm²")) for name, g in conductances.items())
        potentials = {name: numbers(name, V, "mV") for name, V in (("V_Na", V_Na), ("V_K", V_K), ("V_L", V_L))}
        for name, V in potentials.items():
            if np.all(np.abs(V) < 0.2) and np.any(V != 0):
                raise UserError(f"{name} is in mV; did you mean {float(np.ravel(V)[0]) * 1000:g}?")
        self.V_Na, self.V_K, self.V_L = map(leaf, potentials.values())
        self.V_shift, self.threshold = (
            leaf(numbers("V_shift", V_shift, "mV")),
            leaf(numbers("threshold", threshold, "mV")),
        )

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

    def rates(self, V: Array) -> tuple[Gates, Gates]:
        """α and β of every gate, per millisecond, `(…)` as V.

        In V above −65 mV (and `V_shift`) they are exponentials of −V/80, −V/20, −V/10 (powers of one another) and −V/18:
        two exponentials for six rates.
        """
        u = V - self.V_shift + 65.0
        slow = jnp.exp(u / -80.0)
        twentieth = slow * slow * slow * slow
        tenth = twentieth * twentieth
        alpha = Gates(
            n=0.1 * _linear_exponential((u - 10.0) / 10.0, tenth * np.exp(1.0)),
            m=_linear_exponential((u - 25.0) / 10.0, tenth * np.exp(2.5)),
            h=0.07 * twentieth,
        )
        return alpha, Gates(n=0.125 * slow, m=4.0 * jnp.exp(u / -18.0), h=1.0 / (1.0 + tenth * np.exp(3.0)))

    def gates(self, V: Any) -> tuple[Gates, Gates]:
        """x_∞(V) = α / (α + β) and τ_x(V) = 1 / (α + β), in seconds, of n, m and h."""
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

        It exists for every J. It need not be stable: between about 9.8 and 154.5 µA/cm² it is not, and the neuron fires.
        """
        return _steady(self, jnp.asarray(numbers("the current", J, self.input_unit), self.C.dtype))

    def resting_state(self) -> State:
        """The steady state without a current: V = −64.99637933 mV for `squid`."""
        return self.steady_state(0.0)

    # For `simulate`

    @property
    def shape(self) -> tuple[int, ...]:
        return jnp.broadcast_shapes(*(jnp.shape(p) for p in jax.tree.leaves(self)))

    def check(self, dt: float, duration: float) -> None:
        if dt > COARSEST:
            raise UserError(f"dt={dt:g} is in seconds, and a spike takes 0.001 s; did you mean {dt / 1000:g}?")

    def window(self, dt: float) -> int:
        return max(1, int(WINDOW / dt))

    def start(self, shape: tuple[int, ...], dtype: Any) -> State:
        return State(*(jnp.broadcast_to(x, shape).astype(dtype) for x in self.resting_state()))

    def places(self, method: str) -> tuple[float, ...]:
        return (0.0, 0.5, 1.0) if method == "rk4" else (0.5,)

    def stepper(self, dt: Array, method: str) -> tuple[Callable[[Any], Any], Step]:
        return INTEGRATORS[method](self, dt * MILLISECONDS)

    def read(self, state: State) -> dict[str, Array]:
        return state._asdict()

    @property
    def level(self) -> Array:
        return self.threshold


def _linear_exponential(x: Array, exponential: Array) -> Array:
    """x / (1 − e^{−x}) with `exponential` = e^{−x}, and its limit 1 at 0, value and derivative."""
    near = jnp.abs(x) < NEAR
    q = jnp.where(near, x, 0.0)  # what is not taken must not overflow on the way back either
    square = q * q
    total = jnp.full_like(x, SERIES[-1])
    for coefficient in reversed(SERIES[:-1]):
        total = total * square + coefficient
    return jnp.where(near, 1.0 + 0.5 * q + square * total, x / jnp.where(near, 1.0, 1.0 - exponential))


@jax.jit
def _steady(model: HodgkinHuxley, J: Array) -> State:
    def push(V: Array) -> Array:
        G, S = model.conductance(*model.gates(V)[0])
        return J + S - G * V

    shape = jnp.broadcast_shapes(J.shape, model.shape)
    reach = 1.0 + jnp.abs(J) / model.g_L  # the leak alone balances J that far away
    low = jnp.broadcast_to(jnp.minimum(jnp.minimum(model.V_Na, model.V_K), model.V_L) - reach, shape)
    high = jnp.broadcast_to(jnp.maximum(jnp.maximum(model.V_Na, model.V_K), model.V_L) + reach, shape)

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        up = push(middle) > 0
        return jnp.where(up, middle, ends[0]), jnp.where(up, ends[1], middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (low, high))
    V = 0.5 * (low + high)
    return State(V, *model.gates(V)[0])
