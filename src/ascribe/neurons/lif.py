"""The leaky integrate-and-fire neuron: below its threshold a leaky capacitor, at it a spike, then silence for τ_ref.

    τ_m dV/dt = V_in − (V − V_L), V_in = R J_in, for V < V_th        τ_m dv/dt = v_in − v, for v < 1

The second is the first in v = (V − V_L) / (V_th − V_L). When v reaches 1 there is a spike; v is 0 for τ_ref, then starts
again.

Source: "Neural networks" (course notes), section 1.4.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.errors import UserError, shown
from ascribe.types import Array, Callable

from .base import AbstractModel, Step
from .quantities import Numbers, check_shapes, leaf, not_negative, numbers, positive, seconds, whole_steps, written


class State(NamedTuple):
    """`gap`: 1 − v, which stays precise where it matters, near the threshold; `wait`: what remains of the refractory
    period, seconds; `spike`: when in this chunk the neuron fired, in steps, −∞ if it did not."""

    gap: Array
    wait: Array
    spike: Array


class LIF(AbstractModel):
    """`tau_m`: τ_m, `tau_ref`: τ_ref, seconds; `V_L`: the potential at rest, `V_th`: the threshold; `R`: the resistance.

    With V_L = 0, V_th = 1 and R = 1, the default, it is the normalized form, and the input current is v_in. Any parameter
    may be an array: then it stands for as many neurons.

    **Raises:** `UserError` for times that are not positive or above a second, a threshold that is not above V_L, R ≤ 0,
    and arrays of different shapes.
    """

    tau_m: Array
    tau_ref: Array
    V_L: Array
    V_th: Array
    R: Array

    input_unit = "v_in"
    traces = ("V",)
    methods = ("exact",)
    default_step = 1e-4

    def __init__(self, tau_m: Any = 0.02, tau_ref: Any = 0.002, *, V_L: Any = 0.0, V_th: Any = 1.0, R: Any = 1.0):
        constant, silence = seconds("tau_m", tau_m), seconds("tau_ref", tau_ref)
        rest, threshold = numbers("V_L", V_L, "the unit of V"), numbers("V_th", V_th, "the unit of V")
        resistance = positive("R", R, "V per unit of the current")
        check_shapes(tau_m=constant, tau_ref=silence, V_L=rest, V_th=threshold, R=resistance)
        if not np.all(threshold > rest):
            raise UserError(
                f"the threshold V_th is above the resting potential V_L; got {written(threshold)} and {written(rest)}."
            )
        self.tau_m, self.tau_ref, self.R = leaf(constant), leaf(silence), leaf(resistance)
        self.V_L, self.V_th = leaf(rest), leaf(threshold)

    @classmethod
    def membrane(cls, C: Any, g_L: Any, V_L: Any, V_th: Any, tau_ref: Any) -> "LIF":
        """C dV/dt = J_in − g_L (V − V_L) in units that fit: with R = 1 / g_L, τ_m = R C. As for the Hodgkin–Huxley model, C
        in µF/cm², g_L in mS/cm², V in mV and J_in in µA/cm², so that C / g_L is in ms."""
        capacitance, conductance = positive("C", C, "µF/cm²"), positive("g_L", g_L, "mS/cm²")
        check_shapes(C=capacitance, g_L=conductance)
        resistance = 1.0 / conductance
        return cls(capacitance * resistance / 1000.0, tau_ref, V_L=V_L, V_th=V_th, R=resistance)

    def drive(self, J: Any) -> Array:
        """v_in = R J_in / (V_th − V_L)."""
        return self.R * J / (self.V_th - self.V_L)

    # Closed forms, for a constant input. In float64 whatever JAX's precision is.

    def subthreshold(self, t: Any, v_in: Any) -> Numbers:
        """v(t) = v_in (1 − e^{−t/τ_m}): what solves τ_m dv/dt = v_in − v, v(0) = 0, if nothing happens at the threshold;
        before t = 0, too."""
        return -numbers("v_in", v_in, "thresholds") * np.expm1(-numbers("t", t, "seconds") / self._times[0])

    def first_spike(self, v_in: Any) -> Numbers:
        """−τ_m ln(1 − 1/v_in), seconds: how long v takes from 0 to 1; infinite for v_in ≤ 1."""
        v_in = numbers("v_in", v_in, "thresholds")
        above = np.where(v_in > 1.0, v_in, 2.0)
        return np.where(v_in > 1.0, -self._times[0] * np.log1p(-1.0 / above), np.inf)[()]

    def voltage(self, t: Any, v_in: Any) -> Numbers:
        """v at the times t ≥ 0 under the constant input v_in, from v(0) = 0, spikes and refractory periods included.

        **Raises:** `UserError` for a time before 0, where nothing is known of it.
        """
        t, rise = not_negative("t", t, "seconds"), self.first_spike(v_in)
        period = np.where(np.isfinite(rise), rise + self._times[1], 1.0)
        phase = np.where(np.isfinite(rise), np.mod(t, period), t)
        return np.where(phase < rise, self.subthreshold(phase, v_in), 0.0)[()]

    def rate(self, v_in: Any) -> Numbers:
        """G(v_in) = 1 / (τ_ref − τ_m ln(1 − 1/v_in)) for v_in > 1, else 0, Hz: the tuning curve."""
        return 1.0 / (self._times[1] + self.first_spike(v_in))

    def inverse_rate(self, rate: Any) -> Numbers:
        """The v_in with G(v_in) = `rate`: 1 / (1 − e^{−(1/rate − τ_ref)/τ_m}); 1, the largest input without spikes, for 0.

        **Raises:** `UserError` for a rate below 0 or not below 1/τ_ref.
        """
        rate = numbers("the rate", rate, "Hz")
        tau_m, tau_ref = self._times
        if np.any(rate < 0) or np.any(rate * tau_ref >= 1):
            raise UserError(f"a rate is at least 0 and below 1/τ_ref = {float(np.max(1 / tau_ref)):g} Hz; got {written(rate)}.")
        interval = 1.0 / np.where(rate > 0, rate, 1.0)
        return np.where(rate > 0, -1.0 / np.expm1((tau_ref - interval) / tau_m), 1.0)[()]

    @property
    def _times(self) -> tuple[np.ndarray, np.ndarray]:
        """τ_m and τ_ref as they were meant: a float32 of 0.02 is read as 0.02."""
        return exactly(self.tau_m), exactly(self.tau_ref)

    # For `simulate`

    @property
    def shape(self) -> tuple[int, ...]:
        return jnp.broadcast_shapes(*(jnp.shape(p) for p in jax.tree.leaves(self)))

    @property
    def normalized(self) -> bool:
        """Whether V is v: 0 at rest, 1 at the threshold."""
        return bool(np.all(np.asarray(self.V_L) == 0) and np.all(np.asarray(self.V_th) == 1))

    @property
    def voltage_title(self) -> str:
        return "v (thresholds)" if self.normalized else "V"

    def check(self, dt: float) -> None:
        shortest = float(np.min(self._times[1]))
        if dt > shortest * (1 + 1e-6):
            raise UserError(
                f"dt={dt:g} s is longer than the refractory period of {shortest:g} s, so that a neuron could fire twice in a "
                f"step: take dt ≤ {shortest:g}{f' (did you mean {dt / 1000:g}?)' if dt >= 0.01 else ''}."
            )

    def window(self, dt: float) -> int:
        return max(1, int(whole_steps(np.min(self._times[1]), dt)))

    def start(self, shape: tuple[int, ...], dtype: Any, V: Any = None) -> State:
        v = 0.0 if V is None else (numbers("V", V, "the unit of V") - np.asarray(self.V_L)) / np.asarray(self.V_th - self.V_L)
        if np.any(v >= 1.0):
            raise UserError(f"an initial V is below the threshold of {written(np.asarray(self.V_th))}; got {shown(V)}.")
        gap = jnp.broadcast_to(jnp.asarray(1.0 - v, dtype), shape)
        return State(gap, jnp.zeros(shape, dtype), jnp.full(shape, -jnp.inf, dtype))

    def stepper(self, dt: Array, method: str, parts: int = 1) -> tuple[Callable[[Any], Any], Step]:
        """Exact for an input that is constant within the step, dt ≤ τ_ref.

        With a = v_in − 1, the gap g = 1 − v obeys g + a = (g₀ + a) e^{−t/τ_m}, so that the spike is at τ_m ln(1 + g₀/a).
        The step in which a refractory period ends is shorter by what remained of it.
        """

        def step(state: State, J: Any, number: Array) -> State:
            a = self.drive(J[0]) - 1.0
            free = jnp.clip(dt - state.wait, 0.0, dt)
            end = state.gap + (state.gap + a) * jnp.expm1(-free / self.tau_m)
            fires = (end <= 0.0) & (a > 0.0) & (free > 0.0)
            rise = self.tau_m * jnp.log1p(state.gap / jnp.where(fires, a, 1.0))
            time = dt - free + jnp.clip(rise, 0.0, free)
            wait = jnp.where(fires, self.tau_ref - (dt - time), jnp.maximum(state.wait - dt, 0.0))
            return State(jnp.where(fires, 1.0, end), wait, jnp.where(fires, number + time / dt, state.spike))

        return lambda state: state, step

    def next_chunk(self, state: State, steps: int, dt: Array) -> State:
        return state._replace(spike=jnp.full_like(state.spike, -jnp.inf))

    def read(self, state: State) -> dict[str, Array]:
        return {"V": self.V_L + (self.V_th - self.V_L) * (1.0 - state.gap)}

    def spike(self, state: State) -> Array:
        return state.spike


def exactly(value: Array) -> np.ndarray:
    """The shortest decimal number that a float32 stands for, as a float64; a float64 as it is."""
    array = np.asarray(value)
    if array.dtype == np.float64:
        return array
    return np.array([float(str(x)) for x in array.ravel()], np.float64).reshape(array.shape)
