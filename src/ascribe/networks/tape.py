"""The tape: one forward pass, recorded. Everything a rule may ask about the pass is on it."""

import equinox as eqx
import jax.random as jr

from ascribe.types import Array, Key, PyTree

from .network import Network


class Tape(eqx.Module):
    """What one forward pass leaves behind.

    `inputs[i]`: the input of layer i, `(batch, …)`; `output`: the output of the last layer; `keys[i]`: the randomness that
    layer i used; `state[i]`: the normalization statistics it started from. With these, layer i can be evaluated again
    exactly as it was, which is all that a local vector-Jacobian product needs.
    """

    inputs: tuple[Array, ...]
    output: Array
    keys: tuple[Key | None, ...]
    state: tuple[PyTree, ...]

    def outputs(self, index: int) -> Array:
        """The output of layer `index`."""
        return self.inputs[index + 1] if index + 1 < len(self.inputs) else self.output

    def preactivations(self, network: Network) -> dict[str, Array]:
        """z of every synaptic layer, by name."""
        return {name: self.outputs(network.index(name)) for name in network.synaptic}


def record(
    network: Network, x: Array, state: PyTree = None, *, key: Key | None = None, training: bool = True
) -> tuple[Tape, PyTree]:
    """One forward pass over the batch `x`, `(batch, …)`.

    **Arguments:** `state`: normalization statistics to start from (the initial ones by default); `key`: randomness for
    dropout; `training`: batch statistics and dropout on.

    **Returns:** the tape, and the normalization statistics after the pass.
    """
    states = network.initial_state() if state is None else state
    keys = (None,) * len(network.layers) if key is None else tuple(jr.split(key, len(network.layers)))
    inputs, new_states = [], []
    for layer, layer_state, layer_key in zip(network.layers, states, keys, strict=True):
        inputs.append(x)
        x, new_state = layer(x, layer_state, key=layer_key, training=training)
        new_states.append(new_state)
    return Tape(tuple(inputs), x, keys, tuple(states)), tuple(new_states)
