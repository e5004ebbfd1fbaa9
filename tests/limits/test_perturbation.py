"""Random directions: the bases over which they are the gradient, the order of their steps, their means and variances."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from ascribe import losses, networks, rules
from ascribe.cards import quality
from ascribe.datasets import Dataset, Split
from ascribe.errors import UserError
from ascribe.networks import Activation, Linear, Network, Residual, from_function, record
from ascribe.rules import Backpropagation, Batch, ForwardGradient, NodePerturbation, Terms, WeightPerturbation
from ascribe.rules.perturbations import basis, drawn, signs
from ascribe.rules.terms import layer_errors, output_error

from ..cases import assert_active, assert_close, case, credit_of, examples, noisy_mlp, small_mlp

KEY = jr.key(5)
STEPS = np.array([1e-3, 2e-3, 4e-3])


def exact(network, batch):
    gradients = credit_of(Backpropagation(), network, None, batch, KEY).gradients
    assert_active(gradients)
    return gradients


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def residual():
    keys = jr.split(jr.key(1), 4)
    branch = [Linear(4, 4, key=keys[1]), Activation("tanh"), Linear(4, 4, key=keys[2])]
    return Network([Linear(4, 4, key=keys[0]), Residual(branch), Linear(4, 3, key=keys[3])])


def deep():
    """Ten equal layers, stored as one."""
    return networks.mlp([4, *[4] * 10, 3], activation="tanh", key=jr.key(0))


NETWORKS = {"mlp": small_mlp, "noisy": noisy_mlp, "residual": residual, "stack": deep}


def named(name):
    """A network of that name, and a batch for it."""
    return case("lenet", "categorical-cross-entropy") if name == "lenet" else (NETWORKS[name](), examples((4,), LOSS))


LOSS = "categorical-cross-entropy"


# Over an orthonormal basis


@pytest.mark.parametrize("name", ["mlp", "lenet", "noisy", "residual", "stack"])
def test_forward_gradients_of_an_orthonormal_basis_are_the_gradient(name):
    network, batch = named(name)
    ours = eqx.filter_jit(lambda network: ForwardGradient().over_basis(network, batch, key=KEY))(network)
    # Below a normalization a bias has no effect: rounding on both sides, so all are compared on one scale.
    expected = flat(credit_of(Backpropagation(), network, None, batch, KEY).gradients)
    np.testing.assert_allclose(flat(ours), expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))


def test_any_orthonormal_basis_will_do_and_an_incomplete_one_will_not():
    network, batch = small_mlp(), examples((4,), LOSS)
    theta, unravel = ravel_pytree(network)
    rotated = np.linalg.qr(np.random.default_rng(0).normal(size=(theta.size, theta.size)))[0]
    over = jax.jit(lambda rows: ForwardGradient().over(network, batch, jax.vmap(unravel)(rows)))
    assert_close(over(rotated), exact(network, batch), 1e-12)
    some = flat(over(np.where(np.arange(theta.size)[:, None] < 3, 0.0, rotated)))
    assert np.linalg.norm(some - flat(exact(network, batch))) > 0.01


# The order of a step


@pytest.mark.parametrize(("antithetic", "order"), [(False, 1), (True, 2)])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(WeightPerturbation, "mlp"), (WeightPerturbation, "noisy"), (WeightPerturbation, "residual")]
    + [(NodePerturbation, name) for name in ("mlp", "noisy", "stack")],
)
def test_the_error_falls_with_the_step_and_antithetic_with_its_square(kind, name, antithetic, order):
    """Over a basis, so that nothing is left to chance."""
    network, batch = named(name)
    expected = flat(credit_of(Backpropagation(), network, None, batch, KEY).gradients)
    over = eqx.filter_jit(lambda rule: rule.over_basis(network, batch, key=KEY))
    errors = [np.linalg.norm(flat(over(kind(antithetic=antithetic, size=step))) - expected) for step in STEPS]
    assert errors[-1] < 0.05 * np.linalg.norm(expected)
    assert abs(np.polyfit(np.log(STEPS), np.log(errors), 1)[0] - order) < 0.1


@pytest.mark.parametrize("size", [1e-2, 1.0, 30.0])
@pytest.mark.parametrize("kind", [WeightPerturbation, NodePerturbation])
def test_antithetic_steps_of_any_size_are_exact_where_the_loss_is_quadratic(kind, size):
    network, batch = small_mlp(hidden=()), examples((4,), "squared-error")
    ours = kind(antithetic=True, size=size).over_basis(network, batch)
    assert_close(ours, exact(network, batch), 1e-10)


def test_a_small_step_of_all_weights_is_a_forward_gradient():
    network, batch = small_mlp(), examples((4,), LOSS)
    near = credit_of(WeightPerturbation(antithetic=True, size=1e-4), network, None, batch, KEY)
    limit = credit_of(ForwardGradient(), network, None, batch, KEY)
    assert_close(near.gradients, limit.gradients, 1e-6)
    np.testing.assert_allclose(near.loss, limit.loss, rtol=1e-12)


# Means and variances


def test_a_sign_has_one_bit_of_the_generator():
    given = (((64,), "float64"), ((5, 3, 7), "float32"), ((), "float64"), ((2, 0), "float64"))
    make = jax.jit(
        lambda key: [(signs(key, *one), jr.bits(key, (-(-math.prod(one[0]) // 32), 1), jnp.uint32)) for one in given]
    )
    for (shape, dtype), (found, words) in zip(given, jax.device_get(make(KEY)), strict=True):
        count = math.prod(shape)
        bits = np.unpackbits(words.astype("<u4").view(np.uint8).ravel(), bitorder="little")[:count]
        np.testing.assert_array_equal(found, np.where(bits, 1, -1).reshape(shape))
        assert found.dtype == dtype


def test_signs_have_mean_zero_and_no_covariance():
    """Of numbers of one word, and of different words."""
    draws, count = 20_000, 70
    found = jax.jit(jax.vmap(lambda key: signs(key, (count,), float)))(jr.split(KEY, draws))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=5 / np.sqrt(draws))
    np.testing.assert_allclose(found.T @ found / draws, np.eye(count), atol=5 / np.sqrt(draws))


def linear(inputs, outputs=2, batch=5):
    """One linear layer without biases, and its squared error."""
    network = networks.mlp([inputs, outputs], bias=False, key=jr.key(0))
    return network, examples((inputs,), "squared-error", outputs, batch)


def data_of(network, batch):
    """The batch as all data."""
    part = Split(np.asarray(batch.inputs), np.asarray(batch.targets))
    return Dataset("linear", "regression", part, part, part)


def estimates(rule, network, batch, count):
    """`count` answers, `(count, numbers)`."""
    one = lambda key: ravel_pytree(rule(network, None, batch, key=key).gradients)[0]
    return np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(1), count)))


def of_nodes(network, batch, own=-1, units=2):
    """tr Cov of node perturbation over one linear layer: an example's δ of n units has tr Cov = (n - 1) ‖δ‖² by signs, (n + 1)
    by normal noise, and the weights' is that times ‖h‖², of a mean over independent examples."""
    x = np.asarray(batch.inputs)
    delta = x @ np.asarray(network["linear1"].weight).T - np.asarray(batch.targets)
    return np.sum((x**2).sum(1) * (delta**2).sum(1)) * (units + own) / len(x) ** 2


VARIANCES = {
    "forward": (ForwardGradient(), lambda n, g, *_: (n - 1) * g),
    "forward normal": (ForwardGradient(distribution="normal"), lambda n, g, *_: (n + 1) * g),
    "forward four": (ForwardGradient(4), lambda n, g, *_: (n - 1) / 4 * g),
    "weights": (WeightPerturbation(antithetic=True, size=1.0), lambda n, g, *_: (n - 1) * g),
    "weights normal": (
        WeightPerturbation(3, distribution="normal", antithetic=True, size=1.0),
        lambda n, g, *_: (n + 1) / 3 * g,
    ),
    "nodes": (NodePerturbation(antithetic=True, size=1.0), lambda n, g, *given: of_nodes(*given)),
    "nodes normal": (
        NodePerturbation(2, distribution="normal", antithetic=True, size=1.0),
        lambda n, g, *given: of_nodes(*given, own=1) / 2,
    ),
}


@pytest.mark.parametrize("inputs", [2, 12])
@pytest.mark.parametrize("name", VARIANCES)
def test_the_mean_is_the_gradient_and_the_variance_grows_with_what_is_moved(name, inputs):
    rule, closed_form = VARIANCES[name]
    network, batch = linear(inputs)
    gradient, count = flat(exact(network, batch)), 20_000
    found = estimates(rule, network, batch, count)
    wanted = closed_form(network.parameters, np.sum(gradient**2), network, batch)
    variances = found.var(axis=0, ddof=1)
    np.testing.assert_allclose(variances.sum(), wanted, rtol=0.1)
    assert np.all(np.abs(found.mean(axis=0) - gradient) < 5 * np.sqrt(variances / count))
    # The stated standard error of the whole mean: √(tr Cov / draws).
    assert np.linalg.norm(found.mean(axis=0) - gradient) < 2 * np.sqrt(wanted / count)


@pytest.mark.parametrize("kind", [ForwardGradient, WeightPerturbation, NodePerturbation])
def test_the_mean_is_the_gradient_in_a_deep_network(kind):
    """Of one-sided steps, too: an even order of σ cancels in the mean."""
    network, batch, count = small_mlp(), examples((4,), LOSS), 20_000
    expected = flat(exact(network, batch))
    found = estimates(kind(), network, batch, count)
    error = np.sqrt(found.var(axis=0, ddof=1) / count)
    assert np.all(np.abs(found.mean(axis=0) - expected) < 5 * error)
    assert np.linalg.norm(found.mean(axis=0) - expected) < 2 * np.linalg.norm(error)
    assert np.linalg.norm(error) < 0.2 * np.linalg.norm(expected)


@pytest.mark.parametrize(("distribution", "own"), [("normal", 1), ("rademacher", -1)])
def test_the_noise_of_all_units_is_in_the_variance_of_each_layer(distribution, own):
    """‖h_i‖² (n ‖δ_i‖² ± ‖δ_i of the layer‖²), summed over examples, for the n units of a layer."""
    network, batch = small_mlp(), examples((4,), LOSS)
    rule = NodePerturbation(distribution=distribution, antithetic=True)

    @jax.jit
    def traces(network, keys):
        found = jax.vmap(lambda key: rule(network, None, batch, key=key).gradients)(keys)
        tape, _ = record(network, batch.inputs)
        errors = layer_errors(network, tape, output_error(network, tape, batch, Terms())[1], Terms())  # with the mean's 1/N
        total, pairs = sum(jnp.sum(error**2, axis=1) for error in errors.values()), []
        for name, error in errors.items():
            inputs = jnp.sum(tape.inputs[network.index(name)] ** 2, axis=1)
            wanted = jnp.sum(inputs * (error.shape[1] * total + own * jnp.sum(error**2, axis=1)))
            pairs.append((jnp.var(found[name].weight, axis=0).sum(), wanted))
        return pairs

    for measured, wanted in traces(network, jr.split(jr.key(1), 20_000)):
        np.testing.assert_allclose(measured, wanted, rtol=0.1)


def test_the_mean_of_nodes_is_the_gradient_where_a_normalization_couples_the_examples():
    """An example's own loss would leave out what its noise does to the others."""
    network, batch, count = noisy_mlp(), examples((4,), LOSS), 20_000
    expected = flat(credit_of(Backpropagation(), network, None, batch, KEY).gradients)
    probe = lambda key: NodePerturbation().over(network, batch, _one(network, batch, key), key=KEY)
    found = np.asarray(jax.jit(jax.vmap(lambda key: ravel_pytree(probe(key))[0]))(jr.split(jr.key(1), count)))
    error = np.linalg.norm(np.sqrt(found.var(axis=0, ddof=1) / count))
    assert np.linalg.norm(found.mean(axis=0) - expected) < 2 * error < 0.2 * np.linalg.norm(expected)


def _one(network, batch, key):
    space = NodePerturbation().probe(network, batch, key=KEY).space
    return jax.tree.map(lambda leaf: leaf[None], drawn(space, key=key))


@pytest.mark.parametrize("kind", [ForwardGradient, WeightPerturbation, NodePerturbation])
def test_several_directions_are_the_mean_of_single_ones(kind):
    network, batch = small_mlp(), examples((4,), LOSS)
    ours = credit_of(kind(3), network, None, batch, KEY).gradients

    @jax.jit
    def singly(network):
        rule = kind()
        space = rule.probe(network, batch, key=KEY).space
        draws = jax.vmap(lambda key: drawn(space, key=key))(jr.split(jr.fold_in(KEY, 1), 3))
        return jax.tree.map(lambda one: one / 3, rule.over(network, batch, draws, key=KEY))

    assert_close(ours, singly(network), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("forward-gradient", 1), ("weight-perturbation", 1), ("forward-gradient", 5)])
def test_the_card_shows_the_ratio_of_signal_to_noise(name, count):
    """‖g‖² / tr Cov = directions/(n - 1), in one batch of all examples."""
    network, batch = linear(6, batch=40)
    rule, data = rules.get(name, directions=count), data_of(network, batch)
    found = quality(rule, network, data, batch_size=40, batches=64, draws=64).layers["total"]
    low, high = found.snr_interval
    assert low < count / (network.parameters - 1) < high < 3 * count / (network.parameters - 1)
    assert found.bias_interval[0] == 0 and found.batch_variance == 0


# What is refused


def test_node_perturbation_refuses_weights_that_are_inside_a_layer():
    data = data_of(*linear(4))
    with pytest.raises(UserError, match=r"residual1 has weights inside .*: use weight-perturbation or forward-gradient"):
        NodePerturbation().adapt(residual(), data)
    for rule in (WeightPerturbation(), ForwardGradient()):
        assert isinstance(rule.adapt(residual(), data), Network)


def test_forward_gradients_refuse_what_has_a_backward_derivative_alone():
    @jax.custom_vjp
    def own(x):
        return x

    own.defvjp(lambda x: (x, None), lambda _, cotangent: (cotangent,))
    network = Network([from_function(lambda p, x: own(x @ p["w"]), {"w": jnp.ones((2, 2))}, shape=(2,))])
    network = network.located((2,))
    with pytest.raises(UserError, match=r"a backward derivative of its own .*: use weight-perturbation"):
        ForwardGradient().adapt(network, data_of(*linear(2)))


@pytest.mark.parametrize("options", [{"directions": 0}, {"directions": True}, {"distribution": "gaussian"}])
@pytest.mark.parametrize("name", ["weight-perturbation", "node-perturbation", "forward-gradient"])
def test_options_that_make_no_sense_are_refused(name, options):
    with pytest.raises(UserError, match=rf"`?{next(iter(options))}`? "):
        rules.get(name, **options)


def test_a_step_is_positive_and_antithetic_is_yes_or_no():
    for options in ({"size": 0.0}, {"antithetic": "yes please"}):
        with pytest.raises(UserError):
            rules.get("node-perturbation", **options)
    assert rules.get("weight-perturbation:antithetic=yes,directions=3,size=0.01").antithetic is True


def test_a_basis_has_every_number_once():
    space = {"a": jnp.zeros((2, 1)), "b": jnp.zeros(3)}
    found = jax.vmap(lambda one: ravel_pytree(one)[0])(basis(space))
    np.testing.assert_array_equal(found, np.eye(5))


def test_float32_networks_get_float32_numbers_in_several_directions():
    network, batch = jax.tree.map(lambda leaf: leaf.astype("float32"), small_mlp()), examples((4,), "squared-error")
    batch = dataclasses.replace(batch, inputs=batch.inputs.astype("float32"), targets=batch.targets.astype("float32"))
    for rule in (ForwardGradient(2), WeightPerturbation(2), NodePerturbation(2, antithetic=True)):
        credit = jax.eval_shape(lambda rule=rule: rule(network, None, batch))
        assert {leaf.dtype for leaf in jax.tree.leaves((credit.loss, credit.gradients))} == {jnp.dtype("float32")}


def test_dropout_has_one_mask_in_all_passes():
    """With another one, the quotient of a tiny step would be of the order 1/σ."""
    network, batch = noisy_mlp(), Batch(jnp.ones((4, 4)), jnp.arange(4) % 3, losses.get(LOSS))
    for kind in (WeightPerturbation, NodePerturbation):
        found = credit_of(kind(size=1e-6), network, None, batch, KEY).gradients
        assert np.max(np.abs(flat(found))) < 1e3
