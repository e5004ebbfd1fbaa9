"""Weight mirror: noise that is fed into each layer alone teaches the feedback what the weights are.

Source: Akrout, Wilson, Humphreys, Lillicrap & Tweed (2019), "Deep learning without weight transport", arXiv:1904.05391,
section 3 (equation 7), and its code, makrout/Deep-Learning-without-Weight-Transport.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import at_least
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import AbstractSynapticLayer, Network
from ascribe.types import Array, Int, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .direct_feedback import input_shapes
from .feedback_matrices import random_feedback, transported_weights
from .terms import Terms, backward_sweep, with_weight

NOISE = 2**31 - 2
"""The stream of the noise: far from the small numbers under which a forward pass draws from the same key."""


class Mirror(eqx.Module):
    """What the rule keeps: the feedback B by layer name, the latest step's key as plain numbers, from which a phase between two
    epochs draws, and the number of steps."""

    feedback: dict[str, Array]
    key: Array
    count: Int[Array, ""]


class WeightMirror(AbstractRule[Network, Mirror]):
    """Engaged mode: δ^l = (B^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l), and W learns. Mirror mode: every layer above the lowest is fed with
    standard normal noise x of its own, answers y = W x, and B ← (1 - λ)B + η y xᵀ (mean over the noise, and over the places of
    a convolution). The mean of y xᵀ is W, so B goes to (η/λ)W. With B = W it is `Backpropagation`.

    **Arguments:**

    - `rate`: η, positive; the paper's noise has a size σ, of which only ησ² matters;
    - `decay`: λ in [0, 1), of B alone, and of every batch of noise;
    - `scale`: standard deviation of the initial B in units of 1/√fan_in;
    - `period`: training steps between two mirror phases, each after the step's credit; 0: one phase after every epoch;
    - `batches`: batches of noise in a phase; `warm_up`: those before the first step; `examples`: rows of noise in a batch.
    """

    rate: Scalar = hyperparameter(0.01, "(0, inf)")
    decay: Scalar = hyperparameter(0.01, "[0, 1)")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")
    period: int = eqx.field(static=True, default=1)
    batches: int = eqx.field(static=True, default=1)
    warm_up: int = eqx.field(static=True, default=500)
    examples: int = eqx.field(static=True, default=64)

    def __post_init__(self) -> None:
        for name, least in (("period", 0), ("batches", 1), ("warm_up", 0), ("examples", 1)):
            at_least(least, f"`{name}` of WeightMirror", getattr(self, name))

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where all layers that an error passes through can be fed alone."""
        for name in network.transported:
            layer_at(network, name)
        return network

    def init(self, network: Network, data: Batch, *, key: Key) -> Mirror:
        begun = random_feedback(network.located(data.inputs.shape[1:]), self.scale, key=key)
        warm = self._phase(network, begun, data, self.warm_up, key=jr.fold_in(key, NOISE))
        return Mirror(warm, jr.key_data(key), jnp.asarray(0, jnp.int32))

    def __call__(self, network: Network, state: Mirror, batch: Batch, *, key: Key | None = None) -> Credit:
        credit = backward_sweep(network, state, batch, Terms(feedback=state.feedback), key=key)
        key, feedback, count = jr.key(0) if key is None else key, state.feedback, state.count + 1
        mirror = lambda: self._phase(network, state.feedback, batch, self.batches, key=jr.fold_in(key, NOISE))
        if self.period == 1:
            feedback = mirror()
        elif self.period:
            feedback = jax.lax.cond(count % self.period == 0, mirror, lambda: state.feedback)
        return Credit(credit.loss, credit.gradients, Mirror(feedback, jr.key_data(key), count), credit.network_state)

    def after_epoch(self, trainables: Network, state: Mirror, data: Batch, *, epoch: Int[Array, ""]) -> tuple[Network, Mirror]:
        if self.period:
            return trainables, state
        key = jr.fold_in(jr.wrap_key_data(state.key), NOISE)
        feedback = self._phase(trainables, state.feedback, data, self.batches, key=key)
        return trainables, Mirror(feedback, state.key, state.count)

    @property
    def acts_between_epochs(self) -> bool:
        return self.period == 0

    def feedback(self, trainables: Network, state: Mirror) -> dict[str, Array]:
        return state.feedback

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        same = Mirror(transported_weights(network), jr.key_data(key), jnp.asarray(0, jnp.int32))
        ours = self(network, same, batch, key=key).gradients
        return LimitingCase("B = W", "backpropagation", ours, exact(network, batch, key=key))

    def _phase(self, network: Network, feedback: dict[str, Array], batch: Batch, count: int, *, key: Key) -> dict[str, Array]:
        """The feedback after so many batches of noise."""
        shape = batch.inputs.shape[1:]
        network = network.located(shape)
        shapes = {name: own for name, own in input_shapes(network, shape).items() if name in feedback}
        layers = {name: layer_at(network, name) for name in shapes}

        def step(i: Array, feedback: dict[str, Array]) -> dict[str, Array]:
            keys, found = jr.split(jr.fold_in(key, i), len(shapes)), {}
            for (name, own), k in zip(shapes.items(), keys, strict=True):
                b = feedback[name]
                seen = mirrored(layers[name], jr.normal(k, (self.examples, *own), b.dtype))
                found[name] = (1 - self.decay).astype(b.dtype) * b + self.rate.astype(b.dtype) * seen
            return found

        return jax.lax.fori_loop(0, count, step, feedback) if shapes else feedback


def mirrored(layer: Any, noise: Array) -> Array:
    """The mean of y xᵀ with y = W x, in W's shape: the layer's own gradient of its weight at the error y. Of a convolution it
    is the mean over the places where each of its weights meets an input: at a padded edge some do not."""
    bare = layer if layer.bias is None else eqx.tree_at(lambda one: one.bias, layer, jnp.zeros_like(layer.bias))
    answer = lambda x: jax.vjp(lambda weight: with_weight(bare, weight)(x, training=True)[0], layer.weight)
    y, pull = answer(noise)
    one, count = answer(jnp.ones_like(noise[:1]))
    times = count(jnp.ones_like(one))[0]
    return pull(y)[0] / (len(noise) * jnp.maximum(times, 1))


def layer_at(network: Network, name: str) -> Any:
    """The layer of that name, also one inside a layer.

    **Raises:** `UserError` for a site that is no layer: it has no forward pass of its own that noise could be fed into.
    """
    if name in network.names:
        return network[name]
    outer = next((one for one in network.composites if name.startswith(f"{one}/")), network.names[0])
    is_layer = lambda one: isinstance(one, AbstractSynapticLayer)
    for path, layer in jax.tree_util.tree_leaves_with_path(network[outer], is_leaf=is_layer):
        inner = "/".join(str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path)
        if is_layer(layer) and name in (inner, f"{outer}/{inner}"):
            return layer
    raise UserError(
        f"the site {name} has no forward pass of its own that a weight mirror could feed noise into: build it of layers, "
        f"or use kolen-pollack."
    )
