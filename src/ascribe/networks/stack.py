"""Equal blocks of layers, stored as one: a network of a hundred equal layers compiles like one of a few."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.checks import at_least

from .inside import is_composite
from .layer import AbstractLayer
from .synaptic import AbstractSynapticLayer

FEWEST = 8
"""From how many equal blocks in a row they are stored as one."""

LONGEST = 4
"""How many layers a block has at most."""


class Stack(eqx.Module):
    """`count` equal blocks, one after another: `layers` are those of one block, with a leading axis of blocks on every array.

    A network makes its stacks by itself; `network.layers` shows every layer apart, as if there were none.
    """

    layers: tuple[AbstractLayer, ...]
    count: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        at_least(1, "count", self.count)

    def block(self, row: int) -> tuple[AbstractLayer, ...]:
        """The layers of one block. Axes in front of that of the blocks, such as one of seeds, stay."""
        weights = [layer.weight for layer in self.layers if isinstance(layer, AbstractSynapticLayer)]
        axis = weights[0].ndim - 3 if weights else 0
        return jax.tree.map(lambda leaf: leaf[(slice(None),) * axis + (row,)], self.layers)


def stacked(layers: Sequence[AbstractLayer]) -> tuple[AbstractLayer | Stack, ...]:
    """The same layers, equal blocks among the hidden ones as a `Stack`. The first and the last layer with weights, and what
    is outside them, stay as they are."""
    synaptic = [i for i, layer in enumerate(layers) if layer.synaptic]
    if not synaptic:
        return tuple(layers)
    low, high = synaptic[0] + 1, synaptic[-1]
    kinds = [_kind(layer) for layer in layers]
    parts: list[AbstractLayer | Stack] = list(layers[:low])
    i = low
    while i < high:
        period, count = max(((period, _repeats(kinds, i, high, period)) for period in range(1, LONGEST + 1)), key=_gain)
        if count < FEWEST:
            parts.append(layers[i])
            i += 1
            continue
        blocks = [tuple(layers[i + period * row : i + period * (row + 1)]) for row in range(count)]
        parts.append(Stack(jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks), count))
        i += period * count
    return (*parts, *layers[max(low, high) :])


def _gain(found: tuple[int, int]) -> tuple[int, int]:
    period, count = found
    return (period * count if count >= FEWEST else 0), -period


def _repeats(kinds: Sequence[Any], start: int, stop: int, period: int) -> int:
    """How often the block of `period` layers at `start` comes in a row; 0 if it cannot be stacked."""
    block = kinds[start : start + period]
    if None in block or start + period > stop:
        return 0
    count = 1
    while start + period * (count + 1) <= stop and kinds[start + period * count :][:period] == block:
        count += 1
    return count


def _kind(layer: AbstractLayer) -> Any:
    """What tells whether two layers are equal but for their numbers; None for one that is never stacked, because it has
    a state or randomness, may change the shape of what passes, or has sites inside, each with terms of its own."""
    repeats = layer.repeats and not is_composite(layer)
    return (type(layer), layer.config(), [leaf.dtype for leaf in jax.tree.leaves(layer)]) if repeats else None
