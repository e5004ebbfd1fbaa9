"""Equilibrium propagation: a network that settles twice, freely and nudged towards the target, and weights that learn from the
difference.

Sources: Scellier & Bengio (2017), arXiv:1602.05179; with discrete steps and a primitive function Φ: Ernoult et al. (2019),
arXiv:1905.13633; nudging of both signs, the cross entropy and convolutions with pooling: Laborieux et al. (2021),
arXiv:2006.03824; weak feedback: Xie & Seung (2003), doi:10.1162/089976603762552988.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.checks import at_least, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Activation, MaxPool2d, Network, activations
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .relaxation import Activities, error_of_outputs, predictions, relaxed, unrest
from .segments import Segments, cut, through
from .terms import output_loss

NUDGINGS = ("centered", "one-sided")
FALLING = ("gelu",)
"""Elementwise activations that fall somewhere."""

States = tuple[Activities, Array]
"""The states of the hidden layers, and of the output."""


class EquilibriumPropagation(AbstractRule[Network, None]):
    """The network's weights connect layers in both directions, W up and Wᵀ down, and its states s_l settle under both. With the
    primitive function of one example (Ernoult et al. 2019; with pooling P of Laborieux et al. 2021)

        Φ = Σ_l κ^{l-L} s_lᵀ P(W_l s_{l-1} + b_l),    s_0 = x,

    all states take at once the step s_l ← σ(κ^{L-l} ∂Φ/∂s_l), which for dense layers is

        s_l ← σ(W_l s_{l-1} + b_l + κ W_{l+1}ᵀ s_{l+1}),    s_L ← W_L s_{L-1} + b_L - β ∂C/∂s_L,

    σ being each layer's own activation. The output is linear and the loss C has its own link, as in the network's forward pass,
    from which the *free phase* (β = 0) begins; it takes `free_steps`. From there the *nudged phase* takes `nudged_steps` with a
    β that is not 0. Where they reach equilibria s^β, the gradient of the loss *at the free equilibrium* is

        ∂C/∂θ = -lim_{β→0} 1/β (∂Φ/∂θ (s^β) - ∂Φ/∂θ (s^0))

    so that a weight needs the states at its two ends alone, in both phases.

    **Arguments:**

    - `nudging`: `"centered"`, -1/(2β) (∂Φ/∂θ(s^β) - ∂Φ/∂θ(s^{-β})), whose error falls with β²; `"one-sided"`, the equation
      above with a β > 0, whose error falls with β;
    - `strength`: β. In float32 a small one drowns in rounding;
    - `feedback_scale`: κ, of the way down; 1 in the papers. For κ → 0 the equilibrium is the forward pass and the gradient is
      `Backpropagation`'s, with an error of the order of κ (Xie & Seung 2003), but κ^{L-1} is what remains of the nudge in the
      lowest layer;
    - `free_steps`, `nudged_steps`: as many steps as either phase takes; of 0 free steps the nudged phase begins at the forward
      pass.

    Dense and convolutional layers with elementwise activations, and any layers without weights in between; what is pooled by
    its maximum after an activation is pooled before it, as in Laborieux et al., which is the same forward pass. Nothing makes
    the steps converge: with κ = 1 and weights whose norm is well above 1 the states of unbounded units grow from step to step
    (`metrics` has how far from rest they are).

    The loss that is reported, and prediction, are the forward pass's; `equilibrium_loss` is that of the free equilibrium.
    """

    nudging: str = eqx.field(static=True, default="centered")
    free_steps: int = eqx.field(static=True, default=20, converter=plain)
    nudged_steps: int = eqx.field(static=True, default=10, converter=plain)
    strength: Scalar = hyperparameter(0.1, "(0, inf)")
    feedback_scale: Scalar = hyperparameter(0.3, "(0, inf)")

    def __check_init__(self) -> None:
        if not isinstance(self.nudging, str) or self.nudging not in NUDGINGS:
            raise UserError(f"`nudging` is {' or '.join(NUDGINGS)}; got {shown(self.nudging)}.")
        at_least(0, "`free_steps` of EquilibriumPropagation", self.free_steps)
        at_least(1, "`nudged_steps` of EquilibriumPropagation", self.nudged_steps)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network itself, where its layers can be connected in both directions."""
        _segments(network)
        return network

    def __call__(self, network: Network, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        segments = _segments(network)
        forward = segments.in_turn(network, batch.inputs)
        free, nudged = self._phases(network, forward, batch)
        ends = (1, -1) if self.nudging == "centered" else (1, 0)
        high, low = (nudged(sign) if sign else free for sign in ends)
        scale = (ends[0] - ends[1]) * len(batch.inputs) * self.strength.astype(free[1].dtype)
        slope = lambda states: self._slope(segments, network, states, batch.inputs)
        gradients = jax.tree.map(lambda above, below: (below - above) / scale, slope(high), slope(low))
        return Credit(output_loss(network, forward[-1], batch), gradients, state)

    def _phases(self, network: Network, forward: list[Array], batch: Batch) -> tuple[States, Callable[[int], States]]:
        """The states after the free phase, and a function that gives those after a nudged one of either sign."""
        segments = _segments(network)
        start: States = segments.grouped(forward[:-1]), forward[-1]
        free = relaxed(self._step(network, batch, 0), start, self.free_steps)
        return free, lambda sign: relaxed(self._step(network, batch, sign), free, self.nudged_steps)

    def _step(self, network: Network, batch: Batch, sign: int) -> Callable[[States], States]:
        """s_l ← σ(κ^{L-l} ∂Φ/∂s_l) of all layers, where β has this sign, or is 0."""
        segments = _segments(network)
        lowest = _drive(segments.stretches[0].layers(network), batch.inputs)

        def made(s: Activities) -> States:
            return predictions(segments, network, batch.inputs, s, lowest=lowest, evaluate=_drive)

        def step(states: States) -> States:
            s, z = states
            if not segments.places:
                return s, self._nudged(network, lowest, z, batch, sign)
            (drives, output), pull = jax.vjp(made, s)
            below = pull(states)[0]
            drives = jax.tree.map(lambda one, back: one + self.feedback_scale.astype(one.dtype) * back, drives, below)
            return _activated(segments, network, drives), self._nudged(network, output, z, batch, sign)

        return step

    def _nudged(self, network: Network, drive: Array, z: Array, batch: Batch, sign: int) -> Array:
        """The state of the output: its drive, and the loss's pull."""
        return drive - sign * self.strength.astype(z.dtype) * error_of_outputs(network, z, batch) if sign else drive

    def _slope(self, segments: Segments, network: Network, states: States, inputs: Array) -> Network:
        """∂Φ/∂θ, summed over examples."""
        (s, z), places = states, len(segments.places)
        pull = jax.vjp(lambda network: predictions(segments, network, inputs, s, evaluate=_drive), network)[1]

        def weighted(first: int, one: Array) -> Array:
            powers = jnp.arange(first - places, first - places + len(one)).astype(one.dtype)
            return (self.feedback_scale.astype(one.dtype) ** powers).reshape(-1, *[1] * (one.ndim - 1)) * one

        numbers = {segments.places[first]: first for first, _ in segments.groups}
        return pull(({name: weighted(numbers[name], one) for name, one in s.items()}, z))[0]

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """Of the first step of nudging, which reaches the last layer alone."""
        weak = float(jnp.finfo(network.dtype).eps)
        once = dataclasses.replace(self, free_steps=0, nudged_steps=1, strength=0.5, feedback_scale=weak)
        ours, theirs, last = once(network, None, batch, key=key).gradients, exact(network, batch, key=key), network.synaptic[-1]
        condition = f"feedback is weak (κ = ε) and the nudged phase one step, in the last layer, {last}"
        return LimitingCase(condition, "backpropagation", ours[last], theirs[last])

    def metrics(self, trainables: Network, state: None, batch: Batch, *, before: Any, after: Any) -> dict[str, Array]:
        """On the probe batch: `equilibrium_loss`, the loss of the outputs after the free phase; `forward_loss`, that of the
        plain forward pass; `unrest/free` and `unrest/nudged`, by how much one more step would move the states after either
        phase, over their own norm."""
        network, segments = trainables, _segments(trainables)
        forward = segments.in_turn(network, batch.inputs)
        free, nudged = self._phases(network, forward, batch)
        return {
            "equilibrium_loss": output_loss(network, free[1], batch),
            "forward_loss": output_loss(network, forward[-1], batch),
            "unrest/free": unrest(self._step(network, batch, 0), free),
            "unrest/nudged": unrest(self._step(network, batch, 1), nudged(1)),
        }


def _segments(network: Network) -> Segments:
    """From one layer's states to the next; the states are the hidden layers' activations.

    **Raises:** `UserError` for a layer with other weights than one matrix or kernel, and for a hidden activation that couples
    units.
    """
    segments = cut(network, "equilibrium propagation", after_activation=True, past=(MaxPool2d,))
    for name, layer, above in zip(network.names, network.templates, (*network.templates[1:], None), strict=True):
        if jax.tree.leaves(layer) and not layer.synaptic:
            raise UserError(
                f"equilibrium propagation sends states down through the same weights as up, one matrix or kernel a layer: "
                f"{name} has others; use a network of Linear and Conv2d layers."
            )
        if isinstance(layer, Activation) and layer is not network.last and not activations.get(layer.function).elementwise:
            raise UserError(
                f"equilibrium propagation takes elementwise activations, whose units settle each by itself; {name} couples "
                f"them."
            )
        if isinstance(layer, Activation) and isinstance(above, MaxPool2d) and layer.function in FALLING:
            raise UserError(
                f"equilibrium propagation pools before the activation, which is the same where that nowhere falls; {name} "
                f"does: put the pooling below it."
            )
    return segments


def _parted(layers: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
    """The layers of a segment but the activation at its end, and that; None where there is none. What is pooled after an
    activation that nowhere falls may be pooled before."""
    last = max((i for i, layer in enumerate(layers) if not isinstance(layer, MaxPool2d)), default=0)
    activation = layers[last]
    return (layers[:last] + layers[last + 1 :], activation) if isinstance(activation, Activation) else (layers, None)


def _drive(layers: tuple[Any, ...], x: Array) -> Array:
    """What comes from below, before the activation."""
    return through(_parted(layers)[0], x)


def _activated(segments: Segments, network: Network, drives: Activities) -> Activities:
    """σ of every layer's drive."""
    values = []
    for stretch in segments.stretches[:-1]:
        drive, last = segments.of(drives, stretch.first, stretch.count), _parted(stretch.layers(network))[1]
        values.append(drive if last is None else last(drive)[0])
    return segments.grouped(values)
