"""The network of the universal approximation theorem, as layers."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ascribe.errors import UserError

from .activation import Activation
from .linear import Linear
from .network import Network


def approximator(approximation: Any) -> Network:
    """G(x) = Σ_j α_j σ(w_j x + θ_j) of an `ascribe.autodiff.approximation.Approximation`, N hidden units of one input.

    **Returns:** the layers `linear1` (weight w `(N, 1)`, bias θ), `logistic1` and `linear2` (weight α `(1, N)`, no bias), which
    take `(batch, 1)` to `(batch, 1)`, in JAX's default precision. The error bound holds in float64 (`jax.enable_x64`); in
    float32 the steps are moved by about 1e-6 |x|.

    **Raises:** `UserError` for anything else than an approximation.

    Source: "Neural networks" (course notes), section 2.2.
    """
    try:
        w, theta, alpha = approximation.hidden_weights, approximation.hidden_biases, approximation.output_weights
    except AttributeError as error:
        raise UserError(
            f"approximator() takes what ascribe.autodiff.approximate(f, interval, epsilon) returns; got {approximation!r}."
        ) from error
    n = len(w)
    first, last = Linear(1, n, initializer="zeros"), Linear(n, 1, bias=False, initializer="zeros")
    dtype = first.weight.dtype
    arrays = (jnp.asarray(w[:, None], dtype), jnp.asarray(theta, dtype), jnp.asarray(alpha[None, :], dtype))
    first, last = eqx.tree_at(
        lambda layers: (layers[0].weight, layers[0].bias, layers[1].weight), (first, last), arrays
    )
    return Network([first, Activation("logistic"), last])
