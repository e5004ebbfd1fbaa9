"""The network of the universal approximation theorem, as layers."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ascribe.autodiff import SIGMOIDS
from ascribe.errors import UserError

from .activation import Activation
from .linear import Linear
from .network import Network


def approximator(approximation: Any) -> Network:
    """G(x) = Σ_j α_j σ(w_j · x + θ_j) of an `Approximation` or `CubeApproximation` of `ascribe.autodiff`, N hidden units.

    **Returns:** the layers `linear1` (weight w `(N, inputs)`, bias θ), the activation of that σ, and `linear2`, which take
    `(batch, inputs)` to `(batch, 1)`, in JAX's default precision. For the logistic σ `linear2` has the weight α `(1, N)` and no
    bias; (1 + tanh z) / 2 and 1/2 + arctan(z) / π leave their factor in the weight and their constant, ½ Σ_j α_j, in a bias.
    The error bound holds in float64 (`jax.enable_x64`); in float32 the steps are moved by about 1e-6 |x|.

    **Raises:** `UserError` for anything else than an approximation, and for a σ of the user's own.

    Source: "Neural networks" (course notes), section 2.2.
    """
    try:
        w, theta, alpha = approximation.hidden_weights, approximation.hidden_biases, approximation.output_weights
        sigmoid = approximation.sigmoid
    except AttributeError as error:
        raise UserError(
            f"approximator() takes what ascribe.autodiff.approximate(f, interval, epsilon) returns; got {approximation!r}."
        ) from error
    if SIGMOIDS.get(sigmoid.name) is not sigmoid:
        raise UserError(
            f"approximator() makes layers of the sigmoids {', '.join(SIGMOIDS)}; this approximation has {sigmoid.name!r}."
        )
    scale, bias = {"logistic": (1.0, False), "tanh": (0.5, True), "arctan": (1.0 / math.pi, True)}[sigmoid.name]
    n, w = len(w), w.reshape(len(w), -1)
    first, last = Linear(w.shape[1], n, initializer="zeros"), Linear(n, 1, bias=bias, initializer="zeros")
    dtype = first.weight.dtype
    arrays = [w, theta, scale * alpha[None, :], *([0.5 * alpha.sum(keepdims=True)] if bias else [])]
    first, last = eqx.tree_at(
        lambda layers: [layers[0].weight, layers[0].bias, layers[1].weight, *([layers[1].bias] if bias else [])],
        (first, last),
        [jnp.asarray(array, dtype) for array in arrays],
    )
    return Network([first, Activation(sigmoid.name), last])
