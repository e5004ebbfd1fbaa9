"""The heart: one tape, replaceable terms.

Backpropagation is the product of five terms, the b-functions [∇_a C, σ'(z^L), W^{l+1}ᵀ, δ^{l+1}, σ'(z^l)] of "Function
changes in the Backpropagation equation is equivalent to an implicit learning rate", equation 1:

    δ^L = ∇_a C ⊙ σ'(z^L)                     δ^l = (W^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l)

Each can be replaced, the last three per layer by name. What is left alone is exact. The gradient of a layer's own
parameters is always the layer's local vector-Jacobian product at the δ that reaches it (equation 2), so dense,
convolutional and normalization layers need no code of their own here.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.errors import UserError
from ascribe.losses import Loss
from ascribe.networks import Activation, Network, Tape, activations, record
from ascribe.networks.layer import AbstractLayer
from ascribe.types import Array, Elementwise, Key, PyTree, Scalar

from .base import Batch, Credit


class Terms(eqx.Module):
    """The replaced terms; an empty `Terms()` is backpropagation.

    - `cost_gradient(y, t)`: in place of ∇_a C, `(batch, outputs)`;
    - `output_derivative(z)`: in place of σ'(z^L), where the output activation is elementwise;
    - `feedback[name]`: B in place of the W of that synaptic layer, in W's shape: feedback alignment and its relatives;
    - `direct[name]`: `(outputs, *shape of the layer's input)`: the error at the layer's input is δ^L times this matrix,
      whatever happened above: direct feedback alignment replaces W^{l+1}ᵀ and δ^{l+1} together;
    - `error[name](delta)`: in place of the δ that enters that synaptic layer from above;
    - `derivative[name](z)`: g(z) in place of σ'(z) of that activation layer, at its own input. A synaptic layer's name
      stands for the activation that follows it.
    """

    cost_gradient: Callable[[Array, Array], Array] | None = None
    output_derivative: Elementwise | None = None
    feedback: Mapping[str, Array] = eqx.field(default_factory=dict)
    direct: Mapping[str, Array] = eqx.field(default_factory=dict)
    error: Mapping[str, Elementwise] = eqx.field(default_factory=dict)
    derivative: Mapping[str, Elementwise] = eqx.field(default_factory=dict)


def backward_sweep(
    network: Network, state: PyTree, batch: Batch, terms: Terms | None = None, *, key: Key | None = None
) -> Credit:
    """One forward pass onto a tape, one sweep back with the given terms.

    **Returns:** the credit, with the rule's `state` handed through. With `Terms()`, or with every replacement equal to the
    term it replaces, `gradients` equals `jax.grad` of the loss.
    """
    terms = Terms() if terms is None else terms
    tape, network_state = record(network, batch.inputs, batch.network_state, key=key)
    loss, delta = output_error(network, tape, batch, terms)
    return Credit(loss, sweep_down(network, tape, delta, terms), state, network_state)


def output_error(network: Network, tape: Tape, batch: Batch, terms: Terms) -> tuple[Scalar, Array]:
    """The loss and δ^L = ∂E/∂z^L, `(batch, outputs)`: terms 1 and 2.

    The output activation is the network's last layer if that is an activation, else the loss's link. Softmax and its
    cross entropy (and the logistic function and its own) are fused into y - t unless one of their terms is replaced.
    """
    loss = batch.loss
    function, z = final_preactivation(network, tape, loss)
    if function.name == loss.link and terms.cost_gradient is None and terms.output_derivative is None:
        return loss.mean_and_error(z, batch.targets)

    t = loss.encode(batch.targets, z.shape[1], z.dtype)
    y = function.function(z)
    value = jnp.mean(loss.values(z, batch.targets) if function.name == loss.link else loss.value(y, t))
    gradient = (terms.cost_gradient or loss.cost_gradient)(y, t) / z.shape[0]
    if function.elementwise:
        return value, gradient * (terms.output_derivative or function.derivative)(z)
    if terms.output_derivative is not None:
        raise UserError(
            f"the output derivative of {function.name} cannot be replaced, because it couples the units: "
            f"use an elementwise output activation, such as logistic."
        )
    return value, jax.vjp(function.function, z)[1](gradient)[0]


def final_preactivation(network: Network, tape: Tape, loss: Loss) -> tuple[activations.ActivationFunction, Array]:
    """The output activation and z^L, `(batch, outputs)`; a `UserError` where the loss is not made for them."""
    last = network.layers[-1]
    named = isinstance(last, Activation)
    function = activations.get(last.function if named else loss.link)
    z = tape.inputs[-1] if named else tape.output
    if z.ndim != 2:
        raise UserError(f"a loss needs outputs of the shape (batch, outputs); the network gives {z.shape}.")
    if loss.link not in (function.name, "identity"):
        raise UserError(
            f"the loss {loss.name} is made for {loss.link} outputs but the network ends in {function.name}: "
            f"leave the output activation out, or use the loss squared-error."
        )
    return function, z


def sweep_down(network: Network, tape: Tape, delta: Array, terms: Terms) -> Network:
    """Every layer's parameter gradient, from δ^L at the last preactivation downwards: terms 3, 4 and 5."""
    derivative = _derivatives_by_activation(network, terms)
    _check_names(network, terms)
    output_delta, cotangent = delta, delta
    top = len(network.layers) - (2 if isinstance(network.layers[-1], Activation) else 1)
    lowest = min(i for i, layer in enumerate(network.layers) if jax.tree.leaves(layer))
    gradients = list(network.layers)  # a layer without parameters is its own, empty, gradient
    for i in range(top, lowest - 1, -1):
        name, layer, x = network.names[i], network.layers[i], tape.inputs[i]
        if name in terms.error:
            cotangent = terms.error[name](cotangent)
        if jax.tree.leaves(layer):
            gradients[i] = jax.vjp(lambda layer, i=i, x=x: _replay(layer, tape, i, x), layer)[1](cotangent)[0]
        if i == lowest:
            break
        if name in terms.direct:
            cotangent = jnp.tensordot(output_delta, _direct(terms.direct[name], output_delta, x, name), axes=1)
        elif isinstance(layer, Activation) and name in derivative:
            cotangent = cotangent * derivative[name](x)
        elif isinstance(layer, Activation) and activations.get(layer.function).elementwise:
            cotangent = cotangent * activations.get(layer.function).derivative(x)
        else:
            back = _with_weight(layer, terms.feedback[name]) if name in terms.feedback else layer
            cotangent = jax.vjp(lambda x, i=i, back=back: _replay(back, tape, i, x), x)[1](cotangent)[0]
    return eqx.tree_at(lambda n: n.layers, network, tuple(gradients))


def _replay(layer: AbstractLayer, tape: Tape, i: int, x: Array) -> Array:
    """Layer i's output as on the tape, as a function of its parameters and input. What is not needed of it (the forward
    product, above all) is dead code that the compiler removes."""
    return layer(x, tape.state[i], key=tape.keys[i], training=True)[0]


def _with_weight(layer: Any, weight: Array) -> Any:
    if weight.shape != layer.weight.shape:
        raise UserError(f"feedback has the weight's own shape {layer.weight.shape}; got {weight.shape}.")
    return eqx.tree_at(lambda layer: layer.weight, layer, weight.astype(layer.weight.dtype))


def _direct(matrix: Array, output_delta: Array, x: Array, name: str) -> Array:
    expected = (output_delta.shape[1], *x.shape[1:])
    if matrix.shape != expected:
        raise UserError(f"direct feedback to layer {name} has the shape {expected}; got {matrix.shape}.")
    return matrix


def _derivatives_by_activation(network: Network, terms: Terms) -> dict[str, Elementwise]:
    found = {}
    for name, function in terms.derivative.items():
        i = network.index(name)
        if network.layers[i].synaptic:
            above = itertools.takewhile(lambda j: not network.layers[j].synaptic, range(i + 1, len(network.layers)))
            i = next((j for j in above if isinstance(network.layers[j], Activation)), i)
            if network.layers[i].synaptic:
                raise UserError(f"no activation follows layer {name}: its derivative cannot be replaced.")
        if not isinstance(network.layers[i], Activation):
            raise UserError(f"layer {name} is no activation: a derivative g(z) belongs to an activation layer.")
        if i == len(network.layers) - 1:
            raise UserError(f"layer {network.names[i]} is the output: replace its derivative by `output_derivative`.")
        found[network.names[i]] = function
    return found


def _check_names(network: Network, terms: Terms) -> None:
    for part in (terms.feedback, terms.direct, terms.error):
        for name in part:
            if not network[name].synaptic:
                raise UserError(
                    f"layer {name} has no weights: feedback and errors belong to {', '.join(network.synaptic)}."
                )
    lowest = network.synaptic[0]
    below = any(jax.tree.leaves(layer) for layer in network.layers[: network.index(lowest)])
    if not below and (lowest in terms.feedback or lowest in terms.direct):
        raise UserError(f"no error passes below the lowest layer with weights, {lowest}: it takes no feedback.")
