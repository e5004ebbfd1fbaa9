"""Random feedback weights: drawn once, by layer name."""

import jax.numpy as jnp
import jax.random as jr

from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar


def random_feedback(network: Network, scale: Scalar, *, key: Key) -> dict[str, Array]:
    """B for every transported layer, in W's shape: normal, with standard deviation `scale`/√fan_in."""
    found, names = {}, network.transported
    for name, k in zip(names, jr.split(key, len(names)), strict=True):
        layer, weight = network[name], network[name].weight
        found[name] = (
            scale.astype(weight.dtype)
            * jr.normal(k, weight.shape, weight.dtype)
            / jnp.sqrt(jnp.asarray(layer.fan_in, weight.dtype))
        )
    return found


def transported_weights(network: Network) -> dict[str, Array]:
    """W of every transported layer: the feedback with which a rule of the way back is backpropagation."""
    return {name: network[name].weight for name in network.transported}
