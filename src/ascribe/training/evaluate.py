"""How well a network does on a split: loss, and accuracy or RMSE and R²."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.losses import Loss
from ascribe.metrics import predicted_labels, r2, rmse
from ascribe.networks import Activation, Network, record
from ascribe.rules import final_preactivation
from ascribe.types import Array, PyTree

from .mesh import split
from .pixels import Pixels

CHUNK = 512
"""Examples per forward pass: bounds the memory of the activations, times the runs side by side."""


class Examples(eqx.Module):
    """A split on the device. `inputs`: floats, or large images as bytes, which are floats as soon as they are indexed;
    `target_scale`, `(outputs,)`: what one standardized unit of the target is in its original
    unit (ones where nothing was standardized)."""

    inputs: Array | Pixels
    targets: Array
    target_scale: Array


class _Sums(NamedTuple):
    loss: Array
    correct: Array
    squared_error: Array


def evaluate(network: Network, network_state: PyTree, examples: Examples, loss: Loss) -> dict[str, Array]:
    """**Returns:** `loss`, then `accuracy` for labels or `rmse` (original unit) and `r2` for numbers."""
    stored, count = examples.inputs, examples.inputs.shape[0]
    chunk = min(CHUNK, count)
    chunks = -(-count // chunk)
    labels = jnp.issubdtype(examples.targets.dtype, jnp.integer)

    def cut(array: Array) -> Array:
        padding = [(0, chunks * chunk - count)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, padding).reshape(chunks, chunk, *array.shape[1:])

    def sums(part: tuple[Array, Array, Array]) -> _Sums:
        inputs, targets, real = split(part)
        inputs = stored.decoded(inputs) if isinstance(stored, Pixels) else inputs
        tape, _ = record(network, inputs, network_state, training=False)
        function, z = final_preactivation(network, tape, loss)
        t = loss.encode(targets, z.shape[1], z.dtype)
        y = function.function(z)
        values = loss.values(z, targets) if function.name == loss.link else loss.value(y, t)
        correct = predicted_labels(tape.output, boundary=boundary(network, loss)) == targets if labels else real
        return _Sums(
            jnp.sum(jnp.where(real, values, 0)),
            jnp.sum(real & correct),
            jnp.sum(jnp.where(real[:, None], (y - t) ** 2, 0), axis=0),
        )

    parts = (
        cut(stored.bytes if isinstance(stored, Pixels) else stored),
        cut(examples.targets),
        cut(jnp.ones(count, bool)),
    )
    if chunks == 1:
        total = sums(jax.tree.map(lambda part: part[0], parts))
    else:
        total = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), jax.lax.map(sums, parts))
    found = {"loss": total.loss / count}
    if labels:
        finite = jnp.isfinite(total.loss)
        return found | {"accuracy": jnp.where(finite, total.correct.astype(total.loss.dtype) / count, jnp.nan)}
    squared_errors = total.squared_error / count
    targets = examples.targets.reshape(count, -1).astype(total.loss.dtype)
    scale = examples.target_scale.astype(total.loss.dtype)
    return found | {"rmse": rmse(squared_errors, scale), "r2": r2(squared_errors, jnp.var(targets, axis=0))}


def boundary(network: Network, loss: Loss) -> float:
    """Where a single output changes class: 0 for logits, 0.5 for an output between the targets 0 and 1."""
    logits = not isinstance(network.last, Activation) and loss.link == "logistic"
    return 0.0 if logits else 0.5
