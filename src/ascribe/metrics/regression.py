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
    """1 - mean squared error / variance of the targets, averaged over outputs; of an output whose targets are all one number
    1 where there is no error, else 0 (as `sklearn.metrics.r2_score`)."""
    varies = variances > 0
    wrong = (squared_errors != 0).astype(squared_errors.dtype)
    return jnp.mean(1 - jnp.where(varies, squared_errors / jnp.where(varies, variances, 1), wrong))
