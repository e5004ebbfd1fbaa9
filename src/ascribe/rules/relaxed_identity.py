"""Relaxed activation identity: every layer learns apart, from auxiliary activations that are trained with it.

Source: "An Empirical Study of Relaxed Activation Identity's Effects on First-Order Optimization" (topic proposal), equations
2-4, and its author's published experiments.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ascribe.checks import flag, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, hyperparameter, network_of
from .consolidation import consolidated
from .relaxation import relaxed
from .segments import Segments, cut, in_chunks, through
from .terms import output_loss

CHOICES = {
    "relaxes": ("preactivation", "activation"),
    "hidden_loss": ("mean", "sum", "relative"),
    "kind": ("persistent", "transient"),
    "coordinates": ("activation", "residual"),
}

STARTS = ("forward", "random", "label")


class RelaxedIdentity(AbstractRule[Network | Trainables, None]):
    """Layers that learn apart ("Relaxed Activation Identity", equations 2-4).

    Every relaxed layer t and training example i has an auxiliary activation z_t^i, trained like a weight. A segment of the
    network goes from one relaxed place to the next, ẑ_{t+1}^i = f_t(z_t^i, θ_t), and the objective is

        E = mean_i L_y(ẑ_T^i, y^i) + β Σ_t w_t L_h(z_t, ẑ_t) + λ/2 Σ ‖W‖²

    Nothing in it spans two segments, so no gradient crosses a relaxed place and no segment waits for another (unless there are
    inner steps, or residuals, which are laid over a forward pass); those of equal layers (a `Stack`) are one loop or one
    batched product, whichever is faster where it runs. Prediction is the plain forward pass, and so is the loss that is
    reported: E can be small while the network knows nothing (`metrics` has both).

    **What is relaxed**

    - `relaxes`: the output of every synaptic layer (`"preactivation"`, as published), or of the activation after it
      (`"activation"`); `layers`: the hidden synaptic layers, by name or number, after which to relax (all by default);
      `relax_output`: whether the last preactivation is relaxed too (as published), so that L_y is judged at its auxiliary
      and every weight gradient is 0 at the start (but for λ W), or not (equation 4);
    - `hidden_loss`: L_h, the mean of (z - ẑ)² over examples and units (`"mean"`, as published); half their sum over units,
      mean over examples (`"sum"`, equation 4); or the mean over the variance of z over the examples of the batch
      (`"relative"`; no gradient goes through the variance), so that layers whose signal is small count as much as others;
    - `hidden_weight`: β, 0 for the output's loss alone, from which only the last layer learns (without inner steps, which are
      divided by β); `layer_weights`: w_t, one number for each relaxed place (1 by default); `weight_decay`: λ.

    **How the auxiliaries move**

    - `kind`: `"persistent"` auxiliaries are kept for every training example, `"transient"` ones begin at the forward pass in
      every batch, which takes no memory for examples and learns from streams;
    - `coordinates`: what is kept and moved, the `"activation"` z_t itself (as published), or the `"residual"` e_t = z_t - ẑ_t.
      Between two turns of an example the weights move: a kept z_t falls behind, and its distance to ẑ_t is soon that drift
      and no credit. A kept e_t is laid anew over the weights, z_t = f(z_{t-1}) + e_t, which is one forward pass, and moves
      by ∂E/∂z_t;
    - `inner_steps`: 0 (persistent only) leaves the auxiliaries to the optimizer (its label is `auxiliary`), side by side with
      the weights; k takes k steps along each example's own share of ∂E/∂z before the weights get their credit, and `"depth"`
      one for every relaxed place, so that the error reaches the lowest. A step is `inner_rate` divided by the curvature of the
      place's own term of E: in residual coordinates 1 replaces e_t by what comes from above;
    - `start`: persistent ones begin at the forward activations (`"forward"`: every L_h is 0), or, as controls, at noise
      (`"random"`) or at a random code of the class (`"label"`, 64 of them), of the forward activations' mean and spread, or at
      what a function `(forward, targets, key)` gives, for an array `(places, examples, …)`;
    - `period`: epochs between two restarts at the forward activations (0: never); the optimizer's state goes on.

    **Consolidation** (ours): `consolidate`: `"end"`, `"never"`, or a number of epochs (and the end). One pass from the input
    upwards refits each segment's last synaptic layer in closed form: the smallest change of [W | b] (ridge `ridge`) that maps
    the activations that really arrive to the auxiliaries that were learned, or, where the layer has none of its own, to what
    it made of those below. Test scores before the last one stay in the record. Transient auxiliaries stay close to the
    forward pass: there is nothing to consolidate.

    Persistent trainables are `Trainables(network, auxiliary)`, `auxiliary[name]` of shape `(places, examples, …)`, z or e,
    where the places of equal neighbors share an array. With every auxiliary at its forward activation and the output not
    relaxed, the last segment's gradient is `Backpropagation`'s (but for λ W). The auxiliaries' gradient is that of each
    example's own share of E (N times E's), so that a step does not depend on the size of the batch, but for the variance in
    `"relative"`.
    """

    relaxes: str = eqx.field(static=True, default="preactivation")
    layers: tuple[str | int, ...] | None = eqx.field(static=True, default=None)
    relax_output: bool = eqx.field(static=True, default=False)
    hidden_loss: str = eqx.field(static=True, default="mean")
    layer_weights: tuple[float, ...] | None = eqx.field(static=True, default=None)
    kind: str = eqx.field(static=True, default="persistent")
    coordinates: str = eqx.field(static=True, default="activation")
    inner_steps: int | str = eqx.field(static=True, default=0, converter=plain)
    start: str | Callable[[Array, Array, Key], Array] = eqx.field(static=True, default="forward")
    period: int = eqx.field(static=True, default=0, converter=plain)
    consolidate: str | int = eqx.field(static=True, default="end", converter=plain)
    hidden_weight: Scalar = hyperparameter(1.0, "[0, inf)")
    weight_decay: Scalar = hyperparameter(0.0, "[0, inf)")
    inner_rate: Scalar = hyperparameter(0.1, "(0, inf)")
    ridge: Scalar = hyperparameter(1e-4, "(0, inf)")

    def __check_init__(self) -> None:
        for name, known in CHOICES.items():
            if not isinstance(getattr(self, name), str | bool | None) or getattr(self, name) not in known:
                raise UserError(f"`{name}` is {', '.join(known[:-1])} or {known[-1]}; got {shown(getattr(self, name))}.")
        if not (isinstance(self.start, str) and self.start in STARTS) and not callable(self.start):
            raise UserError(f"`start` is {', '.join(STARTS)} or a function; got {shown(self.start)}.")
        for name, text in (
            ("period", "a number of epochs, 0 or more"),
            ("inner_steps", "depth or a number, 0 or more"),
        ):
            value = getattr(self, name)
            known = name == "inner_steps" and isinstance(value, str) and value == "depth"
            if not known and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise UserError(f"`{name}` is {text}; got {value!r}.")
        every = self.consolidate
        named = isinstance(every, str) and every in ("end", "never")
        if not (named or (isinstance(every, int) and not isinstance(every, bool) and every > 0)):
            raise UserError(f"`consolidate` is end, never or a number of epochs; got {shown(every)}.")
        for name, kind in (("layers", str | int), ("layer_weights", int | float)):
            chosen = getattr(self, name)
            listed = isinstance(chosen, list | tuple) and all(isinstance(one, kind) for one in chosen)
            if chosen is not None and not listed:
                raise UserError(f"`{name}` is a tuple, one entry for each layer; got {chosen!r}.")
        flag("relax_output", self.relax_output)
        weights = self.layer_weights
        if weights is not None and not all(0 < one < float("inf") for one in weights):
            raise UserError(f"`layer_weights` are positive numbers, from the input upwards; got {weights!r}.")
        kept = self.relax_output or self.period or self.start != "forward" or self.consolidate not in ("end", "never")
        if not self.persistent and (kept or not self.inner_steps):
            raise UserError(
                "transient auxiliaries begin at the forward pass of every batch and take at least one inner step: "
                "set `inner_steps`, and leave `relax_output`, `period`, `start` and `consolidate` out."
            )
        weight = self.hidden_weight
        if self.inner_steps and not isinstance(weight, Tracer) and not np.all(np.asarray(weight) > 0):
            raise UserError(
                "inner steps are divided by `hidden_weight`, which is above 0 with them; got 0: set `inner_steps` to 0."
            )

    @property
    def persistent(self) -> bool:
        """Whether auxiliaries are kept from epoch to epoch."""
        return self.kind == "persistent"

    @property
    def acts_between_epochs(self) -> bool:
        return self.persistent

    @property
    def forced(self) -> Mapping[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What inner steps have moved is moved: there the auxiliaries' optimizer takes the rule's own step."""
        return {"optimizer": {"auxiliary": ("sgd", 1.0)}} if self.persistent and self.inner_steps else {}

    def segments(self, network: Network) -> Segments:
        """Where the network is relaxed."""
        after = self.relaxes == "activation"
        return cut(network, "relaxed identity", after_activation=after, layers=self.layers, relax_output=self.relax_output)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network itself, where it can be relaxed."""
        self._place_weights(self.segments(network))
        return network

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Network | Trainables:
        """The network with an auxiliary activation of every training example at every relaxed place."""
        if not self.persistent:
            return network
        inputs, targets = data.inputs.astype(network.dtype), data.targets
        forward = self._forward_activations(network, inputs)
        keys = jax.random.split(key, len(forward))
        starts = [self._start(z, targets, k) for z, k in zip(forward.values(), keys, strict=True)]
        return Trainables(network, self._kept(network, inputs, dict(zip(forward, starts, strict=True))))

    def __call__(self, trainables: Any, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        network = trainables.network if self.persistent else trainables
        forward = self.segments(network).in_turn(network, batch.inputs)
        loss = output_loss(network, forward[-1], batch)
        before = self._of_batch(trainables, forward, batch)
        after = self._relaxed(network, before, batch) if self.inner_steps else before
        z = self._activations(network, batch.inputs, after)
        gradients, shares = jax.grad(self.objective, argnums=(0, 1))(network, z, batch)
        if self.persistent:
            count = batch.inputs.shape[0]
            moved = jax.tree.map(jnp.subtract, before, after)
            own = moved if self.inner_steps else jax.tree.map(lambda share: count * share, shares)
            gradients = Trainables(gradients, own)
        return Credit(loss, gradients, state)

    def _of_batch(self, trainables: Any, forward: list[Array], batch: Batch) -> dict[str, Array]:
        """What is kept for the batch's examples; of the transient kind, what it begins with."""
        if self.persistent:
            return trainables.auxiliary
        z = self.segments(trainables).grouped(forward[:-1])
        return z if self.coordinates == "activation" else jax.tree.map(jnp.zeros_like, z)

    def _activations(self, network: Network, inputs: Array, kept: dict[str, Array]) -> dict[str, Array]:
        """z of what is kept."""
        if self.coordinates == "activation":
            return kept
        segments = self.segments(network)
        return in_chunks(lambda x, own: segments.laid(network, x, own), (inputs, 0), (kept, 1), out=1)

    def _kept(self, network: Network, inputs: Array, z: dict[str, Array]) -> dict[str, Array]:
        """What is kept of z."""
        if self.coordinates == "activation":
            return z
        segments = self.segments(network)
        return in_chunks(lambda x, own: segments.residuals(network, x, own), (inputs, 0), (z, 1), out=1)

    def _relaxed(self, network: Network, kept: dict[str, Array], batch: Batch) -> dict[str, Array]:
        """What is kept after the inner steps, with the weights held fixed."""
        places = len(self.segments(network).places)
        steps = places if self.inner_steps == "depth" else int(self.inner_steps)

        def descend(kept: dict[str, Array]) -> dict[str, Array]:
            z = self._activations(network, batch.inputs, kept)
            shares = jax.grad(self.objective, argnums=1)(network, z, batch)
            rates = self._inner_rates(network, z)
            return jax.tree.map(lambda one, rate, share: one - rate * share, kept, rates, shares)

        return relaxed(descend, kept, steps)

    def _inner_rates(self, network: Network, z: dict[str, Array]) -> dict[str, Array]:
        """The size of an inner step at every place, on E itself: N times `inner_rate` over the curvature of the place's own
        term, which is β w for `"sum"`, 2 β w / units for `"mean"`, and that over the variance for `"relative"`."""
        segments, rates = self.segments(network), {}
        weights = self._place_weights(segments)
        for first, size in segments.groups:
            one = z[segments.places[first]]
            along = tuple(range(2, one.ndim))
            curvature = self.hidden_weight.astype(one.dtype) * jnp.asarray(weights[first : first + size], one.dtype)
            curvature = jnp.expand_dims(curvature, tuple(range(1, one.ndim)))
            if self.hidden_loss != "sum":
                curvature = 2 * curvature / math.prod(one.shape[2:])
            if self.hidden_loss == "relative":
                curvature = curvature / _spread(one, 1, keepdims=True, axis=(1, *along))
            rates[segments.places[first]] = one.shape[1] * self.inner_rate.astype(one.dtype) / curvature
        return rates

    def objective(self, network: Network, auxiliary: dict[str, Array], batch: Batch) -> Scalar:
        """E, `()`, at the auxiliaries of the batch's examples."""
        segments = self.segments(network)
        z = segments.last(network, batch.inputs, auxiliary)
        dtype = z.dtype
        weights = jnp.asarray(self._place_weights(segments), dtype)
        hidden = self._hidden_losses(network, batch.inputs, auxiliary, self.hidden_loss)
        penalty = jnp.sum(weights * hidden) if segments.places else jnp.zeros((), dtype)
        return (
            output_loss(network, z, batch)
            + self.hidden_weight.astype(dtype) * penalty
            + self.weight_decay.astype(dtype) / 2 * _sum_of_squares(network)
        )

    def _place_weights(self, segments: Segments) -> tuple[float, ...]:
        weights = (1.0,) * len(segments.places) if self.layer_weights is None else tuple(self.layer_weights)
        if len(weights) != len(segments.places):
            raise UserError(
                f"`layer_weights` has one number for each relaxed place, here {len(segments.places)}; got {len(weights)}."
            )
        return weights

    def _hidden_losses(self, network: Network, inputs: Array, auxiliary: dict[str, Array], kind: str) -> Array:
        """L_h of every place, `(places,)`."""
        segments, found = self.segments(network), []
        for stretch in segments.stretches:
            if stretch.first == len(segments.places):
                break
            x = segments.of(auxiliary, stretch.first - 1, stretch.count) if stretch.first else inputs
            z, layers = segments.of(auxiliary, stretch.first, stretch.count), stretch.layers(network)
            found.append(_local_losses(kind, layers, x, z) if stretch.count > 1 else _local(kind, layers, x, z)[None])
        return jnp.concatenate(found) if found else jnp.zeros(0)

    def _forward_activations(self, network: Network, inputs: Array) -> dict[str, Array]:
        """The forward activations of many examples at the relaxed places."""
        segments = self.segments(network)
        return in_chunks(lambda x: segments.grouped(segments.in_turn(network, x)), (inputs, 0), out=1)

    def _start(self, forward: Array, targets: Array, key: Key) -> Array:
        """Where the auxiliaries of all training examples begin, `(places, examples, …)`."""
        if self.start == "forward":
            return forward
        if callable(self.start):
            return self.start(forward, targets, key)
        places, _, *rest = forward.shape
        if self.start == "random":
            noise = jax.random.normal(key, forward.shape, forward.dtype)
        else:
            if jnp.issubdtype(targets.dtype, jnp.floating):
                raise UserError("auxiliaries that start at a code of the label need labels: choose another `start`.")
            codes = jax.random.normal(key, (places, LABELS, *rest), forward.dtype)
            noise = jnp.take(codes, targets % LABELS, axis=1)
        over = tuple(range(1, forward.ndim))
        return jnp.mean(forward, over, keepdims=True) + jnp.std(forward, over, keepdims=True) * noise

    def after_epoch(self, trainables: Any, state: None, data: Batch, *, epoch: Array) -> tuple[Any, None]:
        """Consolidates the network, and restarts the auxiliaries, where an epoch ends at which that is wanted."""
        if not self.persistent:
            return trainables, state
        if isinstance(self.consolidate, int):
            due = (epoch + 1) % self.consolidate == 0
            trainables = jax.lax.cond(due, lambda t: self._consolidated(t, data), lambda t: t, trainables)
        if self.period:
            due = (epoch + 1) % self.period == 0
            trainables = jax.lax.cond(due, lambda t: self._restarted(t, data), lambda t: t, trainables)
        return trainables, state

    def _restarted(self, trainables: Trainables, data: Batch) -> Trainables:
        network = trainables.network
        z = self._forward_activations(network, data.inputs)
        return Trainables(network, self._kept(network, data.inputs, z))

    def _consolidated(self, trainables: Trainables, data: Batch) -> Trainables:
        network = trainables.network
        z = self._activations(network, data.inputs, trainables.auxiliary)
        new = consolidated(network, self.segments(network), data.inputs, z, self.ridge)
        return Trainables(new, self._kept(new, data.inputs, z))

    def finish(self, trainables: Any, state: None, data: Batch) -> Network:
        """The network, consolidated unless that was switched off."""
        if not self.persistent:
            return trainables
        return trainables.network if self.consolidate == "never" else self._consolidated(trainables, data).network

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        segments = self.segments(network)
        if not segments.places:
            return None
        still = {"inner_rate": float(jnp.finfo(network.dtype).eps)} if self.inner_steps else {}
        rule = dataclasses.replace(self, start="forward", weight_decay=0.0, **still)
        begun: Any = rule.trainables(network, batch, key=key)
        gradients = rule(begun, None, batch, key=key).gradients
        own, condition = network_of(gradients), "every auxiliary is at its forward activation"
        condition += ", and stays there (an inner rate of ε)" if still else ""
        if self.relax_output:
            last = lambda auxiliary: segments.of(auxiliary, len(segments.places) - 1, 1)
            error = jax.grad(lambda z: output_loss(network, z, batch))(last(begun.auxiliary)) * batch.inputs.shape[0]
            theirs = (jax.tree.map(jnp.zeros_like, own), error)
            told = "no gradient for any weight, and the loss's own for the last auxiliary"
            return LimitingCase(condition, told, (own, last(gradients.auxiliary)), theirs)
        low, high = network.synaptic[0], network.synaptic[-1]
        theirs = (exact(network, batch, key=key)[high], jax.tree.map(jnp.zeros_like, network[low]))
        told = "backpropagation in the last layer, and no gradient in the first one"
        return LimitingCase(condition, told, (own[high], own[low]), theirs)

    def metrics(self, trainables: Any, state: None, batch: Batch, *, before: Any, after: Any) -> dict[str, Array]:
        """On the probe batch, at the auxiliaries from which the weights get their credit: `relaxed_objective` E,
        `forward_loss` the loss of the plain forward pass, and for every relaxed place `residual/LAYER`, the mean of
        (z - ẑ)² over the variance of z over the batch."""
        network = trainables.network if self.persistent else trainables
        segments = self.segments(network)
        forward = segments.in_turn(network, batch.inputs)
        kept = self._of_batch(trainables, forward, batch)
        kept = self._relaxed(network, kept, batch) if self.inner_steps else kept
        auxiliary = self._activations(network, batch.inputs, kept)
        residuals = self._hidden_losses(network, batch.inputs, auxiliary, "relative")
        return {
            "relaxed_objective": self.objective(network, auxiliary, batch),
            "forward_loss": output_loss(network, forward[-1], batch),
            **{f"residual/{name}": residuals[i] for i, name in enumerate(segments.places)},
        }

    def notes(self, curves: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """The objective beside the model's own loss: one can be small while the other is not."""
        if "relaxed_objective" not in curves:
            return ()
        objective, loss = (curves[name][:, -1].mean() for name in ("relaxed_objective", "forward_loss"))
        return (f"relaxed objective {objective:.3g}, forward loss {loss:.3g} after the last epoch",)


LABELS = 64
"""How many different codes there are for labels, where auxiliaries start at a code of their label."""


def _local(kind: str, layers: Any, x: Array, z: Array) -> Scalar:
    """L_h of one segment: its auxiliaries z against what its layers make of those below, x."""
    squares = (z - through(layers, x)) ** 2
    if kind == "sum":
        return 0.5 * jnp.sum(squares) / z.shape[0]
    if kind == "relative":
        return jnp.mean(squares) / jax.lax.stop_gradient(_spread(z, 0))
    return jnp.mean(squares)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _local_losses(kind: str, layers: Any, x: Array, z: Array) -> Array:
    """L_h of equal segments, `(segments,)`."""
    return jax.vmap(partial(_local, kind))(layers, x, z)


def _local_losses_forward(kind: str, layers: Any, x: Array, z: Array) -> tuple[Array, Any]:
    """Every segment's loss, and its gradient at once: no other segment is needed for it. On a CPU one after the other, so that
    what a segment needs stays in the cache; elsewhere all together."""
    one = lambda item: jax.value_and_grad(partial(_local, kind), argnums=(0, 1, 2))(*item)
    items = (layers, x, z)
    return jax.lax.map(one, items) if jax.default_backend() == "cpu" else jax.vmap(one)(items)


def _local_losses_backward(kind: str, gradients: Any, cotangent: Array) -> Any:
    along = lambda leaf: cotangent.reshape(-1, *[1] * (leaf.ndim - 1))
    return jax.tree.map(lambda leaf: along(leaf) * leaf, gradients)


_local_losses.defvjp(_local_losses_forward, _local_losses_backward)


def _spread(z: Array, examples: int, *, axis: Any = None, keepdims: bool = False) -> Array:
    """The variance over examples, mean over units; 1 where there is none, as in a batch of one."""
    variance = jnp.mean(jnp.var(z, axis=examples, keepdims=True), axis=axis, keepdims=keepdims)
    return jnp.where(variance > 0, variance, 1)


def _sum_of_squares(network: Network) -> Scalar:
    """Of all weights, those inside composites among them."""
    layers: Any = [layer for part in network.parts for layer in getattr(part, "layers", (part,))]
    weights = [layer.weight for layer in layers if layer.synaptic]
    inner = [leaf for name in network.composites for leaf in jax.tree.leaves(network[name]) if leaf.ndim > 1]
    squares = [jnp.sum(weight**2) for weight in (*weights, *inner)]
    return sum(squares[1:], start=squares[0])
