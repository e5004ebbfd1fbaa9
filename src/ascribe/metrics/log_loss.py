"""How improbable the true classes are to a network."""

import jax.numpy as jnp

from ascribe.types import Array, Float, Scalar


def log_loss(probabilities: Float[Array, " batch"]) -> Scalar:
    """-mean log p, p the probability of each example's own class, at least the rounding of its type and at most one less it.

    The cross entropy that a network was trained with, but for that limit, and but for the squared error, whose outputs become
    probabilities as in `class_probabilities`. As `sklearn.metrics.log_loss`.
    """
    rounding = jnp.finfo(probabilities.dtype).eps
    return -jnp.mean(jnp.log(jnp.clip(probabilities, rounding, 1 - rounding)))
