"""A rule's step as a program to be read: its credit for every weight, and what it keeps, of everything that it is given."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe.jaxprs import Graph, Variable, trace
from ascribe.networks import Activation, Network, record
from ascribe.rules import AbstractRule, Batch, Trainables, backward_sweep, hooks, network_of
from ascribe.types import Array, Key, PyTree

from . import examples

SIZE = 4
"""Examples of the batch that a program is read for; a second trace has one more."""


class Given(NamedTuple):
    """What a rule's step is given."""

    trainables: Any
    state: PyTree
    inputs: Array
    targets: Array
    network_state: PyTree
    key: Key


class Program(NamedTuple):
    """`step`: a rule's step; `forward`: the forward pass alone, which ends in the last preactivation, with the batch's statistics
    and without them; `begin`: what the rule begins with, from the network. `given`: the numbers, whose leaves are the
    graphs' inputs; `axes`: of the examples, None where the two traces differ; `kept`: what the outputs of the step are behind
    the credit of every weight, and of which leaf."""

    network: Network
    given: Given
    step: Graph
    forward: Graph
    begin: Graph
    axes: dict[Variable, int]
    kept: tuple[tuple[str, int], ...]
    begun: tuple[tuple[str, int], ...]


def apart(network: Network) -> Network:
    """The network with every layer for itself, where equal ones are stored as one."""
    return eqx.tree_at(lambda one: one.parts, network, network.layers)


def rows_of(batch: Batch, count: int) -> Batch:
    """So many examples of a batch, from the first one on, again where there are fewer."""
    picked = np.arange(count) % batch.inputs.shape[0]
    indices = None if batch.indices is None else jnp.arange(count)
    return dataclasses.replace(batch, inputs=batch.inputs[picked], targets=batch.targets[picked], indices=indices)


def program(rule: AbstractRule, network: Network, batch: Batch, key: Key) -> Program:
    """A rule's step on a few examples of the batch."""
    network = apart(network.located(batch.inputs.shape[1:]))
    small, large = _given(rule, network, rows_of(batch, SIZE), key), _given(rule, network, rows_of(batch, SIZE + 1), key)
    kept: list[tuple[str, int]] = []
    graphs, axes = [], {}
    for made in (_step, _forward):
        graphs.append(trace(lambda *leaves, made=made: made(rule, batch, small, leaves, kept), *_leaves(small))[0])
        wide = trace(lambda *leaves, made=made: made(rule, batch, large, leaves, []), *_leaves(large))[0]
        try:
            axes |= examples.axes(graphs[-1], wide)
        except examples.Unlike:
            axes |= {}
    begun: list[tuple[str, int]] = []
    begin = trace(lambda *leaves: _begin(rule, batch, small, leaves, begun), *_leaves(small))[0]
    return Program(network, small, *graphs, begin, axes, tuple(kept), tuple(begun))


def names_of_weights(found: Any, network: Network) -> dict[str, Any]:
    """The weight of everything in `network.synaptic`, of a network or of its gradient."""
    own = apart(network_of(found)) if hasattr(network_of(found), "layers") else found
    return own.like(network).weights


def numbered(given: Given) -> Given:
    """The same tree with the number of each leaf in its place."""
    leaves, structure = jax.tree.flatten(given)
    return jax.tree.unflatten(structure, range(len(leaves)))


def _leaves(given: Given) -> list[Any]:
    return jax.tree.leaves(given)


def _given(rule: AbstractRule, network: Network, batch: Batch, key: Key) -> Given:
    begin, step = jr.split(key)
    state = batch.network_state if batch.network_state is not None else network.initial_state()

    def made(network: Network, batch: Batch, begin: Key) -> tuple[Any, PyTree]:
        return hooks.trainables(rule, network, batch, key=begin), hooks.init(rule, network, batch, key=begin)

    trainables, kept = eqx.filter_jit(made)(network, dataclasses.replace(batch, network_state=state), begin)
    return Given(trainables, kept, batch.inputs, batch.targets, state, step)


def _put_together(batch: Batch, given: Given, leaves: Any) -> tuple[Given, Batch]:
    own: Given = jax.tree.unflatten(jax.tree.structure(given), leaves)
    indices = None if batch.indices is None else jnp.arange(own.inputs.shape[0])
    return own, dataclasses.replace(
        batch, inputs=own.inputs, targets=own.targets, network_state=own.network_state, indices=indices
    )


def _step(rule: AbstractRule, batch: Batch, given: Given, leaves: Any, kept: list[tuple[str, int]]) -> list[Any]:
    own, batch = _put_together(batch, given, leaves)
    credit = rule(own.trainables, own.state, batch, key=own.key)
    found = list(names_of_weights(credit.gradients, network_of(own.trainables)).values())
    after, state = hooks.after_update(rule, own.trainables, credit.state)
    kept.clear()
    parts = [("state", "state", state)]
    if isinstance(own.trainables, Trainables):
        for name, gradients in (("feedback", credit.gradients), ("example state", credit.gradients)):
            field = "auxiliary" if name == "example state" else name
            parts += [(name, name, getattr(gradients, field)), (name, name, getattr(after, field))]
    for _, name, tree in parts:
        leaves = jax.tree.leaves(tree)
        kept += [(name, i) for i in range(len(leaves))]
        found += leaves
    return found


def _forward(rule: AbstractRule, batch: Batch, given: Given, leaves: Any, kept: Any) -> list[Any]:
    own, batch = _put_together(batch, given, leaves)
    network, found = network_of(own.trainables), []
    for training in (True, False):
        tape, _ = record(network, batch.inputs, own.network_state, key=own.key if training else None, training=training)
        last: Any = tape.parts[-1] if isinstance(network.last, Activation) else tape.output
        found.append(last)
    return [*found, backward_sweep(network, None, batch, key=own.key).loss]


def _begin(rule: AbstractRule, batch: Batch, given: Given, leaves: Any, kept: list[tuple[str, int]]) -> list[Any]:
    own, batch = _put_together(batch, given, leaves)
    network = network_of(own.trainables)
    trainables = hooks.trainables(rule, network, batch, key=own.key)
    state = hooks.init(rule, network, batch, key=own.key)
    found: list[Any] = []
    kept.clear()
    parts = [("state", state)]
    parts += [("feedback", trainables.feedback)] if isinstance(trainables, Trainables) else []
    for name, tree in parts:
        leaves = jax.tree.leaves(tree)
        kept += [(name, i) for i in range(len(leaves))]
        found += leaves
    return found
