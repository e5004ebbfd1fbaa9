"""The order in which a run meets its examples."""

import jax.numpy as jnp
import jax.random as jr

from ascribe.types import Array, Int, Key


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Full batches in one pass; a remainder sits out, another one in every epoch."""
    return max(examples // batch_size, 1)


def epoch_indices(key: Key, examples: int, batch_size: int) -> Int[Array, "steps batch"]:
    """A fresh permutation of the training examples, cut into batches. A full batch keeps the data's order."""
    batch_size = min(batch_size, examples)
    steps = steps_per_epoch(examples, batch_size)
    order = jnp.arange(examples) if batch_size == examples else jr.permutation(key, examples)
    return order[: steps * batch_size].reshape(steps, batch_size)


def one_batch(key: Key, examples: int, batch_size: int) -> Int[Array, " batch"]:
    """The examples of one batch, drawn for itself. A full batch keeps the data's order."""
    return epoch_indices(key, examples, batch_size)[0]
