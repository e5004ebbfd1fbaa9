"""Layers one after another, in a network or inside a layer: their names, their states, and what they make of a shape."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.random as jr

from ascribe.errors import UserError, shown
from ascribe.types import Array, Float, Key, PyTree

from .activation import Activation
from .layer import AbstractLayer


def names_of(layers: Iterable[AbstractLayer]) -> tuple[str, ...]:
    """`conv1`, `relu1`, `conv2`, …: every layer by its kind, an activation by its function, counted from the input upwards."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        kind = layer.function.partition(":")[0] if isinstance(layer, Activation) else layer.kind
        counts[kind] += 1
        names.append(f"{kind}{counts[kind]}")
    return tuple(names)


def named(what: str, layers: Any) -> "OrderedDict[str, AbstractLayer]":
    """The layers by their names, in their order, which a plain dict would lose as a pytree.

    **Raises:** `UserError` for what is no layer; `what`: whose they are, for the sentence.
    """
    wanted = f"{what} is a list of layers, as in [Linear(4, 4), Activation('relu')]"
    if not isinstance(layers, list | tuple):
        raise UserError(f"{wanted}; got {shown(layers)}.")
    other = next((one for one in layers if not isinstance(one, AbstractLayer)), None)
    if other is not None:
        raise UserError(f"{wanted}; got {shown(other)} in it.")
    return OrderedDict(zip(names_of(layers), layers, strict=True))


def initial_states(layers: Mapping[str, AbstractLayer]) -> tuple[PyTree, ...]:
    """Normalization statistics before training, one entry a layer (None for most)."""
    return tuple(layer.initial_state() for layer in layers.values())


def run_in_turn(
    layers: Mapping[str, AbstractLayer],
    x: Float[Array, "batch ..."],
    states: tuple[PyTree, ...],
    *,
    key: Key | None = None,
    training: bool = False,
) -> tuple[Float[Array, "batch ..."], tuple[PyTree, ...]]:
    """The output of the last layer, and the states after it. Each layer has a key of its own."""
    keys = (None,) * len(layers) if key is None or not layers else jr.split(key, len(layers))
    after = []
    for layer, state, own in zip(layers.values(), states, keys, strict=True):
        x, state_after = layer(x, state, key=own, training=training)
        after.append(state_after)
    return x, tuple(after)


def shape_after(name: str, layer: AbstractLayer, shape: tuple[int, ...], dtype: Any) -> tuple[int, ...]:
    """What a layer makes of one example of that shape; a `UserError` that names the layer where it does not accept it."""
    layer.check_shape(name, shape)
    example = jax.ShapeDtypeStruct((1, *shape), dtype)
    try:
        after = jax.eval_shape(lambda layer, x: layer(x, layer.initial_state())[0], layer, example).shape[1:]
    except (TypeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise UserError(f"layer {name} does not accept examples of the shape {shape}: build it for them ({reason}).") from error
    if 0 in after:
        raise UserError(f"the image is too small for layer {name}: nothing is left of it ({after}).")
    return after
