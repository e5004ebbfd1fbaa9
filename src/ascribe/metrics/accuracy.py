"""The share of examples whose class is right."""

import jax
import jax.numpy as jnp

from ascribe.types import Array, Float, Int


def predicted_labels(outputs: Float[Array, "batch outputs"], *, boundary: float = 0.0) -> Int[Array, " batch"]:
    """The largest output's index; for a single output, whether it lies above `boundary` (0 for logits)."""
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] > boundary).astype(jnp.int32)
    return jnp.argmax(outputs, axis=-1).astype(jnp.int32)


def class_probabilities(outputs: Float[Array, "batch outputs"], *, link: str | None) -> Float[Array, "batch classes"]:
    """A distribution over classes from a network's outputs.

    **Arguments:** `link`: the output activation still to be applied, `"logistic"`, `"softmax"` or None where the outputs
    are activations already. A single output p becomes the pair (1 - p, p). Outputs that are no distribution (those of a
    network trained by the squared error) are clipped to [0, 1] and normalized.
    """
    if link == "softmax":
        return jax.nn.softmax(outputs, axis=-1)
    p = jax.nn.sigmoid(outputs) if link == "logistic" else jnp.clip(outputs, 0, 1)
    if outputs.shape[-1] == 1:
        return jnp.concatenate([1 - p, p], axis=-1)
    total = jnp.sum(p, axis=-1, keepdims=True)
    return jnp.where(total > 0, p / jnp.where(total > 0, total, 1), 1 / p.shape[-1])
