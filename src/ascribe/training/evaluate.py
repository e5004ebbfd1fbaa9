"""How well a network does on a split: loss, and accuracy or RMSE and R²; for classes whatever else is asked for."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe.losses import Loss
from ascribe.metrics import OF_CONFUSION as MEASURES_OF_CONFUSION
from ascribe.metrics import OF_EACH, RANKED, class_probabilities, confusion_matrix, predicted_labels, r2, rmse
from ascribe.networks import Activation, Network, record
from ascribe.rules import final_preactivation
from ascribe.types import AnyArray, Array, PyTree

from .mesh import split
from .pixels import Pixels

CHUNK = 512
"""Examples per forward pass: bounds the memory of the activations, times the runs side by side."""

CONFUSION = "confusion"
"""The name of the confusion matrix among what is measured."""
OF_CONFUSION = {**MEASURES_OF_CONFUSION, CONFUSION: lambda confusion: confusion}
"""What is computed of the confusion matrix, and that itself."""


class Examples(eqx.Module):
    """A split on the device. `inputs`: floats, or large images as bytes, which are floats as soon as they are indexed;
    `target_scale`, `(outputs,)`: what one standardized unit of the target is in its original
    unit (ones where nothing was standardized)."""

    inputs: Array | Pixels
    targets: Array
    target_scale: Array


class Sums(NamedTuple):
    """Over examples: their losses, how many answers are right, and the squared errors of every output."""

    loss: Array
    correct: Array
    squared_error: Array


class Answers(NamedTuple):
    """Of every example its `predicted` class, `(examples,)`, the probability of its `own` class, `(examples,)`, and of `every`
    class, `(examples, classes)`, where they are ranked."""

    predicted: AnyArray
    own: AnyArray
    every: AnyArray | None


def evaluate(
    network: Network, network_state: PyTree, examples: Examples, loss: Loss, *, also: tuple[str, ...] = ()
) -> dict[str, Array]:
    """**Arguments:** `also`: further measures of classes, by their names in `ascribe.measures`, and `CONFUSION`; those that the
    task has not, and those that are measured anyway, change nothing.

    **Returns:** `loss`, then `accuracy` for labels or `rmse` (original unit) and `r2` for numbers, then what was asked for:
    numbers, and the confusion matrix `(classes, classes)`.
    """
    found, answers = answered(network, network_state, examples, loss, also=also)
    return found if answers is None else found | judged(answers, examples.targets, network, found["loss"], also=also)


def judged(answers: Answers, targets: AnyArray, network: Network, loss: Any, *, also: tuple[str, ...]) -> dict[str, Any]:
    """The measures that are computed of all examples at once, by JAX or, for NumPy's arrays, without compiling anything; NaN
    where the loss is not finite."""
    found: dict[str, Any] = {}
    confusion = confusion_matrix(targets, answers.predicted, max(network.outputs, 2))
    for name in also:
        if name in OF_CONFUSION:
            found[name] = OF_CONFUSION[name](confusion)
        elif name in OF_EACH:
            found[name] = OF_EACH[name](answers.own)
        elif name in RANKED and answers.every is not None:
            found[name] = RANKED[name](answers.every, targets)
    with np.errstate(invalid="ignore"):
        return {name: value if name == CONFUSION else value + 0 * loss for name, value in found.items()}


def answered(
    network: Network, network_state: PyTree, examples: Examples, loss: Loss, *, also: tuple[str, ...] = ()
) -> tuple[dict[str, Array], Answers | None]:
    """What is measured anyway, and the answers that the rest is computed of; None where nothing is."""
    stored, count = examples.inputs, examples.inputs.shape[0]
    chunk = min(CHUNK, count)
    chunks = -(-count // chunk)
    labels = jnp.issubdtype(examples.targets.dtype, jnp.integer)
    further = labels and any(name in also for name in (*OF_CONFUSION, *OF_EACH, *RANKED))
    ranked = any(name in also for name in RANKED)

    def cut(array: Array) -> Array:
        padding = [(0, chunks * chunk - count)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, padding).reshape(chunks, chunk, *array.shape[1:])

    def part_of(part: tuple[Array, Array, Array]) -> tuple[Sums, Answers | None]:
        inputs, targets, real = split(part)
        inputs = stored.decoded(inputs) if isinstance(stored, Pixels) else inputs
        sums, outputs = judged_part(network, network_state, inputs, targets, real, loss)
        if not further:
            return sums, None
        chances = class_probabilities(outputs, link=link(network, loss))
        predicted = predicted_labels(outputs, boundary=boundary(network, loss))
        own = jnp.take_along_axis(chances, targets[:, None], axis=1)[:, 0]
        return sums, Answers(predicted, own, chances if ranked else None)

    parts = (
        cut(stored.bytes if isinstance(stored, Pixels) else stored),
        cut(examples.targets),
        cut(jnp.ones(count, bool)),
    )
    if chunks == 1:
        total, answers = part_of(jax.tree.map(lambda part: part[0], parts))
    else:
        sums, answers = jax.lax.map(part_of, parts)
        total = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums)
        answers = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:count], answers)
    found = {"loss": total.loss / count}
    if labels:
        finite = jnp.isfinite(total.loss)
        accuracy = jnp.where(finite, total.correct.astype(total.loss.dtype) / count, jnp.nan)
        return found | {"accuracy": accuracy}, answers
    squared_errors = total.squared_error / count
    targets = examples.targets.reshape(count, -1).astype(total.loss.dtype)
    scale = examples.target_scale.astype(total.loss.dtype)
    return found | {"rmse": rmse(squared_errors, scale), "r2": r2(squared_errors, jnp.var(targets, axis=0))}, None


def judged_part(
    network: Network, network_state: PyTree, inputs: Array, targets: Array, real: Array, loss: Loss
) -> tuple[Sums, Array]:
    """What is added up of some examples, those that are `real`, and the network's outputs for all of them."""
    tape, _ = record(network, inputs, network_state, training=False)
    function, z = final_preactivation(network, tape, loss)
    t = loss.encode(targets, z.shape[1], z.dtype)
    y = function.function(z)
    values = loss.values(z, targets) if function.name == loss.link else loss.value(y, t)
    labels = jnp.issubdtype(targets.dtype, jnp.integer)
    correct = predicted_labels(tape.output, boundary=boundary(network, loss)) == targets if labels else real
    sums = Sums(
        jnp.sum(jnp.where(real, values, 0)),
        jnp.sum(real & correct),
        jnp.sum(jnp.where(real[:, None], (y - t) ** 2, 0), axis=0),
    )
    return sums, tape.output


def boundary(network: Network, loss: Loss) -> float:
    """Where a single output changes class: 0 for logits, 0.5 for an output between the targets 0 and 1."""
    logits = not isinstance(network.last, Activation) and loss.link == "logistic"
    return 0.0 if logits else 0.5


def link(network: Network, loss: Loss) -> str | None:
    """The output activation that is still to be applied for probabilities; None where the network has it."""
    return None if isinstance(network.last, Activation) else loss.link
