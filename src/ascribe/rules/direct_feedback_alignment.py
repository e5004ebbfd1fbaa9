"""Direct feedback alignment: the output error reaches every layer at once.

Source: Nøkland (2016), arXiv:1609.01596, equation 7.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.networks import Network, record
from ascribe.types import Array, Float, Key, Scalar

from .base import AbstractRule, Batch, Credit, hyperparameter
from .feedback_matrices import transported
from .terms import Terms, backward_sweep


class DirectFeedbackAlignment(AbstractRule[Network, dict[str, Array]]):
    """δ^l = (B_l δ^L) ⊙ σ'(z^l): no error passes through the layers above, so the layers do not wait for each other and
    the products Wᵀδ are never computed. In convolutional networks B_l δ^L is the error at the next synaptic layer's
    input, and pooling, flattening and activation in between keep their exact backward step.

    With one hidden layer and B = W of the last layer it equals `Backpropagation`.

    **Arguments:** `scale`: standard deviation of B_l in units of 1/√outputs; positive.
    """

    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Float[Array, "outputs ..."]]:
        shapes = input_shapes(network, data.inputs.shape[1:])
        dtype = network.dtype
        spread = self.scale.astype(dtype) / jnp.sqrt(jnp.asarray(network.outputs, dtype))
        return {
            name: spread * jr.normal(k, (network.outputs, *shape), dtype)
            for k, (name, shape) in zip(jr.split(key, len(shapes)), shapes.items(), strict=True)
        }

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        return backward_sweep(network, state, batch, Terms(direct=state), key=key)


def input_shapes(network: Network, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of one example at the input of every transported layer."""
    example = eqx.filter_eval_shape(
        lambda network, x: record(network, x, training=False)[0].inputs,
        network,
        jax.ShapeDtypeStruct((1, *shape), network.dtype),
    )
    return {name: example[network.index(name)].shape[1:] for name in transported(network)}
