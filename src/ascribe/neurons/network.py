"""Networks of spiking neurons: the full LIF model of the course notes.

    τ_m dv_i/dt = s_i + b_i − v_i unless refractory,   τ_s ds_i/dt = −s_i,   on a spike of j: s_i ← s_i + w_ij / τ_s

b_i is the bias of the connection and the input current. A weight is the area of what a spike injects.

Source: "Neural networks" (course notes), section 1.7, "Full LIF Neuron Model".
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ascribe.checks import explained
from ascribe.errors import UserError
from ascribe.types import Array, Callable

from .base import AbstractModel, Step
from .connection import Connection
from .integrators import mean_growth
from .lif import LIF
from .quantities import leaf, seconds

HALLEY, TRIPS = 4, 60
"""Steps of Halley's method until the bracket is halved, and how often it is halved at most."""

CURRENTS, MEMBRANES = 16.0, 2.0
"""How many τ_s and τ_m a part of a step lasts at most: what is known at its end is carried back, and rounding errors grow."""

TOGETHER = 32
"""Spikes that a GPU delivers at once."""

WORD = 32
"""Places whose flags are kept in one number: of few spikes among many neurons, the next is found quickly."""


class State(NamedTuple):
    """Arrays of `(places,)`: the neurons, then at least one that is never there, to which unused connections lead.

    `gap`: 1 − v; `s`: the synaptic current; `spike`: when the neuron last fired, in steps from the start of the chunk,
    negative if before.
    """

    gap: Array
    s: Array
    spike: Array


class SpikingNetwork(AbstractModel):
    """`neurons`: a `LIF`, whose parameters are numbers or one for each neuron; `connection`: from all of them to all of
    them; `tau_s`: τ_s, seconds.

    Stepped by `"exact"`, for an input that is constant within each step: v follows its closed form from event to event, so
    that no crossing of 1 is passed over, also where v falls below 1 again before the step ends. Spikes arrive when they
    were sent, and may make others fire in the same step; a neuron that reaches 1 at the very time at which a spike arrives
    fires. Only rounding depends on dt, which is τ_ref at most. Or by `"grid"`: spikes, arrivals and ends of refractory
    periods lie on the grid.

    **Raises:** `UserError` for sizes that do not fit, and a τ_s that is not between 0 and 1 s.
    """

    neurons: LIF
    connection: Connection
    tau_s: Array

    input_unit = "v_in"
    traces = ("V", "s")
    methods = ("exact", "grid")
    default_step = 1e-4

    @explained
    def __init__(self, neurons: LIF, connection: Connection, tau_s: Any = 0.005):
        if connection.pre != connection.post:
            raise UserError(
                f"a network's connection leads from its neurons to its neurons; got {connection.pre} to {connection.post}."
            )
        if neurons.shape not in ((), (connection.post,)):
            raise UserError(
                f"the connection is of {connection.post} neurons, and their parameters have the shape {neurons.shape}."
            )
        decay = seconds("tau_s", tau_s)
        if decay.ndim:
            raise UserError(f"a network has one time constant of its synapses; got {decay.size} for tau_s.")
        self.neurons, self.connection, self.tau_s = neurons, connection, leaf(decay)

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
        width, blocks = _blocks(shape[0])
        places = lambda value, values: jnp.full(width * blocks, value, dtype).at[: shape[0]].set(values)
        gap = self.neurons.start(shape, dtype, V).gap
        return State(places(1.0, gap), places(0.0, 0.0), places(jnp.inf, -jnp.inf))

    def parts(self, dt: float, method: str) -> int:
        if method == "grid":
            return 1
        longest = min(CURRENTS * float(self.tau_s), MEMBRANES * float(jnp.min(self.neurons.tau_m)))
        return 1 << max(0, math.ceil(math.log2(dt / longest * (1 - 1e-6))))

    def stepper(self, dt: Array, method: str, parts: int = 1) -> tuple[Callable[[Any], Any], Step]:
        step = self._grid(dt) if method == "grid" else self._exact(dt, parts)
        return lambda state: state, step

    def read(self, state: State) -> dict[str, Array]:
        cell, count = self.neurons, self.shape[0]
        v = 1.0 - state.gap[:count]
        return {"V": cell.V_L + (cell.V_th - cell.V_L) * v, "s": state.s[:count]}

    def spike(self, state: State) -> Array:
        spike = state.spike[: self.shape[0]]
        return jnp.where(spike >= 0.0, spike, -jnp.inf)

    def next_chunk(self, state: State, steps: int, dt: Array) -> State:
        before = jnp.minimum(state.spike - steps, -jnp.finfo(state.spike.dtype).tiny)
        return state._replace(spike=jnp.where(state.spike < jnp.inf, before, jnp.inf))

    def excess(self, J: Any) -> Array:
        """b − 1: by how much the bias and the current exceed the threshold."""
        drive = self.neurons.drive(J) - 1.0
        return drive if self.connection.bias is None else drive + self.connection.bias

    def response(self, f: Array, tau_m: Array) -> Array:
        """What s at the start adds to v in the time f: ∫ e^{−(f−u)/τ_m} e^{−u/τ_s} du / τ_m, also where τ_s = τ_m."""
        return (f / tau_m) * jnp.exp(-f / tau_m) * mean_growth(f * (1.0 / tau_m - 1.0 / self.tau_s))

    def felt(self, begin: Array, dt: Array, tau_m: Array) -> Array:
        """What s at the start of the step adds to v at its end if v is held at 0 until `begin`: the integral from there."""
        f = dt - begin
        return jnp.exp(-dt / self.tau_s) * (f / tau_m) * mean_growth(f * (1.0 / self.tau_s - 1.0 / tau_m))

    def arrive(self, fires: Array, s: Array) -> Array:
        """s after the spikes of those that fire: one by one, which costs a processor least; on a GPU many at once."""
        targets, weights, count = self.connection.targets, self.connection.weights, self.shape[0]

        def one_by_one(fires: Array, s: Array) -> Array:
            add = lambda i, s: s.at[targets[i]].add(weights[i] / self.tau_s, mode="promise_in_bounds")
            return _for_each(fires, s, add)

        def together(fires: Array, s: Array) -> Array:
            number = jnp.cumsum(fires, dtype=jnp.int32)

            def some(state: Any) -> Any:
                s, done = state
                slot = jnp.where(fires & (number > done), number - done - 1, TOGETHER)
                who = jnp.full(TOGETHER, count, jnp.int32).at[slot].set(jnp.arange(len(fires), dtype=jnp.int32), mode="drop")
                w = weights.at[who].get(mode="fill", fill_value=0.0) / self.tau_s
                row = targets.at[who].get(mode="fill", fill_value=count)
                return s.at[row].add(w, mode="promise_in_bounds"), done + TOGETHER

            return jax.lax.while_loop(lambda state: state[1] < number[-1], some, (s, jnp.int32(0)))[0]

        return jax.lax.platform_dependent(fires, s, cpu=one_by_one, default=together)

    def _places(self, values: Array) -> Array:
        """A number for all neurons as it is; one for each neuron, continued with 1 for the places without a neuron."""
        width, blocks = _blocks(self.shape[0])
        return values if values.ndim == 0 else jnp.pad(values, (0, width * blocks - len(values)), constant_values=1.0)

    def _grid(self, dt: Array) -> Step:
        tau_m, tau_ref = self._places(self.neurons.tau_m), self._places(self.neurons.tau_ref)
        decay, growth, kernel = jnp.exp(-dt / self.tau_s), jnp.expm1(-dt / tau_m), self.response(dt, tau_m)

        def step(state: State, J: Any, number: Array) -> State:
            a = self._places(self.excess(J[0]))
            free = state.spike - number <= 0.5 - tau_ref / dt
            gap = jnp.where(free, state.gap + (state.gap + a) * growth - state.s * kernel, 1.0)
            fires = gap <= 0.0

            return State(
                gap=jnp.where(fires, 1.0, gap),
                s=self.arrive(fires, state.s * decay),
                spike=jnp.where(fires, number + 1.0, state.spike),
            )

        return step

    def _exact(self, dt: Array, parts: int) -> Step:
        """In each part of a step, every v is taken to the end as if nothing arrived: from its start, or from 0 at the end of
        its refractory period. Then the neurons that reach 1 fire, the earliest first. Each changes what its targets will be
        at the end, and when they fire."""
        tau_m, tau_ref, tau_s = self._places(self.neurons.tau_m), self._places(self.neurons.tau_ref), self.tau_s
        targets, weights, count = self.connection.targets, self.connection.weights, self.shape[0]
        width = dt / parts
        decay = jnp.exp(-width / tau_s)

        def part(state: State, a: Array, start: Array) -> State:
            # A neuron is there from `begin` on: the whole part, a piece of it, or (width) not at all.
            begin = jnp.clip((state.spike - start) * dt + tau_ref, 0.0, width)
            felt = self.felt(begin, width, tau_m)
            gap = state.gap + (state.gap + a) * jnp.expm1((begin - width) / tau_m) - state.s * felt
            # Whoever was at 1 and is below it at the end fell no further than without s, which is above 0 where v turns.
            near = jnp.maximum(a * jnp.expm1(-width / tau_m), 0.0)

            def due(i: Array, s_i: Array, gap_i: Array, since: Array) -> Array:
                return jnp.maximum(width + self._reached(gap_i, a[i], s_i, _of(tau_m, i), since - width), since)

            def fire(carry: Any) -> Any:
                (i, h), (s, gap, felt, spike, queue) = carry
                queue, felt, spike = _put(queue, i, jnp.inf), _set(felt, i, 0.0), _set(spike, i, start + h / dt)
                row, w = targets[i], weights[i] / tau_s * jnp.exp(h / tau_s)
                of_row = lambda values: values.at[row].get(mode="promise_in_bounds")
                # It is felt from h on, or from where the target begins.
                by = w * jnp.minimum(self.felt(h, width, of_row(tau_m) if tau_m.ndim else tau_m), of_row(felt))
                before = of_row(gap)
                s = s.at[row].add(w * decay, mode="promise_in_bounds")
                gap = gap.at[row].add(-by, mode="promise_in_bounds")
                then = of_row(gap)

                def again(k: Array, queue: Any) -> Any:
                    i = row[k]
                    return _put(queue, i, due(i, s[i], then[k], jnp.maximum(begin[i], h)), kept=h)

                # Who may reach 1 now, or might have before.
                queue = _for_each((by != 0.0) & (jnp.minimum(then, before) <= of_row(near)), queue, again)
                return _first_of(queue), (s, gap, felt, spike, queue)

            s = state.s * decay
            queue = jnp.full_like(gap, jnp.inf), jnp.full(_blocks(count)[1], jnp.inf, gap.dtype)
            queue = _for_each(gap <= near, queue, lambda i, queue: _put(queue, i, due(i, s[i], gap[i], begin[i])))
            carry = _first_of(queue), (s, gap, felt, state.spike, queue)
            _, (s, gap, _, spike, _) = jax.lax.while_loop(lambda carry: carry[0][1] < jnp.inf, fire, carry)
            return State(jnp.where(spike >= start, 1.0, gap), s, spike)

        def step(state: State, J: Any, number: Array) -> State:
            a = jnp.broadcast_to(self._places(self.excess(J[0])), state.gap.shape)
            if parts == 1:
                return part(state, a, number)
            return jax.lax.fori_loop(0, parts, lambda k, state: part(state, a, number + k / parts), state)

        return step

    def _reached(self, gap: Array, a: Array, s: Array, tau_m: Array, first: Array) -> Array:
        """When v is 1 for the first time from `first` on, in seconds before the end (0), at which the gap and s are given:
        from `first` to 0; infinite where it is not.

        τ_m v' = s + a + gap changes its sign once at most. Where v falls at the end, below 1, it may have been above at its
        peak, where τ_m v' = 0: at τ_s r ln(1 + kr) / kr, r = (s + a + gap) / s, k = τ_s/τ_m − 1. Between `first` and that
        peak, or the end, v passes 1 once. Halley's method finds where, and may not leave the bracket of what is known to
        lie before and after.
        """
        rise = s + a + gap
        turned = (gap > 0.0) & (rise < 0.0) & (s > 0.0)
        ratio = rise / jnp.where(s > 0.0, s, 1.0)
        bent = (self.tau_s / tau_m - 1.0) * ratio
        flat = bent == 0.0
        peak = self.tau_s * ratio * jnp.where(flat, 1.0, jnp.log1p(bent) / jnp.where(flat, 1.0, bent))
        last = jnp.where(turned, jnp.where(bent > -1.0, jnp.clip(peak, first, 0.0), first), 0.0)

        def look(h: Array) -> tuple[Array, Array]:
            """The gap at h, and its rounding error."""
            fallen, felt = (gap + a) * jnp.expm1(-h / tau_m), s * self.response(h, tau_m)
            error = jnp.abs(gap) + jnp.abs(fallen) + jnp.abs(felt)
            return gap + fallen - felt, jnp.finfo(gap.dtype).eps * error

        def closer(state: Any) -> Any:
            h, low, high, found, trip = state
            h = jnp.where(trip > 0, 0.5 * (low + high), h)
            for _ in range(HALLEY):
                g, error = look(h)
                low, high = jnp.where(g > 0.0, h, low), jnp.where(g > 0.0, high, h)
                s_h = s * jnp.exp(-h / self.tau_s)
                slope = -(a + g + s_h) / tau_m
                bend = (s_h / self.tau_s - slope) / tau_m
                to = h - g * slope / (slope * slope - 0.5 * g * bend)
                to = jnp.where((slope < 0.0) & (low <= to) & (to <= high), to, 0.5 * (low + high))
                found = (jnp.abs(g) <= error) | (jnp.abs(to - h) <= jnp.finfo(gap.dtype).eps * -first)
                h = to
            return h, low, high, found, trip + 1

        begin = jnp.where(rise > 0.0, last, first)
        start = begin, first, last, look(last)[0] > 0.0, jnp.int32(0)
        h = jax.lax.while_loop(lambda state: ~state[3] & (state[4] < TRIPS), closer, start)[0]
        return jnp.where(start[3], jnp.inf, h)


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


def _put(queue: tuple[Array, Array], i: Array, time: Any, kept: Any = -jnp.inf) -> tuple[Array, Array]:
    """The queue with the event of place i at that time; infinite: with none. What is due by `kept` stays. A block is written
    as a whole: of what is read after it was written, XLA keeps a copy."""
    due, earliest = queue
    width = len(due) // len(earliest)
    block = i // width
    row = jax.lax.dynamic_slice(due, (block * width,), (width,))
    row = jnp.where((jnp.arange(width, dtype=jnp.int32) == i - block * width) & (row > kept), time, row)
    due = jax.lax.dynamic_update_slice(due, row, (block * width,))
    return due, jax.lax.dynamic_update_slice(earliest, row.min(keepdims=True), (block,))


def _set(values: Array, i: Array, value: Any) -> Array:
    return values.at[i].set(value, mode="promise_in_bounds")


def _for_each(flags: Array, carry: Any, body: Callable[..., Any]) -> Any:
    """carry = body(i, carry) for every i whose flag is set, in order."""
    flags = jnp.pad(flags, (0, -len(flags) % WORD)).reshape(-1, WORD)
    bits = jnp.arange(WORD, dtype=jnp.uint32)
    words = jnp.sum(jnp.where(flags, jnp.uint32(1) << bits, 0), axis=1, dtype=jnp.uint32)
    first = lambda words: jnp.argmax(words != 0).astype(jnp.int32)

    def next_one(state: Any) -> Any:
        words, place, carry = state
        rest = words[place] & (words[place] - 1)  # without its lowest bit
        bit = jax.lax.population_count((words[place] ^ rest) - 1).astype(jnp.int32)
        words = jnp.where(jnp.arange(len(words), dtype=jnp.int32) == place, rest, words)
        return words, first(words), body(WORD * place + bit, carry)

    return jax.lax.while_loop(lambda state: state[0][state[1]] != 0, next_one, (words, first(words), carry))[2]
