"""Local errors: the sum that they are the gradient of, and where they are backpropagation."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules
from ascribe.errors import UserError
from ascribe.networks import Activation, Linear, Network, Residual, from_function
from ascribe.rules import Backpropagation, LocalError, Trainables
from ascribe.rules.local_error import pooled, similarities, spread

from ..cases import (
    LOSSES,
    applied,
    assert_active,
    assert_close,
    assert_identical,
    case,
    credit_of,
    examples,
    noisy_mlp,
    shake,
    small_mlp,
)
from ..training import tiny

KEY = jr.key(5)
RTOL = 1e-12


def begun(rule, network, batch):
    """Network and heads, the heads away from their special initial values."""
    trainables = rule.trainables(network, batch, key=jr.key(3))
    return dataclasses.replace(trainables, feedback=shake(trainables.feedback, jr.key(4)))


def backpropagated(network, batch, key=KEY):
    return credit_of(Backpropagation(), network, None, batch, key).gradients


# The sum


def likeness(x):
    """S: correlations, with the 1e-8 that the source adds to lengths."""
    length = jnp.linalg.norm(x - x.mean(1, keepdims=True), axis=1)
    return jnp.corrcoef(x) * (length / (length + 1e-8))[:, None] * (length / (length + 1e-8))[None]


def of_features(h):
    """One row of numbers for each example."""
    return h if h.ndim == 2 else jnp.std(h, axis=(1, 2), ddof=1) if h.shape[-1] > 3 else h.reshape(len(h), -1)


def summed(network, heads, batch, beta, kind, *, after):
    """The losses by hand: after the layers of these numbers a local one, and the network's own."""
    x, total, keys = batch.inputs, 0.0, jr.split(KEY, len(network.names))
    t = batch.loss.encode(batch.targets, 3, x.dtype)
    for i, layer in enumerate(network.layers):
        x, _ = layer(x, layer.initial_state(), key=keys[i], training=True)
        if i in after:
            head = heads[after[i]]
            if kind != "similarity":
                z = x.reshape(len(x), -1) @ head["classifier"].weight.T + head["classifier"].bias[None]
                own = jnp.mean(batch.loss.values(z, batch.targets))
                total = total + (own if kind == "prediction" else (1 - beta) * own)
            if kind != "prediction":
                own = jnp.mean((likeness(of_features(head["projection"](x)[0])) - likeness(t)) ** 2)
                total = total + (own if kind == "similarity" else beta * own)
            x = jax.lax.stop_gradient(x)
    return total + jnp.mean(batch.loss.values(x, batch.targets))


@pytest.mark.parametrize("kind", ["both", "prediction", "similarity"])
@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("mlp", {1: "linear1", 3: "linear2"}),
        ("noisy", {2: "linear1", 5: "linear2"}),  # linear, batchnorm, tanh, linear, dropout, tanh, linear
        ("lenet", {1: "conv1", 4: "conv2", 8: "linear1", 10: "linear2"}),
    ],
)
def test_it_is_the_gradient_of_the_local_losses_with_nothing_between_the_blocks(name, after, kind):
    network = noisy_mlp() if name == "noisy" else case(name, LOSSES[0])[0]
    if name == "lenet":  # more than three channels, whose standard deviations are taken
        network = shake(networks.lenet((12, 12, 1), 3, activation="tanh", channels=(4, 5), hidden=(5, 4)), jr.key(9), 0.2)
    batch = examples((12, 12, 1) if name == "lenet" else (4,), "categorical-cross-entropy")
    assert [network.names[i] for i in after] == [f"tanh{i + 1}" for i in range(len(after))]
    rule = LocalError(kind, similarity_weight=0.7)
    trainables = begun(rule, network, batch)

    @jax.jit
    def both(trainables):
        ours = rule(trainables, None, batch, key=KEY)
        one = lambda network, heads: summed(network, heads, batch, 0.7, kind, after=after)
        return ours.gradients, jax.grad(one, argnums=(0, 1))(trainables.network, trainables.feedback)

    ours, (network_gradient, head_gradient) = both(trainables)
    if name != "noisy":  # below a normalization a bias has no effect
        assert_active((network_gradient, head_gradient))
    pairs = zip(jax.tree.leaves((ours.network, ours.feedback)), jax.tree.leaves((network_gradient, head_gradient)), strict=True)
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(network_gradient))
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=0, atol=RTOL * largest)


def test_nothing_above_a_block_enters_its_credit():
    network, batch = case("mlp", "categorical-cross-entropy")
    rule = LocalError()
    trainables = begun(rule, network, batch)
    moved = eqx.tree_at(lambda t: t.network["linear3"], trainables, shake(network["linear3"], jr.key(8)))
    one, other = (credit_of(rule, t, None, batch, KEY).gradients for t in (trainables, moved))
    for name in ("linear1", "linear2"):
        assert_identical(one.network[name], other.network[name])
    assert_identical(one.feedback, other.feedback)


def test_equal_layers_that_are_stored_as_one_get_the_same():
    network = networks.mlp([4, *[4] * 10, 3], activation="tanh", key=jr.key(0))
    apart = eqx.tree_at(lambda n: n.parts, network, network.layers)
    batch = examples((4,), "categorical-cross-entropy")
    rule = LocalError()
    trainables = begun(rule, network, batch)
    assert len(trainables.feedback) == 10 and len(network.parts) < 10
    ours = credit_of(rule, trainables, None, batch).gradients
    theirs = credit_of(rule, dataclasses.replace(trainables, network=apart), None, batch).gradients
    assert jax.tree.structure(ours.network) == jax.tree.structure(network)
    assert_close(ours.network.layers, theirs.network.layers, RTOL)
    assert_close(ours.feedback, theirs.feedback, RTOL)


# Where it is backpropagation


@pytest.mark.parametrize("kind", ["both", "prediction"])
def test_one_block_is_backpropagation(kind):
    """A single layer, and a whole model that is one layer."""
    parameters = {"first": jr.normal(jr.key(0), (4, 5)), "last": jr.normal(jr.key(1), (5, 3))}
    model = from_function(lambda p, x: jnp.tanh(x @ p["first"]) @ p["last"], parameters, shape=(4,))
    for network in (small_mlp(hidden=()), Network([model]).located((4,))):
        batch = examples((4,), "categorical-cross-entropy")
        rule = LocalError(kind, similarity_weight=0.0)
        trainables = rule.trainables(network, batch, key=KEY)
        assert not trainables.feedback
        ours = credit_of(rule, trainables, None, batch, KEY).gradients
        assert_close(ours.network, backpropagated(network, batch), RTOL)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", [LocalError("prediction"), LocalError(similarity_weight=0.0)], ids=["prediction", "β = 0"])
def test_with_the_last_layer_as_its_classifier_the_layer_below_has_backpropagation_s_gradient(rule, loss):
    network, batch = small_mlp(hidden=(5,)), examples((4,), loss)
    trainables = begun(rule, network, batch)
    heads = {"linear1": {**trainables.feedback["linear1"], "classifier": network["linear2"]}}
    ours = credit_of(rule, Trainables(network, feedback=heads), None, batch).gradients
    assert_close(ours.network, backpropagated(network, batch), RTOL)
    assert_close(ours.feedback["linear1"]["classifier"].weight, backpropagated(network, batch)["linear2"].weight, RTOL)


def test_inside_a_block_of_several_layers_there_is_backpropagation():
    keys = jr.split(jr.key(1), 5)
    branch = [Linear(4, 4, key=keys[1]), Activation("tanh"), Linear(4, 4, key=keys[2])]
    network = Network([Linear(4, 4, key=keys[0]), Residual(branch), Linear(4, 3, key=keys[3])]).located((4,))
    batch, rule = examples((4,), "categorical-cross-entropy"), LocalError("prediction")
    trainables = begun(rule, network, batch)
    assert list(trainables.feedback) == ["linear1", "residual1"]
    heads = {**trainables.feedback, "residual1": {"classifier": network["linear2"]}}
    ours = credit_of(rule, Trainables(network, feedback=heads), None, batch).gradients.network
    theirs = backpropagated(network, batch)
    for name in ("residual1", "linear2"):
        assert_close(ours.layers[network.index(name)], theirs.layers[network.index(name)], RTOL)
    assert not np.allclose(ours["linear1"].weight, theirs["linear1"].weight, rtol=1e-3)


# Similarities and windows


def test_a_similarity_is_a_cosine_without_the_mean():
    x = np.random.default_rng(0).normal(size=(4, 6))
    expected = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            a, b = x[i] - x[i].mean(), x[j] - x[j].mean()
            expected[i, j] = a @ b / np.sqrt(a @ a) / np.sqrt(b @ b)
    np.testing.assert_allclose(similarities(jnp.asarray(x)), expected, atol=1e-7)


def test_an_example_of_equal_numbers_is_like_no_other_and_breaks_no_gradient():
    x = jnp.asarray([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
    assert similarities(x)[0].tolist() == [0.0, 0.0]
    for function in (lambda x: similarities(x).sum(), lambda x: spread(jnp.tile(x[:, :, None, None], (1, 1, 2, 4))).sum()):
        assert np.all(np.isfinite(jax.grad(function)(x)))


def test_of_images_channels_have_standard_deviations_where_there_are_more_than_three():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    np.testing.assert_allclose(spread(jnp.asarray(x)), x.reshape(2, 15, 4).std(axis=1, ddof=1), rtol=1e-12)
    assert spread(jnp.asarray(x[..., :3])).shape == (2, 45)
    assert spread(jnp.asarray(x[:, :, 0])).shape == (2, 4)  # a sequence
    assert spread(jnp.asarray(x[:, :1, :1])).shape == (2, 4)  # one place


@pytest.mark.parametrize(("size", "limit", "window"), [(6, 72, 1), (6, 18, 2), (7, 32, 2), (5, 8, 4), (6, 2, 8), (11, 18, 4)])
def test_a_classifier_sees_means_over_windows(size, limit, window):
    """Of two channels: windows of 1, 2, 4, … in both directions, with zeros around."""
    x = np.random.default_rng(0).normal(size=(3, size, size, 2))
    low = window * (-(-size // window) - size // window) // 2
    count = (size + 2 * low - window) // window + 1
    padded = np.zeros((3, size + 2 * window, size + 2 * window, 2))
    padded[:, low : low + size, low : low + size] = x
    expected = [
        padded[:, i * window : (i + 1) * window, j * window : (j + 1) * window].mean(axis=(1, 2))
        for i in range(count)
        for j in range(count)
    ]
    found = np.asarray(pooled(jnp.asarray(x), limit))
    np.testing.assert_allclose(found, np.stack(expected, axis=1).reshape(3, -1), atol=1e-12)
    assert found.shape[1] <= limit


def test_rows_are_halved_before_columns():
    assert pooled(jnp.ones((1, 4, 4, 1)), 8).shape == (1, 8)
    np.testing.assert_allclose(pooled(jnp.arange(8.0).reshape(1, 4, 2, 1), 4)[0], [1, 2, 5, 6])
    np.testing.assert_allclose(pooled(jnp.arange(8.0).reshape(1, 4, 2), 4)[0], [1, 2, 5, 6])  # a sequence of four steps


# What it is given


def test_the_heads_begin_as_the_source_s():
    network, batch = case("lenet", "categorical-cross-entropy")
    heads = LocalError().trainables(network, batch, key=KEY).feedback
    assert list(heads) == ["conv1", "conv2", "linear1", "linear2"]
    assert all(not np.any(leaf) for head in heads.values() for leaf in jax.tree.leaves(head["classifier"]))
    assert heads["conv1"]["projection"].weight.shape == (3, 3, 2, 2) and heads["conv1"]["projection"].bias is None
    assert heads["linear1"]["projection"].weight.shape == (5, 5)
    assert np.max(np.abs(heads["linear1"]["projection"].weight)) <= 1 / np.sqrt(5)
    small = LocalError(head_inputs=10).trainables(network, batch, key=KEY).feedback
    assert small["conv1"]["classifier"].weight.shape[1] <= 10


def test_two_classes_of_one_output_have_similarities_and_single_numbers_none():
    own = applied("local-error", "mlp", "bernoulli-cross-entropy", "binary")
    trainables = begun(own.rule, own.network, own.batch)
    head = trainables.feedback["linear1"]
    h = jr.normal(jr.key(0), (len(own.batch.targets), 5))
    alone = LocalError("similarity").local_loss({"projection": head["projection"]}, h, own.batch, 1)
    same = np.asarray(own.batch.targets)[:, None] == np.asarray(own.batch.targets)[None]
    expected = np.mean((np.corrcoef(np.asarray(head["projection"](h)[0])) - np.where(same, 1.0, -1.0)) ** 2)
    np.testing.assert_allclose(alone, expected, rtol=1e-6)
    data = dataclasses.replace(tiny.data(), task="regression")
    if data.outputs == 1:
        with pytest.raises(UserError, match="use kind='prediction'"):
            LocalError().adapt(small_mlp(outputs=1), data)
        assert LocalError("prediction").adapt(small_mlp(outputs=1), data)


@pytest.mark.parametrize("options", [{"kind": "predsim"}, {"head_inputs": 0}, {"similarity_weight": 1.5}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UserError):
        rules.get("local-error", **options)
