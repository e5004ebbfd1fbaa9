"""Laws of the initial weights, by name. Fan-in and fan-out are counted as in `jax.nn.initializers`."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.nn import initializers

from ascribe.checks import unknown
from ascribe.errors import UserError, shown
from ascribe.memory import check_room
from ascribe.types import Array, Key

from . import activations

DRAWING = 3
"""What weights take while they are drawn, in units of what they take then."""
_LAWS = {  # logistic-normal: 4/√fan_in, because σ' is at most 1/4; pytorch-uniform: ±1/√fan_in, as torch.nn.Linear's weights
    "he-normal": initializers.he_normal,
    "he-uniform": initializers.he_uniform,
    "glorot-normal": initializers.glorot_normal,
    "glorot-uniform": initializers.glorot_uniform,
    "lecun-normal": initializers.lecun_normal,
    "lecun-uniform": initializers.lecun_uniform,
    "logistic-normal": partial(initializers.variance_scaling, 16.0, "fan_in", "normal"),
    "pytorch-uniform": partial(initializers.variance_scaling, 1 / 3, "fan_in", "uniform"),
    "orthogonal": None,
    "zeros": None,
}


class Drawn(TypedDict, total=False):
    """What a network is told of its layers with weights beside their sizes. `bias`: whether they have biases, by default yes;
    `initializer`: the law of the weights; `key`: of their random numbers, by default the fixed one of a template."""

    bias: bool
    initializer: str | None
    key: Key | None


def names() -> list[str]:
    """Every initializer's name."""
    return list(_LAWS)


def own_key(key: Any) -> Key:
    """The key itself, or the fixed one of a template where it is None; a `UserError` for what is no key."""
    if key is None:
        return jr.key(0)
    array = isinstance(key, jax.Array)
    if array and (jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or (key.dtype, key.shape[-1:]) == (jnp.uint32, (2,))):
        return key
    raise UserError(f"`key` is a random key, as in jax.random.key(0); got {shown(key)}.")


def parted(drawn: Drawn, count: int, activation: str | None = None) -> tuple[Iterator[Key], dict[str, Any]]:
    """So many keys, and what is told to every layer; the law is by default that for the activation."""
    given: dict[str, Any] = dict(drawn)
    keys = iter(jr.split(own_key(given.pop("key", None)), count))
    if activation is not None:
        given["initializer"] = given["initializer"] or default_for(activation)
    return keys, given


def default_for(activation: str) -> str:
    """He et al. (2015) for the ReLU family, Glorot & Bengio (2010) for everything else."""
    activations.get(activation)
    return "he-normal" if "relu" in activation else "glorot-normal"


def check(name: str) -> str:
    """`name`, or a `UserError` that lists the known ones."""
    if not isinstance(name, str) or name not in _LAWS:
        raise unknown("initializer", name, _LAWS)
    return name


def check_parameters(count: int) -> None:
    """A `UserError` where the machine has not the memory to draw so many numbers."""
    size = DRAWING * jnp.zeros(()).dtype.itemsize * count
    check_room(f"a network of {shown(count)} weights", size, "choose narrower layers")


def draw(name: str, key: Key, shape: tuple[int, ...], *, in_axis: int, out_axis: int) -> Array:
    """Weights of the given shape; every axis besides `in_axis` and `out_axis` belongs to the receptive field."""
    check(name)
    check_parameters(math.prod(shape))
    if name == "zeros":
        return jnp.zeros(shape)
    if name == "orthogonal":
        return initializers.orthogonal(column_axis=out_axis)(key, shape)
    return _drawn(key, name, shape, in_axis, out_axis)


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _drawn(key: Key, name: str, shape: tuple[int, ...], in_axis: int, out_axis: int) -> Array:
    """Traced once for all layers of one shape."""
    return _LAWS[name](in_axis=in_axis, out_axis=out_axis)(key, shape)
