"""A random direction in the place of every gradient: the control for what steps of that size do without any credit."""

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.networks import Network
from ascribe.rules import AbstractRule, Batch, Credit, backward_sweep
from ascribe.types import Array, Key, PyTree


class RandomDirection(AbstractRule[Network, PyTree]):
    """g ← ‖g‖ u/‖u‖ with u ~ N(0, 1), drawn anew for every weight and bias array of every layer in every step:
    backpropagation's norms, and nothing of its directions, so that the angle between them is 90° on average. Where a gradient
    is 0 it stays 0."""

    def __call__(self, network: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        key = jr.key(0) if key is None else key
        credit = backward_sweep(network, state, batch, key=key)  # the pass's randomness is that of every other rule
        layers, structure = jax.tree.flatten(credit.gradients.layers)  # the blocks of a stack apart
        keys = jr.split(jr.fold_in(key, 1), len(layers))
        turned = [_turned(leaf, one) for leaf, one in zip(layers, keys, strict=True)]
        gradients = credit.gradients.with_layers(structure.unflatten(turned))
        return Credit(credit.loss, gradients, credit.state, credit.network_state)


def _turned(gradient: Array, key: Key) -> Array:
    """A random array of the gradient's norm."""
    direction = jr.normal(key, gradient.shape, gradient.dtype)
    return direction * (jnp.linalg.norm(gradient.ravel()) / jnp.linalg.norm(direction.ravel()))
