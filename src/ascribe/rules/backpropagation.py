"""Backpropagation: every term exact.

Source: Rumelhart, Hinton & Williams (1986), doi:10.1038/323533a0; "Solving Deeper Multilayer Perceptrons", equations
16-21; "Neural networks" (course notes), section 3.2.
"""

import jax

from ascribe.networks import Network
from ascribe.types import Key, PyTree

from .base import AbstractRule, Batch, Credit, LimitingCase
from .finite_differences import loss_of
from .terms import backward_sweep


class Backpropagation(AbstractRule[Network, PyTree]):
    """δ^L = ∇_a C ⊙ σ'(z^L), δ^l = (W^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l), ∂C/∂W^l = δ^l (a^{l-1})ᵀ; equals `jax.grad`."""

    def __call__(self, network: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        return backward_sweep(network, state, batch, key=key)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        ours = self(network, None, batch, key=key).gradients
        theirs = jax.grad(lambda network: loss_of(network, batch, key)[0])(network)
        return LimitingCase("", "jax.grad of the loss", ours, theirs)


def exact(network: Network, batch: Batch, *, key: Key | None = None) -> Network:
    """Backpropagation's gradients, which many rules have in a limit."""
    return Backpropagation()(network, None, batch, key=key).gradients
