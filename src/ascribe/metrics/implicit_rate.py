"""The learning rate that hides in a replaced term of the backpropagation equations.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", equations 3-5.
"""

import jax.numpy as jnp

from ascribe.types import Array

LOOKED_AT = 4096
"""Numbers of which quantiles are taken at most, evenly spaced: sorting an image layer's millions would cost a step."""

LEVELS = {"low": 0.1, "median": 0.5, "high": 0.9}


def implicit_rate(replaced: Array, exact: Array) -> Array:
    """β/α = g(z)/σ'(z) (equations 3 and 4), number by number; NaN where the exact term is 0 and no rate can stand for the
    replacement. The same for the error that comes down: Bδ/(Wᵀδ) (equation 5)."""
    return jnp.where(exact != 0, replaced / jnp.where(exact != 0, exact, jnp.ones_like(exact)), jnp.nan)


def rate_quantiles(replaced: Array, exact: Array) -> dict[str, Array]:
    """`low`, `median` and `high`: the 10 %, 50 % and 90 % quantiles of `implicit_rate`, over all examples and units; NaN where
    the exact term is 0 everywhere. 1 where nothing was replaced."""
    rates = implicit_rate(_some(replaced), _some(exact))
    found = jnp.nanquantile(rates, jnp.asarray(list(LEVELS.values()), rates.dtype))
    return {name: found[i] for i, name in enumerate(LEVELS)}


def zero_slope_share(replaced: Array, exact: Array) -> Array:
    """The share of units, over all examples, where the exact term is 0 and the replacement is not: there a zero gradient
    becomes a credit of the replacement's own making, which no learning rate can stand for (text after equation 4)."""
    return jnp.mean(((exact == 0) & (replaced != 0)).astype(exact.dtype))


def _some(values: Array) -> Array:
    flat = jnp.ravel(values)
    return flat[:: max(1, -(-flat.size // LOOKED_AT))]
