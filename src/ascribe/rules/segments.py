"""A network cut into segments at its relaxed places: evaluated all at once, or one after the other."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.errors import UserError, names_in_words
from ascribe.networks import Activation, BatchNorm, Dropout, Network, Stack
from ascribe.networks.layer import inner_layers
from ascribe.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Segments in a row that are equal but for their numbers, `count` of them from segment `first` on: more than one only
    inside a stack. `addresses`: where the layers of the first segment are stored; `stride`: blocks from one to the next."""

    first: int
    count: int
    addresses: tuple[tuple[int, int, int], ...]
    stride: int

    def layers(self, network: Network) -> tuple[Any, ...]:
        """The layers of a segment; of several, with a leading axis of segments on every array."""
        found: list[Any] = []
        for number, row, position in self.addresses:
            part: Any = network.parts[number]
            if isinstance(part, Stack):
                rows = self._rows(row) if self.count > 1 else row
                found.append(jax.tree.map(lambda leaf, rows=rows: leaf[rows], part.layers[position]))
            else:
                found.append(part)
        return tuple(found)

    def put(self, parts: list[Any], layers: Sequence[Any]) -> None:
        """The inverse of `layers`: writes them into a network's parts."""
        for (number, row, position), layer in zip(self.addresses, layers, strict=True):
            if not isinstance(parts[number], Stack):
                parts[number] = layer
                continue
            rows = self._rows(row) if self.count > 1 else row
            old = parts[number].layers[position]
            new = jax.tree.map(lambda leaf, one, rows=rows: leaf.at[rows].set(one), old, layer)
            parts[number] = eqx.tree_at(lambda stack, i=position: stack.layers[i], parts[number], new)

    def _rows(self, row: int) -> slice:
        return slice(row, row + (self.count - 1) * self.stride + 1, self.stride)


@dataclasses.dataclass(frozen=True)
class Segments:
    """Where a network is relaxed. `places`: the names of the synaptic layers at (or after) which it is; segment s goes from
    place s - 1 (the inputs, for the first) to place s (the last preactivation, for the last).

    Auxiliaries are a mapping from the name of a place to an array `(places, examples, …)`: neighbors of one stretch share one
    array, under the first one's name (`groups`: the number of the first place, and how many). `own[s]`: whether place s is the
    synaptic layer's own output, and not that of an activation after it.
    """

    places: tuple[str, ...]
    own: tuple[bool, ...]
    stretches: tuple[Stretch, ...]
    groups: tuple[tuple[int, int], ...]

    def of(self, auxiliary: dict[str, Array], place: int, count: int) -> Array:
        """The auxiliaries of one place, `(examples, …)`, or of several in a row, `(count, examples, …)`."""
        first, _ = next((first, size) for first, size in self.groups if first <= place < first + size)
        array, row = auxiliary[self.places[first]], place - first
        return array[row] if count == 1 else array[row : row + count]

    def grouped(self, values: list[Array]) -> dict[str, Array]:
        """One array of activations for each stretch, `(examples, …)` or `(count, examples, …)`, as auxiliaries."""
        by_place: dict[int, Array] = {}
        for stretch, value in zip(self.stretches, values, strict=False):
            by_place[stretch.first] = value if stretch.count > 1 else value[None]
        found = {}
        for first, size in self.groups:
            pieces = [by_place[place] for place in range(first, first + size) if place in by_place]
            found[self.places[first]] = pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)
        return found

    def apart(
        self, network: Network, inputs: Array, auxiliary: dict[str, Array], *, lowest: Array | None = None
    ) -> list[Array]:
        """ẑ: every segment's output at its own auxiliary, all independent of each other, one array for each stretch; `lowest`:
        that of the first segment, where it is known."""
        outputs = [] if lowest is None else [lowest]
        for stretch in self.stretches[len(outputs) :]:
            x = self.of(auxiliary, stretch.first - 1, stretch.count) if stretch.first else inputs
            evaluate = jax.vmap(through) if stretch.count > 1 else through
            outputs.append(evaluate(stretch.layers(network), x))
        return outputs

    def last(self, network: Network, inputs: Array, auxiliary: dict[str, Array]) -> Array:
        """The last preactivation, from the highest auxiliary; that itself, where the output is relaxed too."""
        stretch = self.stretches[-1]
        x = self.of(auxiliary, stretch.first - 1, 1) if stretch.first else inputs
        return through(stretch.layers(network), x)

    def in_turn(self, network: Network, inputs: Array) -> list[Array]:
        """The plain forward pass: every segment's output at what the one below gave."""

        def step(layers: Any, x: Any, own: PyTree) -> tuple[Any, PyTree]:
            x = through(layers, x)
            return x, x

        return self.sweep(network, inputs, [()] * len(self.stretches), step)

    def laid(self, network: Network, inputs: Array, residuals: dict[str, Array]) -> dict[str, Array]:
        """Auxiliaries from their residuals e_t = z_t - ẑ_t, from the lowest place upwards: z_t = f(z_{t-1}) + e_t."""

        def step(layers: Any, x: Any, residual: Array | None) -> tuple[Any, PyTree]:
            x = through(layers, x)
            x = x if residual is None else x + residual
            return x, x

        own = [
            self.of(residuals, stretch.first, stretch.count) if stretch.first < len(self.places) else None
            for stretch in self.stretches
        ]
        return self.grouped(self.sweep(network, inputs, own, step)[: len(self.stretches) - 1])

    def residuals(self, network: Network, inputs: Array, auxiliary: dict[str, Array]) -> dict[str, Array]:
        """e_t = z_t - ẑ_t at every place: the inverse of `laid`."""
        outputs = self.grouped(self.apart(network, inputs, auxiliary)[:-1])
        return jax.tree.map(jnp.subtract, auxiliary, outputs)

    def sweep(
        self, network: Network, x: Any, own: list[PyTree], step: Callable[[Any, Any, PyTree], tuple[Any, PyTree]]
    ) -> list[PyTree]:
        """`step(layers, x, own) -> (x, found)` from the lowest segment to the highest; what was found, for each stretch."""
        found = []
        for stretch, mine in zip(self.stretches, own, strict=True):
            if stretch.count > 1:
                x, one = jax.lax.scan(lambda x, item: step(item[0], x, item[1]), x, (stretch.layers(network), mine))
            else:
                x, one = step(stretch.layers(network), x, mine)
            found.append(one)
        return found


CHUNK = 512
"""Examples at a time where something is computed for all of them."""


def in_chunks(function: Callable[..., PyTree], *given: tuple[PyTree, int], out: int) -> PyTree:
    """`function` of arrays, each given with its axis of examples, a chunk of examples at a time; `out`: the axis of examples of
    what it returns."""
    count = jax.tree.leaves(given[0][0])[0].shape[given[0][1]]
    if count <= CHUNK:
        return function(*(tree for tree, _ in given))
    chunks = -(-count // CHUNK)

    def cut_up(leaf: Array, axis: int) -> Array:
        padding = [(0, 0)] * leaf.ndim
        padding[axis] = (0, chunks * CHUNK - count)
        leaf = jnp.pad(leaf, padding)
        return jnp.moveaxis(leaf.reshape(*leaf.shape[:axis], chunks, CHUNK, *leaf.shape[axis + 1 :]), axis, 0)

    def together(leaf: Array) -> Array:
        leaf = jnp.moveaxis(leaf, 0, out)
        leaf = leaf.reshape(*leaf.shape[:out], chunks * CHUNK, *leaf.shape[out + 2 :])
        return jax.lax.slice_in_dim(leaf, 0, count, axis=out)

    pieces = tuple(jax.tree.map(lambda leaf, axis=axis: cut_up(leaf, axis), tree) for tree, axis in given)
    return jax.tree.map(together, jax.lax.map(lambda chunk: function(*chunk), pieces))


def through(layers: tuple[Any, ...], x: Array) -> Array:
    """The output of the layers of one segment."""
    for layer in layers:
        x, _ = layer(x, training=True)
    return x


def cut(
    network: Network,
    rule: str,
    *,
    after_activation: bool = False,
    layers: tuple[str | int, ...] | None = None,
    relax_output: bool = False,
) -> Segments:
    """The segments of a network that is relaxed after the chosen synaptic layers (all hidden ones by default), or after the
    activations that follow them. `rule`: who asks, for a sentence.

    **Raises:** `UserError` for normalization or dropout, whose output for one example is not the same in every batch, and for
    layers that there are not.
    """
    check_examples_apart(network, rule)
    ends = ends_of(network, after_activation, layers)
    top = len(network.names) - (2 if isinstance(network.last, Activation) else 1)
    if relax_output:
        ends[network.units[-1]] = top
    starts = [0, *(end + 1 for end in ends.values())]
    spans = [
        tuple(network.address(i) for i in range(start, end + 1))
        for start, end in zip(starts, [*ends.values(), top], strict=True)
    ]
    stacked = [isinstance(part, Stack) for part in network.parts]
    stretches: list[Stretch] = []
    s = 0
    while s < len(spans):
        count = stride = 1
        while s + count < len(spans):
            shift = _shift(spans[s + count - 1], spans[s + count], stacked)
            if shift == 0 or (count > 1 and shift != stride):
                break
            count, stride = count + 1, shift
        stretches.append(Stretch(s, count, spans[s], stride))
        s += count
    own = tuple(end == network.names.index(name) for name, end in ends.items())
    return Segments(tuple(ends), own, tuple(stretches), _groups(len(ends), stretches))


def check_examples_apart(network: Network, rule: str) -> None:
    """A `UserError` for normalization and dropout, under which an example is not the same in every batch; `rule`: who asks."""
    for name, layer in zip(network.names, network.templates, strict=True):
        if any(isinstance(one, BatchNorm | Dropout) for one in (layer, *inner_layers(layer))) or _keeps(layer):
            raise UserError(f"{rule} knows no normalization and no dropout: leave {name} out of the network.")


def _keeps(layer: Any) -> bool:
    """Whether a layer keeps statistics."""
    return bool(jax.tree.leaves(layer.initial_state()))


def ends_of(network: Network, after_activation: bool, chosen: tuple[str | int, ...] | None) -> dict[str, int]:
    """The position of the layer whose output is relaxed, by the name of the synaptic layer."""
    hidden = network.units[:-1]
    if chosen is not None:
        known = lambda one: one in hidden or (not isinstance(one, bool) and one in range(len(hidden)))
        unknown = [one for one in chosen if not known(one)]
        if unknown:
            raise UserError(
                f"`layers` names or numbers hidden layers with weights, "
                f"{names_in_words(hidden) or 'of which there are none'}; got {unknown[0]!r} (for the last layer there is "
                f"`relax_output`)."
            )
        names = [one if isinstance(one, str) else hidden[one] for one in chosen]
        hidden = tuple(name for name in hidden if name in names)
    ends = {name: network.names.index(name) for name in hidden}
    if after_activation:
        layers = network.templates
        for name, start in ends.items():
            weightless = lambda i: network.names[i] not in network.units
            above = itertools.takewhile(weightless, range(start + 1, len(layers)))
            ends[name] = next((i for i in above if isinstance(layers[i], Activation)), start)
    return ends


def _shift(below: tuple, above: tuple, stacked: list[bool]) -> int:
    """By how many blocks of one stack a segment lies above another that is equal to it; 0 where it does not."""
    if not below or len(below) != len(above):
        return 0
    shifts = {
        high[1] - low[1] if low[0] == high[0] and low[2] == high[2] and stacked[low[0]] else 0
        for low, high in zip(below, above, strict=True)
    }
    return shifts.pop() if len(shifts) == 1 else 0


def _groups(places: int, stretches: list[Stretch]) -> tuple[tuple[int, int], ...]:
    """Places whose auxiliaries share an array: those at both ends of every segment of a stretch."""
    joined = {place for one in stretches if one.count > 1 for place in range(one.first, one.first + one.count)}
    groups: list[tuple[int, int]] = []
    for place in range(places):
        if place in joined and place:
            first, size = groups.pop()
            groups.append((first, size + 1))
        else:
            groups.append((place, 1))
    return tuple(groups)
