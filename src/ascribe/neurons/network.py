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
FAR = 1e6
"""The gap of a neuron that is refractory: too large for what arrives to change it. Negative where the period ends in this
step."""


class State(NamedTuple):
    """Arrays of `(places,)`: the neurons, then at least one that is never there, to which unused connections lead.

    `gap`: 1 − v; `ready`: when the refractory period ends, seconds from the start of the chunk; `s`: the synaptic current;
    `spike`: when in this chunk the neuron fired, in steps, NaN if it did not; `due`, `earliest`: the queue of a step's
    events, by blocks.
    """

    gap: Array
    ready: Array
    s: Array
    spike: Array
    due: Array
    earliest: Array


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

    @property
    def voltage_title(self) -> str:
        return self.neurons.voltage_title

    def check(self, dt: float) -> None:
        self.neurons.check(dt)

    def window(self, dt: float) -> int:
        return self.neurons.window(dt)

    def start(self, shape: tuple[int, ...], dtype: Any, V: Any = None) -> State:
        if shape != self.shape:
            raise UserError(f"the network has {self.shape[0]} neurons; got currents for {shape}.")
        gap = self.neurons.start(shape, dtype, V).gap
        width, blocks = _blocks(shape[0])
        full = lambda value: jnp.full(width * blocks, value, dtype)
        return State(
            gap=full(FAR).at[: shape[0]].set(gap),
            ready=full(jnp.inf).at[: shape[0]].set(0.0),
            s=full(0.0),
            spike=full(jnp.nan),
            due=full(jnp.inf),
            earliest=jnp.full((blocks,), jnp.inf, dtype),
        )

    def stepper(self, dt: Array, method: str) -> tuple[Callable[[Any], Any], Step]:
        step = self._grid(dt) if method == "grid" else self._exact(dt)
        return lambda state: state, step

    def read(self, state: State) -> dict[str, Array]:
        cell, count = self.neurons, self.shape[0]
        gap = state.gap[:count]
        v = jnp.where(jnp.abs(gap) > 0.5 * FAR, 0.0, 1.0 - gap)
        return {"V": cell.V_L + (cell.V_th - cell.V_L) * v, "s": state.s[:count]}

    def spike(self, state: State) -> Array:
        return state.spike[: self.shape[0]]

    def next_chunk(self, state: State, steps: int, dt: Array) -> State:
        return state._replace(ready=state.ready - steps * dt, spike=jnp.full_like(state.spike, jnp.nan))

    def excess(self, J: Any) -> Array:
        """b − 1: by how much the bias and the current exceed the threshold."""
        drive = self.neurons.drive(J) - 1.0
        return drive if self.connection.bias is None else drive + self.connection.bias

    def response(self, f: Array, tau_m: Any = None) -> Array:
        """What s at the start adds to v in the time f: ∫ e^{−(f−u)/τ_m} e^{−u/τ_s} du / τ_m, also where τ_s = τ_m."""
        tau_m = self.neurons.tau_m if tau_m is None else tau_m
        x = f * (1.0 / tau_m - 1.0 / self.tau_s)
        ratio = jnp.where(x == 0.0, 1.0, jnp.expm1(x) / jnp.where(x == 0.0, 1.0, x))
        return (f / tau_m) * jnp.exp(-f / tau_m) * ratio

    def _places(self, values: Array) -> Array:
        """A number for all neurons as it is; one for each neuron, continued with 1 for the places without a neuron."""
        width, blocks = _blocks(self.shape[0])
        return values if values.ndim == 0 else jnp.pad(values, (0, width * blocks - len(values)), constant_values=1.0)

    def _grid(self, dt: Array) -> Step:
        tau_m, tau_ref = self._places(self.neurons.tau_m), self._places(self.neurons.tau_ref)
        decay, growth, kernel = jnp.exp(-dt / self.tau_s), jnp.expm1(-dt / tau_m), self.response(dt, tau_m)
        targets, weights = self.connection.targets, self.connection.weights

        def step(state: State, J: Any, number: Array) -> State:
            a, now = self._places(self.excess(J[0])), number * dt
            free = state.ready <= now + 0.5 * dt
            gap = jnp.where(free, jnp.where(state.gap < FAR, state.gap, 1.0), FAR)
            gap = gap + jnp.where(free, (gap + a) * growth - state.s * kernel, 0.0)

            def fire(i: Array, carry: Any) -> Any:
                ready, s, spike = carry
                s = s.at[targets[i]].add(weights[i] / self.tau_s, mode="promise_in_bounds")
                return _set(ready, i, now + dt + _of(tau_ref, i)), s, _set(spike, i, number + 1.0)

            gap, (ready, s, spike) = _take(gap, (state.ready, state.s * decay, state.spike), fire)
            return state._replace(gap=gap, ready=ready, s=s, spike=spike)

        return step

    def _exact(self, dt: Array) -> Step:
        """Every v is taken to the end of the step as if nothing arrived. Then come the events, the earliest first. A neuron
        that fires changes what its targets will be at the end, and when they fire. A neuron whose refractory period ends
        begins at 0; before, what arrives changes its s alone."""
        tau_m, tau_ref, tau_s = self._places(self.neurons.tau_m), self._places(self.neurons.tau_ref), self.tau_s
        growth, kernel, decay = jnp.expm1(-dt / tau_m), self.response(dt, tau_m), jnp.exp(-dt / tau_s)
        targets, weights, count = self.connection.targets, self.connection.weights, self.shape[0]

        def step(state: State, J: Any, number: Array) -> State:
            now = number * dt
            a = jnp.broadcast_to(self._places(self.excess(J[0])), state.gap.shape)
            wait = jnp.maximum(state.ready - now, 0.0)
            gap = state.gap + (state.gap + a) * growth - state.s * kernel
            gap = jnp.where(state.gap < 0.5 * FAR, gap, jnp.where(wait < dt, -FAR, FAR))

            def crossing(i: Array, s_i: Array, gap_i: Array) -> Array:
                return dt + self._since(gap_i, a[i], s_i, _of(tau_m, i), dt)

            def is_release(carry: Any) -> Any:
                i, h = _first_of(carry[2])
                return (h < jnp.inf) & (carry[1][i] < -0.5 * FAR)

            def release(carry: Any) -> Any:
                s, gap, queue = carry
                i, h = _first_of(queue)
                left = dt - h
                own = 1.0 + (1.0 + a[i]) * jnp.expm1(-left / _of(tau_m, i))
                own = own - s[i] * jnp.exp(left / tau_s) * self.response(left, _of(tau_m, i))
                then = jnp.where(own <= 0.0, jnp.maximum(crossing(i, s[i], own), h), jnp.inf)
                return s, _set(gap, i, own), _put(queue, i, then)

            def event(carry: Any) -> Any:
                s, gap, queue, ready, spike = carry
                s, gap, queue = jax.lax.while_loop(is_release, release, (s, gap, queue))
                i, h = _first_of(queue)
                # What inhibits may have come first; or there were ends of refractory periods only.
                fires = (h < jnp.inf) & (gap[i] <= 0.0)
                h, queue = jnp.where(fires, h, 0.0), _put(queue, i, jnp.inf)
                who = jnp.where(fires, i, count)  # nobody
                gap = _set(gap, who, FAR)
                ready, spike = _set(ready, who, now + h + _of(tau_ref, i)), _set(spike, who, number + h / dt)
                row, w, left = targets[i], jnp.where(fires, weights[i] / tau_s, 0.0), dt - h
                of_row = lambda values: values.at[row].get(mode="promise_in_bounds")
                response = self.response(left, of_row(tau_m) if tau_m.ndim else tau_m)
                s = s.at[row].add(w * jnp.exp(-left / tau_s), mode="promise_in_bounds")
                gap = gap.at[row].add(-w * response, mode="promise_in_bounds")
                beyond, s_row = of_row(gap), of_row(s)

                def sooner(k: Array, queue: Any) -> Any:
                    then = jnp.maximum(crossing(row[k], s_row[k], beyond[k]), h)
                    return _put(queue, row[k], jnp.where(beyond[k] < -0.5 * FAR, wait[row[k]], then))

                return s, gap, _for_each(beyond, queue, sooner), ready, spike

            s = state.s * decay
            come = lambda i: jnp.where(gap[i] < -0.5 * FAR, wait[i], crossing(i, s[i], gap[i]))
            queue = _for_each(gap, (state.due, state.earliest), lambda i, queue: _put(queue, i, come(i)))
            carry = (s, gap, queue, state.ready, state.spike)
            s, gap, queue, ready, spike = jax.lax.while_loop(lambda carry: carry[2][1].min() < jnp.inf, event, carry)
            return State(gap, ready, s, spike, *queue)

        return step

    def _since(self, gap: Array, a: Array, s: Array, tau_m: Array, dt: Array) -> Array:
        """When v was 1, for a neuron that has passed it: at most 0, at least −dt; by Newton's method, back from where it is
        now."""
        h = jnp.zeros_like(gap)
        for _ in range(NEWTON):
            left = gap + (gap + a) * jnp.expm1(-h / tau_m) - s * self.response(h, tau_m)
            slope = -(a + left + s * jnp.exp(-h / self.tau_s)) / tau_m
            h = jnp.clip(h - left / jnp.where(slope < 0.0, slope, -jnp.inf), -dt, 0.0)
        return h


def _of(parameter: Array, i: Array) -> Array:
    return parameter if parameter.ndim == 0 else parameter[i]


def _blocks(count: int) -> tuple[int, int]:
    """Width and number of the blocks of a search in two levels, for more than `count` places: both about the square
    root."""
    width = 1 << max(0, count.bit_length() // 2)
    return width, count // width + 1


def _first_of(queue: tuple[Array, Array]) -> tuple[Array, Array]:
    """The place of the earliest event, and its time."""
    due, earliest = queue
    width = len(due) // len(earliest)
    block = jnp.argmin(earliest).astype(jnp.int32)
    row = jax.lax.dynamic_slice(due, (block * width,), (width,))
    place = jnp.argmin(row).astype(jnp.int32)
    return block * width + place, earliest[block]


def _put(queue: tuple[Array, Array], i: Array, time: Any) -> tuple[Array, Array]:
    """The queue with the event of place i at that time; infinite: with none. A block is written as a whole: of what is read
    after it was written, XLA keeps a copy."""
    due, earliest = queue
    width = len(due) // len(earliest)
    block = i // width
    row = jax.lax.dynamic_slice(due, (block * width,), (width,))
    row = jnp.where(jnp.arange(width, dtype=jnp.int32) == i - block * width, time, row)
    due = jax.lax.dynamic_update_slice(due, row, (block * width,))
    return due, jax.lax.dynamic_update_slice(earliest, row.min(keepdims=True), (block,))


def _set(values: Array, i: Array, value: Any) -> Array:
    return values.at[i].set(value, mode="promise_in_bounds")


def _take(gap: Array, carry: Any, body: Callable[..., Any]) -> tuple[Array, Any]:
    """carry = body(i, carry) for every i whose gap is at most 0, in order; its gap is `FAR` then."""
    width, blocks = _blocks(len(gap) - 1)

    def next_one(state: Any) -> Any:
        least, gap, carry = state
        block = jnp.argmax(least <= 0.0).astype(jnp.int32)
        row = jax.lax.dynamic_slice(gap, (block * width,), (width,))
        place = jnp.argmax(row <= 0.0).astype(jnp.int32)
        row = jnp.where(jnp.arange(width, dtype=jnp.int32) == place, FAR, row)
        least = jnp.where(jnp.arange(blocks, dtype=jnp.int32) == block, row.min(), least)
        gap = jax.lax.dynamic_update_slice(gap, row, (block * width,))
        return least, gap, body(block * width + place, carry)

    start = (gap.reshape(blocks, width).min(axis=1), gap, carry)
    _, gap, carry = jax.lax.while_loop(lambda state: state[0].min() <= 0.0, next_one, start)
    return gap, carry


def _for_each(values: Array, carry: Any, body: Callable[..., Any]) -> Any:
    """carry = body(i, carry) for every i whose value is at most 0, in order. The search in two levels costs little where
    they are few."""
    width, blocks = _blocks(len(values) - 1)
    if width * blocks > len(values):
        values = jnp.pad(values, (0, width * blocks - len(values)), constant_values=1.0)

    def next_one(state: Any) -> Any:
        least, after, carry = state
        block = jnp.argmax(least <= 0.0).astype(jnp.int32)
        row = jax.lax.dynamic_slice(values, (block * width,), (width,))
        here = jnp.where((jnp.arange(width, dtype=jnp.int32) > after) & (row <= 0.0), 1, 0)
        place, last = jnp.argmax(here).astype(jnp.int32), jnp.sum(here) <= 1
        left = jnp.where(last & (jnp.arange(blocks, dtype=jnp.int32) == block), 1.0, least)
        return left, jnp.where(last, -1, place), body(block * width + place, carry)

    return jax.lax.while_loop(
        lambda state: state[0].min() <= 0.0,
        next_one,
        (values.reshape(blocks, width).min(axis=1), jnp.asarray(-1, jnp.int32), carry),
    )[2]
