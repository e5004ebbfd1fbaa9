"""Backpropagation with noise added to the gradient: the control for b-functions, whose substitution acts as noise on the
layers below.

Source: Neelakantan et al. (2015), arXiv:1511.06807, section 3; "Function changes in the Backpropagation equation is
equivalent to an implicit learning rate", text after equation 4.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.errors import UserError
from ascribe.networks import Network
from ascribe.types import Array, Key, PyTree, Scalar

from .b_function import BFunction
from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .terms import backward_sweep


class GradientNoise(AbstractRule[Network, Array]):
    """g_t ← g_t + N(0, σ_t²), independently for every number, with σ_t² = η/(1 + t)^γ at step t. With η = 0 it is
    `Backpropagation`.

    **Arguments:** `eta`: η, the variance of the first step; `gamma`: γ, how fast it fades.
    """

    eta: Scalar = hyperparameter(0.01, "[0, inf)")
    gamma: Scalar = hyperparameter(0.55, "[0, inf)")

    def init(self, network: Network, data: Batch, *, key: Key) -> Array:
        """The number of steps."""
        return jnp.asarray(0, jnp.int32)

    def __call__(self, network: Network, state: Array, batch: Batch, *, key: Key | None = None) -> Credit:
        key = jr.key(0) if key is None else key
        credit = backward_sweep(network, state, batch, key=key)  # the pass's randomness is that of every other rule
        deviation = jnp.sqrt(self.eta / (1 + state.astype(self.eta.dtype)) ** self.gamma)
        sizes = jax.tree.map(lambda leaf: deviation.astype(leaf.dtype), credit.gradients)
        return Credit(credit.loss, _noisy(credit.gradients, sizes, key), state + 1, credit.network_state)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        silent = dataclasses.replace(self, eta=0.0)
        ours = silent(network, silent.init(network, batch, key=key), batch, key=key).gradients
        return LimitingCase("η = 0", "backpropagation", ours, exact(network, batch, key=key))


class MatchedNoise(AbstractRule[Network, dict[str, Array]]):
    """Backpropagation with noise of the size of what a b-function rule does to the gradient in this very batch: for every
    weight and bias array σ is `scale` times the root of the mean square of that. So it has the substitution's size, layer by
    layer and step by step, and nothing of its direction; layers that the substitution leaves alone get none.

    **Arguments:** `of`: the `BFunction` that is matched; by default softplus's derivative in every hidden layer; `scale`: a
    factor; with 0 it is `Backpropagation`.
    """

    of: BFunction
    scale: Scalar = hyperparameter(1.0, "[0, inf)")

    def __init__(self, of: Any = None, *, scale: Any = 1.0):
        if of is not None and not isinstance(of, BFunction):
            raise UserError(f"`of` is the BFunction rule whose size the noise has; got {type(of).__name__}.")
        self.of, self.scale = BFunction("softplus") if of is None else of, scale

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Array]:
        """The state of the rule that is matched."""
        return self.of.init(network, data, key=key)

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        key = jr.key(0) if key is None else key
        credit = backward_sweep(network, state, batch, key=key)
        changed = self.of(network, state, batch, key=key).gradients
        sizes = jax.tree.map(
            lambda a, b: self.scale.astype(a.dtype) * jnp.sqrt(jnp.mean((a - b) ** 2)), changed, credit.gradients
        )
        return Credit(credit.loss, _noisy(credit.gradients, sizes, key), state, credit.network_state)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        silent = MatchedNoise(self.of, scale=0.0)
        ours = silent(network, silent.init(network, batch, key=key), batch, key=key).gradients
        return LimitingCase("scale = 0", "backpropagation", ours, exact(network, batch, key=key))


def _noisy(gradients: PyTree, sizes: PyTree, key: Key) -> PyTree:
    """The gradients with normal noise of these standard deviations, one an array."""
    leaves, structure = jax.tree.flatten(gradients)
    keys = jr.split(jr.fold_in(key, 1), len(leaves))
    return structure.unflatten(
        [
            leaf + size * jr.normal(k, leaf.shape, leaf.dtype)
            for leaf, size, k in zip(leaves, jax.tree.leaves(sizes), keys, strict=True)
        ]
    )
