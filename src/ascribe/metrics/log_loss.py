"""How improbable the true classes are to a network.

Arrays are JAX's, inside a compiled program, or NumPy's, where nothing is to be compiled for one look at a test split.
"""

import jax.numpy as jnp
import numpy as np

from ascribe.types import AnyArray, AnyScalar, Float


def log_loss(probabilities: Float[AnyArray, " batch"]) -> AnyScalar:
    """-mean log p, p the probability of each example's own class, at least the rounding of its type and at most one less it.

    The cross entropy that a network was trained with, but for that limit, and but for the squared error, whose outputs become
    probabilities as in `class_probabilities`. As `sklearn.metrics.log_loss`.
    """
    rounding = jnp.finfo(probabilities.dtype).eps
    logarithm = np.log if isinstance(probabilities, np.ndarray) else jnp.log
    return -logarithm(probabilities.clip(rounding, 1 - rounding)).mean()


OF_EACH = {"log_loss": log_loss}
"""What is computed of the probability of every example's own class, by its name in `ascribe.measures`."""
