"""A rule's step as a program to be read: its credit for every weight, and what it keeps, of everything that it is given."""

import contextlib
import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe.jaxprs import Graph, Variable, trace
from ascribe.networks import Activation, Network, Stack, record
from ascribe.rules import AbstractRule, Batch, Credit, Trainables, backward_sweep, hooks, network_of
from ascribe.types import Array, Key, PyTree

from . import examples
from .examples import SIZE

BESIDE = {"feedback": "feedback", "example state": "auxiliary"}
"""What is trained beside the network, by the names of sources."""


class Given(NamedTuple):
    """What a rule's step is given: arrays, or the numbers that they have among all leaves."""

    trainables: Any
    state: PyTree
    inputs: Any
    targets: Any
    network_state: PyTree
    key: Any


class Program(NamedTuple):
    """`given`: the numbers, whose leaves are the inputs of all three graphs; `step`: a rule's step, whose outputs are the
    credit of every weight, and what the rule `kept` (its kind, and the number of the leaf); `forward`: the forward pass alone,
    which gives the last preactivation with the batch's statistics and without them, and the loss; `begin`: what the rule begins
    with, `begun`. `axes`: of the examples; None where two sizes of a batch make two programs."""

    network: Network
    given: Given
    step: Graph
    forward: Graph
    begin: Graph
    axes: dict[Variable, int] | None
    kept: tuple[tuple[str, int], ...]
    begun: tuple[tuple[str, int], ...]


def rows_of(batch: Batch, count: int) -> Batch:
    """So many examples of a batch, from the first one on, again where there are fewer."""
    picked = np.arange(count) % batch.inputs.shape[0]
    indices = None if batch.indices is None else jax.device_put(np.arange(count))
    inputs, targets = jax.device_put([np.asarray(one)[picked] for one in (batch.inputs, batch.targets)])
    return dataclasses.replace(batch, inputs=inputs, targets=targets, indices=indices)


class _Bare:
    """The hooks of a rule, whose answers are not looked at: of a network whose equal layers are no longer stored as one, a rule
    may return them stored as one again."""

    def trainables(self, rule: AbstractRule, *given: Any, **named: Any) -> Any:
        return rule.trainables(*given, **named)

    def init(self, rule: AbstractRule, *given: Any, **named: Any) -> PyTree:
        return rule.init(*given, **named)

    def credit(self, rule: AbstractRule, *given: Any, **named: Any) -> Credit:
        return rule(*given, **named)

    def after_update(self, rule: AbstractRule, *given: Any) -> Any:
        return rule.after_update(*given)


def program(rule: AbstractRule, network: Network, batch: Batch, key: Key, *, of_examples: bool = True) -> Program:
    """A rule's step on a few examples of the batch; `of_examples`: with the axes of the examples, for which the step is traced
    a second time."""
    ask: Any = _Bare() if any(isinstance(part, Stack) for part in network.parts) else hooks
    network = network.located(batch.inputs.shape[1:]).unstacked
    small = _given(rule, ask, network, rows_of(batch, SIZE), key)
    kept: list[tuple[str, int]] = []
    begun: list[tuple[str, int]] = []
    read = lambda made, given, told: trace(lambda *own: made(rule, ask, batch, given, own, told), *jax.tree.leaves(given))[0]
    step, forward = read(_step, small, kept), read(_forward, small, [])
    axes = None
    if of_examples:
        large = _given(rule, ask, network, rows_of(batch, SIZE + 1), key)
        with contextlib.suppress(examples.UnlikeError):
            axes = examples.axes(step, read(_step, large, [])) | examples.axes(forward, read(_forward, large, []))
    return Program(network, small, step, forward, read(_begin, small, begun), axes, tuple(kept), tuple(begun))


def names_of_weights(found: Any, network: Network) -> dict[str, Any]:
    """The weight of everything in `network.synaptic`, of a network or of its gradient."""
    own = network_of(found).unstacked if hasattr(network_of(found), "layers") else found
    return own.like(network).weights


def numbered(given: Given) -> Given:
    """The same tree with the number of each leaf in its place."""
    leaves, structure = jax.tree.flatten(given)
    return jax.tree.unflatten(structure, range(len(leaves)))


def _given(rule: AbstractRule, ask: Any, network: Network, batch: Batch, key: Key) -> Given:
    begin, step = jr.split(key)
    state = batch.network_state if batch.network_state is not None else network.initial_state()

    def made(network: Network, batch: Batch, begin: Key) -> tuple[Any, PyTree]:
        return ask.trainables(rule, network, batch, key=begin), ask.init(rule, network, batch, key=begin)

    trainables, kept = eqx.filter_eval_shape(made, network, dataclasses.replace(batch, network_state=state), begin)
    trainables = eqx.tree_at(network_of, trainables, network) if isinstance(trainables, Trainables) else network
    trainables, kept = jax.tree.map(_filled, (trainables, kept))
    return Given(trainables, kept, batch.inputs, batch.targets, state, step)


def _filled(leaf: Any) -> Array:
    """An array of that shape and type, of random numbers where there are none yet."""
    if eqx.is_array(leaf):
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jr.key(1), leaf.shape)
    numbers = np.random.default_rng(leaf.size).normal(size=leaf.shape)
    return jnp.asarray(numbers if jnp.issubdtype(leaf.dtype, jnp.floating) else np.ones(leaf.shape), leaf.dtype)


def _put_together(batch: Batch, given: Given, leaves: Any) -> tuple[Given, Batch]:
    own: Given = jax.tree.unflatten(jax.tree.structure(given), leaves)
    indices = None if batch.indices is None else jnp.arange(own.inputs.shape[0])
    return own, dataclasses.replace(
        batch, inputs=own.inputs, targets=own.targets, network_state=own.network_state, indices=indices
    )


def _step(rule: AbstractRule, ask: Any, batch: Batch, given: Given, leaves: Any, kept: list[tuple[str, int]]) -> list[Any]:
    own, batch = _put_together(batch, given, leaves)
    credit = ask.credit(rule, own.trainables, own.state, batch, key=own.key)
    found = list(names_of_weights(credit.gradients, network_of(own.trainables)).values())
    after, state = ask.after_update(rule, own.trainables, credit.state)
    parts = [("state", state)]
    if isinstance(own.trainables, Trainables):
        both: list[Any] = [credit.gradients, after]
        parts += [(name, getattr(one, field)) for name, field in BESIDE.items() for one in both]
    return found + _listed(parts, kept)


def _forward(rule: AbstractRule, ask: Any, batch: Batch, given: Given, leaves: Any, kept: Any) -> list[Any]:
    own, batch = _put_together(batch, given, leaves)
    network, found = network_of(own.trainables), []
    for training in (True, False):
        tape, _ = record(network, batch.inputs, own.network_state, key=own.key if training else None, training=training)
        last: Any = tape.parts[-1] if isinstance(network.last, Activation) else tape.output
        found.append(last)
    return [*found, backward_sweep(network, None, batch, key=own.key).loss]


def _begin(rule: AbstractRule, ask: Any, batch: Batch, given: Given, leaves: Any, kept: list[tuple[str, int]]) -> list[Any]:
    own, batch = _put_together(batch, given, leaves)
    network = network_of(own.trainables)
    trainables = ask.trainables(rule, network, batch, key=own.key)
    state = ask.init(rule, network, batch, key=own.key)
    parts = [("state", state)]
    if isinstance(trainables, Trainables):
        parts += [(name, getattr(trainables, field)) for name, field in BESIDE.items()]
    return _listed(parts, kept)


def _listed(parts: list[tuple[str, Any]], kept: list[tuple[str, int]]) -> list[Any]:
    """The leaves of trees, whose kinds and numbers go into `kept`."""
    found = []
    for name, tree in parts:
        leaves = jax.tree.leaves(tree)
        kept += [(name, i) for i in range(len(leaves))]
        found += leaves
    return found
