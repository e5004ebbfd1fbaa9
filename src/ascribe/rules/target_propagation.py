"""Target propagation: every layer is told a value to come to, made from the one above by an inverse of that layer.

Source: Lee, Zhang, Fischer & Bengio (2015), "Difference target propagation", arXiv:1412.7525; Meulemans et al. (2020), "A
theoretical framework for target propagation", arXiv:2006.14331 (direct linear feedback, difference reconstruction loss);
Shibuya et al. (2023), "Fixed-weight difference target propagation", arXiv:2212.10352; the code of the last two,
meulemansalex/theoretical_framework_for_target_propagation and TatsukichiShibuya/Fixed-Weight-Difference-Target-Propagation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import at_least, one_of, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Activation, Network, Tape, activations, record
from ascribe.types import Array, Elementwise, Float, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, hyperparameter, network_of
from .feedback_matrices import random_feedback
from .terms import Terms, output_error

KINDS = ("difference", "direct", "fixed")
NOISE = 2**31 - 2
"""The stream of the reconstructions' noise: far from the small numbers under which a forward pass draws from the same key."""

Displaced = Callable[[Array, Array], Array]
"""From h of a layer and h - ĥ there: g(h) - g(ĥ), which is h - ĥ of the layer below."""


class TargetPropagation(AbstractRule[Network | Trainables, Any]):
    """Each layer f_l (weights, activation, and what else comes before the next weights) has a target ĥ_l and a loss of its own:

        ĥ_L = z_L - η̂ ∂E/∂z_L      ĥ_l = h_l + g_{l+1}(ĥ_{l+1}) - g_{l+1}(h_{l+1})      ½ ‖f_l(h_{l-1}) - ĥ_l‖² / η̂

    with E the loss of one example. No gradient crosses a layer. Divided by η̂, the step of the targets, the last layer's
    gradient is exact for every η̂, and the others' have a limit for η̂ → 0: that of a sweep in which the transposed Jacobian
    of f_{l+1} is replaced by the Jacobian of g_{l+1}. Where g is linear with that transposed Jacobian, it is
    `Backpropagation`.

    **Arguments:** `kind`: what g is:

    - `"difference"` (Lee et al.): g_{l+1}(h) = σ(B h + c), σ the activation of layer l, trained to reconstruct what entered
      layer l + 1 from what left it: ½ ‖g(f(h_l + ε)) - (h_l + ε)‖²;
    - `"direct"` (Meulemans et al., DDTP-linear): from the output to every hidden layer, ĥ_l = h_l + B_l (ĥ_L - z_L), trained
      by the difference reconstruction loss, ½ ‖B_l (z_L(h_l + ε) - z_L) - ε‖², whose minimum is a pseudo-inverse of the
      layers above;
    - `"fixed"` (Shibuya et al.): g as in `"difference"`, without c, and never trained.

    `feedback_steps`: of gradient descent on the reconstruction, in every training step, each with noise of its own;
    `target_step`: η̂; `noise`: the standard deviation of ε; `feedback_rate`: the size of a feedback step over the curvature
    of the reconstruction (the mean square length of what g is given), below 2 to be stable; `scale`: standard deviation of
    the initial B in units of 1/√(units of layer l). The part `feedback` of the trainables is moved by these steps alone.
    """

    kind: str = eqx.field(static=True, default="difference")
    feedback_steps: int = eqx.field(static=True, default=1, converter=plain)
    target_step: Scalar = hyperparameter(0.1, "(0, inf)")
    noise: Scalar = hyperparameter(0.1, "(0, inf)")
    feedback_rate: Scalar = hyperparameter(0.5, "(0, 2)")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __check_init__(self) -> None:
        one_of("`kind` of TargetPropagation", self.kind, KINDS)
        at_least(1, "`feedback_steps` of TargetPropagation", self.feedback_steps)

    @property
    def learned(self) -> bool:
        """Whether the inverses learn."""
        return self.kind != "fixed"

    @property
    def forced(self) -> Mapping[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The feedback takes the rule's own step."""
        return {"optimizer": {"feedback": ("sgd", 1.0)}} if self.learned else {}

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where it is dense layers in a row."""
        self._check(network)
        return network

    def _check(self, network: Network) -> None:
        wrong = network.composites or [name for name in network.synaptic if not network[name].dense]
        if wrong:
            raise UserError(
                f"target propagation has inverses of dense layers in a row, and {wrong[0]} is none: "
                f"give it hidden layers as 64x64, or leave the rule out."
            )

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Network | Trainables:
        return Trainables(network, feedback=self._inverses(network, key)) if self.learned else network

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, "Inverse"] | None:
        return None if self.learned else self._inverses(network, key)

    def _own(self, trainables: Any, state: Any) -> dict[str, "Inverse"]:
        """The inverses, wherever they are kept."""
        return trainables.feedback if self.learned else state

    def _inverses(self, network: Network, key: Key) -> dict[str, "Inverse"]:
        """The inverses before training, by the name of the layer whose input they give."""
        self._check(network)
        if self.kind != "direct":
            biased = self.kind == "difference"
            return {
                name: Inverse(weight, jnp.zeros_like(weight[0]) if biased else None)
                for name, weight in random_feedback(network, self.scale, key=key).items()
            }
        found, names = {}, network.synaptic[1:]
        for name, k in zip(names, jr.split(key, len(names)), strict=True):
            size = self.scale.astype(network.dtype) / jnp.sqrt(jnp.asarray(network[name].fan_in, network.dtype))
            found[name] = Inverse(size * jr.normal(k, (network.outputs, network[name].fan_in), network.dtype), None)
        return found

    def __call__(self, trainables: Any, state: dict[str, "Inverse"] | None, batch: Batch, *, key: Key | None = None) -> Credit:
        network, inverses = network_of(trainables), self._own(trainables, state)
        forward = SegmentedPass.of(network, batch, key)
        gradients = self._gradients(forward, {name: self._displaced(forward, name, one) for name, one in inverses.items()})
        if self.learned:
            moved = jax.tree.map(jnp.subtract, inverses, self._trained(forward, inverses, key)) if inverses else inverses
            gradients = Trainables(gradients, feedback=moved)
        return Credit(forward.loss, gradients, state, forward.network_state)

    def _gradients(self, forward: "SegmentedPass", displaced: Mapping[str, Displaced]) -> Network:
        """Every layer's own gradient of its local loss."""
        count = forward.delta.shape[0]
        step = count * self.target_step.astype(forward.delta.dtype)
        top = step * forward.delta
        *below, last = forward.network.synaptic
        errors = {last: top}
        for name, above in reversed(list(zip(below, forward.network.synaptic[1:], strict=True))):
            given = last if self.kind == "direct" else above
            errors[name] = displaced[above](forward.made[given], errors[given])

        def local(network: Network) -> Scalar:
            made = {name: forward.through(name, forward.entering(name), network=network) for name in network.synaptic}
            return sum(jnp.vdot(errors[name], one) / step for name, one in made.items())  # pyright: ignore[reportReturnType]

        return jax.grad(local)(forward.network)

    def _displaced(self, forward: "SegmentedPass", name: str, inverse: "Inverse") -> Displaced:
        if self.kind == "direct":
            return lambda h, error: error @ inverse.weight
        function = forward.function_below(name)
        return lambda h, error: function(inverse(h)) - function(inverse(h - error))

    def _trained(self, forward: "SegmentedPass", inverses: dict[str, "Inverse"], key: Key | None) -> dict[str, "Inverse"]:
        """The inverses after the feedback steps, with the network held fixed."""
        if key is None:
            raise UserError("target propagation trains its inverses with noise, new ones for every batch: pass `key=`.")

        def step(inverses: dict[str, Inverse], key: Key) -> tuple[dict[str, Inverse], None]:
            keys = jr.split(key, len(inverses))
            return {
                name: self._stepped(forward, name, one, k) for k, (name, one) in zip(keys, inverses.items(), strict=True)
            }, None

        return jax.lax.scan(step, inverses, jr.split(jr.fold_in(key, NOISE), self.feedback_steps))[0]

    def _stepped(self, forward: "SegmentedPass", name: str, inverse: "Inverse", key: Key) -> "Inverse":
        """One step of gradient descent on the reconstruction of what enters the layer of that name."""
        h = forward.entering(name)
        noise = self.noise.astype(h.dtype) * jr.normal(key, h.shape, h.dtype)
        function: Elementwise = lambda z: z
        if self.kind == "direct":
            given, wanted = forward.to_output(name, h + noise) - forward.made[forward.network.synaptic[-1]], noise
        else:
            given, wanted, function = forward.through(name, h + noise), h + noise, forward.function_below(name)
        loss = lambda inverse: jnp.sum((function(inverse(given)) - wanted) ** 2) / (2 * h.shape[0])
        curvature = jnp.mean(jnp.sum(given**2, axis=1)) + (0.0 if inverse.bias is None else 1.0)
        rate = self.feedback_rate.astype(h.dtype) / jnp.maximum(curvature, jnp.finfo(h.dtype).tiny)
        return jax.tree.map(lambda one, slope: one - rate * slope, inverse, jax.grad(loss)(inverse))

    def feedback(self, trainables: Any, state: dict[str, "Inverse"] | None) -> dict[str, Array]:
        """B of the layers that it has the shape of W of; of the direct kind, of the last one."""
        found = self._own(trainables, state)
        last = network_of(trainables).synaptic[-1]
        return {name: one.weight for name, one in found.items() if self.kind != "direct" or name == last}

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """With every g linear, the transposed Jacobian of what it inverts, at the activations of the forward pass."""
        forward = SegmentedPass.of(network, batch, key)
        inverted = forward.to_output if self.kind == "direct" else forward.through

        def transposed(name: str) -> Displaced:
            return lambda h, error: jax.vjp(lambda x: inverted(name, x), forward.entering(name))[1](error)[0]

        ours = self._gradients(forward, {name: transposed(name) for name in network.synaptic[1:]})
        condition = "every g is linear, with the transposed Jacobian of what it inverts"
        return LimitingCase(condition, "backpropagation", ours, exact(network, batch, key=key))


class Inverse(eqx.Module):
    """B and c of one g, before its activation: h B + c; `weight`: `(given, wanted)`, of neighbors W's shape; `bias`: None for
    none."""

    weight: Float[Array, "given wanted"]
    bias: Float[Array, " wanted"] | None

    def __call__(self, h: Float[Array, "batch given"]) -> Float[Array, "batch wanted"]:
        z = h @ self.weight
        return z if self.bias is None else z + self.bias[None]


class SegmentedPass(eqx.Module):
    """One forward pass in segments, each from what enters a layer with weights to what enters the next one. `made`: what
    comes out of each, h_l, by the name of the layer; of the last one, z_L; `delta`: ∂E/∂z_L, the mean over examples in it."""

    network: Network
    tape: Tape
    network_state: Any
    loss: Scalar
    delta: Float[Array, "batch outputs"]
    made: dict[str, Array]

    @classmethod
    def of(cls, network: Network, batch: Batch, key: Key | None) -> "SegmentedPass":
        tape, network_state = record(network, batch.inputs, batch.network_state, key=key)
        loss, delta = output_error(network, tape, batch, Terms())
        made = {name: tape.outputs(stop - 1) for name, (_, stop) in _segments(network).items()}
        for name, h in made.items():
            units = network[name].fan_out
            if h.shape != (batch.inputs.shape[0], units):
                raise UserError(
                    f"target propagation wants a vector of {units} numbers, one for each unit of {name}, at the next weights; "
                    f"got the shape {h.shape[1:]}: leave out what changes it, or the rule."
                )
        return cls(network, tape, network_state, loss, delta, made)

    def entering(self, name: str) -> Array:
        """What enters the segment of that layer."""
        return self.tape.inputs[_segments(self.network)[name][0]]

    def through(self, name: str, x: Array, *, network: Network | None = None) -> Array:
        """The segment evaluated again at x, with the randomness and the statistics of the pass."""
        layers = (self.network if network is None else network).layers
        for i in range(*_segments(self.network)[name]):
            x, _ = layers[i](x, self.tape.state[i], key=self.tape.keys[i], training=self.tape.training)
        return x

    def to_output(self, name: str, x: Array) -> Array:
        """z_L, from x in the place of what enters that layer."""
        names = self.network.synaptic
        for one in names[names.index(name) :]:
            x = self.through(one, x)
        return x

    def function_below(self, name: str) -> Elementwise:
        """The activation of the segment below that of a layer."""
        names = self.network.synaptic
        layers: Any = self.network.templates[slice(*_segments(self.network)[names[names.index(name) - 1]])]
        return next(
            (activations.get(one.function).function for one in layers[::-1] if isinstance(one, Activation)), lambda z: z
        )


def _segments(network: Network) -> dict[str, tuple[int, int]]:
    """By synaptic layer: the number of the first layer of its segment, and of the one after its last."""
    starts = [0, *(network.index(name) for name in network.synaptic[1:])]
    stops = [*starts[1:], len(network.names) - isinstance(network.last, Activation)]
    return dict(zip(network.synaptic, zip(starts, stops, strict=True), strict=True))
