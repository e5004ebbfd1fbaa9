"""Predictive coding: activities settle between the input and the target, and every layer learns from its own prediction error.

Sources: Rao & Ballard (1999), doi:10.1038/4580; Whittington & Bogacz (2017), doi:10.1162/NECO_a_00949; fixed predictions:
Millidge, Tschantz & Buckley (2022), arXiv:2006.04182; zero divergence: Song, Lukasiewicz, Xu & Bogacz (2020), "Can the Brain Do
Backpropagation?"; any loss at the output: Rosenbaum (2022), arXiv:2106.13082.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ascribe.checks import at_least, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .relaxation import error_of_outputs, relaxed, unrest
from .segments import Segments, cut
from .terms import output_loss

INFERENCES = ("standard", "fixed-prediction", "zero-divergence")

STEPS, RATE = 20, 0.1

Activities = dict[str, Array]
"""An activity for every example at every place of a network's `Segments`."""


class PredictiveCoding(AbstractRule[Network, None]):
    """Every hidden layer l has an activity x_l for each example, beside the prediction f_l(x_{l-1}) that the layer below makes
    of it: its preactivation. With the prediction errors ε_l = x_l - f_l(x_{l-1}), the energy of one example is

        E = ½ Σ_l ‖ε_l‖² + C(f_L(x_{L-1}), t)

    where C is the loss: for the squared error that is an output held at the target. Activities begin at the forward pass
    (every ε_l is 0) and descend each its own example's E, whatever the size of the batch, with the weights held fixed:

        x_l ← x_l + γ (-ε_l + J_{l+1}ᵀ ε_{l+1}),    ε_L = -∂C/∂f_L

    with the Jacobian J of the layer above. Then the weights of every layer get ∂E/∂θ_l = -(∂f_l/∂θ_l)ᵀ ε_l, mean over examples:
    of its own input and its own error alone. What lies between two activities (an activation, pooling, a whole residual block)
    is part of f and is passed exactly. Prediction is the plain forward pass, which is the equilibrium without a target.

    **Arguments:** `inference`:

    - `"standard"`: as above, after `steps` steps of γ = `rate`. At the equilibrium it is `Backpropagation` where the loss, with
      its curvature, is s → 0 times another, with a relative error of the order of s. (A small error alone is not enough: the
      equilibrium shares it out over the layers.)
    - `"fixed-prediction"`: all predictions and Jacobians stay those of the forward pass. At the equilibrium, which as many
      steps of γ = 1 as there are hidden layers reach, it is `Backpropagation`;
    - `"zero-divergence"`: the standard steps with γ = 1, one for each hidden layer, and every layer's weights take the error
      of the step at which it first comes there (the last layer's at the forward pass, the next one's after a step): it is
      `Backpropagation`. `steps` and `rate` are of the other two.

    `rate`: γ. Standard inference descends E while γ is below 2 over the curvature of E, which is about (1 + ‖J‖)²: where E
    grows, the table says so (`notes`).
    """

    inference: str = eqx.field(static=True, default="standard")
    steps: int = eqx.field(static=True, default=STEPS, converter=plain)
    rate: Scalar = hyperparameter(RATE, "(0, inf)")

    def __check_init__(self) -> None:
        if not isinstance(self.inference, str) or self.inference not in INFERENCES:
            raise UserError(f"`inference` is {', '.join(INFERENCES[:-1])} or {INFERENCES[-1]}; got {shown(self.inference)}.")
        at_least(1, "`steps` of PredictiveCoding", self.steps)
        told = self.steps != STEPS or not (isinstance(self.rate, Tracer) or np.allclose(self.rate, RATE, rtol=1e-6, atol=0))
        if self.inference == "zero-divergence" and told:
            raise UserError(
                "zero divergence takes one step of γ = 1 for every hidden layer: leave `steps` and `rate` out, or choose "
                "another `inference`."
            )

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network itself, where it can be cut into layers that predict each other."""
        _segments(network)
        return network

    def __call__(self, network: Network, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        segments = _segments(network)
        forward = segments.in_turn(network, batch.inputs)
        x, errors = self._inferred(network, forward, batch)

        def predict(network: Network) -> tuple[Activities, Array]:
            return _predictions(segments, network, batch.inputs, x)

        (predicted, z), pull = jax.vjp(predict, network)
        errors = jax.tree.map(jnp.subtract, x, predicted) if errors is None else errors
        count = batch.inputs.shape[0]
        gradients = pull((jax.tree.map(lambda error: -error / count, errors), error_of_outputs(network, z, batch) / count))[0]
        return Credit(output_loss(network, forward[-1], batch), gradients, state)

    def _inferred(self, network: Network, forward: list[Array], batch: Batch) -> tuple[Activities, Activities | None]:
        """The activities at which the weights get their credit, and the prediction errors there; None where those are the
        activities' own."""
        segments = _segments(network)
        start = segments.grouped(forward[:-1])
        if not segments.places:
            return start, None
        still = jax.tree.map(jnp.zeros_like, start)
        if self.inference == "fixed-prediction":
            _, pull = jax.vjp(lambda x: _predictions(segments, network, batch.inputs, x, lowest=forward[0]), start)
            delta = error_of_outputs(network, forward[-1], batch)
            return start, relaxed(lambda errors: self._moved(errors, errors, pull, delta, self.rate), still, self.steps)
        step = self._step(network, forward, batch)
        if self.inference == "standard":
            return relaxed(lambda x: step(x)[0], start, self.steps), None
        places = len(segments.places)
        # When the error comes to a place, counted in steps from the forward pass. Until then nothing moves there, but for what
        # the forward pass was rounded by, which steps of γ = 1 would make grow: it is held.
        turn = {segments.places[first]: places - first - jnp.arange(size) for first, size in segments.groups}

        def advance(carry: tuple[Activities, Activities, Array]) -> tuple[Activities, Activities, Array]:
            x, held, now = carry
            moved, errors = step(x)
            along = lambda when, like: when.reshape(-1, *[1] * (like.ndim - 1))
            x = jax.tree.map(lambda when, new, old: jnp.where(along(when, new) <= now + 1, new, old), turn, moved, x)
            held = jax.tree.map(lambda when, new, old: jnp.where(along(when, new) == now, new, old), turn, errors, held)
            return x, held, now + 1

        return start, relaxed(advance, (start, still, jnp.asarray(0)), places + 1)[1]

    def _step(
        self, network: Network, forward: list[Array], batch: Batch
    ) -> Callable[[Activities], tuple[Activities, Activities]]:
        """One step of inference: the activities after it, and the prediction errors before it."""
        segments = _segments(network)
        rate = self.rate if self.inference == "standard" else jnp.ones_like(self.rate)

        def step(x: Activities) -> tuple[Activities, Activities]:
            (predicted, z), pull = jax.vjp(lambda x: _predictions(segments, network, batch.inputs, x, lowest=forward[0]), x)
            errors = jax.tree.map(jnp.subtract, x, predicted)
            return self._moved(x, errors, pull, error_of_outputs(network, z, batch), rate), errors

        return step

    def _moved(self, x: Activities, errors: Activities, pull: Any, delta: Array, rate: Scalar) -> Activities:
        """x + γ (-ε_l + J_{l+1}ᵀ ε_{l+1}), where ε_L = -`delta`."""
        above = pull((errors, -delta))[0]
        return jax.tree.map(lambda one, own, back: one + rate.astype(one.dtype) * (back - own), x, errors, above)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        theirs = exact(network, batch, key=key)
        if self.inference == "zero-divergence":
            return LimitingCase("", "backpropagation", self(network, None, batch, key=key).gradients, theirs)
        steps = max(1, len(_segments(network).places))
        settled = dataclasses.replace(self, inference="fixed-prediction", steps=steps, rate=1.0)
        condition = "predictions stay those of the forward pass, with γ = 1 and a step for every hidden layer"
        return LimitingCase(condition, "backpropagation", settled(network, None, batch, key=key).gradients, theirs)

    def metrics(self, trainables: Network, state: None, batch: Batch, *, before: Any, after: Any) -> dict[str, Array]:
        """On the probe batch, means over examples: `energy/before` and `energy/after` inference (E; before it, that is the
        loss); `prediction_error/LAYER`, the ½‖ε_l‖² at which the weights get their credit; and, of standard inference,
        `unrest`: by how much one more step would move the activities, over their own norm."""
        network, segments = trainables, _segments(trainables)
        forward = segments.in_turn(network, batch.inputs)
        x, errors = self._inferred(network, forward, batch)
        if errors is None:
            predicted, _ = _predictions(segments, network, batch.inputs, x, lowest=forward[0])
            errors = jax.tree.map(jnp.subtract, x, predicted)
        else:
            x = jax.tree.map(jnp.add, x, errors)
        halves = {name: _halves(segments.of(errors, place, 1)) for place, name in enumerate(segments.places)}
        found = {
            "energy/before": output_loss(network, forward[-1], batch),
            "energy/after": self._energy(network, x, batch),
            **{f"prediction_error/{name}": half for name, half in halves.items()},
        }
        if self.inference == "standard" and segments.places:
            step = self._step(network, forward, batch)
            found["unrest"] = unrest(lambda x: step(x)[0], x)
        return found

    def _energy(self, network: Network, x: Activities, batch: Batch) -> Scalar:
        """E, mean over examples."""
        segments = _segments(network)
        predicted, z = _predictions(segments, network, batch.inputs, x)
        squares = [jnp.sum(one**2) for one in jax.tree.leaves(jax.tree.map(jnp.subtract, x, predicted))]
        return output_loss(network, z, batch) + sum(squares, start=jnp.zeros((), z.dtype)) / (2 * batch.inputs.shape[0])

    def notes(self, curves: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Whether inference went up where it should go down."""
        if self.inference != "standard" or "energy/after" not in curves:
            return ()
        before, after = (curves[f"energy/{when}"][:, -1] for when in ("before", "after"))
        higher = int(np.sum(~(after <= before)))
        if not higher:
            return ()
        return (f"inference raised the energy after the last epoch in {higher} of {len(after)} runs: a smaller rate descends",)


def _segments(network: Network) -> Segments:
    """From one activity to the next: the activities are the preactivations of the hidden layers."""
    return cut(network, "predictive coding")


def _predictions(
    segments: Segments, network: Network, inputs: Array, x: Activities, *, lowest: Array | None = None
) -> tuple[Activities, Array]:
    """f_l(x_{l-1}) of every hidden layer, and the last preactivation; `lowest`: the prediction of the first layer, which no
    activity changes."""
    outputs = segments.apart(network, inputs, x, lowest=lowest)
    return segments.grouped(outputs[:-1]), outputs[-1]


def _halves(errors: Array) -> Scalar:
    """½‖ε‖², mean over examples."""
    return jnp.sum(errors**2) / (2 * errors.shape[0])
