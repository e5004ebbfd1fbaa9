"""Equilibrium propagation: a network that settles twice, freely and nudged towards the target, and weights that learn from the
difference.

Sources: Scellier & Bengio (2017), arXiv:1602.05179; with discrete steps and a primitive function Φ: Ernoult et al. (2019),
arXiv:1905.13633; nudging of both signs, the cross entropy and convolutions with pooling: Laborieux et al. (2021),
arXiv:2006.03824; weak feedback: Xie & Seung (2003), doi:10.1162/089976603762552988.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe.checks import at_least, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Activation, Equilibrium, Network, equilibrium
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .relaxation import error_of_outputs, relaxed, unrest
from .segments import check_examples_apart
from .terms import output_loss

NUDGINGS = ("centered", "one-sided")

AT_REST = 0.01
"""The share of their norm by which one more step moves states at most that are taken to be at rest."""

States = equilibrium.States


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
    - `strength`: β. A small one drowns in rounding, in the lowest layer by 1/(β κ^{L-1}) times that of the states;
    - `feedback_scale`: κ, of the way down; 1 in the papers. For κ → 0 the equilibrium is the forward pass and the gradient is
      `Backpropagation`'s, with an error of the order of κ (Xie & Seung 2003), but κ^{L-1} is what remains of the nudge in the
      lowest layer;
    - `free_steps`, `nudged_steps`: as many steps as either phase takes; of 0 free steps the nudged phase begins at the forward
      pass.

    Dense and convolutional layers with elementwise activations, and any layers without weights in between; what is pooled by
    its maximum after an activation is pooled before it, as in Laborieux et al., which is the same forward pass. Nothing makes
    the steps converge: with κ = 1 and weights whose norm is well above 1 the states of unbounded units grow from step to step
    (`metrics` has how far from rest they are, and where one more step moves them by above 1 %, the table says so: `notes`).

    What is trained is the network at its free equilibrium, by which it predicts (`predictor`); the loss that is reported is the
    forward pass's, and `equilibrium_loss` that of the equilibrium.
    """

    nudging: str = eqx.field(static=True, default="centered")
    free_steps: int = eqx.field(static=True, default=20, converter=plain)
    nudged_steps: int = eqx.field(static=True, default=10, converter=plain)
    strength: Scalar = hyperparameter(0.5, "(0, inf)")
    feedback_scale: Scalar = hyperparameter(0.3, "(0, inf)")

    def __check_init__(self) -> None:
        if not isinstance(self.nudging, str) or self.nudging not in NUDGINGS:
            raise UserError(f"`nudging` is {' or '.join(NUDGINGS)}; got {shown(self.nudging)}.")
        at_least(0, "`free_steps` of EquilibriumPropagation", self.free_steps)
        at_least(1, "`nudged_steps` of EquilibriumPropagation", self.nudged_steps)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network itself, where its layers can be connected in both directions."""
        _levels(network)
        return network

    def __call__(self, network: Network, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        start = equilibrium.forward_states(_levels(network), batch.inputs)
        free, nudged = self._phases(network, start, batch)
        ends = (1, -1) if self.nudging == "centered" else (1, 0)
        high, low = (nudged(sign) if sign else free for sign in ends)
        scale = (ends[0] - ends[1]) * batch.inputs.shape[0] * self.strength.astype(free[-1].dtype)
        slope = lambda states: self._slope(network, states, batch.inputs)
        gradients = jax.tree.map(lambda above, below: (below - above) / scale, slope(high), slope(low))
        return Credit(output_loss(network, start[-1], batch), gradients, state)

    def _phases(self, network: Network, start: States, batch: Batch) -> tuple[States, Callable[[int], States]]:
        """The states after the free phase, and a function that gives those after a nudged one of either sign."""
        free = relaxed(self._step(network, batch, 0), start, self.free_steps)
        return free, lambda sign: relaxed(self._step(network, batch, sign), free, self.nudged_steps)

    def _step(self, network: Network, batch: Batch, sign: int) -> Callable[[States], States]:
        """One step of all states, where β has this sign, or is 0."""

        def pulled(drive: Array, output: Array) -> Array:
            return drive - sign * self.strength.astype(drive.dtype) * error_of_outputs(network, output, batch)

        return equilibrium.settling(_levels(network), batch.inputs, self.feedback_scale, pulled if sign else None)

    def _slope(self, network: Network, states: States, inputs: Array) -> Network:
        """∂Φ/∂θ, summed over examples."""

        def drives(network: Network) -> list[Array]:
            return [level.drive(x) for level, x in zip(_levels(network), (inputs, *states[:-1]), strict=True)]

        weigh = lambda one, power: self.feedback_scale.astype(one.dtype) ** power * one
        cotangents = [weigh(one, number + 1 - len(states)) for number, one in enumerate(states)]
        return jax.vjp(drives, network)[1](cotangents)[0]

    def predictor(self, trainables: Network, state: None) -> Network:
        """A network that answers by its free equilibrium: one layer, `Equilibrium`, and the output activation if there is
        one."""
        network = trainables
        layers, end = network.layers, isinstance(network.last, Activation)
        settled = Equilibrium(layers[: len(layers) - end], self.free_steps)
        scale = self.feedback_scale.astype(network.dtype)
        return Network([eqx.tree_at(lambda one: one.feedback_scale, settled, scale), *layers[len(layers) - end :]])

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
        network = trainables
        start = equilibrium.forward_states(_levels(network), batch.inputs)
        free, nudged = self._phases(network, start, batch)
        return {
            "equilibrium_loss": output_loss(network, free[-1], batch),
            "forward_loss": output_loss(network, start[-1], batch),
            "unrest/free": unrest(self._step(network, batch, 0), free),
            "unrest/nudged": unrest(self._step(network, batch, 1), nudged(1)),
        }

    def notes(self, curves: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Whether a phase ended before its states were at rest, where the credit is not that of equilibria."""
        phases = [curves[name][:, -1] for name in ("unrest/free", "unrest/nudged") if name in curves]
        if not phases:
            return ()
        largest = np.max(phases, axis=0)
        restless = int(np.sum(~(largest <= AT_REST)))
        if not restless:
            return ()
        return (
            f"states were not at rest after the last epoch in {restless} of {len(largest)} runs: one more step moves them by "
            f"up to {np.max(largest):.2g} of their norm, and the credit is no equilibrium's; a smaller feedback_scale settles",
        )


def _levels(network: Network) -> tuple[equilibrium.Level, ...]:
    """The levels of a network, whose output activation, where there is one, is the loss's.

    **Raises:** `UserError` for layers that cannot be connected in both directions.
    """
    check_examples_apart(network, "equilibrium propagation")
    count = len(network.names) - isinstance(network.last, Activation)
    layers = list(zip(network.names, network.layers, strict=True))[:count]
    return equilibrium.levels_of(dict(layers))
