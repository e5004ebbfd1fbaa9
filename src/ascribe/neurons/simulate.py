"""`simulate`: a model, a current and a duration; one compiled loop over the steps, for all neurons.

Steps are taken in chunks. Within a chunk a neuron fires no more than once, so that what leaves the compiled loop is, for
each neuron and chunk, when it fired, and the samples that are kept, however many steps there are.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.checks import at_least, listed, plain
from ascribe.errors import UserError, shown
from ascribe.memory import check_room
from ascribe.types import Array

from .base import AbstractModel
from .currents import Current
from .quantities import single
from .recording import Recording
from .spikes import SpikeTrain

SAMPLES, NUMBERS = 10_000, 10_000_000
"""How many samples a recording has by default, and how many numbers, at most."""

BLOCK = 300_000_000
"""Steps of single neurons in one call of the compiled loop, about: between two calls an interruption is answered."""

STEPS = 10**8
STATE = 200
"""Bytes that a neuron takes in any case: its state, its parameters and its current, and what comes of them in a step."""
LONGEST_CHUNK = 64


def _floating(dtype: Any) -> Any:
    """The floating-point type of a simulation."""
    try:
        kind = jax.dtypes.canonicalize_dtype(np.float64 if dtype is None else dtype)
    except TypeError:
        kind = np.dtype(bool)
    if not jnp.issubdtype(kind, jnp.floating):
        raise UserError(f"`dtype` is a floating-point type, such as jax.numpy.float32; got {shown(dtype)}.")
    if dtype is not None and dtype is not float and kind != np.dtype(dtype):
        raise UserError(
            f"`dtype` is {np.dtype(dtype)}, which JAX has only with its 64 bits: set JAX_ENABLE_X64=1, or "
            'jax.config.update("jax_enable_x64", True) before anything else.'
        )
    return kind


def simulate(
    model: Any,
    current: Any,
    duration: Any,
    *,
    dt: Any = None,
    method: str | None = None,
    record: Sequence[str] = ("V",),
    record_every: int | None = None,
    initial: Any = None,
    dtype: Any = None,
    keep_going: bool = False,
) -> Recording:
    """Steps the model under the current, from rest.

    **Arguments:** `model`: `HodgkinHuxley`, `LIF` or `SpikingNetwork`; `current`: a number, an array of one for each
    neuron, a list of segments, tuples `(seconds, current)`, or a function of the time in seconds from 0 to `duration`, which
    returns a number, or an array of one for each neuron; in µA/cm² for Hodgkin–Huxley, for LIF neurons v_in, in thresholds;
    `duration`, `dt`: seconds (dt by default 1e-5 for Hodgkin–Huxley, else 1e-4), where the current of a step is that in its
    middle (for `rk4` those at its start and end, too); `method`: one of the model's `methods`; `record`: which of its
    `traces`; `record_every`: steps from a sample to the next, by default so many that there are about 10,000 samples and
    ten million numbers at most; `initial`: the voltages to start from (with the gates at their steady state), by default
    rest; `dtype`: JAX's default one by default; `keep_going`: a neuron that blows up is named in the recording, and the
    others go on, instead of an error.

    Parameters of the model and the current broadcast against each other: arrays are neurons side by side.

    **Returns:** a `Recording`.

    **Raises:** `UserError` for input that is none, and for a state that stops being finite: which neuron, and when.
    """
    if not isinstance(model, AbstractModel):
        raise UserError(f"the model is a HodgkinHuxley, a LIF or a SpikingNetwork; got {type(model).__name__}.")
    length = single("duration", duration, "seconds")
    step = single("dt", model.default_step if dt is None else dt, "seconds")
    if step > length:
        raise UserError(f"dt={step:g} s is longer than the duration of {length:g} s: take a smaller dt.")
    model.check(step)
    if length / step > STEPS:
        raise UserError(
            f"{length:g} s in steps of {step:g} s are {length / step:,.4g} steps; both are in seconds: did you mean that?"
        )
    steps = round(length / step)
    method = model.methods[0] if method is None else str(method).replace("_", "-")
    if method not in model.methods:
        raise UserError(f"{type(model).__name__} is stepped by {', '.join(model.methods)}; got {shown(method)} for `method`.")
    parts = model.parts(step, method)
    if parts * steps > STEPS:
        raise UserError(
            f"{length:g} s are {parts * steps:,.4g} pieces of the model's shortest time constants: take a shorter duration, or "
            f"longer time constants{', or another method' if len(model.methods) > 1 else ''}."
        )
    names = _recorded(record, model)
    driven = Current(current, model.input_unit, length)
    try:
        shape = np.broadcast_shapes(model.shape, driven.shape)
    except ValueError:
        raise UserError(
            f"parameters and current are for the same neurons; got the shapes {model.shape} and {driven.shape}."
        ) from None
    if 0 in shape:
        raise UserError(f"parameters and current are for one neuron at least; got the shape {shape}.")
    count = int(np.prod(shape, dtype=np.int64))
    every = _spacing(record_every, steps, count * max(1, len(names)))
    chunk = _chunk(min(model.window(step), LONGEST_CHUNK), every)
    chunks = -(-(steps + 3) // chunk)  # the interpolation of a spike looks two steps ahead

    kept = chunks + (steps // every + 1) * len(names)  # numbers of a neuron
    check_room(f"a simulation of {count:,} neurons", count * (12 * kept + STATE), "choose fewer, or a shorter duration")

    kind = _floating(dtype)
    cast = jax.tree.map(lambda x: x.astype(kind) if jnp.issubdtype(x.dtype, jnp.floating) else x, model)
    try:
        state = cast.start(shape, kind, initial)
    except (ValueError, TypeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"`initial` is a voltage for each neuron, of the shape {shape}; got {np.shape(initial)}.") from None
    hits, traces = _stepped(cast, state, driven, step, chunks, _Steps(method, parts, chunk, every, names))
    hits = hits.reshape(-1, count)
    blown = _blown(hits, chunk * step, length)
    if blown and not keep_going:
        neuron, time = min(blown.items(), key=lambda item: item[1])
        raise UserError(
            f"the state of neuron {neuron} stops being finite at about {time:.4g} s with method {method!r} and dt={step:g}: "
            f"take a smaller dt{', or a method that is stable' if method == 'euler' else ''}."
        )
    t = np.arange(0, steps + 1, every) * step
    traces = {name: values[: len(t)] for name, values in traces.items()}
    spikes = _spikes(hits, chunk, step, length, count)
    return Recording(model, t, traces, driven.at(t), spikes, shape, step, length, method, blown)


class _Steps(NamedTuple):
    """How a model is stepped: by which method, in how many parts a step, how many steps a chunk, every how many of which which
    traces are kept."""

    method: str
    parts: int
    chunk: int
    every: int
    names: tuple[str, ...]


def _stepped(
    model: AbstractModel, state: Any, driven: Current, step: float, chunks: int, how: _Steps
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """`chunks` chunks of `chunk` steps, in calls of a bounded size. Returns when every neuron fired in each chunk, as
    `_run`, and the samples."""
    chunk, every = how.chunk, how.every
    V = model.read(state)["V"]
    dt, kind = jnp.asarray(step, V.dtype), V.dtype
    block = min(chunks, max(1, BLOCK // (chunk * max(V.size, 1))))
    calls, places = -(-chunks // block), model.places(how.method)
    constant = None if driven.constant is None else jnp.asarray(driven.constant, kind)
    held = None if constant is None else tuple(constant for _ in places)
    table = None if constant is not None else driven.table(calls * block * chunk, step, places)
    carry = _first(model, state, dt, method=how.method)
    fired, kept = [], []
    for call in range(calls):
        rows = None
        if table is not None:
            part = table[call * block * chunk :][: block * chunk]
            rows = jnp.asarray(part.reshape(block, chunk, *part.shape[1:]), kind)
        carry, (hits, samples) = _compiled()(model, carry, held, rows, dt, block=block, how=how)
        fired.append(np.asarray(hits))
        kept.append({name: np.asarray(values) for name, values in samples.items()})
    apart = max(1, every // chunk)  # chunks from one sample to the next
    return np.concatenate(fired), {name: np.concatenate([part[name] for part in kept])[::apart] for name in how.names}


def _recorded(record: Any, model: AbstractModel) -> tuple[str, ...]:
    """The names of the traces that are recorded."""
    given = listed(record)
    names = (plain(record),) if given is None else tuple(given)
    for name in names:
        if not isinstance(name, str) or name not in model.traces:
            raise UserError(f"{type(model).__name__} has the traces {', '.join(model.traces)}; got {shown(name)} for `record`.")
    return names


def _spacing(given: Any, steps: int, numbers: int) -> int:
    if given is None:
        return max(1, steps // SAMPLES, -(-steps * numbers // NUMBERS))
    return min(at_least(1, "record_every", given), 2 * STEPS)  # from there on it is the first sample alone


def _chunk(window: int, every: int) -> int:
    """Steps of a chunk: a multiple of the sample spacing, or a divisor of it, that the window holds."""
    if every <= window:
        return window // every * every
    return next(chunk for chunk in range(window, 0, -1) if every % chunk == 0)


@functools.partial(jax.jit, static_argnames=("method",))
def _first(model: AbstractModel, state: Any, dt: Array, *, method: str) -> Any:
    begin, _ = model.stepper(dt, method)
    V = model.read(state)["V"]
    return begin(state), jnp.stack([V, V, V]), jnp.full_like(V, jnp.inf)


# Half the time for Hodgkin–Huxley where a processor has vectors of 512 bits; XLA takes 256 by itself.
WIDE = {"xla_cpu_prefer_vector_width": 512}


def _run(model: AbstractModel, carry: Any, held: Any, table: Any, dt: Array, *, block: int, how: _Steps) -> Any:
    """`block` chunks of `chunk` steps. Returns the carry, and for each chunk when every neuron fired, in steps from the
    chunk's start (−∞: it did not; ∞: its state is not finite), and the samples.

    The carry: the model's state, V at the last three steps, and the step of a crossing that still waits for what follows
    it, ∞ where none does. (No mark is NaN: JAX's search for NaNs finds those of the computation alone.)
    """
    chunk, every = how.chunk, how.every
    _, step = model.stepper(dt, how.method, how.parts)

    def one(carry: Any, now: Any) -> Any:
        (state, hit), (number, row) = carry, now
        seen = model.read(state)
        new = step(state, held if row is None else tuple(row), number)
        samples = {name: seen[name] for name in how.names}
        if model.spike(new) is not None:
            return (new, hit), (samples, ())
        crossed = (seen["V"] < model.level) & (model.read(new)["V"] >= model.level)
        return (new, jnp.where(crossed, number, hit)), (samples, seen["V"])

    def many(carry: Any, rows: Any) -> Any:
        state, past, hit = carry
        numbers = jnp.arange(chunk, dtype=hit.dtype)
        (state, hit), (samples, V) = jax.lax.scan(one, (state, hit), (numbers, rows))
        found, waiting = model.spike(state), hit
        if found is None:
            complete = hit <= chunk - 3
            place = jnp.where(complete, hit, 0.0).astype(jnp.int32)
            found = jnp.where(complete, hit + _crossing(past, V, place, model.level), -jnp.inf)
            waiting, past = jnp.where(complete, jnp.inf, hit - chunk), jnp.concatenate([past, V[-3:]])[-3:]
        found = jnp.where(jnp.isfinite(model.read(state)["V"]), found, jnp.inf)
        return (model.next_chunk(state, chunk, dt), past, waiting), (
            found,
            {name: values[::every] for name, values in samples.items()},
        )

    carry, (found, samples) = jax.lax.scan(many, carry, table, length=block)
    return carry, (found, {name: values.reshape(-1, *values.shape[2:]) for name, values in samples.items()})


@functools.cache
def _compiled() -> Any:
    options = WIDE if jax.default_backend() == "cpu" else None
    return jax.jit(_run, static_argnames=("block", "how"), compiler_options=options)


def _crossing(past: Array, V: Array, place: Array, threshold: Array) -> Array:
    """When after step `place` V crosses the threshold upward, in steps, 0 to 1: by the cubic through four samples, of which
    it lies between the middle two; its error is of order 4. `past` are steps −3, −2, −1, `V` those from 0 on."""

    def at(i: Array) -> Array:
        before = jnp.take_along_axis(past, jnp.clip(i + 3, 0, 2)[None], axis=0)[0]
        return jnp.where(i < 0, before, jnp.take_along_axis(V, jnp.maximum(i, 0)[None], axis=0)[0]) - threshold

    a, b, c, d = (at(place + i) for i in (-1, 0, 1, 2))
    # p(x) = b + x (p1 + x (p2 + x p3)) through a, b, c, d at x = −1, 0, 1, 2
    p3 = (d - a + 3.0 * (b - c)) / 6.0
    p2 = 0.5 * (a + c) - b
    p1 = c - b - p2 - p3
    x = b / jnp.where(c > b, b - c, -jnp.inf)
    for _ in range(4):
        value, slope = b + x * (p1 + x * (p2 + x * p3)), p1 + x * (2.0 * p2 + x * 3.0 * p3)
        x = jnp.clip(x - value / jnp.where(slope > 0, slope, jnp.inf), 0.0, 1.0)
    return x


def _blown(hits: np.ndarray, seconds: float, duration: float) -> dict[int, float]:
    infinite = hits == np.inf
    neurons = np.flatnonzero(infinite.any(axis=0))
    times = {int(neuron): float(np.argmax(infinite[:, neuron]) * seconds) for neuron in neurons}
    return {neuron: time for neuron, time in times.items() if time < duration}


def _spikes(hits: np.ndarray, chunk: int, step: float, duration: float, count: int) -> SpikeTrain:
    chunks, neurons = np.nonzero(np.isfinite(hits))
    times = (chunks * chunk + hits[chunks, neurons].astype(np.float64)) * step
    inside = (times >= 0) & (times <= duration)
    times, neurons = times[inside], neurons[inside]
    order = np.argsort(times, kind="stable")
    return SpikeTrain(times[order], neurons[order], duration=duration, size=count)
