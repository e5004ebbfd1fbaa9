"""Networks of spiking neurons: the full LIF model of the course notes.

    τ_m dv_i/dt = s_i + b_i − v_i unless refractory,   τ_s ds_i/dt = −s_i,   on a spike of j: s_i ← s_i + w_ij / τ_s

b_i is the bias of the connection and the input current. A weight is the area of what a spike injects.

Source: "Neural networks" (course notes), section 1.7, "Full LIF Neuron Model".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.errors import UserError
from ascribe.types import Array, Callable

from .base import AbstractModel, Step
from .connection import Connection
from .lif import LIF
from .quantities import leaf, seconds

NEWTON = 5


class State(NamedTuple):
    """`gap`: 1 − v; `wait`: what remains of the refractory period, seconds; `s`: the synaptic current; `spike`: when within
    its last step the neuron fired, seconds, NaN if it did not."""

    gap: Array
    wait: Array
    s: Array
    spike: Array


class SpikingNetwork(AbstractModel):
    """`neurons`: a `LIF`, whose parameters are numbers or one for each neuron; `connection`: from all of them to all of
    them; `tau_s`: τ_s, seconds.

    Stepped by `"exact"`: spikes are found within the step, arrive when they were sent, and may make others fire in the same
    step. Or by `"grid"`: spikes, arrivals and ends of refractory periods lie on the grid.

    **Raises:** `UserError` for sizes that do not fit, and a τ_s that is not between 0 and 1 s.
    """

    neurons: LIF
    connection: Connection
    tau_s: Array

    input_unit = "v_in"
    voltage_unit = "v"
    traces = ("V", "s")
    methods = ("exact", "grid")
    default_step = 1e-4

    def __init__(self, neurons: LIF, connection: Connection, tau_s: Any = 0.005):
        if connection.pre != connection.post:
            raise UserError(
                f"a network's connection leads from its neurons to its neurons; got {connection.pre} to {connection.post}."
            )
        if neurons.shape not in ((), (connection.post,)):
            raise UserError(
                f"the connection is of {connection.post} neurons, and their parameters have the shape {neurons.shape}."
            )
        if np.ndim(tau_s):
            raise UserError(f"a network has one time constant of its synapses; got {np.size(tau_s)} for tau_s.")
        self.neurons, self.connection, self.tau_s = neurons, connection, leaf(seconds("tau_s", tau_s))

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.connection.post,)

    def check(self, dt: float, duration: float) -> None:
        self.neurons.check(dt, duration)

    def window(self, dt: float) -> int:
        return self.neurons.window(dt)

    def start(self, shape: tuple[int, ...], dtype: Any) -> State:
        if shape != self.shape:
            raise UserError(f"the network has {self.shape[0]} neurons; got currents for {shape}.")
        gap, wait, spike = self.neurons.start(shape, dtype)
        return State(gap, wait, jnp.zeros(shape, dtype), spike)

    def stepper(self, dt: Array, method: str) -> tuple[Callable[[Any], Any], Step]:
        step = self._grid(dt) if method == "grid" else self._exact(dt)
        return lambda state: state, step

    def read(self, state: State) -> dict[str, Array]:
        cell = self.neurons
        return {"V": cell.V_L + (cell.V_th - cell.V_L) * (1.0 - state.gap), "s": state.s}

    def spike(self, state: State) -> Array:
        return state.spike

    def excess(self, J: Any) -> Array:
        """b − 1: by how much the bias and the current exceed the threshold."""
        drive = self.neurons.drive(J[0]) - 1.0
        return drive if self.connection.bias is None else drive + self.connection.bias

    def response(self, f: Array) -> Array:
        """What s at the start adds to v in the time f: ∫ e^{−(f−u)/τ_m} e^{−u/τ_s} du / τ_m, also where τ_s = τ_m."""
        tau_m = self.neurons.tau_m
        x = f * (1.0 / tau_m - 1.0 / self.tau_s)
        ratio = jnp.where(x == 0.0, 1.0, jnp.expm1(x) / jnp.where(x == 0.0, 1.0, x))
        return (f / tau_m) * jnp.exp(-f / tau_m) * ratio

    def _grid(self, dt: Array) -> Step:
        decay, growth, kernel = jnp.exp(-dt / self.tau_s), jnp.expm1(-dt / self.neurons.tau_m), self.response(dt)
        worth = self.connection.weights / self.tau_s

        def step(state: State, J: Any) -> State:
            gap, wait, s, _ = state
            a = self.excess(J)
            free = wait <= 0.5 * dt
            gap = jnp.where(free, gap + (gap + a) * growth - s * kernel, 1.0)
            fires = free & (gap <= 0.0)
            s = _for_each(fires, s * decay, lambda i, s: s.at[self.connection.targets[i]].add(worth[i], mode="drop"))
            wait = jnp.where(fires, self.neurons.tau_ref, wait - dt)
            return State(jnp.where(fires, 1.0, gap), wait, s, jnp.where(fires, dt, jnp.nan))

        return step

    def _exact(self, dt: Array) -> Step:
        """Every v is taken to the end of the step as if nothing arrived. Then the spikes of the step are sent, the earliest
        first, and each changes what its targets will be at the end, and when they fire."""
        tau_m, tau_ref, tau_s = self.neurons.tau_m, self.neurons.tau_ref, self.tau_s
        targets, weights = self.connection.targets, self.connection.weights
        of = lambda parameter, i: parameter if parameter.ndim == 0 else parameter[i]
        width = _width(self.shape[0])

        def step(state: State, J: Any) -> State:
            a = jnp.broadcast_to(self.excess(J), state.gap.shape)
            ready = jnp.clip(state.wait, 0.0, dt)
            response = self.response(dt - ready)
            faded = jnp.exp(-ready / tau_s)
            gap = state.gap + (state.gap + a) * jnp.expm1((ready - dt) / tau_m) - state.s * faded * response
            s = state.s * jnp.exp(-dt / tau_s)

            def time_of(i: Array, s: Array, gap: Array) -> Array:
                return dt + self._since(gap[i], a[i], s[i], of(tau_m, i), dt)

            def fire(carry: Any) -> Any:
                s, gap, ready, waited, when, best, spike = carry
                block = jnp.argmin(best)
                place = jnp.argmin(when[block])
                i, h = block * width + place, when[block, place]
                true = gap[i] <= 0.0  # what inhibits may have come first
                when, best = _put((when, best), i, jnp.inf)
                spike = spike.at[i].set(jnp.where(true, h, jnp.nan))
                gap = gap.at[i].set(jnp.where(true, 1.0, gap[i]))
                ready = ready.at[i].set(jnp.where(true, jnp.inf, ready[i]))
                waited = waited.at[i].set(jnp.where(true, 0.0, waited[i]))

                row, w, left = targets[i], jnp.where(true, weights[i], 0.0) / tau_s, dt - h
                look = lambda values, other: values.at[row].get(mode="fill", fill_value=other)
                own = self.response(left)
                heard = look(ready, 0.0) <= h
                later = jnp.exp(h / tau_s) * look(waited, 0.0)  # heard only when the refractory period is over
                s = s.at[row].add(w * jnp.exp(-left / tau_s), mode="drop")
                gap = gap.at[row].add(-w * jnp.where(heard, look(own, 0.0) if tau_m.ndim else own, later), mode="drop")
                when, best = _for_each(
                    look(gap, 1.0) <= 0.0, (when, best), lambda k, both: _put(both, row[k], time_of(row[k], s, gap))
                )
                return s, gap, ready, waited, when, best, spike

            blocks = -(-gap.shape[0] // width)
            empty = jnp.full((blocks, width), jnp.inf, gap.dtype), jnp.full((blocks,), jnp.inf, gap.dtype)
            when, best = _for_each(gap <= 0.0, empty, lambda i, both: _put(both, i, time_of(i, s, gap)))
            carry = (s, gap, ready, faded * response, when, best, jnp.full_like(gap, jnp.nan))
            s, gap, _, _, _, _, spike = jax.lax.while_loop(lambda carry: carry[5].min() < jnp.inf, fire, carry)
            wait = jnp.where(jnp.isnan(spike), jnp.maximum(state.wait - dt, 0.0), tau_ref - (dt - spike))
            return State(gap, wait, s, spike)

        return step

    def _since(self, gap: Array, a: Array, s: Array, tau_m: Array, dt: Array) -> Array:
        """When v was 1, for a neuron that has passed it: at most 0, at least −dt; by Newton's method, back from where it is
        now."""

        def value(h: Array) -> tuple[Array, Array]:
            x = h * (1.0 / tau_m - 1.0 / self.tau_s)
            ratio = jnp.where(x == 0.0, 1.0, jnp.expm1(x) / jnp.where(x == 0.0, 1.0, x))
            left = gap + (gap + a) * jnp.expm1(-h / tau_m) - s * (h / tau_m) * jnp.exp(-h / tau_m) * ratio
            return left, -(a + left + s * jnp.exp(-h / self.tau_s)) / tau_m

        h = jnp.zeros_like(gap)
        for _ in range(NEWTON):
            left, slope = value(h)
            h = jnp.clip(h - left / jnp.where(slope < 0.0, slope, -jnp.inf), -dt, 0.0)
        return h


def _width(count: int) -> int:
    """Of the blocks of a search in two levels: about the square root."""
    return 1 << max(0, (count - 1).bit_length() // 2)


def _put(both: tuple[Array, Array], i: Array, value: Any) -> tuple[Array, Array]:
    """Values kept in blocks and the least of each block, with number i of the values changed."""
    values, best = both
    block, place = i // values.shape[1], i % values.shape[1]
    values = values.at[block, place].set(value)
    return values, best.at[block].set(values[block].min())


def _for_each(mask: Array, carry: Any, body: Callable[..., Any]) -> Any:
    """carry = body(i, carry) for every i where the mask is true, in order: a search in two levels for each, so that the
    cost is that of the few that fire."""
    count = mask.shape[0]
    width = _width(count)
    blocks = -(-count // width)
    grid = jnp.pad(mask, (0, blocks * width - count)).reshape(blocks, width)

    def next_one(state: Any) -> Any:
        grid, some, carry = state
        block = jnp.argmax(some)
        row = grid[block]
        place = jnp.argmax(row)
        row = row.at[place].set(False)
        return grid.at[block].set(row), some.at[block].set(row.any()), body(block * width + place, carry)

    return jax.lax.while_loop(lambda state: state[1].any(), next_one, (grid, grid.any(axis=1), carry))[2]
