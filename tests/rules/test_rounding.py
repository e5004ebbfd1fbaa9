"""The floor of a gradient, against double precision: what is measurable is right, and what is noise is not measurable."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import losses, networks
from ascribe.metrics import angle, by_layer, gradient_alignment
from ascribe.networks import LayerNorm, Linear, Network
from ascribe.rules import Backpropagation, Batch, gradient_and_terms

from ..cases import small_lenet

EXAMPLES = 24
WRONG = 20.0
"""Degrees that rounding may turn a measurable gradient by."""
CROSS_ENTROPY, BERNOULLI, SQUARED = (
    losses.get(name) for name in ("categorical-cross-entropy", "bernoulli-cross-entropy", "squared-error")
)


def cast(tree, dtype):
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if floating(leaf) else leaf, tree)


@eqx.filter_jit
def measured(network, batch):
    """In single precision, what is found of a gradient compared with itself, and by how many degrees rounding turned it."""
    single, double = (cast((network, batch), dtype) for dtype in (jnp.float32, jnp.float64))
    credit, terms = gradient_and_terms(*single)
    exact = cast(Backpropagation()(*double[:1], None, double[1]).gradients, jnp.float64)
    turned = by_layer(angle, cast(credit.gradients, jnp.float64), exact)
    return gradient_alignment(credit.gradients, credit.gradients, terms), turned


def judge(network, batch):
    """Which layers are measurable; none that is may be wrong."""
    located = network.located(batch.inputs.shape[1:])
    found, turned = measured(located, batch)
    over = {name: float(found[f"gradient_over_floor/{name}"]) for name in turned}
    for name, degrees in turned.items():
        assert not np.isnan(over[name])
        if over[name] > 1:
            assert float(degrees) < WRONG, (name, over[name])
            assert float(found[f"gradient_angle/{name}"]) == 0
        else:
            assert np.isnan(found[f"gradient_angle/{name}"]) and np.isnan(found[f"gradient_norm_ratio/{name}"])
    return {name: one > 1 for name, one in over.items()}, {name: float(one) for name, one in turned.items()}


def inputs(*shape, seed=0):
    return jr.normal(jr.key(seed), (EXAMPLES, *shape))


NETWORKS = {
    "dense": (networks.mlp([6, 8, 8, 3], key=jr.key(0)), (6,)),
    "stack": (networks.mlp([6, *[6] * 10, 3], activation="tanh", key=jr.key(0)), (6,)),
    "convolution": (small_lenet(), (12, 12, 1)),
    "sites": (networks.gru((5, 2), 3, units=4, key=jr.key(0)), (5, 2)),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_gradient_of_outputs_that_have_met_their_targets_is_not_measurable(kind):
    """Labels are the network's own answers, which become certain as its last weights grow."""
    network, shape = NETWORKS[kind]
    batch = Batch(inputs(*shape), jnp.argmax(network(inputs(*shape)), axis=1), CROSS_ENTROPY)
    last = network.units[-1]
    grown = lambda factor: eqx.tree_at(lambda one: one[last].weight, network, factor * network[last].weight)
    states = [judge(grown(factor), batch) for factor in (1.0, 30.0, 1e3, 1e5)]
    assert all(states[0][0].values()) and max(states[0][1].values()) < 0.01
    assert not any(states[-1][0].values())


def test_an_error_that_is_not_subtracted_stays_measurable():
    """The logistic function's cross entropy has σ(z) and -σ(-z) as its errors, each with all its digits."""
    network = networks.mlp([6, 8, 1], key=jr.key(0))
    batch = Batch(inputs(6), jnp.ones(EXAMPLES, jnp.int32), BERNOULLI)
    certain = eqx.tree_at(lambda one: one["linear2"].bias, network, jnp.full(1, 25.0))
    measurable, turned = judge(certain, batch)
    assert all(measurable.values()) and max(turned.values()) < 0.01


@pytest.mark.parametrize("left", [1.0, 1e-7])
def test_a_sum_over_examples_that_cancels(left):
    """Every input has two opposite targets, which the answer lies between: by a share `left` of the way to one of them."""
    network = networks.mlp([6, 4, 1], activation="tanh", key=jr.key(0))
    x = jnp.concatenate([inputs(6)] * 2)
    answers = network(x)
    away = jnp.repeat(jnp.asarray([1.0 + left, -1.0]), EXAMPLES)[:, None]
    measurable, turned = judge(network, Batch(x, answers + away, SQUARED))
    assert all(measurable.values()) if left == 1 else not any(measurable.values())
    assert left == 1 or max(turned.values()) > 0.1


@pytest.mark.parametrize("part", [1.0, 1e-7])
def test_an_error_that_cancels_on_its_way_down(part):
    """Layer normalization lets nothing through of an error that is the same in all units; a `part` of it differs."""
    layers = [Linear(6, 16, key=jr.key(0)), LayerNorm(16), Linear(16, 1, key=jr.key(1))]
    layers[2] = eqx.tree_at(lambda layer: layer.weight, layers[2], 1 + part * layers[2].weight)
    batch = Batch(inputs(6), jnp.arange(EXAMPLES) % 2, BERNOULLI)
    measurable, turned = judge(Network(layers), batch)
    assert measurable == {"linear1": part == 1, "linear2": True}
    assert part == 1 or turned["linear1"] > 1


def test_a_gradient_of_zero_and_one_that_vanishes_are_told_apart():
    network = networks.mlp([6, 4, 4, 1], key=jr.key(0))
    batch = Batch(inputs(6), jnp.ones((EXAMPLES, 1)), SQUARED)
    dead = eqx.tree_at(lambda one: one["linear3"].weight, network, 0 * network["linear3"].weight)
    found, _ = measured(dead, batch)
    assert np.isnan(found["gradient_over_floor/linear2"]) and found["gradient_over_floor/linear3"] > 1
    tiny = eqx.tree_at(lambda one: one["linear3"].weight, network, 1e-36 * network["linear3"].weight)
    found, _ = measured(tiny, batch)
    assert found["gradient_over_floor/linear2"] < 1 < found["gradient_over_floor/linear3"]


def test_all_parameters_together_are_those_of_measurable_layers():
    sizes, below = [3, *[4] * 10, 2], ("linear2", "linear5", "linear11")

    @jax.jit
    def compared():
        reference, ours = (cast(networks.mlp(sizes, key=jr.key(seed)), jnp.float32) for seed in (0, 1))
        sizes_of = lambda layer, size: jax.tree.map(lambda leaf: jnp.full_like(leaf, size), layer)
        named = zip(ours.names, ours.layers, strict=True)
        large = [sizes_of(layer, 1e9 if name in below else 0.0) for name, layer in named]
        others = [name for name in ours.synaptic if name not in below]
        vectors = [
            jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves([one[name] for name in others])])
            for one in (ours, reference)
        ]
        return gradient_alignment(ours, reference, ours.with_layers(large)), vectors

    found, vectors = compared()
    nothing = {name.partition("/")[2] for name, value in found.items() if "angle/" in name and np.isnan(value)}
    assert nothing == set(below)
    first, second = (np.asarray(one, float) for one in vectors)
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    np.testing.assert_allclose(found["gradient_angle"], np.degrees(np.arccos(first @ second / np.prod(lengths))), rtol=1e-5)
    np.testing.assert_allclose(found["gradient_norm_ratio"], lengths[0] / lengths[1], rtol=1e-5)


def test_terms_cost_a_small_part_of_a_gradient():
    network, count = networks.mlp([64, 64, 64, 64, 10], key=jr.key(0)), 32
    batch = Batch(jr.normal(jr.key(1), (count, 64)), jnp.arange(count) % 10, CROSS_ENTROPY)
    both = lambda network: gradient_and_terms(network, batch)
    alone = lambda network: Backpropagation()(network, None, batch)
    operations = [jax.jit(one).lower(network).compile().cost_analysis()["flops"] for one in (both, alone)]
    assert operations[0] < 1.25 * operations[1]
