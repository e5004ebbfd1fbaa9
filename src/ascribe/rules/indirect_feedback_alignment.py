"""Indirect feedback alignment: the output error goes to the first hidden layer, and from there forward.

Source: Nøkland (2016), arXiv:1609.01596, equation 8.
"""

import jax

from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Activation, Network, Tape, activations
from ascribe.types import Array, Float, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .direct_feedback import random_direct_feedback
from .terms import Terms, backward_sweep, layer_errors, onto_tape, output_error, sweep_down


class IndirectFeedbackAlignment(AbstractRule[Network, dict[str, Array]]):
    """δ^1 = (B δ^L) ⊙ σ'(z^1), and δ^{l+1} = (W^{l+1} δ^l) ⊙ σ'(z^{l+1}) for the hidden layers above: what moves the first
    hidden layer travels forward through the network's own weights, and no weight is transposed. The last layer has δ^L itself.
    So δ^l is the change of h^l, to first order, where z^1 changes by B δ^L. In convolutional networks B δ^L is the error at the
    second layer's input; pooling, flattening and activation take their exact step, back to δ^1 and forward from there.

    The lowest layer learns as under `DirectFeedbackAlignment` with the same B; with one hidden layer the rule is that, and
    `Backpropagation` where B = W of the last layer.

    **Arguments:** `scale`: standard deviation of B in units of 1/√outputs; positive.
    """

    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where δ of every hidden layer is one number a unit on the way forward."""
        if network.composites:
            raise UserError(
                f"indirect feedback alignment sends an error forward from layer to layer, and {network.composites[0]} is made "
                f"of several: use direct-feedback-alignment."
            )
        names, layers = network.names, network.templates
        for i in range(network.index(network.synaptic[0]), network.index(network.synaptic[-1])):
            if jax.tree.leaves(layers[i]) and not layers[i].synaptic:
                raise UserError(
                    f"indirect feedback alignment is defined by weights and activations alone, and {names[i]} has other "
                    f"parameters: leave it out, or use direct-feedback-alignment."
                )
            if isinstance(layers[i], Activation) and not layers[i - 1].synaptic:
                raise UserError(
                    f"under indirect feedback alignment an activation follows its layer at once; {names[i]} follows "
                    f"{names[i - 1]}: change their places, or use direct-feedback-alignment."
                )
        return network

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Float[Array, "outputs ..."]]:
        """B, by the name of the second layer, at whose input the error arrives."""
        drawn = random_direct_feedback(network, data.inputs.shape[1:], self.scale, key=key)
        return {name: drawn[name] for name in network.synaptic[1:2]}

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        own, terms = network.located(batch.inputs.shape[1:]), Terms(direct=state)
        tape, network_state = onto_tape(own, batch, terms, key=key)
        loss, delta = output_error(own, tape, batch, terms)
        lowest = layer_errors(own, tape, delta, terms)[own.synaptic[0]]
        forward = travelled(own, tape, lowest)
        told = Terms(direct=state, error={name: lambda _, own=one: own for name, one in forward.items()})
        return Credit(loss, sweep_down(own, tape, delta, told).like(network), state, network_state)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the lowest layer; with one hidden layer of all of them, against backpropagation."""
        state, (lowest, *above) = self.init(network, batch, key=key), network.synaptic
        if len(above) == 1 and getattr(network.last, "dense", False):
            ours = self(network, {above[0]: network.last.weight}, batch, key=key).gradients
            return LimitingCase("B = W", "backpropagation", ours, exact(network, batch, key=key))
        ours = self(network, state, batch, key=key).gradients[lowest]
        theirs = backward_sweep(network, None, batch, Terms(direct=state), key=key).gradients[lowest]
        return LimitingCase(f"in the lowest layer, {lowest}", "direct feedback alignment", ours, theirs)


def travelled(network: Network, tape: Tape, delta: Array) -> dict[str, Array]:
    """δ of every hidden layer above the lowest, by name, from that of the lowest."""
    names, layers, inputs = network.names, network.layers, tape.inputs
    at, end = network.index(network.synaptic[0]) + 1, network.index(network.synaptic[-1])
    if at < end and isinstance(layers[at], Activation):  # whose slope is in δ already
        at += 1
    found, change, latest = {}, delta, ""
    for i in range(at, end):
        layer, x = layers[i], inputs[i]
        if isinstance(layer, Activation) and activations.get(layer.function).elementwise:
            change = change * activations.get(layer.function).derivative(x)
        else:
            replay = lambda x, i=i, layer=layer: layer(x, tape.state[i], key=tape.keys[i], training=tape.training)[0]
            change = jax.jvp(replay, (x,), (change,))[1]
        latest = names[i] if layer.synaptic else latest
        if layer.synaptic or isinstance(layer, Activation):
            found[latest] = change
    return found
