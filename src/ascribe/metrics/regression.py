"""How far numbers are off: root mean squared error and the coefficient of determination."""

import jax.numpy as jnp

from ascribe.types import Array, Float, Scalar


def rmse(squared_errors: Float[Array, " outputs"], scale: Float[Array, " outputs"]) -> Scalar:
    """√(mean over outputs of scale² · mean squared error): the error in the target's original unit.

    **Arguments:** `squared_errors`: the mean squared error of each output in standardized units; `scale`: what one
    standardized unit is in the original one.
    """
    return jnp.sqrt(jnp.mean(squared_errors * scale**2))


def r2(squared_errors: Float[Array, " outputs"], variances: Float[Array, " outputs"]) -> Scalar:
    """1 - mean squared error / variance of the targets, averaged over outputs (as `sklearn.metrics.r2_score`)."""
    return jnp.mean(1 - squared_errors / variances)
