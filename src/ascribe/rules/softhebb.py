"""SoftHebb: Hebbian learning with a soft competition between a layer's units.

Source: Journé, Rodriguez, Guo & Moraitis (2023), "Hebbian deep learning without feedback", arXiv:2209.11883;
Moraitis et al. (2022), arXiv:2107.05747; the authors' code, NeuromorphicComputing/SoftHebb.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.checks import flag
from ascribe.datasets import Dataset
from ascribe.networks import Network, record
from ascribe.types import Array, Float, Key, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .hebbian_learning import check_layers, hebbian_credit


class SoftHebb(AbstractRule[Network, None]):
    """Hidden layers learn without error, from their own input x and u = W x alone,

        Δw_ik = η y_k (x_i - u_k w_ik),        y = softmax(β u) over the layer's units

    and the last layer is a readout that learns by its own exact gradient. The winner of a soft competition moves towards x;
    of a convolution, the units compete at every place. The weights of a unit that wins come to length 1. The hidden layers'
    "gradient" is -Δw, so that any optimizer descends it; biases of hidden layers stay as they are, and u is without them.

    In the limit β → ∞ it is competitive learning, Δw = x - u w for the one unit with the largest u.

    **Arguments:** `anti_hebbian`: whether all units but the winner have -y_k in the place of y_k, as in the convolutional
    networks of 2023; without, as in the MLPs of 2022; `inverse_temperature`: β, positive (12 in the authors' MLPs, 0.25 to 1
    in their convolutional networks); `strength`: the size of a hidden layer's step beside the readout's, positive (Adam's
    steps have a size of their own, which it does not change)."""

    anti_hebbian: bool = eqx.field(static=True, default=False)
    inverse_temperature: Scalar = hyperparameter(12.0, "(0, inf)")
    strength: Scalar = hyperparameter(1.0, "(0, inf)")

    def __check_init__(self) -> None:
        flag("anti_hebbian", self.anti_hebbian)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where its hidden layers are dense or convolutional."""
        check_layers(network, "SoftHebb")
        return network

    def __call__(self, network: Network, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        return hebbian_credit(network, state, batch, self._plasticity, self.strength, key)

    def _plasticity(self, u: Float[Array, "views units"]) -> tuple[Array, Array]:
        y = jax.nn.softmax(self.inverse_temperature.astype(u.dtype) * u, axis=1)
        if self.anti_hebbian:
            y = jnp.where(jnp.arange(u.shape[1])[None] == jnp.argmax(u, axis=1)[:, None], y, -y)
        return y, jnp.diag(jnp.mean(y * u, axis=0))

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the first layer, at a β at which no other unit has any share."""
        if len(network.synaptic) == 1:
            return None
        name = network.synaptic[0]
        layer, x = network[name], record(network, batch.inputs, key=key)[0].inputs[network.index(name)]
        sharp = dataclasses.replace(self, inverse_temperature=1e9, strength=1.0)
        views = layer.design_matrix(x)
        # `weight_of` only moves numbers, so that its transpose is its inverse: W as the matrix that multiplies the views.
        weights = jax.vjp(layer.weight_of, jnp.zeros((layer.outputs, views.shape[1]), layer.weight.dtype))[1](layer.weight)[0]
        u = views @ weights.T
        won = jax.nn.one_hot(jnp.argmax(u, axis=1), layer.outputs, dtype=u.dtype)
        change = jnp.stack(
            [jnp.mean(won[:, k, None] * (views - u[:, k, None] * weights[k][None]), axis=0) for k in range(layer.outputs)]
        )
        ours = sharp(network, None, batch, key=key).gradients[name].weight
        condition = f"β → ∞ in {name}"
        return LimitingCase(condition, "competitive learning, Δw = x - u w of the winner", -ours, layer.weight_of(change))
