"""`simulate`: a model, a current and a duration; one compiled loop over the steps, for all neurons.

Steps are taken in chunks. Within a chunk a neuron fires no more than once, so that what leaves the compiled loop is, for
each neuron and chunk, when it fired, and the samples that are kept, however many steps there are.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.errors import UserError
from ascribe.types import Array

from .base import AbstractModel
from .currents import Current
from .quantities import positive
from .recording import Recording
from .spikes import SpikeTrain

SAMPLES, NUMBERS = 10_000, 10_000_000
"""How many samples a recording has by default, and how many numbers, at most."""

BLOCK = 300_000_000
"""Steps of single neurons in one call of the compiled loop, about: between two calls an interruption is answered."""

STEPS = 10**9
LONGEST_CHUNK = 64


def simulate(
    model: AbstractModel,
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
    neuron, a list of segments `(seconds, current)`, or a function of the time in seconds; in µA/cm² for Hodgkin–Huxley, for
    LIF neurons v_in, in thresholds; `duration`, `dt`: seconds (dt by default 1e-5 for Hodgkin–Huxley, else 1e-4); `method`:
    one of the model's `methods`; `record`: which of its `traces`; `record_every`: steps from a sample to the next, by
    default so many that there are about 10,000 samples and ten million numbers at most; `initial`: a state to start from;
    `dtype`: JAX's default one by default; `keep_going`: a neuron that blows up is named in the recording, and the others go
    on, instead of an error.

    Parameters of the model and the current broadcast against each other: arrays are neurons side by side.

    **Returns:** a `Recording`.

    **Raises:** `UserError` for input that is none, and for a state that stops being finite: which neuron, and when.
    """
    if not isinstance(model, AbstractModel):
        raise UserError(f"the model is a HodgkinHuxley, a LIF or a SpikingNetwork; got {type(model).__name__}.")
    length = float(positive("duration", duration, "seconds"))
    step = float(positive("dt", model.default_step if dt is None else dt, "seconds"))
    if step > length:
        raise UserError(f"dt={step:g} s is longer than the duration of {length:g} s: take a smaller dt.")
    model.check(step, length)
    steps = round(length / step)
    if steps > STEPS:
        raise UserError(
            f"{length:g} s in steps of {step:g} s are {steps:,} steps; both are in seconds: did you mean that?"
        )
    method = model.methods[0] if method is None else method
    if method not in model.methods:
        raise UserError(
            f"{type(model).__name__} is stepped by {', '.join(model.methods)}; got {method!r} for `method`."
        )
    names = (record,) if isinstance(record, str) else tuple(record)
    for name in names:
        if name not in model.traces:
            raise UserError(
                f"{type(model).__name__} has the traces {', '.join(model.traces)}; got {name!r} for `record`."
            )
    driven = Current(current, model.input_unit)
    try:
        shape = np.broadcast_shapes(model.shape, driven.shape)
    except ValueError:
        raise UserError(
            f"parameters and current are for the same neurons; got the shapes {model.shape} and {driven.shape}."
        ) from None
    count = int(np.prod(shape, dtype=np.int64))
    every = _spacing(record_every, steps, count * max(1, len(names)))
    chunk = _chunk(min(model.window(step), LONGEST_CHUNK), every)
    chunks = -(-(steps + 3) // chunk)  # the interpolation of a spike looks two steps ahead

    kind = jax.dtypes.canonicalize_dtype(np.float64 if dtype is None else dtype)
    cast = jax.tree.map(lambda x: x.astype(kind) if jnp.issubdtype(x.dtype, jnp.floating) else x, model)
    state = cast.start(shape, kind) if initial is None else _given(cast, initial, shape, kind)
    hits, traces = _stepped(cast, state, driven, step, method, (chunks, chunk, every), names)
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


def _stepped(
    model: AbstractModel,
    state: Any,
    driven: Current,
    step: float,
    method: str,
    length: tuple[int, int, int],
    names: tuple[str, ...],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """`chunks` chunks of `chunk` steps, in calls of a bounded size. Returns when every neuron fired in each chunk, as `_run`,
    and the samples."""
    chunks, chunk, every = length
    V = model.read(state)["V"]
    dt, kind = jnp.asarray(step, V.dtype), V.dtype
    block = min(chunks, max(1, BLOCK // (chunk * max(V.size, 1))))
    calls, places = -(-chunks // block), model.places(method)
    constant = None if driven.constant is None else jnp.asarray(driven.constant, kind)
    held = None if constant is None else tuple(constant for _ in places)
    table = None if constant is not None else driven.table(calls * block * chunk, step, places)
    carry = _first(model, state, dt, method=method)
    fired, kept = [], []
    for call in range(calls):
        rows = None
        if table is not None:
            part = table[call * block * chunk :][: block * chunk]
            rows = jnp.asarray(part.reshape(block, chunk, *part.shape[1:]), kind)
        carry, (hits, samples) = _run(
            model, carry, held, rows, dt, method=method, length=(block, chunk, every), names=names
        )
        fired.append(np.asarray(hits))
        kept.append({name: np.asarray(values) for name, values in samples.items()})
    apart = max(1, every // chunk)  # chunks from one sample to the next
    return np.concatenate(fired), {name: np.concatenate([part[name] for part in kept])[::apart] for name in names}


def _spacing(given: int | None, steps: int, numbers: int) -> int:
    if given is None:
        return max(1, steps // SAMPLES, -(-steps * numbers // NUMBERS))
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise UserError(f"record_every is a whole number of steps, 1 at least; got {given!r}.")
    return given


def _chunk(window: int, every: int) -> int:
    """Steps of a chunk: a multiple of the sample spacing, or a divisor of it, that the window holds."""
    if every <= window:
        return window // every * every
    return next(chunk for chunk in range(window, 0, -1) if every % chunk == 0)


def _given(model: AbstractModel, initial: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    wanted = model.start(shape, dtype)
    try:
        return jax.tree.map(lambda x, y: jnp.broadcast_to(jnp.asarray(y, dtype), x.shape), wanted, initial)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"`initial` is a {type(wanted).__name__} of {type(model).__name__} with values for the neurons {shape}: {error}."
        ) from None


@functools.partial(jax.jit, static_argnames=("method",))
def _first(model: AbstractModel, state: Any, dt: Array, *, method: str) -> Any:
    begin, _ = model.stepper(dt, method)
    V = model.read(state)["V"]
    return begin(state), (V, V, V)


@functools.partial(jax.jit, static_argnames=("method", "length", "names"))
def _run(
    model: AbstractModel, carry: Any, held: Any, table: Any, dt: Array, *, method: str, length: Any, names: Any
) -> Any:
    """`block` chunks of `chunk` steps. Returns the carry, and for each chunk when every neuron fired, in steps from the
    chunk's start (NaN: it did not; infinite: its state is not finite), and the samples."""
    block, chunk, every = length
    _, step = model.stepper(dt, method)

    def one(state: Any, row: Any) -> Any:
        seen = model.read(state)
        new = step(state, held if row is None else tuple(row))
        spike = model.spike(new)
        return new, ({name: seen[name] for name in names}, seen["V"] if spike is None else spike)

    def many(carry: Any, rows: Any) -> Any:
        state, past = carry
        state, (samples, seen) = jax.lax.scan(one, state, rows, length=chunk)
        last = model.read(state)["V"]
        if model.spike(state) is None:
            seen = jnp.concatenate([jnp.stack(past), seen])
            past, hit = tuple(seen[-3:]), _crossing(seen, model.level)
        else:
            number = jnp.arange(chunk, dtype=seen.dtype).reshape(-1, *(1,) * last.ndim)
            hit = jnp.max(jnp.where(jnp.isnan(seen), -jnp.inf, number + seen / dt), axis=0)
            hit = jnp.where(jnp.isneginf(hit), jnp.nan, hit)
        hit = jnp.where(jnp.isfinite(last), hit, jnp.inf)
        return (state, past), (hit, {name: values[::every] for name, values in samples.items()})

    carry, (hits, samples) = jax.lax.scan(many, carry, table, length=block)
    return carry, (hits, {name: values.reshape(-1, *values.shape[2:]) for name, values in samples.items()})


def _crossing(V: Array, threshold: Array) -> Array:
    """When V, at steps −3, −2, … `chunk` − 1, crosses the threshold upward, in steps: between the middle two of four
    samples by the cubic through them, whose error is of order 4. NaN where it does not."""
    chunk = V.shape[0] - 3
    number = jnp.arange(chunk, dtype=jnp.int32).reshape(-1, *(1,) * (V.ndim - 1))
    crossed = (V[1:-2] < threshold) & (V[2:-1] >= threshold)
    place = jnp.max(jnp.where(crossed, number, -1), axis=0)
    a, b, c, d = (jnp.take_along_axis(V, (jnp.maximum(place, 0) + i)[None], axis=0)[0] - threshold for i in range(4))
    # p(x) = b + x (p1 + x (p2 + x p3)) through a, b, c, d at x = −1, 0, 1, 2
    p3 = (d - a + 3.0 * (b - c)) / 6.0
    p2 = 0.5 * (a + c) - b
    p1 = c - b - p2 - p3
    x = b / jnp.where(place >= 0, b - c, 1.0)
    for _ in range(4):
        value, slope = b + x * (p1 + x * (p2 + x * p3)), p1 + x * (2.0 * p2 + x * 3.0 * p3)
        x = jnp.clip(x - value / jnp.where(slope > 0, slope, jnp.inf), 0.0, 1.0)
    return jnp.where(place >= 0, place.astype(V.dtype) - 2.0 + x, jnp.nan)


def _blown(hits: np.ndarray, seconds: float, duration: float) -> dict[int, float]:
    infinite = np.isinf(hits)
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
