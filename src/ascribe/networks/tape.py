"""The tape: one forward pass, recorded. Everything a rule may ask about the pass is on it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.random as jr

from ascribe.types import Array, Float, Key, PyTree

from .network import Network
from .stack import Stack


class Tape(eqx.Module):
    """What one forward pass leaves behind.

    `inputs[i]`: the input of layer i, `(batch, …)`; `output`: the output of the last layer; `keys[i]`: the randomness that
    layer i used; `state[i]`: the normalization statistics it started from; `training`: whether batch statistics and dropout
    were in force. With these, layer i can be evaluated again
    exactly as it was, which is all that a local vector-Jacobian product needs.

    `parts` is how the inputs are stored, one entry for each of `network.parts`: of a `Stack`, one array `(blocks, batch, …)`
    for each layer of its block. `back`: what `through` gave for going back through composites, by their position.
    """

    parts: tuple[Array | tuple[Array, ...], ...]
    output: Float[Array, "batch ..."]
    keys: tuple[Key | None, ...]
    state: tuple[PyTree, ...]
    training: bool = eqx.field(static=True, default=True)
    back: tuple[tuple[int, Callable[..., Any]], ...] = eqx.field(static=True, default=())

    @property
    def inputs(self) -> tuple[Float[Array, "batch ..."], ...]:
        """The input of every layer."""
        found: list[Array] = []
        for part in self.parts:
            if isinstance(part, tuple):
                found += [one[row] for row in range(part[0].shape[0]) for one in part]
            else:
                found.append(part)
        return tuple(found)

    def outputs(self, index: int) -> Float[Array, "batch ..."]:
        """The output of layer `index`."""
        inputs = self.inputs
        return inputs[index + 1] if index + 1 < len(inputs) else self.output

    def preactivations(self, network: Network) -> dict[str, Array]:
        """z of every synaptic layer, by name (of no site inside a layer)."""
        outputs = (*self.inputs[1:], self.output)
        return {name: outputs[network.index(name)] for name in network.synaptic if name in network.names}


def record(
    network: Network,
    x: Float[Array, "batch ..."],
    state: PyTree = None,
    *,
    key: Key | None = None,
    training: bool = True,
    through: Callable[..., tuple[Array, PyTree, Callable[..., Any]]] | None = None,
) -> tuple[Tape, PyTree]:
    """One forward pass over the batch `x`, `(batch, …)`.

    **Arguments:** `state`: normalization statistics to start from (the initial ones by default); `key`: randomness for
    dropout; `training`: batch statistics and dropout on; `through(name, layer, x, state, key, training)`: what evaluates
    composites in place of a call, and returns a way back beside output and state, so that no pass is made twice.

    **Returns:** the tape, and the normalization statistics after the pass.
    """
    states = network.initial_state() if state is None else state
    keys = (None,) * len(network.names) if key is None else tuple(jr.split(key, len(network.names)))
    inputs: list[Any] = []
    new_states = list(states)
    back: dict[int, Callable[..., Any]] = {}

    def block(x: Array, layers: Any) -> tuple[Array, tuple[Array, ...]]:
        seen = []
        for layer in layers:
            seen.append(x)
            x, _ = layer(x, training=training)
        return x, tuple(seen)

    for part, first in zip(network.parts, network.starts, strict=True):
        if isinstance(part, Stack):
            x, seen = jax.lax.scan(block, x, part.layers)
            inputs.append(seen)
        else:
            inputs.append(x)
            name = network.names[first]
            if through is not None and name in network.composites:
                x, new_states[first], back[first] = through(name, part, x, states[first], keys[first], training)
            else:
                x, new_states[first] = part(x, states[first], key=keys[first], training=training)
    return Tape(tuple(inputs), x, keys, tuple(states), training, tuple(back.items())), tuple(new_states)
