"""Where Hebbian rules come to rest: principal components, and weights of length 1."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import datasets, networks, rules
from ascribe.errors import UserError
from ascribe.rules import Backpropagation

from ..cases import assert_active, assert_close, credit_of, examples, small_lenet, small_mlp
from ..models import network_of

STEPS, RATE = 6000, 0.1


@eqx.filter_jit
def trained(rule, network, batch):
    """The network after many steps of SGD on all examples."""

    def step(network, _):
        gradients = rule(network, None, batch).gradients
        return jax.tree.map(lambda leaf, slope: leaf - RATE * slope, network, gradients), None

    return jax.lax.scan(step, network, None, length=STEPS)[0]


@pytest.fixture(scope="module")
def spread():
    """Forty examples of four numbers, of very unequal spreads along turned axes."""
    batch = examples((4,), "squared-error", batch=40)
    turned = np.linalg.qr(np.asarray(jr.normal(jr.key(5), (4, 4))))[0]
    inputs = np.asarray(batch.inputs) * np.asarray([1.5, 1.0, 0.6, 0.2])[None] @ turned
    return dataclasses.replace(batch, inputs=jnp.asarray(inputs))


def test_hebbian_units_come_to_the_principal_components_in_their_order(spread):
    """Oja (1982) of the first, Sanger (1989) of all: eigenvectors of the second moments, whatever the readout does."""
    network = small_mlp("tanh", hidden=(3,))
    found = np.asarray(trained(rules.Hebbian(strength=1.0), network, spread)["linear1"].weight)
    x = np.asarray(spread.inputs)
    components = np.linalg.eigh(x.T @ x / len(x))[1][:, ::-1].T
    for unit, component in zip(found, components, strict=False):
        np.testing.assert_allclose(np.abs(unit @ component), 1, atol=1e-8)
        np.testing.assert_allclose(np.linalg.norm(unit), 1, atol=1e-8)


def test_softhebb_s_weights_come_to_length_1(spread):
    network = small_mlp("relu", hidden=(3,))
    before = np.linalg.norm(network["linear1"].weight, axis=1)
    after = np.linalg.norm(trained(rules.SoftHebb(inverse_temperature=1.0), network, spread)["linear1"].weight, axis=1)
    assert np.all(np.abs(before - 1) > 0.01)
    np.testing.assert_allclose(after, 1, atol=1e-6)


@pytest.mark.parametrize("rule", [rules.SoftHebb(anti_hebbian=True), rules.Hebbian()], ids=["softhebb", "hebbian"])
def test_hidden_layers_see_no_error_and_their_biases_stay(rule):
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy")
    other = dataclasses.replace(batch, targets=(batch.targets + 1) % 3)
    ours, theirs = (credit_of(rule, network, None, one).gradients for one in (batch, other))
    for name in ("linear1", "linear2"):
        np.testing.assert_array_equal(ours[name].weight, theirs[name].weight)
        assert np.any(ours[name].weight) and not np.any(ours[name].bias)
    assert_close(ours["linear3"], credit_of(Backpropagation(), network, None, batch).gradients["linear3"], 1e-12)


@pytest.mark.parametrize("rule", [rules.SoftHebb(anti_hebbian=True), rules.Hebbian()], ids=["softhebb", "hebbian"])
def test_a_kernel_learns_as_a_dense_layer_does_from_its_views(rule):
    network, batch = small_lenet(), examples((12, 12, 1), "categorical-cross-entropy")
    layer = network["conv1"]
    ours = credit_of(rule, network, None, batch).gradients["conv1"]
    views = layer.design_matrix(batch.inputs)
    matrix = layer.weight.transpose(1, 0, 2, 3).reshape(-1, layer.outputs).T
    np.testing.assert_allclose(layer.weight_of(matrix), layer.weight)
    dense = networks.mlp([views.shape[1], layer.outputs, 3], key=jr.key(0))
    dense = eqx.tree_at(lambda n: n["linear1"].weight, dense, matrix)
    targets = jnp.zeros(len(views), int)
    theirs = credit_of(rule, dense, None, dataclasses.replace(batch, inputs=views, targets=targets)).gradients["linear1"]
    assert_active(theirs.weight)
    np.testing.assert_allclose(ours.weight, layer.weight_of(theirs.weight), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", [rules.SoftHebb(anti_hebbian=True), rules.Hebbian()], ids=["softhebb", "hebbian"])
def test_other_layers_are_refused(rule):
    network = networks.gru((5, 2), 3, units=4, key=jr.key(0))
    with pytest.raises(UserError, match="and gru1 is no such layer"):
        rule.adapt(network, datasets.load("moons", samples=20))


@pytest.mark.parametrize(
    "name", ["hebbian", "softhebb", "pepita", "target-propagation", "target-propagation-direct", "target-propagation-fixed"]
)
def test_a_rule_of_layers_in_a_row_refuses_a_model_by_its_name(name):
    network = network_of("low_rank")
    with pytest.raises(UserError, match=rf"layers in a row, and {network.composites[0]} is no"):
        rules.get(name).adapt(network, datasets.load("moons", samples=20))
