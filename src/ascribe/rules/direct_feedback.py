"""Direct feedback: fixed random matrices that bring one vector, such as the output error, to every layer at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.errors import UserError
from ascribe.networks import Network, record
from ascribe.types import Array, Float, Key, Scalar

CUTS = ("micro", "macro")


def random_direct_feedback(
    network: Network, shape: tuple[int, ...], scale: Scalar, *, cuts: str = "micro", key: Key
) -> dict[str, Float[Array, "outputs ..."]]:
    """B of every place that the vector is brought to, `(outputs, *shape there)`: normal, with standard deviation
    `scale`/√outputs. `shape`: of one example."""
    network = network.located(shape)
    shapes = input_shapes(network, shape, cuts=cuts)
    dtype = network.dtype
    spread = scale.astype(dtype) / jnp.sqrt(jnp.asarray(network.outputs, dtype))
    return {
        name: spread * jr.normal(k, (network.outputs, *shape), dtype)
        for k, (name, shape) in zip(jr.split(key, len(shapes)), shapes.items(), strict=True)
    }


def input_shapes(network: Network, shape: tuple[int, ...], *, cuts: str = "micro") -> dict[str, tuple[int, ...]]:
    """The shape of one example wherever the vector is brought to, by name: the input of every synaptic layer but the lowest,
    and what there is inside other layers.

    **Raises:** `UserError` where a site's signal has no axis of examples.
    """
    example = eqx.filter_eval_shape(
        lambda network, x: record(network, x, training=False)[0].inputs,
        network,
        jax.ShapeDtypeStruct((1, *shape), network.dtype),
    )
    names = network.transported if cuts == "micro" else network.units[1:]
    found = {name: example[network.index(name)].shape[1:] for name in names if name in network.names}
    if cuts == "macro":
        return found | {point.name: point.shape for point in (() if network.inside is None else network.inside.cuts)}
    check_points(network, cuts)
    return found | {point.name: point.shape for site in network.sites if site.transports for point in site.points}


def check_points(network: Network, cuts: str) -> None:
    """**Raises:** `UserError` where nothing can be brought to a point."""
    for site in network.sites if cuts == "micro" else ():
        if site.transports and not site.points:
            raise UserError(
                f"the signal of the site {site.name} has no axis of examples, so that no error can be brought there directly: "
                f"use cuts='macro', or another rule."
            )
