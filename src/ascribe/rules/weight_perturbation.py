"""Weight perturbation: all weights are moved at random, and credited with what the loss does.

Source: Jabri & Flower (1992), "Weight Perturbation: An Optimal Architecture and Learning Technique for Analog VLSI Feedforward
and Recurrent Multilayer Networks"; Cauwenberghs (1993), "A Fast Stochastic Error-Descent Algorithm for Supervised Learning and
Optimization"; Werfel, Xie & Seung (2005), "Learning Curves for Stochastic Gradient Descent in Linear Feedforward Networks".
"""

import jax
import jax.numpy as jnp

from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .base import Batch
from .perturbations import AbstractStepPerturbation, Probe, losses_of


class WeightPerturbation(AbstractStepPerturbation):
    """g = (E(θ + σ v) - E(θ)) / σ · v for a direction v over all trainable numbers at once, each of them 1 or -1 with
    probability ½ (Cauwenberghs 1993), or, antithetic, (E(θ + σ v) - E(θ - σ v)) / 2σ · v, the mean over `directions` of them:
    passes forward alone, and one number that reaches all layers.

    The error of a quotient is O(σ), antithetic O(σ²); that of the mean is O(σ²) for both. In the limit σ → 0 it is
    `ForwardGradient`: its mean is the gradient, tr Cov = (n - 1) ‖∇E‖² / `directions` for n trainable numbers (with normal v
    n + 1), and its sum over an orthonormal basis of directions equals `Backpropagation`.

    **Arguments:** `directions`: how many are tried in each step, one after the other; `distribution`:
    `"rademacher"`, signs, or `"normal"`, v ~ N(0, I); `antithetic`: whether each is tried both ways, which takes a third pass;
    `size`: σ. Too small a one drowns in the rounding of E, ε E/σ, too large a one in the curvature.
    """

    def probe(self, network: Network, batch: Batch, *, key: Key | None = None) -> Probe:
        losses, _, network_state = losses_of(network, batch, key)
        loss = jnp.mean(losses)

        def along(direction: Network) -> Network:
            def at(by: Array) -> Scalar:
                moved = jax.tree.map(lambda w, v: w + by * v, network, direction)
                return jnp.mean(losses_of(moved, batch, key)[0])

            slope = self.slope(at, loss)
            return jax.tree.map(lambda v: slope * v, direction)

        return Probe(loss, network_state, network, along)
