"""Activation functions beside their derivatives: one row a function, both taken at the preactivation z.

A row is what the rules read: replacing `derivative` by another function is a b-function ("Function changes in the
Backpropagation equation is equivalent to an implicit learning rate", section 2). The functions and their plots are in
"Neural networks" (course notes), section 1.5.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.stats

from ascribe.checks import unknown
from ascribe.errors import UserError
from ascribe.types import Array, Elementwise

from .lif_rate import lif_rate, lif_rate_derivative

LEAK = 0.01
"""Slope of the leaky ReLU below zero."""

CEILING = 10.0
"""Where the clipped ReLU stops."""


class ActivationFunction(NamedTuple):
    """`function` f(z) and `derivative` f'(z); `elementwise` is False where f couples the units of a layer."""

    name: str
    function: Elementwise
    derivative: Elementwise
    elementwise: bool = True


def logistic(z: Array) -> Array:
    """1 / (1 + exp(-z))."""
    return jax.nn.sigmoid(z)


def logistic_derivative(z: Array) -> Array:
    """f(z)·(1 - f(z))."""
    y = jax.nn.sigmoid(z)
    return y * (1 - y)


def arctan_derivative(z: Array) -> Array:
    """1 / (1 + z²)."""
    return 1 / (1 + z * z)


def tanh_derivative(z: Array) -> Array:
    """1 - tanh(z)²."""
    y = jnp.tanh(z)
    return 1 - y * y


def threshold(z: Array) -> Array:
    """1 where z >= 0, else 0: the threshold logic unit ("Solving Deeper Multilayer Perceptrons", equation 2)."""
    return (z >= 0).astype(z.dtype)


def sign(z: Array) -> Array:
    """1 where z >= 0, else -1: the threshold with the responses ±1, 2 `threshold`(z) - 1 ("Solving Deeper Multilayer
    Perceptrons", the perceptron's σ). sgn(0) = +1, unlike `jnp.sign`."""
    return jnp.where(z >= 0, jnp.ones_like(z), -jnp.ones_like(z))


def relu_derivative(z: Array) -> Array:
    """1 where z > 0, else 0; 0 at z = 0, as in `jax.nn.relu`."""
    return (z > 0).astype(z.dtype)


def clipped_relu(z: Array) -> Array:
    """min(max(z, 0), 10) ("Binary Classifier Forward-Pass Optimization", equations 11 and 12)."""
    return jnp.minimum(jax.nn.relu(z), CEILING)


def clipped_relu_derivative(z: Array) -> Array:
    """1 where 0 < z < 10, else 0."""
    return ((z > 0) & (z < CEILING)).astype(z.dtype)


def leaky_relu(z: Array, slope: float = LEAK) -> Array:
    """z where z >= 0, else slope·z: ReLU where the slope is 0, the identity where it is 1."""
    return jnp.where(z >= 0, z, slope * z)


def leaky_relu_derivative(z: Array, slope: float = LEAK) -> Array:
    """1 where z >= 0, else the slope."""
    return jnp.where(z >= 0, jnp.ones_like(z), slope * jnp.ones_like(z))


def gelu(z: Array) -> Array:
    """z Φ(z), with the distribution function Φ of the standard normal law (Hendrycks & Gimpel 2016), exactly."""
    return jax.nn.gelu(z, approximate=False)


def gelu_derivative(z: Array) -> Array:
    """Φ(z) + z φ(z), with the density φ."""
    return jax.scipy.stats.norm.cdf(z) + z * jax.scipy.stats.norm.pdf(z)


def softmax(z: Array) -> Array:
    """exp(z_k) / Σ_j exp(z_j) over the last axis."""
    return jax.nn.softmax(z, axis=-1)


def one_hot(z: Array) -> Array:
    """1 at the largest entry of the last axis, 0 elsewhere."""
    return jax.nn.one_hot(jnp.argmax(z, axis=-1), z.shape[-1], dtype=z.dtype)


def _softmax_diagonal(z: Array) -> Array:
    """∂y_k/∂z_k = y_k(1 - y_k): the diagonal only. The exact backward step of softmax is its vjp."""
    y = softmax(z)
    return y * (1 - y)


ACTIVATIONS: dict[str, ActivationFunction] = {
    row.name: row
    for row in (
        ActivationFunction("identity", lambda z: z, jnp.ones_like),
        ActivationFunction("logistic", logistic, logistic_derivative),
        ActivationFunction("arctan", jnp.arctan, arctan_derivative),
        ActivationFunction("tanh", jnp.tanh, tanh_derivative),
        ActivationFunction("threshold", threshold, jnp.zeros_like),
        ActivationFunction("sign", sign, jnp.zeros_like),
        ActivationFunction("relu", jax.nn.relu, relu_derivative),
        ActivationFunction("clipped-relu", clipped_relu, clipped_relu_derivative),
        ActivationFunction("leaky-relu", leaky_relu, leaky_relu_derivative),
        ActivationFunction("softplus", jax.nn.softplus, logistic),
        ActivationFunction("gelu", gelu, gelu_derivative),
        ActivationFunction("lif-rate", lif_rate, lif_rate_derivative),
        ActivationFunction("softmax", softmax, _softmax_diagonal, elementwise=False),
        ActivationFunction("one-hot", one_hot, jnp.zeros_like, elementwise=False),
    )
}
"""Every activation beside its derivative, by its name."""


OTHER_WORDS = {
    **{"sigmoid": "logistic", "linear": "identity", "heaviside": "threshold", "step": "threshold", "atan": "arctan"},
    **{"leaky-relu": "leaky-relu", "leakyrelu": "leaky-relu"},
}
"""What other libraries call these functions."""


def get(name: str) -> ActivationFunction:
    """The row of the table, or `leaky-relu:slope=0.2`: the leaky ReLU with another slope below zero, from 0 to 1.

    **Raises:** `UserError` that names the known ones.
    """
    if isinstance(name, str):
        if name in ACTIVATIONS:
            return ACTIVATIONS[name]
        base, _, option = name.partition(":")
        if base == "leaky-relu" and option:
            return _leaky(option)
    other = OTHER_WORDS.get(name.lower().replace("_", "-")) if isinstance(name, str) else None
    meant = "" if other is None else f"it is called {other} here; "
    raise unknown(
        "activation",
        name,
        () if other else ACTIVATIONS,
        f"{meant}choose one of {', '.join(ACTIVATIONS)}, or leaky-relu:slope=0.2",
    )


@functools.cache
def _leaky(option: str) -> ActivationFunction:
    """The leaky ReLU of `slope=NUMBER`; its name is the same for every way to write the number."""
    key, _, text = option.partition("=")
    try:
        slope = float(text) if key == "slope" else None
    except ValueError:
        slope = None
    if slope is None or not 0 <= slope <= 1:
        raise UserError(f"leaky-relu takes a slope from 0 to 1, as in leaky-relu:slope=0.2; got leaky-relu:{option}.")
    return ActivationFunction(
        f"leaky-relu:slope={slope!r}",
        functools.partial(leaky_relu, slope=slope),
        functools.partial(leaky_relu_derivative, slope=slope),
    )
