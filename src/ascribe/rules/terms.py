"""The heart: one tape, replaceable terms.

Backpropagation is the product of five terms, the b-functions [∇_a C, σ'(z^L), W^{l+1}ᵀ, δ^{l+1}, σ'(z^l)] of "Function
changes in the Backpropagation equation is equivalent to an implicit learning rate", equation 1:

    δ^L = ∇_a C ⊙ σ'(z^L)                     δ^l = (W^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l)

Each can be replaced, the last three per layer by name. What is left alone is exact. The gradient of a layer's own
parameters is always the layer's local vector-Jacobian product at the δ that reaches it (equation 2), so dense,
convolutional and normalization layers need no code of their own here.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.errors import UserError, names_in_words
from ascribe.losses import Loss
from ascribe.networks import Activation, Network, Stack, Tape, activations, record
from ascribe.networks.layer import AbstractLayer
from ascribe.types import Array, Elementwise, Float, Key, PyTree, Scalar

from . import walk
from .base import Batch, Credit
from .cotangents import directly, fitting
from .naming import activation_of, hidden_activations, matched

INSIDE = "inside-"
"""How the scopes (`jax.named_scope`) begin in which an error passes weights that no term replaces."""


class Terms(eqx.Module):
    """The replaced terms; an empty `Terms()` is backpropagation.

    - `cost_gradient(y, t)`: in place of ∇_a C, `(batch, outputs)`;
    - `output_derivative(z)`: in place of σ'(z^L), where the output activation is elementwise;
    - `feedback[name]`: B in place of the W of that synaptic layer, in W's shape: feedback alignment and its relatives;
    - `direct[name]`: `(outputs, *shape of the layer's input)`: the error at the layer's input is δ^L times this matrix,
      whatever happened above: direct feedback alignment replaces W^{l+1}ᵀ and δ^{l+1} together;
    - `broadcast(delta)`: in place of the δ^L that `direct` multiplies, `(batch, outputs)`, such as its sign, or the target;
    - `error[name](delta)`: in place of the δ that enters that synaptic layer from above;
    - `derivative[name](z)`: g(z) in place of σ'(z) of that activation layer, at its own input. A synaptic layer's name
      stands for the activation that follows it.
    """

    cost_gradient: Callable[[Array, Array], Array] | None = None
    output_derivative: Elementwise | None = None
    feedback: Mapping[str, Array] = eqx.field(default_factory=dict)
    direct: Mapping[str, Array] = eqx.field(default_factory=dict)
    broadcast: Elementwise | None = None
    error: Mapping[str, Elementwise] = eqx.field(default_factory=dict)
    derivative: Mapping[str, Elementwise] = eqx.field(default_factory=dict)


def backward_sweep(
    network: Network,
    state: PyTree,
    batch: Batch,
    terms: Terms | None = None,
    *,
    key: Key | None = None,
    training: bool = True,
) -> Credit:
    """One forward pass onto a tape, one sweep back with the given terms. `training`: batch statistics and dropout on.

    **Returns:** the credit, with the rule's `state` handed through. With `Terms()`, or with every replacement equal to the
    term it replaces, `gradients` equals `jax.grad` of the loss.
    """
    terms = Terms() if terms is None else terms
    own = network.located(batch.inputs.shape[1:])
    tape, network_state = onto_tape(own, batch, terms, key=key, training=training)
    loss, delta = output_error(own, tape, batch, terms)
    return Credit(loss, sweep_down(own, tape, delta, terms).like(network), state, network_state)


def onto_tape(
    network: Network, batch: Batch, terms: Terms, *, key: Key | None = None, training: bool = True
) -> tuple[Tape, PyTree]:
    """The forward pass of a located network, with what a sweep with these terms needs for its way back."""
    through = _through_pass(network, expand(network, terms))
    return record(network, batch.inputs, batch.network_state, key=key, training=training, through=through)


def output_error(network: Network, tape: Tape, batch: Batch, terms: Terms) -> tuple[Scalar, Float[Array, "batch outputs"]]:
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
    gradient = fitting("the cost gradient", (terms.cost_gradient or loss.cost_gradient)(y, t), y) / z.shape[0]
    if function.elementwise:
        slope = (terms.output_derivative or function.derivative)(z)
        return value, gradient * fitting("the output derivative", slope, z)
    if terms.output_derivative is not None:
        raise UserError(
            f"the output derivative of {function.name} cannot be replaced, because it couples the units: "
            f"use an elementwise output activation, such as logistic."
        )
    return value, jax.vjp(function.function, z)[1](gradient)[0]


def final_preactivation(
    network: Network, tape: Tape, loss: Loss
) -> tuple[activations.ActivationFunction, Float[Array, "batch outputs"]]:
    """The output activation and z^L, `(batch, outputs)`; a `UserError` where the loss is not made for them."""
    z: Any = tape.parts[-1] if isinstance(network.last, Activation) else tape.output
    return output_function(network, z, loss), z


def output_function(network: Network, z: Float[Array, "batch ..."], loss: Loss) -> activations.ActivationFunction:
    """The output activation, for the last preactivation z^L; a `UserError` where the loss is not made for them."""
    last = network.last
    function = activations.get(last.function if isinstance(last, Activation) else loss.link)
    if z.ndim != 2:
        raise UserError(f"a loss needs outputs of the shape (batch, outputs); the network gives {z.shape}.")
    if loss.link not in (function.name, "identity"):
        raise UserError(
            f"the loss {loss.name} is made for {loss.link} outputs but the network ends in {function.name}: "
            f"leave the output activation out, or use the loss squared-error."
        )
    return function


def output_loss(network: Network, z: Float[Array, "batch ..."], batch: Batch) -> Scalar:
    """The loss from the last preactivation z^L, `(batch, outputs)`: the value that `output_error` gives."""
    return jnp.mean(output_losses(network, z, batch))


def output_losses(network: Network, z: Float[Array, "batch ..."], batch: Batch) -> Float[Array, " batch"]:
    """The loss of every example, of which `output_loss` is the mean."""
    function, loss = output_function(network, z, batch.loss), batch.loss
    if function.name == loss.link:
        return loss.values(z, batch.targets)
    return loss.value(function.function(z), loss.encode(batch.targets, z.shape[1], z.dtype))


def sweep_down(network: Network, tape: Tape, delta: Float[Array, "batch outputs"], terms: Terms) -> Network:
    """Every layer's parameter gradient, from δ^L at the last preactivation downwards: terms 3, 4 and 5. A stack of equal
    blocks is one `lax.scan`, from its last block to its first."""
    return _sweep(network, tape, delta, terms)


def layer_errors(network: Network, tape: Tape, delta: Float[Array, "batch outputs"], terms: Terms) -> dict[str, Array]:
    """δ^l, the error at every synaptic layer's preactivation, `(batch, …)` each, by name: what the layer's gradient is made
    of. At a site inside a layer its axes are those of the product as it is computed: with the steps of a loop in front, and
    with the units before the examples where the weight is the product's first operand; where one parameter is used in several
    places, the errors are one vector."""
    errors: dict[str, Array] = {}
    _sweep(network, tape, delta, terms, errors)
    return {name: errors[name] for name in network.synaptic}


def _sweep(network: Network, tape: Tape, delta: Array, terms: Terms, errors: dict[str, Array] | None = None) -> Network:
    """The sweep itself; the errors that it meets go into `errors`, where they are asked for."""
    terms = expand(network, terms)
    top = len(network.names) - (2 if isinstance(network.last, Activation) else 1)
    lowest = min(i for i, part in zip(network.starts, network.parts, strict=True) if jax.tree.leaves(part))
    gradients: list[Any] = list(network.parts)  # a layer without parameters is its own, empty, gradient
    cotangent = delta
    # What `direct` brings to the layers; from here on the layers' errors are the cotangent.
    delta = delta if terms.broadcast is None else fitting("what is broadcast", terms.broadcast(delta), delta)
    for number in reversed(range(len(network.parts))):
        i, inputs = network.starts[number], tape.parts[number]
        part: Any = network.parts[number]
        if not lowest <= i <= top:
            continue
        if isinstance(part, Stack):
            gradients[number], cotangent, met = _through_stack(network, tape, number, cotangent, delta, terms)
            if errors is not None:
                errors |= _by_name(network.names[i:], met)
            continue
        own = _Own.of(terms, network.names[i])
        if network.names[i] in network.composites:
            found = _through_composite(network, tape, i, cotangent, delta, terms, asked=errors is not None)
            gradients[number], cotangent, met = found
            if errors is not None:
                errors |= met
            continue
        if errors is not None and part.synaptic:
            errors[network.names[i]] = own.entering(cotangent)
        replayed = {"state": tape.state[i], "key": tape.keys[i], "training": tape.training}
        step = partial(_through_layer, replayed=replayed, output_delta=delta, stop=i == lowest)
        hidden = has_inner_weights(part)
        with jax.named_scope(f"{INSIDE}{network.names[i]}") if hidden else contextlib.nullcontext():
            gradients[number], cotangent = step(part, inputs, cotangent, own)
    return eqx.tree_at(lambda n: n.parts, network, tuple(gradients))


def _prefix(network: Network, name: str) -> str:
    """What the names of sites inside a layer begin with."""
    return "" if len(network.names) == 1 else f"{name}/"


def _inner(network: Network, name: str, terms: Terms, delta: Any, *, asked: bool = False) -> walk.InnerTerms:
    """The terms of a composite's inside, by the names that sites have there."""
    prefix = _prefix(network, name)

    def own(part: Mapping[str, Any]) -> dict[str, Any]:
        pairs = ((one, value) for one, value in part.items() if one not in network.names)
        return {one.removeprefix(prefix): value for one, value in pairs if one.startswith(prefix)}

    axes = own({point.name: (point.axis, point.rows) for point in network.points})
    feedback, direct, error, derivative = map(own, (terms.feedback, terms.direct, terms.error, terms.derivative))
    below = any(jax.tree.leaves(layer) for layer in network.templates[: network.index(name)])
    return walk.InnerTerms(feedback, direct, error, derivative, below, asked, axes, delta)


def _through_pass(network: Network, terms: Terms) -> Callable[..., tuple[Array, PyTree, Callable[..., Any]]]:
    """What `record` does with a composite: its forward pass, with the way back that these terms want."""

    def through(name: str, layer: Any, x: Array, state: PyTree, key: Key | None, training: bool) -> Any:
        delta = jax.ShapeDtypeStruct((x.shape[0], network.outputs), network.dtype)
        return walk.forward(layer, x, state, _inner(network, name, terms, delta), key=key, training=training)

    return through


def _through_composite(
    network: Network, tape: Tape, i: int, cotangent: Array, delta: Array, terms: Terms, *, asked: bool
) -> tuple[Any, Array, dict[str, Array]]:
    """The gradient of a layer with sites inside, the error at its input, and the errors at its sites where they are `asked`
    for."""
    name, x = network.names[i], tape.inputs[i]
    inner = _inner(network, name, terms, delta, asked=asked)
    # What no term reaches is told apart where others replace weights, since the error passes weights there that nothing does.
    hidden = (terms.feedback or terms.direct) and not (inner.feedback or inner.direct)
    with jax.named_scope(f"{INSIDE}{name}") if hidden else contextlib.nullcontext():
        back = None if asked else dict(tape.back).get(i)
        if back is None:
            *_, back = walk.forward(network[name], x, tape.state[i], inner, key=tape.keys[i], training=tape.training)
        gradient, below, met = back(cotangent, delta)
    if name in terms.direct:
        below = directly(terms.direct[name], delta, x, name)
    by_name: dict[str, list[Array]] = {}
    for place, error in met.items():
        by_name.setdefault(_prefix(network, name) + place.partition("@")[0], []).append(error)
    joined = lambda found: found[0] if len(found) == 1 else jnp.concatenate([one.ravel() for one in found])
    return gradient, below, {one: joined(found) for one, found in by_name.items()}


def has_inner_weights(layer: Any) -> bool:
    """Whether a layer has weights beside the one that terms can replace, such as a composite of several layers."""
    matrices = sum(jnp.ndim(leaf) > 1 for leaf in jax.tree.leaves(layer))
    return matrices > int(layer.synaptic)


class _Own(eqx.Module):
    """The terms of one layer; None for one that is exact."""

    name: str = eqx.field(static=True)
    feedback: Array | None
    direct: Array | None
    error: Elementwise | None
    derivative: Elementwise | None

    @classmethod
    def of(cls, terms: Terms, name: str) -> "_Own":
        feedback, direct = terms.feedback.get(name), terms.direct.get(name)
        return cls(name, feedback, direct, terms.error.get(name), terms.derivative.get(name))

    @property
    def place(self) -> str:
        """Where it is, for a sentence; a layer of a stack has no name here."""
        return f"of layer {self.name}" if self.name else "of a layer"

    def entering(self, delta: Array) -> Array:
        """The δ that enters the layer from above."""
        return delta if self.error is None else fitting(f"the error {self.place}", self.error(delta), delta)


def _through_layer(
    layer: Any,
    x: Any,
    cotangent: Array,
    own: _Own,
    *,
    output_delta: Array,
    replayed: Mapping[str, Any] = {},
    stop: bool = False,
) -> tuple[Any, Array]:
    """A layer's parameter gradient, and the error at its input (with `stop`, that at its output). `replayed`: with which state,
    key and mode the layer ran.

    What is not needed of the layer's output (the forward product, above all) is dead code that the compiler removes."""

    def replay(layer: AbstractLayer, x: Array) -> Array:
        return layer(x, **replayed)[0]

    cotangent = own.entering(cotangent)
    gradient = layer
    if jax.tree.leaves(layer):
        gradient = jax.vjp(lambda layer: replay(layer, x), layer)[1](cotangent)[0]
    if stop:
        return gradient, cotangent
    if own.direct is not None:
        return gradient, directly(own.direct, output_delta, x, own.name)
    if isinstance(layer, Activation) and own.derivative is not None:
        return gradient, cotangent * fitting(f"the derivative g(z) {own.place}", own.derivative(x), x)
    if isinstance(layer, Activation) and activations.get(layer.function).elementwise:
        return gradient, cotangent * activations.get(layer.function).derivative(x)
    back = layer if own.feedback is None else with_weight(layer, own.feedback)
    return gradient, jax.vjp(lambda x: replay(back, x), x)[1](cotangent)[0]


def _through_stack(
    network: Network, tape: Tape, number: int, cotangent: Array, output_delta: Array, terms: Terms
) -> tuple[Stack, Array, Any]:
    """The gradient of a stack, the error at its input, and the errors at its synaptic layers (a block's, with an axis of
    blocks in front; None for the other layers). Where the blocks' terms are not
    of one kind (a function for some, none for others), the blocks are taken one by one."""
    part: Any = network.parts[number]
    inputs, period = tape.parts[number], len(part.layers)
    names = network.names[network.starts[number] :]
    blocks = [tuple(_Own.of(terms, names[period * row + i]) for i in range(period)) for row in range(part.count)]
    # The checks of shapes that a single layer makes on its way, made before the blocks are one array and lose their names.
    for one in (one for block in blocks for one in block):
        layer, x = part.layers[names.index(one.name) % period], inputs[names.index(one.name) % period]
        if one.feedback is not None:
            _check_feedback(one.feedback, layer.weight.shape[1:])
        if one.direct is not None:
            directly(one.direct, output_delta, x[0], one.name)

    def through_block(cotangent: Array, layers: Any, inputs: Any, own: Any) -> tuple[Array, Any, Any]:
        gradients: list[Any] = list(layers)
        met: list[Any] = [None] * period
        for i in reversed(range(period)):
            if layers[i].synaptic:
                met[i] = own[i].entering(cotangent)
            gradients[i], cotangent = _through_layer(layers[i], inputs[i], cotangent, own[i], output_delta=output_delta)
        return cotangent, tuple(gradients), tuple(met)

    # A scan wants one program for all blocks: their terms must be the same tree, with arrays of the same shapes, which become
    # its inputs row by row, and with the same functions, which are part of the program. Names differ, so they go.
    nameless = [tuple(dataclasses.replace(one, name="") for one in block) for block in blocks]
    arrays, fixed = zip(*(eqx.partition(block, eqx.is_array) for block in nameless), strict=True)
    shapes = [jax.tree.map(jnp.shape, block) for block in arrays]
    if all(shape == shapes[0] and eqx.tree_equal(one, fixed[0]) for shape, one in zip(shapes, fixed, strict=True)):

        def step(cotangent: Array, item: Any) -> tuple[Array, Any]:
            layers, inputs, own = item
            cotangent, *rest = through_block(cotangent, layers, inputs, eqx.combine(own, fixed[0]))
            return cotangent, tuple(rest)

        own = jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)
        cotangent, (gradients, met) = jax.lax.scan(step, cotangent, (part.layers, inputs, own), reverse=True)
        return Stack(gradients, part.count), cotangent, met
    # One block has other terms than the next: as many programs in a row as there are blocks, and their gradients stacked again.
    rows = []
    for row in reversed(range(part.count)):
        here = [x[row] for x in inputs]
        cotangent, gradients, met = through_block(cotangent, part.block(row), here, blocks[row])
        rows.append((gradients, met))
    gradients, met = jax.tree.map(lambda *leaves: jnp.stack(leaves), *reversed(rows))
    return Stack(gradients, part.count), cotangent, met


def _by_name(names: tuple[str, ...], met: tuple[Array | None, ...]) -> dict[str, Array]:
    """The errors of a stack by the names of its synaptic layers."""
    period = len(met)
    pairs = [(i, one) for i, one in enumerate(met) if one is not None]
    return {names[period * row + i]: one[row] for i, one in pairs for row in range(one.shape[0])}


def _check_feedback(weight: Array, wanted: tuple[int, ...]) -> None:
    if not hasattr(weight, "shape") or weight.shape != wanted:
        came = getattr(weight, "shape", type(weight).__name__)
        raise UserError(f"feedback has the weight's own shape {wanted}; got {came}.")


def with_weight(layer: Any, weight: Array) -> Any:
    """The layer with another weight of the same shape, such as B."""
    _check_feedback(weight, layer.weight.shape)
    return eqx.tree_at(lambda layer: layer.weight, layer, weight.astype(layer.weight.dtype))


def expand(network: Network, terms: Terms) -> Terms:
    """The terms with every pattern (`block*/attention/*`) replaced by the names that it matches, and an activation's name in
    the place of the synaptic layer before it.

    **Raises:** `UserError` for a name that is not in the network, and for a pattern that matches nothing.
    """
    derivative = {
        activation_of(network, name): function
        for name, function in matched(terms.derivative, (*network.synaptic, *hidden_activations(network))).items()
    }
    places = (*network.synaptic, *(point.name for point in network.points), *network.units)
    found = dataclasses.replace(
        terms,
        feedback=matched(terms.feedback, network.synaptic),
        direct=matched(terms.direct, places),
        error=matched(terms.error, network.synaptic),
        derivative=derivative,
    )
    _check_names(network, found)
    return found


def _check_names(network: Network, terms: Terms) -> None:
    unreached = () if network.inside is None else network.inside.closed
    for name in unreached:
        if any(name in part for part in (terms.feedback, terms.direct, terms.error)):
            raise UserError(walk.closed(name))
    inner = {*network.synaptic, *(point.name for point in network.points), *network.composites}
    for part in (terms.feedback, terms.direct, terms.error):
        for name in part:
            if name not in inner and not network.templates[network.index(name)].synaptic:
                raise UserError(
                    f"layer {name} has no weights: feedback and errors belong to {names_in_words(network.synaptic)}."
                )
    for site in network.sites:
        if not site.transports and (site.name in terms.feedback or site.name in terms.direct):
            raise UserError(f"no error passes below the site {site.name}: it takes no feedback.")
        if site.name in terms.direct and not any(point.name == site.name for point in site.points):
            raise UserError(
                f"the signal of the site {site.name} has no axis of examples, so that no error can be brought there directly."
            )
        if site.name in terms.feedback:
            _check_feedback(terms.feedback[site.name], network[site.name].weight.shape)
    lowest = network.units[0]
    if lowest in network.composites:
        return
    below = any(jax.tree.leaves(part) for part in network.parts[: network.index(lowest)])
    if not below and (lowest in terms.feedback or lowest in terms.direct):
        raise UserError(f"no error passes below the lowest layer with weights, {lowest}: it takes no feedback.")
