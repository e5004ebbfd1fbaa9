"""What a network of composite layers holds inside, for inputs of one shape: found once, by tracing, and kept as plain data.

A *composite* has weights inside that are not one `weight` of its own: several layers as one, or a model of another library.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.jaxprs import Graph, Variable, total, trace
from ascribe.types import Array, Elementwise

from . import sites
from .curves import KNOWN
from .in_turn import shape_after
from .layer import AbstractLayer

KEPT = 64
"""How many networks are remembered."""

BATCHES = 2, 3
"""Two sizes of a batch, by which a value's axis of examples is found: it is the one that differs."""


class Point(NamedTuple):
    """A value that an error can be brought to directly. `shape`: of one example; `axis`: that of the batch, which has `rows`
    rows for each example."""

    name: str
    shape: tuple[int, ...]
    axis: int
    rows: int


class Site(NamedTuple):
    """A synaptic site: `name`; the number of its layer, and of the parameter among that layer's leaves; the counts of
    `AbstractSynapticLayer`; whether an error passes it on its way to parameters below; and the signals that it
    multiplies where one does (several where one parameter is used in several places)."""

    name: str
    layer: int
    leaf: int
    fan_in: int
    fan_out: int
    outputs: int
    transports: bool
    points: tuple[Point, ...]


class ActivationSite(NamedTuple):
    """An activation inside a layer: `name`, the number of its layer, and the function's name (`curves.KNOWN`); `last`: whether
    the layer answers with it."""

    name: str
    layer: int
    function: str
    last: bool = False

    def derivative(self, z: Array) -> Array:
        """σ'(z)."""
        return slope(KNOWN[self.function])(z)


class Inside(NamedTuple):
    """All of a network, for examples of one shape. `cuts`: between the blocks inside its layers; `closed`: weights inside
    operations that are never opened; `convolutional`: whether there is a convolution inside."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    sites: tuple[Site, ...]
    activations: tuple[ActivationSite, ...]
    cuts: tuple[Point, ...]
    closed: tuple[str, ...]
    convolutional: bool


class Synapses(eqx.Module):
    """The weight of a site as a synaptic layer shows its own; its bias is another parameter of the layer around it."""

    weight: Any
    fan_in: int = eqx.field(static=True)
    fan_out: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    bias: None = None


def slope(function: Elementwise) -> Elementwise:
    """The derivative of an elementwise function."""
    return lambda z: jax.vjp(function, z)[1](jnp.ones_like(z))[0]


def is_composite(layer: Any) -> bool:
    """Whether a layer has weights inside, and none that is its own."""
    return not layer.synaptic and any(jnp.ndim(leaf) > 1 for leaf in jax.tree.leaves(layer))


def inside_of(
    names: tuple[str, ...], composites: tuple[str, ...], layers: tuple[AbstractLayer, ...], input_shape: tuple[int, ...]
) -> Inside:
    """What layers hold, for examples of this shape; layers that differ in their numbers alone are looked into once."""
    leaves, structure = jax.tree.flatten(layers)
    asked = (
        names,
        composites,
        input_shape,
        structure,
        tuple((jnp.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves),
    )
    try:
        if asked in _found:
            return _found[asked]
    except TypeError:  # a layer with a field that has no hash
        return look_inside(names, composites, layers, input_shape)
    while len(_found) >= KEPT:
        _found.pop(next(iter(_found)))
    _found[asked] = found = look_inside(names, composites, layers, input_shape)
    return found


_found: dict[Any, Inside] = {}


def look_inside(
    names: tuple[str, ...], composites: tuple[str, ...], layers: tuple[AbstractLayer, ...], input_shape: tuple[int, ...]
) -> Inside:
    """What layers hold, for examples of this shape.

    **Raises:** `UserError` where a layer cannot be traced, or has nothing inside that a rule could reach.
    """
    found_sites: list[Site] = []
    activations: list[ActivationSite] = []
    cuts: list[Point] = []
    closed: list[str] = []
    convolutional = False
    shape = tuple(input_shape)
    for number, (name, layer) in enumerate(zip(names, layers, strict=True)):
        before, shape = shape, shape_after(name, layer, shape, _dtype(layer))
        if name not in composites:
            continue
        prefix = "" if len(names) == 1 else f"{name}/"
        below = any(jax.tree.leaves(one) for one in layers[:number])
        small, large = (_read(layer, (batch, *before), below) for batch in BATCHES)
        interleaved = _interleaved(small.graph, large.graph)
        found_sites += _sites(small, large, prefix, number, interleaved)
        activations += _activations(small, large, prefix, number)
        wider = sites.cuts(large)
        narrow = {one: value for one, (_, value) in sites.cuts(small).items()}
        points = (_point(prefix + one, value, wider[one][1], interleaved) for one, value in narrow.items())
        cuts += [one for one in points if one is not None]
        closed += [prefix + one.name for one in small.products.values() if one.closed]
        convolutional |= any(one.name == "conv_general_dilated" for one in small.products)
    return Inside(
        tuple(input_shape),
        shape,
        tuple(found_sites),
        tuple(activations),
        tuple(cuts),
        tuple(dict.fromkeys(closed)),
        convolutional,
    )


def _dtype(layer: Any) -> Any:
    leaves = jax.tree.leaves(layer)
    return leaves[0].dtype if leaves else jnp.zeros(()).dtype


def _read(layer: Any, shape: tuple[int, ...], below: bool) -> sites.Sites:
    """The sites of a layer, for a batch of this shape, as it is trained."""
    leaves, structure = jax.tree.flatten(layer)
    state = layer.initial_state()

    def call(leaves: list[Array], x: Array) -> Any:
        return jax.tree.unflatten(structure, leaves)(x, state, key=jr.key(0), training=True)

    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    with sites.for_reading():
        graph, _ = trace(call, shapes, jax.ShapeDtypeStruct(shape, _dtype(layer)))
    return sites.find(graph, sites.parameter_names(layer), below=below)


def _sites(small: sites.Sites, large: sites.Sites, prefix: str, number: int, interleaved: set[Variable]) -> list[Site]:
    """The sites of one layer, each with all places where its parameter is used."""
    found: dict[str, Site] = {}
    for (equation, product), other in zip(small.products.items(), large.products, strict=True):
        if product.closed:
            continue
        signal: Any = equation.inputs[product.signal]
        wider: Any = other.inputs[product.signal]
        point = _point(prefix + product.place, signal, wider, interleaved) if product.transports else None
        points = () if point is None else (point,)
        name = prefix + product.name
        if name not in found:
            found[name] = Site(name, number, product.leaf, *product.fans(equation), product.transports, points)
        else:
            old = found[name]
            found[name] = old._replace(transports=old.transports or product.transports, points=old.points + points)
    return list(found.values())


def _activations(small: sites.Sites, large: sites.Sites, prefix: str, number: int) -> list[ActivationSite]:
    """The activations of one layer; max(0, v) of a variance v over all examples is none."""
    outside = set(small.graph.equations)
    return [
        ActivationSite(prefix + one.name, number, one.function, one.output is small.graph.outputs[0])
        for (equation, one), other in zip(small.curves.items(), large.curves.values(), strict=True)
        if equation not in outside or one.input.shape != other.input.shape
    ]


def _interleaved(small: Graph, large: Graph, inherited: Iterable[Variable] = ()) -> set[Variable]:
    """The values that have several rows for each example which do not follow one another, as those of steps and examples do
    where the steps are the axis in front: which example a row belongs to is known of no such value."""
    found = set(inherited)
    for one, other in zip(small.equations, large.equations, strict=True):
        before = [
            (atom, place)
            for atom, wide in zip(one.inputs, other.inputs, strict=True)
            if isinstance(atom, Variable) and isinstance(wide, Variable) and (place := _axis(atom, wide)) is not None
        ]
        for out, wide in zip(one.outputs, other.outputs, strict=True):
            place = _axis(out, wide)
            if place is None or place[1] == 1:
                continue
            axis, rows = place
            if one.name == "reshape":
                kept = [total(atom.shape[:at]) == total(out.shape[:axis]) for atom, (at, _) in before]
            else:
                kept = [one.name != "concatenate" for _, (_, own) in before if own == rows]
            if not any(kept) or not all(kept) or any(atom in found for atom, _ in before):
                found.add(out)
        if one.inner is not None and other.inner is not None:
            pairs = zip(one.inner.inputs, one.inputs, strict=True)
            found |= _interleaved(one.inner, other.inner, [own for own, outer in pairs if outer in found])
    return found


def _axis(small: Variable, large: Variable) -> tuple[int, int] | None:
    """The axis of a value that has its examples, and how many rows each has there; None where no axis has them."""
    differing = [i for i, sizes in enumerate(zip(small.shape, large.shape, strict=True)) if len(set(sizes)) > 1]
    if len(differing) != 1:
        return None
    axis = differing[0]
    rows = small.shape[axis] // BATCHES[0]
    same = small.shape[axis] == rows * BATCHES[0] and large.shape[axis] == rows * BATCHES[1]
    return (axis, rows) if same else None


def _point(name: str, small: Variable, large: Variable, interleaved: set[Variable]) -> Point | None:
    """Where a value has its examples; None where no axis has them in their order."""
    place = _axis(small, large)
    if place is None or small in interleaved:
        return None
    return Point(name, sites.example_shape(small.shape, *place), *place)
