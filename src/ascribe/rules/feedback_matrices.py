"""Random feedback weights: drawn once, by layer name."""

import jax.numpy as jnp
import jax.random as jr

from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar


def transported(network: Network) -> tuple[str, ...]:
    """The synaptic layers that an error passes through on its way down: all but the lowest."""
    return network.synaptic[1:]


def fan_in(weight: Array, kind: str) -> int:
    """Inputs of one unit: of `(fan_out, fan_in)` for dense layers, `(kernel, kernel, channels, fan_out)` for
    convolutions."""
    return weight.shape[1] if kind == "linear" else weight.shape[0] * weight.shape[1] * weight.shape[2]


def fan_out(weight: Array, kind: str) -> int:
    """Units that one input reaches, counted as in `jax.nn.initializers`."""
    return weight.shape[0] if kind == "linear" else weight.shape[0] * weight.shape[1] * weight.shape[3]


def random_feedback(network: Network, scale: Scalar, *, key: Key) -> dict[str, Array]:
    """B for every transported layer, in W's shape: normal, with standard deviation `scale`/√fan_in."""
    found = {}
    for name, k in zip(transported(network), jr.split(key, len(network.synaptic) - 1), strict=True):
        weight, kind = network[name].weight, network[name].kind
        found[name] = (
            scale.astype(weight.dtype)
            * jr.normal(k, weight.shape, weight.dtype)
            / jnp.sqrt(jnp.asarray(fan_in(weight, kind), weight.dtype))
        )
    return found
