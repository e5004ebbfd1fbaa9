"""PEPITA: a second forward pass, with the error at the input, in the place of a backward pass.

Source: Dellaferrera & Kreiman (2022), "Error-driven input modulation: solving the credit assignment problem without a backward
pass", arXiv:2201.11665, algorithm 1; its authors' code, GiorgiaD/PEPITA, for convolutions and for the size of F.
"""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Activation, Dropout, Network, Tape, record
from ascribe.types import Array, Float, Key, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .terms import Terms, backward_sweep, output_error


class Pepita(AbstractRule[Network, Array]):
    """Present the Error to Perturb the Input To modulate Activity: two forward passes, and what changes between them.

    With e = y - t at the output and a fixed random F, the second pass begins at h_0^err = x + F e, and

        ΔW_l ∝ (h_l - h_l^err) (h_{l-1}^err)ᵀ    below the last layer,        ΔW_L ∝ e (h_{L-1}^err)ᵀ

    are descended (as ∂E/∂W is): no error passes through a weight, and no derivative is taken. h_l is what the activation after
    layer l gives, after dropout where that follows, which silences the same units in both passes. A bias gets the same credit
    with 1 in the place of h_{l-1}^err; a kernel the mean over the places where it lies, as in the authors' code; parameters of
    other layers (normalization) stay as they are.

    In the limit F → 0 the first layer's ΔW over the size of F is that of feedback alignment, δ^1 = (B e) ⊙ σ'(z^1) with
    B = -W_1 F; with one hidden layer and -W_1 F = W_2ᵀ it is `Backpropagation`'s.

    **Arguments:** `scale`: F is drawn once, uniform between ±`scale`·√(6/inputs); positive. The hidden layers' ΔW grows with
    it, and the last one's does not.
    """

    scale: Scalar = hyperparameter(0.05, "(0, inf)")

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where it is dense and convolutional layers in a row."""
        if network.composites:
            raise UserError(
                f"PEPITA compares activations of dense and convolutional layers in a row, and {network.composites[0]} is no "
                f"such layer: give it an MLP or a convolutional network, or leave the rule out."
            )
        return network

    def init(self, network: Network, data: Batch, *, key: Key) -> Float[Array, "outputs ..."]:
        """F, transposed: what each output's error adds to the input."""
        shape = data.inputs.shape[1:]
        width = self.scale.astype(network.dtype) * jnp.sqrt(jnp.asarray(6 / math.prod(shape), network.dtype))
        return width * jr.uniform(key, (network.outputs, *shape), network.dtype, -1, 1)

    def __call__(self, network: Network, state: Array, batch: Batch, *, key: Key | None = None) -> Credit:
        first, network_state = record(network, batch.inputs, batch.network_state, key=key)
        loss, delta = output_error(network, first, batch, Terms())
        count = batch.inputs.shape[0]
        moved = batch.inputs.astype(network.dtype) + count * jnp.tensordot(delta, state, 1)
        second, _ = record(network, moved, batch.network_state, key=key)
        gradients: list[Any] = [jax.tree.map(jnp.zeros_like, layer) for layer in network.layers]
        for name in network.synaptic:
            i = network.index(name)
            layer, below = network[name], second.inputs[i]
            if name == network.synaptic[-1]:
                change = delta
            else:
                j = _signal(network, i, first)
                places = math.prod(first.outputs(j).shape[1:-1])
                change = (first.outputs(j) - second.outputs(j)) / (count * places)
            gradients[i] = jax.vjp(lambda layer, below=below: layer(below, training=True)[0], layer)[1](change)[0]
        return Credit(loss, network.with_layers(gradients), state, network_state)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the first layer, in the limit F → 0: the derivative by the size of F."""
        if len(network.synaptic) == 1 or not all(network[name].dense for name in network.synaptic[:2]):
            return None
        state, lowest = self.init(network, batch, key=key), network.synaptic[0]
        at = lambda size: self(network, size * state, batch, key=key).gradients[lowest]
        ours = jax.jvp(at, (jnp.zeros((), network.dtype),), (jnp.ones((), network.dtype),))[1]
        modulation = state.reshape(network.outputs, -1) @ network[lowest].weight.T
        aligned = backward_sweep(network, None, batch, Terms(direct={network.synaptic[1]: -modulation}), key=key)
        condition = f"F → 0, with ΔW of {lowest} over the size of F"
        return LimitingCase(condition, "feedback alignment with B = -W₁F there", ours, aligned.gradients[lowest])


def _signal(network: Network, i: int, tape: Tape) -> int:
    """The number of the layer whose output is h_l of the synaptic layer at position i: the activation after it and dropout
    after that, as far as the shape stays; the layer itself where none follows."""
    layers = network.templates
    above = itertools.takewhile(lambda j: not layers[j].synaptic, range(i + 1, len(layers)))
    same = itertools.takewhile(lambda j: tape.outputs(j).shape == tape.outputs(i).shape, above)
    return max((j for j in same if isinstance(layers[j], Activation | Dropout)), default=i)
