"""Node perturbation: noise at every unit, and the credit of what it did to the example's own loss.

Source: Flower & Jabri (1993), "Summed Weight Neuron Perturbation: An O(N) Improvement over Weight Perturbation"; Werfel, Xie &
Seung (2005), "Learning Curves for Stochastic Gradient Descent in Linear Feedforward Networks"; Hiratani, Mehta, Lillicrap &
Latham (2022), "On the Stability and Scalability of Node Perturbation Learning".
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import AbstractLayer, Network, Stack, Tape
from ascribe.types import Array, Key, PyTree

from .base import Batch
from .perturbations import AbstractStepPerturbation, Probe, losses_of


class NodePerturbation(AbstractStepPerturbation):
    """Every unit of every layer with weights, the output's too, gets noise σ ξ at its preactivation, ξ = ±1 for itself and for
    each example. With z̃ = W h̃ + b + σ ξ in the noisy pass, h from the pass without noise, and L_i the loss of example i:

        δ_i = (L_i(σ ξ_i) - L_i(0)) / σ · ξ_i,      ∂E/∂W ≈ mean over i of δ_i h_iᵀ

    or, antithetic, with (L_i(σ ξ_i) - L_i(-σ ξ_i)) / 2σ; the mean over `directions` of such noise. Other layers with parameters
    (a normalization's scale and shift) have noise at their outputs in the same way. One number for each example reaches all
    layers; nothing goes back.

    As σ → 0 the mean is the gradient, and the variance grows with the number of units, where that of `WeightPerturbation` grows
    with the number of weights: tr Cov = Σ_i ‖h_i‖² (n ‖δ_i‖² - ‖δ_i of the layer‖²) / (batch² · `directions`) for the W of a
    layer of n units, ‖δ_i‖² over all units of the network. The papers' noise is normal (`distribution="normal"`), which has a
    plus there: signs have less variance, and are drawn in a fraction of the time. With the noise an orthonormal basis it equals
    `Backpropagation`.

    Where a normalization by the batch couples the examples, an example's noise moves the losses of others too: there all
    examples are credited with the sum over the batch in place of their own, which keeps the mean and has more variance.

    **Arguments:** as in `WeightPerturbation`; `size`: σ.
    """

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where no weights are hidden inside a layer."""
        if network.composites:
            raise UserError(
                f"node perturbation has noise at the units of layers, and {network.composites[0]} has weights inside that its "
                f"output does not tell apart: use weight-perturbation or forward-gradient."
            )
        return network

    def probe(self, network: Network, batch: Batch, *, key: Key | None = None) -> Probe:
        losses, tape, network_state = losses_of(network, batch, key)
        coupled = bool(jax.tree.leaves(network.initial_state()))
        outputs = partial(_through_parts, tape)

        def along(noise: PyTree) -> PyTree:
            at = lambda by: losses_of(_noisy(network, jax.tree.map(lambda one: by * one, noise)), batch, key)[0]
            changes = self.slope(at, losses)
            changes = jnp.full_like(changes, jnp.sum(changes)) if coupled else changes
            return _credited(network, changes, noise)

        def gradients(errors: PyTree) -> Network:
            pull = jax.vjp(outputs, network)[1]
            return pull(jax.tree.map(lambda one: one / losses.shape[0], errors))[0]

        return Probe(jnp.mean(losses), network_state, jax.eval_shape(outputs, network), along, gradients)


class _Noisy(AbstractLayer):
    """A layer with something added to its output."""

    layer: Any
    noise: Array

    def __call__(
        self, x: Array, state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Array, PyTree]:
        y, state = self.layer(x, state, key=key, training=training)
        return y + self.noise, state

    def initial_state(self) -> PyTree:
        return self.layer.initial_state()

    def config(self) -> dict[str, Any]:
        return {"layer": self.layer, "noise": self.noise}


def _noisy(network: Network, noise: tuple[Any, ...]) -> Network:
    """The network with noise at the outputs of its layers, `(batch, …)` each, with an axis of blocks in front where they are a
    stack's; None is no noise."""
    with_noise = lambda layer, own: layer if own is None else _Noisy(layer, own)
    parts = []
    for part, own in zip(network.parts, noise, strict=True):
        if isinstance(part, Stack):
            parts.append(Stack(tuple(map(with_noise, part.layers, own)), part.count))
        else:
            parts.append(with_noise(part, own))
    return eqx.tree_at(lambda n: n.parts, network, tuple(parts))


def _through_parts(tape: Tape, network: Network) -> tuple[Any, ...]:
    """What every layer with parameters makes of its inputs on the tape, in the form of `_noisy`'s noise: a function of the
    network in which its layers do not meet."""
    outputs = []
    for part, inputs, first in zip(network.parts, tape.parts, network.starts, strict=True):
        replayed = {"state": tape.state[first], "key": tape.keys[first], "training": tape.training}
        through = lambda layer, x, replayed=replayed: layer(x, **replayed)[0] if jax.tree.leaves(layer) else None
        if isinstance(part, Stack):
            outputs.append(tuple(map(jax.vmap(through), part.layers, inputs)))
        else:
            outputs.append(through(part, inputs))
    return tuple(outputs)


def _credited(network: Network, changes: Array, noise: tuple[Any, ...]) -> tuple[Any, ...]:
    """The noise, times each example's number."""

    def times(leaf: Array, in_front: int) -> Array:
        shape = (1,) * in_front + (-1,) + (1,) * (leaf.ndim - in_front - 1)
        return changes.reshape(shape) * leaf

    pairs = zip(network.parts, noise, strict=True)
    return tuple(jax.tree.map(partial(times, in_front=int(isinstance(part, Stack))), own) for part, own in pairs)
