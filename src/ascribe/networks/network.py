"""A network: a sequence of layers, each with a name. It knows nothing of rules, losses or optimizers."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.random as jr

from ascribe.errors import UserError
from ascribe.types import Array, Key, PyTree

from .activation import Activation
from .layer import AbstractLayer


class Network(eqx.Module):
    """`layers` applied in order; `names[i]` addresses `layers[i]` (`linear1`, `relu1`, `linear2`, …).

    Calling it is inference: dropout is off and normalization uses its running statistics. Training goes through the
    tape (`ascribe.networks.record`), which keeps what the rules need. Every array leaf is trainable.
    """

    layers: tuple[AbstractLayer, ...]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, layers: Iterable[AbstractLayer]):
        self.layers = tuple(layers)
        if not any(layer.synaptic for layer in self.layers):
            raise UserError("a network needs at least one layer with weights (Linear or Conv2d); got none.")
        counts: Counter[str] = Counter()
        names = []
        for layer in self.layers:
            kind = layer.function if isinstance(layer, Activation) else layer.kind
            counts[kind] += 1
            names.append(f"{kind}{counts[kind]}")
        self.names = tuple(names)

    def __call__(self, x: Array, state: PyTree = None) -> Array:
        """The output `(batch, outputs)` for inputs `(batch, …)`, with normalization statistics `state`."""
        states = self.initial_state() if state is None else state
        for layer, layer_state in zip(self.layers, states, strict=True):
            x, _ = layer(x, layer_state, training=False)
        return x

    def initialize(self, key: Key) -> "Network":
        """The same structure with fresh parameters: the law of each layer, one key a layer."""
        keys = jr.split(key, len(self.layers))
        return Network(layer.initialize(k) for layer, k in zip(self.layers, keys, strict=True))

    def initial_state(self) -> tuple[PyTree, ...]:
        """Normalization statistics before training, one entry a layer (None for most)."""
        return tuple(layer.initial_state() for layer in self.layers)

    @property
    def synaptic(self) -> tuple[str, ...]:
        """Names of the layers with weights, from the input upwards."""
        return tuple(name for name, layer in zip(self.names, self.layers, strict=True) if layer.synaptic)

    @property
    def weights(self) -> dict[str, Array]:
        """The weight W of every synaptic layer, by name."""
        return {name: self[name].weight for name in self.synaptic}

    def __getitem__(self, name: str) -> Any:
        """The layer of that name; a `UserError` names the ones there are."""
        return self.layers[self.index(name)]

    def index(self, name: str) -> int:
        """The position of the layer of that name."""
        if name not in self.names:
            raise UserError(f"this network has no layer {name!r}: its layers are {', '.join(self.names)}.")
        return self.names.index(name)

    @property
    def outputs(self) -> int:
        """Units of the last synaptic layer."""
        return self.weights[self.synaptic[-1]].shape[0 if self[self.synaptic[-1]].kind == "linear" else -1]

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self))

    def config(self) -> list[dict[str, Any]]:
        """The structure as plain JSON values: one `{"layer": class name, **arguments}` a layer."""
        return [{"layer": type(layer).__name__, **layer.config()} for layer in self.layers]

    def __str__(self) -> str:
        weights = self.weights
        return " → ".join(
            f"{name} {'×'.join(map(str, weights[name].shape))}" if name in weights else name for name in self.names
        )


def check_input(network: Network, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The output shape of one example of the given shape; a `UserError` says where the network does not accept it."""
    layer: Any
    dtype = network.weights[network.synaptic[0]].dtype
    shape: Any = tuple(input_shape)
    for name, layer in zip(network.names, network.layers, strict=True):
        expected = layer.weight.shape[1] if layer.kind == "linear" else None
        if expected is not None and (len(shape) != 1 or shape[0] != expected):
            raise UserError(
                f"layer {name} takes {expected} numbers an example but gets the shape {shape}: "
                f"build the network for the data, or add Flatten() before it."
            )
        if layer.kind in ("conv", "maxpool", "averagepool") and len(shape) != 3:
            raise UserError(
                f"layer {name} takes images (height, width, channels) but gets the shape {shape}: "
                f"use an MLP for data without images."
            )
        if layer.kind == "conv" and shape[2] != layer.weight.shape[2]:
            raise UserError(f"layer {name} takes {layer.weight.shape[2]} channels but gets the shape {shape}.")
        if layer.kind == "conv" and min(shape[:2]) + 2 * layer.padding < layer.weight.shape[0]:
            raise UserError(
                f"the image is too small for layer {name}: a kernel of {layer.weight.shape[0]} pixels does not "
                f"fit into {shape}."
            )
        example = jax.ShapeDtypeStruct((1, *shape), dtype)
        state = layer.initial_state()
        try:
            shape = jax.eval_shape(lambda x, layer=layer, state=state: layer(x, state)[0], example).shape[1:]
        except (TypeError, ValueError) as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise UserError(
                f"layer {name} does not accept examples of the shape {shape}: build it for them ({reason})."
            ) from error
        if 0 in shape:
            raise UserError(f"the image is too small for layer {name}: nothing is left of it ({shape}).")
    return shape
