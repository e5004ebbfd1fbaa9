"""Threshold logic units: networks that compute Boolean functions with weights set by hand, not trained.

Source: McCulloch & Pitts (1943), doi:10.1007/BF02478259; "Solving Deeper Multilayer Perceptrons (MLPs)" (lecture), the
slides on the threshold logic unit, equation 2.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ascribe.checks import explained
from ascribe.errors import UserError

from .activation import Activation
from .linear import Linear
from .network import Network


@explained
def threshold_unit(weights: Any, bias: Any, *, signed: bool = False) -> Network:
    """f(x) = 1 where Σ_i w_i x_i + b >= 0, else 0: a perceptron, and with equal weights and Boolean inputs a threshold
    logic unit (equation 2).

    **Arguments:** `weights`: one number an input, `(inputs,)`; `bias`: b; `signed`: the other version of the perceptron,
    f(x) = σ(w·x + b) with the responses -1 and +1.

    **Returns:** a network of two layers, `linear1` and `threshold1` (`sign1` where it is signed); on `(batch, inputs)`
    floating-point numbers it gives `(batch, 1)` zeros and ones, or -1 and +1.

    **Raises:** `UserError` where the weights are no list of finite numbers or the bias is no finite number.

    >>> inputs = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> threshold_unit([1, 1], -1.5)(inputs).ravel().tolist()
    [0.0, 0.0, 1.0]
    """
    return Network(_layer([weights], [bias], "sign" if signed else "threshold"))


def or_unit() -> Network:
    """or(u, v) = 1 where u + v - 0.5 >= 0: w = 1, b = -0.5."""
    return threshold_unit([1, 1], -0.5)


def and_unit() -> Network:
    """and(u, v) = 1 where u + v - 1.5 >= 0: w = 1, b = -1.5."""
    return threshold_unit([1, 1], -1.5)


def not_unit() -> Network:
    """not(u) = 1 where -u + 0.5 >= 0: w = -1, b = 0.5."""
    return threshold_unit([-1], 0.5)


def xor_network() -> Network:
    """xor(u, v) = and(or(u, v), not and(u, v)): two units below, or and its partner with all signs turned, and one above.

    One unit cannot do it. Its two inputs with the answer 1 ask for w₁ + b >= 0 and w₂ + b >= 0, together
    w₁ + w₂ + 2b >= 0; the two with the answer 0 ask for b < 0 and w₁ + w₂ + b < 0, together w₁ + w₂ + 2b < 0.
    """
    return Network([*_layer([[1, 1], [-1, -1]], [-0.5, 1.5]), *_layer([[1, 1]], [-1.5])])


def _layer(weights: list, biases: list, response: str = "threshold") -> tuple[Linear, Activation]:
    """Units side by side; one row of weights a unit."""
    try:
        w, b = np.asarray(weights, float), np.asarray(biases, float)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a threshold unit takes a list of numbers and a bias, as in threshold_unit([1, 1], -0.5); "
            f"got {weights[0]!r} and {biases[0]!r}."
        ) from error
    if w.ndim != 2 or w.shape[1] == 0 or b.ndim != 1 or not (np.isfinite(w).all() and np.isfinite(b).all()):
        raise UserError(
            f"a threshold unit takes one finite number an input and one finite bias, as in threshold_unit([1, 1], -0.5); "
            f"got {weights[0]!r} and {biases[0]!r}."
        )
    linear = Linear(w.shape[1], w.shape[0], initializer="zeros")
    arrays = (jnp.asarray(w, linear.weight.dtype), jnp.asarray(b, linear.weight.dtype))
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), linear, arrays), Activation(response)
