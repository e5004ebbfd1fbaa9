"""Hebbian learning by the generalized Hebbian algorithm: Oja's rule for a layer of units.

Source: Sanger (1989), "Optimal unsupervised learning in a single-layer linear feedforward neural network", Neural Networks 2,
doi:10.1016/0893-6080(89)90044-0; Oja (1982), doi:10.1007/BF00275687, of one unit.
"""

from typing import ClassVar

import jax.numpy as jnp

from ascribe.datasets import Dataset
from ascribe.networks import Network, record
from ascribe.types import Array, Float, Key, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .hebbian_learning import check_layers, hebbian_credit


class Hebbian(AbstractRule[Network, None]):
    """Hidden layers learn without error, from their own input x and u = W x alone,

        Δw_k = η u_k (x - Σ_{j ≤ k} u_j w_j)

    (Sanger's generalized Hebbian algorithm), and the last layer is a readout that learns by its own exact gradient. The first
    unit has Oja's rule, Δw = η u (x - u w), and comes to the first principal component of x (of the second moments about 0),
    of length 1; the k-th sees what the units before it leave, and comes to the k-th. Of a convolution, x are the views of its
    kernel. The hidden layers' "gradient" is -Δw, so that any optimizer descends it; biases of hidden layers stay as they are,
    and u is without them.

    **Arguments:** `strength`: the size of a hidden layer's step beside the readout's; positive. A step is stable while η
    times the largest second moment is well below 1, which of hundreds of inputs leaves little to the readout: hence the
    default. An optimizer that divides every number by its own size, such as Adam, loses the balance of growth and decay that
    the components come from, and `strength` with it.
    """

    wants_plain_steps: ClassVar[bool] = True
    strength: Scalar = hyperparameter(0.01, "(0, inf)")

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where its hidden layers are dense or convolutional."""
        check_layers(network, "Hebbian learning")
        return network

    def __call__(self, network: Network, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        return hebbian_credit(network, state, batch, _sanger, self.strength, key)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the first unit of the first layer."""
        name = network.synaptic[0]
        layer = network[name]
        if len(network.synaptic) == 1 or not layer.dense:
            return None
        x = layer.design_matrix(record(network, batch.inputs, key=key)[0].inputs[network.index(name)])
        w = layer.weight[0]
        u = x @ w
        oja = self.strength.astype(u.dtype) * jnp.mean(u[:, None] * (x - u[:, None] * w[None]), axis=0)
        ours = self(network, None, batch, key=key).gradients[name].weight[0]
        return LimitingCase(f"a unit is the first of its layer, here of {name}", "Oja's rule", -ours, oja)


def _sanger(u: Float[Array, "views units"]) -> tuple[Array, Array]:
    """y = u, and LT[u uᵀ]: the lower triangle, with the diagonal, of the second moments."""
    return u, jnp.tril(u.T @ u / u.shape[0])
