"""A network: a sequence of layers, each with a name. It knows nothing of rules, losses or optimizers."""

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.core import Tracer

from ascribe.diagram import Diagram, diagram
from ascribe.errors import UserError, names_in_words, shown
from ascribe.types import Array, Float, Key, PyTree

from . import initializers
from .in_turn import names_of, shape_after
from .inside import ActivationSite, Inside, Point, Site, Synapses, inside_of, is_composite
from .layer import AbstractLayer, inner_layers, layer_name
from .stack import Stack, stacked
from .synaptic import AbstractSynapticLayer


class Network(eqx.Module):
    """Layers applied in order; `names[i]` addresses `layers[i]` (`linear1`, `relu1`, `linear2`, …).

    Calling it is inference: dropout is off and normalization uses its running statistics. Training goes through the
    tape (`ascribe.networks.record`), which keeps what the rules need. Every array leaf is trainable.

    `parts` is how the layers are stored: each for itself, but many equal blocks in a row as one `Stack`. Code that loops over
    `layers` need not know; code that loops over `parts` compiles as fast for a hundred layers as for three.
    """

    parts: tuple[AbstractLayer | Stack, ...]
    names: tuple[str, ...] = eqx.field(static=True)
    composites: tuple[str, ...] = eqx.field(static=True)
    inside: Inside | None = eqx.field(static=True)

    def __init__(self, layers: Iterable[AbstractLayer]):
        layers = tuple(layers) if isinstance(layers, Iterable) else (layers,)
        if not all(isinstance(layer, AbstractLayer) for layer in layers):
            other = next(layer for layer in layers if not isinstance(layer, AbstractLayer))
            raise UserError(
                f"a network is made of a list of layers, as in Network([Linear(2, 3), Activation('relu'), Linear(3, 1)]); got "
                f"{shown(other)} among them: a layer of your own derives from ascribe.networks.AbstractLayer."
            )
        for layer in layers:
            _check_leaves(layer)
            if layer.synaptic and not isinstance(layer, AbstractSynapticLayer):
                raise UserError(
                    f"a layer with weights that rules may replace derives from ascribe.networks.AbstractSynapticLayer; got "
                    f"{type(layer).__name__} with `synaptic = True`."
                )
        if not any(layer.synaptic or is_composite(layer) for layer in layers):
            raise UserError("a network needs at least one layer with weights (Linear or Conv2d); got none.")
        self.parts = stacked(layers)
        self.names = names_of(layers)
        self.composites = tuple(name for name, layer in zip(self.names, layers, strict=True) if is_composite(layer))
        self.inside = None

    def __call__(self, x: Float[Array, "batch ..."], state: PyTree = None) -> Float[Array, "batch ..."]:
        """The output `(batch, outputs)` for inputs `(batch, …)`, with normalization statistics `state`."""
        states = self.initial_state() if state is None else state
        for part, first in zip(self.parts, self.starts, strict=True):
            if isinstance(part, Stack):
                x, _ = jax.lax.scan(lambda x, block: (_through(block, x), None), x, part.layers)
            else:
                x, _ = part(x, states[first], training=False)
        return x

    def initialize(self, key: Key) -> "Network":
        """The same structure with fresh parameters: the law of each layer, one key a layer."""
        keys = jr.split(initializers.own_key(key), len(self.names))
        parts = []
        for part, first in zip(self.parts, self.starts, strict=True):
            if isinstance(part, Stack):
                period = len(part.layers)
                own = keys[first : first + period * part.count].reshape(part.count, period)
                layers = tuple(jax.vmap(layer.initialize)(own[:, i]) for i, layer in enumerate(part.layers))
                parts.append(Stack(layers, part.count))
            else:
                parts.append(part.initialize(keys[first]))
        return eqx.tree_at(lambda network: network.parts, self, tuple(parts))

    def initial_state(self) -> tuple[PyTree, ...]:
        """Normalization statistics before training, one entry a layer (None for most)."""
        return tuple(layer.initial_state() for layer in self.templates)

    @property
    def layers(self) -> tuple[AbstractLayer, ...]:
        """Every layer, from the input upwards."""
        found: list[AbstractLayer] = []
        for part in self.parts:
            if isinstance(part, Stack):
                for row in range(part.count):
                    found += part.block(row)
            else:
                found.append(part)
        return tuple(found)

    @property
    def unstacked(self) -> "Network":
        """The same network with every layer for itself, where equal ones are stored as one."""
        return eqx.tree_at(lambda network: network.parts, self, self.layers)

    def with_layers(self, layers: Iterable[AbstractLayer]) -> "Network":
        """A network of this structure with other numbers, such as its gradient, from every layer's."""
        return eqx.tree_at(lambda network: network.parts, self, Network(layers).parts)

    def located(self, input_shape: tuple[int, ...]) -> "Network":
        """The same network, with the sites inside its layers found for examples of this shape (`networks/inside.py`); itself
        where no layer has any, or they are found already."""
        if not self.composites or (self.inside is not None and self.inside.input_shape == tuple(input_shape)):
            return self
        return self._holding(inside_of(self.names, self.composites, self.layers, tuple(input_shape)))

    def like(self, other: "Network") -> "Network":
        """The same numbers, with the sites that another network of this structure has."""
        return self if self.inside == other.inside else self._holding(other.inside)

    def _check_located(self) -> None:
        self.check_located()

    def _holding(self, inside: Inside | None) -> "Network":
        made = object.__new__(type(self))
        for field in dataclasses.fields(self):
            object.__setattr__(made, field.name, inside if field.name == "inside" else getattr(self, field.name))
        return made

    @property
    def starts(self) -> tuple[int, ...]:
        """The number of the layer that each part begins with."""
        sizes = [part.count * len(part.layers) if isinstance(part, Stack) else 1 for part in self.parts]
        return tuple(itertools.accumulate(sizes[:-1], initial=0))

    @property
    def first(self) -> Any:
        """The first layer."""
        return self.parts[0]

    @property
    def last(self) -> Any:
        """The last layer."""
        return self.parts[-1]

    @property
    def templates(self) -> tuple[AbstractLayer, ...]:
        """For questions of structure: a layer of the right kind for every name, whose arrays, in a stack, are those of all
        blocks."""
        found: list[AbstractLayer] = []
        for part in self.parts:
            found += part.layers * part.count if isinstance(part, Stack) else (part,)
        return tuple(found)

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the layers with weights, each of them one unit whatever is inside, from the input upwards."""
        pairs = zip(self.names, self.templates, strict=True)
        return tuple(name for name, layer in pairs if layer.synaptic or name in self.composites)

    @property
    def synaptic(self) -> tuple[str, ...]:
        """Names of everything with a weight that a rule can replace, from the input upwards: the synaptic layers, and the
        sites inside layers once they are `located`."""
        inner: dict[int, list[str]] = {}
        for site in self.sites:
            inner.setdefault(site.layer, []).append(site.name)
        found: list[str] = []
        for number, (name, layer) in enumerate(zip(self.names, self.templates, strict=True)):
            found += [name] if layer.synaptic else inner.get(number, [])
        return tuple(found)

    @property
    def transported(self) -> tuple[str, ...]:
        """Names of the weights that an error passes through on its way down: of the synaptic layers all but the lowest, of the
        sites those with parameters below them."""
        self._check_located()
        inner = {site.name: site.transports for site in self.sites}
        lowest = self.units[0]
        return tuple(name for name in self.synaptic if inner.get(name, name != lowest))

    def check_located(self) -> None:
        """A `UserError` where a layer holds what was not looked for yet: rules would leave it exact without a word."""
        if self.composites and self.inside is None:
            raise UserError(
                f"what the layer {self.composites[0]} holds inside is found for inputs of one shape: take "
                f"network.located(input_shape), the shape of one example, in the network's place."
            )

    @property
    def sites(self) -> tuple[Site, ...]:
        """The synaptic sites inside layers; none before they are `located`."""
        return () if self.inside is None else self.inside.sites

    @property
    def activations(self) -> tuple[ActivationSite, ...]:
        """The activations inside layers; none before they are `located`."""
        return () if self.inside is None else self.inside.activations

    @property
    def points(self) -> tuple[Point, ...]:
        """The values inside layers that an error can be brought to directly: the signal of every site that transports, and
        the cuts between blocks."""
        if self.inside is None:
            return ()
        return (*(point for site in self.sites if site.transports for point in site.points), *self.inside.cuts)

    @property
    def convolutional(self) -> bool:
        """Whether there is a convolution in it, also inside a layer."""
        layers = (one for layer in self.templates for one in (layer, *inner_layers(layer)))
        return any(one.convolutional for one in layers) or bool(self.inside and self.inside.convolutional)

    @property
    def weights(self) -> dict[str, Any]:
        """The weight W of everything in `synaptic`, by name."""
        return {name: self[name].weight for name in self.synaptic}

    @property
    def dtype(self) -> Any:
        """The type of the numbers."""
        return jax.tree.leaves(self)[0].dtype

    def __getitem__(self, name: str) -> Any:
        """The layer of that name, or a site or an activation inside one; a `UserError` names the ones there are."""
        if isinstance(name, str) and name not in self.names:
            site = next((one for one in self.sites if one.name == name), None)
            if site is not None:
                weight = jax.tree.leaves(self.layers[site.layer])[site.leaf]
                return Synapses(weight, site.fan_in, site.fan_out, site.outputs)
            curve = next((one for one in self.activations if one.name == name), None)
            if curve is not None:
                return curve
        number, row, position = self.address(self.index(name))
        part = self.parts[number]
        return part.block(row)[position] if isinstance(part, Stack) else part

    def holder(self, name: str) -> int:
        """The position of the layer of that name, or of the one that a site of that name is in."""
        site = next((one for one in self.sites if one.name == name), None)
        return self.index(name) if site is None else site.layer

    def address(self, index: int) -> tuple[int, int, int]:
        """Where the layer at this position is stored: the number of its part, the row of its block and its place in the
        block (0 and 0 outside a stack)."""
        starts = self.starts
        number = bisect.bisect_right(starts, index) - 1
        part = self.parts[number]
        return (number, *divmod(index - starts[number], len(part.layers) if isinstance(part, Stack) else 1))

    def index(self, name: str) -> int:
        """The position of the layer of that name."""
        if not isinstance(name, str) or name not in self.names:
            inner = [one for one in self.synaptic if one not in self.names]
            raise UserError(
                f"this network has no layer {shown(name)}: its layers are {names_in_words(self.names)}"
                f"{f', with the sites {names_in_words(inner)}' if inner else ''}."
            )
        return self.names.index(name)

    @property
    def outputs(self) -> int:
        """Units of the last synaptic layer, or outputs of a network that ends in another one with weights."""
        if self.units[-1] not in self.synaptic:
            self._check_located()
            shape: Any = self.inside and self.inside.output_shape
            return shape[-1]
        return self[self.synaptic[-1]].outputs

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self))

    def config(self) -> list[dict[str, Any]]:
        """The structure as plain JSON values: one `{"layer": class name, **arguments}` a layer, also for layers inside one."""

        def plain(value: Any) -> Any:
            if isinstance(value, AbstractLayer):
                return {"layer": layer_name(type(value)), **plain(value.config())}
            if isinstance(value, dict):
                return {name: plain(one) for name, one in value.items()}
            return [plain(one) for one in value] if isinstance(value, list | tuple) else value

        return [plain(layer) for layer in self.templates]

    def diagram(self) -> Diagram:
        """A picture of it, which a notebook shows: `network.diagram().save("network.svg")`. Small networks of dense layers are
        drawn unit by unit, every weight with its sign and size; others layer by layer."""
        drawn = diagram(self.config(), names=self.names)
        small = drawn.by_units and all(weight.ndim == 2 for weight in self.weights.values())
        return diagram(self.config(), names=self.names, weights=self._matrices()) if small else drawn

    def _matrices(self) -> list[tuple[Any, Any]] | None:
        """W and bias of every layer with weights, as NumPy arrays; None where they are no numbers (yet)."""
        layers: list[Any] = [self[name] for name in self.synaptic]
        leaves = [leaf for layer in layers for leaf in jax.tree.leaves(layer)]
        if any(isinstance(leaf, Tracer) or not hasattr(leaf, "__array__") for leaf in leaves):
            return None
        array = lambda leaf: None if leaf is None else np.asarray(leaf, np.float64)
        return [(array(layer.weight), array(layer.bias)) for layer in layers]

    def __str__(self) -> str:
        def text(name: str, layer: Any) -> str:
            model = getattr(layer, "model", None)
            own = f" ({model})" if isinstance(model, str) else ""
            return f"{name} {'×'.join(map(str, layer.weight.shape))}" if layer.synaptic else name + own

        found = []
        for part, first in zip(self.parts, self.starts, strict=True):
            if isinstance(part, Stack):
                block = [text(name, layer) for name, layer in zip(self.names[first:], part.block(0), strict=False)]
                found.append(f"{part.count} × ({' → '.join(block)})")
            else:
                found.append(text(self.names[first], part))
        return " → ".join(found)

    def _repr_html_(self) -> str:
        from ascribe import notebook  # noqa: PLC0415 - what is shown is no part of what is trained

        rows = []
        for part, first in zip(self.parts, self.starts, strict=True):
            repeated = isinstance(part, Stack)
            layers = jax.eval_shape(lambda part: part.block(0), part) if repeated else (part,)
            for name, layer in zip(self.names[first:], layers, strict=False):
                count = part.count if repeated else 1
                names = name if not repeated else f"{name}, … ({count} blocks of {len(layers)})"
                leaves = jax.tree_util.tree_flatten_with_path(layer)[0]
                arrays = [
                    f"{jax.tree_util.keystr(path, simple=True, separator='.')} {'×'.join(map(str, leaf.shape))}"
                    for path, leaf in leaves
                ]
                parameters = count * sum(math.prod(leaf.shape) for _, leaf in leaves)
                rows.append((names, type(layer).__name__, ", ".join(arrays), f"{parameters:,}"))
        total = ("All", "", "", f"{self.parameters:,}")
        return notebook.shown(
            f"Network of {len(self.names)} layers",
            notebook.table(("Layer", "Kind", "Arrays", "Parameters"), rows, words=3, total=total),
            self.diagram().svg(),
        )


def _through(layers: tuple[AbstractLayer, ...], x: Array) -> Array:
    for layer in layers:
        x, _ = layer(x, training=False)
    return x


def _check_leaves(layer: AbstractLayer) -> None:
    """A `UserError` where a layer has something else than arrays in its fields, which would be taken for a weight."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(layer):
        if not eqx.is_array_like(leaf) or isinstance(leaf, bool | int | float | complex):
            field = jax.tree_util.keystr(path).lstrip(".")
            raise UserError(
                f"the layer {type(layer).__name__} has {shown(leaf)} as its {field}, where weights are looked for: declare "
                f"what is no weight as `{field}: {type(leaf).__name__} = eqx.field(static=True)`, or make an array of it."
            )


def check_input(network: Network, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The output shape of one example of the given shape; a `UserError` says where the network does not accept it."""
    shape: Any = tuple(input_shape)
    for name, layer in zip(network.names, network.layers, strict=True):
        shape = shape_after(name, layer, shape, network.dtype)
    return shape
