"""Forward gradients: the slope of the loss along a random direction, by forward differentiation.

Source: Baydin, Pearlmutter, Syme, Wood & Torr (2022), "Gradients without Backpropagation", arXiv:2202.08587, definition 1 and
algorithm 1.
"""

import jax
import jax.numpy as jnp

from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.jaxprs import trace
from ascribe.networks import Network
from ascribe.types import Key, PyTree, Scalar

from .base import Batch
from .perturbations import AbstractPerturbation, Probe, losses_of


class ForwardGradient(AbstractPerturbation):
    """g(θ) = (∇f(θ) · v) v for a direction v over all trainable numbers, the mean over `directions` of them. The slope ∇f · v
    comes from the forward pass itself, which carries derivatives along (a Jacobian-vector product): nothing goes back, and one
    number reaches all layers.

    The paper wants independent numbers of mean 0 and variance 1 in v, and draws them from N(0, 1). Here they are signs, which
    have the least variance of all such, tr Cov = (n - 1) ‖∇f‖² / `directions` for n trainable numbers, and are drawn in a
    fraction of the time; with `distribution="normal"` it is (n + 1) ‖∇f‖² / `directions`. The mean is the gradient. Summed over
    an orthonormal basis of directions it equals `Backpropagation`.

    **Arguments:** `directions`, `distribution`: as in `WeightPerturbation`, whose limit σ → 0 this is.
    """

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where a derivative can be carried forwards through it."""
        if network.inside is None:  # no layer of ours has such a function
            return network
        inputs = jax.ShapeDtypeStruct((1, *network.inside.input_shape), network.dtype)
        graph, _ = trace(lambda network, x: network(x), network, inputs)
        if any(equation.name.startswith("custom_vjp") for equation in graph.everywhere()):
            raise UserError(
                "a function in this network has a backward derivative of its own (custom_vjp), through which none is carried "
                "forwards: use weight-perturbation."
            )
        return network

    def probe(self, network: Network, batch: Batch, *, key: Key | None = None) -> Probe:
        def loss_of(network: Network) -> tuple[Scalar, PyTree]:
            losses, _, network_state = losses_of(network, batch, key)
            return jnp.mean(losses), network_state

        loss, slope, network_state = jax.linearize(loss_of, network, has_aux=True)

        def along(direction: Network) -> Network:
            size = slope(direction)
            return jax.tree.map(lambda v: size * v, direction)

        return Probe(loss, network_state, network, along)
