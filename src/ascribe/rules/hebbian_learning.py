"""What Hebbian rules have in common: hidden layers learn from their own input and output, without error, and a readout on top
by its own error.

Of one unit with the input x and what it answers to it without its bias, u = w·x, all of these rules are Δw = y (x - Σ_j m_j
w_j): a Hebbian part y x, and a part that keeps the weights from growing, made of the layer's own weights.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.errors import UserError
from ascribe.networks import Conv2d, Network, record
from ascribe.types import Array, Float, Key, PyTree

from .base import Batch, Credit
from .terms import Terms, output_error

Plasticity = Callable[[Float[Array, "views units"]], tuple[Array, Array]]
"""What a rule makes of u, one row for every example (and place of a convolution): y, `(views, units)`, and M, `(units, units)`:
ΔW = yᵀ x / views - M W."""


def check_layers(network: Network, rule: str) -> None:
    """**Raises:** `UserError` for a network that is not dense and convolutional layers in a row below its readout."""
    plain = lambda layer: layer.dense or isinstance(layer, Conv2d)
    hidden = () if network.composites else network.synaptic[:-1]
    wrong = [*network.composites, *(name for name in hidden if not plain(network.templates[network.index(name)]))]
    if wrong:
        raise UserError(
            f"{rule} is defined for dense and convolutional layers in a row, and {wrong[0]} is no such layer: give it an MLP "
            f"or a convolutional network, or leave the rule out."
        )


def hebbian_credit(
    network: Network, state: PyTree, batch: Batch, plasticity: Plasticity, strength: Array, key: Key | None
) -> Credit:
    """-ΔW times `strength` for the weights of every hidden layer, as a gradient that any optimizer descends; the readout's own
    gradient for the last layer. Biases and parameters of other layers stay as they are."""
    tape, network_state = record(network, batch.inputs, batch.network_state, key=key)
    loss, delta = output_error(network, tape, batch, Terms())
    gradients: list[Any] = [jax.tree.map(jnp.zeros_like, layer) for layer in network.layers]
    *hidden, last = network.synaptic
    for name in hidden:
        i = network.index(name)
        change = weight_change(network[name], tape.inputs[i], tape.outputs(i), plasticity)
        scaled = -strength.astype(change.dtype) * change
        gradients[i] = eqx.tree_at(lambda layer: layer.weight, gradients[i], scaled)
    i = network.index(last)
    gradients[i] = jax.vjp(lambda layer: layer(tape.inputs[i], training=True)[0], network[last])[1](delta)[0]
    return Credit(loss, network.with_layers(gradients), state, network_state)


def weight_change(layer: Any, x: Array, z: Array, plasticity: Plasticity) -> Array:
    """ΔW of one layer, whose input is x and whose preactivation is z: the mean over examples, and over the places of a
    kernel."""
    u = z if layer.bias is None else z - layer.bias[(None,) * (z.ndim - 1)]
    views = math.prod(z.shape[:-1])
    y, kept = plasticity(u.reshape(views, -1))
    weight = layer.weight
    product = lambda weight: eqx.tree_at(lambda layer: layer.weight, layer, weight)(x, training=True)[0]
    grown = jax.vjp(product, weight)[1](y.reshape(z.shape) / views)[0]
    decayed = kept @ weight if layer.dense else jnp.tensordot(weight, kept, (-1, 1))
    return grown - decayed
