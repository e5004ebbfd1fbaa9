"""Equal blocks of layers are stored as one, and nobody need know."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import losses, networks
from ascribe.networks import (
    Activation,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Network,
    Shift,
    Stack,
    record,
)
from ascribe.rules import Backpropagation, Batch, RelaxedIdentity

from ..cases import assert_close, assert_identical

T, R, S = Activation("tanh"), Activation("relu"), Shift(-0.1)


def linear(fan_in=3, fan_out=3, **options):
    return Linear(fan_in, fan_out, **options)


def blocks(*layers, count=8):
    return [layer for _ in range(count) for layer in layers]


def between(*layers):
    """The layers between a first and a last one of other sizes."""
    return Network([linear(2, 3), *layers, linear(3, 1)])


def shape(network):
    """The stacks of a network: where each begins, its layers in a block and its blocks."""
    parts = zip(network.parts, network.starts, strict=True)
    return [(first, len(part.layers), part.count) for part, first in parts if isinstance(part, Stack)]


@pytest.mark.parametrize(
    ("layers", "stacks"),
    [
        (lambda: blocks(linear()), [(1, 1, 8)]),
        (lambda: blocks(linear(), T), [(1, 2, 8)]),
        (lambda: blocks(T, linear(), count=9), [(1, 2, 9)]),
        (lambda: blocks(linear(), T, S), [(1, 3, 8)]),
        (lambda: blocks(linear(), T, linear(), R), [(1, 4, 8)]),
        (lambda: blocks(linear(), T, linear(), R, S), []),
        (lambda: blocks(linear(), T, count=7), []),
        (lambda: [*blocks(linear(), T, count=7), linear()], []),
        (lambda: blocks(linear(), T, count=8) + blocks(linear(), R, count=8), [(1, 2, 8), (17, 2, 8)]),
        (lambda: [*blocks(T, linear()), linear(3, 4), T, linear(4, 3), *blocks(T, linear())], [(1, 2, 8), (20, 2, 8)]),
        (lambda: blocks(linear(), T, count=4) + blocks(linear(bias=False), T, count=4), []),
        (lambda: blocks(linear(), T, count=4) + blocks(linear(initializer="zeros"), T, count=4), []),
        (lambda: blocks(linear(), BatchNorm(3)), []),
        (lambda: blocks(linear(), Dropout(0.5)), []),
        (lambda: blocks(linear(), T, BatchNorm(3)), []),
        (lambda: blocks(linear(3, 4), linear(4, 3)), []),
        (lambda: [], []),
    ],
)
def test_eight_equal_blocks_of_four_layers_at_most_are_stored_as_one(layers, stacks):
    network = between(*layers())
    assert shape(network) == stacks
    wanted = [linear(2, 3), *layers(), linear(3, 1)]
    for ours, theirs in zip(network.layers, wanted, strict=True):
        assert_identical(ours, theirs)


def test_convolutions_and_the_outer_layers_are_never_stacked():
    convolutions = [Conv2d(1, 1, 1, key=key) for key in jr.split(jr.key(0), 12)]
    assert shape(Network([*convolutions, Flatten(), linear(4, 1)])) == []
    for outer in ([], [T], blocks(T, count=9)):
        network = Network([*outer, *blocks(linear(), count=10), *outer])
        assert shape(network) == [(len(outer) + 1, 1, 8)]
    assert shape(Network(blocks(linear(), count=9))) == []
    assert shape(Network([*blocks(T, count=9), linear(), *blocks(T, count=9)])) == []


def deep(blocks, width=4, activation="tanh"):
    build = lambda: networks.mlp([3, *[width] * (blocks + 1), 2], activation=activation)
    draw = np.random.default_rng(0).normal
    leaves, structure = jax.tree.flatten(jax.eval_shape(build))
    return structure.unflatten([jnp.asarray(draw(scale=0.5, size=leaf.shape)) for leaf in leaves])


def test_a_deep_network_is_written_in_a_few_words():
    assert str(deep(98)) == "linear1 4×3 → 98 × (tanh1 → linear2 4×4) → tanh99 → linear100 2×4"
    assert networks.mlp([3, 4, 4, 2]).__str__() == "linear1 4×3 → relu1 → linear2 4×4 → relu2 → linear3 2×4"


def test_every_layer_has_its_name_and_its_address():
    network = deep(10)
    assert network.names[:3] == ("linear1", "tanh1", "linear2") and network.names[-1] == "linear12"
    assert [network.address(i) for i in (0, 1, 2, 3, 20, 21, 22)] == [
        (0, 0, 0),
        (1, 0, 0),
        (1, 0, 1),
        (1, 1, 0),
        (1, 9, 1),
        (2, 0, 0),
        (3, 0, 0),
    ]
    assert network.starts == (0, 1, 21, 22)
    for name, layer in zip(network.names, network.layers, strict=True):
        assert_identical(network[name], layer)
    assert network.first is network.layers[0] and network.last is network.layers[-1]
    np.testing.assert_array_equal(network["linear5"].weight, network.parts[1].layers[1].weight[3])
    np.testing.assert_array_equal(network.weights["linear5"], network["linear5"].weight)
    assert network.parameters == 3 * 4 + 4 + 10 * 20 + 4 * 2 + 2
    assert len(network.config()) == len(network.layers) == 23


def test_other_numbers_go_in_layer_by_layer():
    network = deep(10)
    doubled = network.with_layers(jax.tree.map(lambda leaf: 2 * leaf, network.layers))
    assert_identical(doubled, jax.tree.map(lambda leaf: 2 * leaf, network))
    assert_identical(network.with_layers(network.layers), network)


def test_a_gradient_flows_to_a_layer_that_is_read_by_its_name():
    network = deep(10)
    gradient = jax.grad(lambda network: jnp.sum(network["linear5"].weight ** 2))(network)
    for name in network.synaptic:
        wanted = 2 * network[name].weight if name == "linear5" else 0 * network[name].weight
        np.testing.assert_allclose(gradient[name].weight, wanted, rtol=1e-15)
        assert not np.any(gradient[name].bias)


def test_runs_side_by_side_keep_their_config_and_their_outputs():
    network, x = deep(10), jr.normal(jr.key(2), (5, 3))

    @jax.jit
    def both(network, x, keys):
        side_by_side = jax.vmap(network.initialize)(keys)
        in_turn = jax.lax.map(lambda key: network.initialize(key)(x), keys)
        return side_by_side, jax.vmap(lambda one: one(x))(side_by_side), in_turn

    side_by_side, outputs, in_turn = both(network, x, jr.split(jr.key(3), 2))
    assert side_by_side.config() == network.config() and side_by_side.names == network.names
    np.testing.assert_allclose(outputs, in_turn, rtol=0, atol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_stack_computes_its_layers_one_after_another(activation):
    network, x = deep(10, activation=activation), jr.normal(jr.key(2), (5, 3))
    tape, _ = record(network, x)
    function = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[activation]
    h = np.asarray(x)
    for name, seen in zip(network.names, tape.inputs, strict=True):
        np.testing.assert_allclose(seen, h, rtol=0, atol=1e-13)
        layer = network[name]
        h = h @ np.asarray(layer.weight).T + np.asarray(layer.bias) if layer.synaptic else function(h)
    np.testing.assert_allclose(network(x), h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(tape.output, h, rtol=0, atol=1e-13)


def test_its_gradient_is_jax_s():
    network, x = deep(10), jr.normal(jr.key(2), (5, 3))

    @jax.jit
    def both(network, x):
        batch = Batch(x, jnp.arange(5) % 2, losses.CATEGORICAL_CROSS_ENTROPY)
        theirs = jax.grad(lambda network: jnp.mean(batch.loss.values(network(x), batch.targets)))(network)
        return Backpropagation()(network, None, batch).gradients, theirs

    assert_close(*both(network, x), 1e-12)


def equations(jaxpr):
    """How many there are, those inside loops and calls too."""
    inner = [one for equation in jaxpr.eqns for one in jax.tree.leaves(tuple(equation.params.values()), is_leaf=is_jaxpr)]
    return len(jaxpr.eqns) + sum(equations(getattr(one, "jaxpr", one)) for one in inner if is_jaxpr(one))


def is_jaxpr(one):
    return hasattr(one, "eqns") or hasattr(one, "jaxpr")


def evaluation(network, batch):
    return network(batch.inputs)


def initialization(network, batch):
    return network.initialize(jr.key(0))


def backpropagation(network, batch):
    return Backpropagation()(network, None, batch).gradients


def relaxed(network, batch):
    rule = RelaxedIdentity()
    return rule(rule.trainables(network, batch, key=jr.key(0)), None, batch).gradients


def consolidated(network, batch):
    rule = RelaxedIdentity()
    return rule.finish(rule.trainables(network, batch, key=jr.key(0)), None, batch)


@pytest.mark.parametrize("program", [evaluation, initialization, backpropagation, relaxed, consolidated])
def test_a_program_does_not_grow_with_depth(program):
    batch = Batch(jnp.ones((5, 3)), jnp.zeros(5, jnp.int32), losses.CATEGORICAL_CROSS_ENTROPY)
    sizes = [equations(eqx.filter_make_jaxpr(program)(deep(depth), batch)[0].jaxpr) for depth in (50, 200)]
    assert 10 < sizes[0] == sizes[1]
