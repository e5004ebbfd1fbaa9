"""The forward-pass rule against plain loops over examples and weights, written from the document; every combination of
its options."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import losses, networks
from ascribe.rules import Batch, ForwardPass, ForwardPassOneVersusRest

from ..cases import assert_active, credit_of

SCALING, EPSILON, THRESHOLD = 0.4, 0.3, 0.05
FLAGS = ("flip_label", "adaptive_rate", "error_scaled", "stabilized", "natural", "sign_threshold")


def reference(weights, x, labels, o):
    """Pseudo-gradients and the weights after one step of size 1, neuron by neuron ("Binary Classifier Forward-Pass
    Optimization", Definition 0.1, equations 1-14)."""
    gradients, total = [np.zeros_like(w) for w in weights], 0.0
    for inputs, label in zip(x, labels, strict=True):
        alphas, z = [list(inputs)], 0.0
        for level, w in enumerate(weights):
            zs = [sum(w[j][i] * alphas[-1][i] for i in range(w.shape[1])) for j in range(w.shape[0])]  # (6)
            if level < len(weights) - 1:
                alphas.append([min(max(a, 0.0), 10.0) if o["stabilized"] else max(a, 0.0) for a in zs])  # (2) (11) (12)
            else:
                z = zs[0]
                alphas.append([z - 0.001 if o["stabilized"] else z])  # (7) (11)
        prediction = 1 / (1 + math.exp(-alphas[-1][0]))  # (1) (3)
        error = -math.log(prediction if label == 1 else 1 - prediction)
        total += error
        for level, w in enumerate(weights):
            y = label
            if o["flip_label"] and level == len(weights) - 1 and z < 0:
                y = 1 - y  # (8)
            rate = SCALING * (min(error, 1 / SCALING) if o["error_scaled"] else 1)  # (10)
            if o["adaptive_rate"]:
                rate = rate / ((1 - y) * rate + 1)  # (9)
            if o["natural"]:
                rate = rate / (max(abs(z), EPSILON) * (1 if z >= 0 else -1))  # (13)
            for j, i in itertools.product(range(w.shape[0]), range(w.shape[1])):
                before = alphas[level][i] != 0 or (level == 0 and o["input_activation"] == "always")
                if before and alphas[level + 1][j] != 0:
                    gradients[level][j, i] += rate * (1 - 2 * y) * abs(w[j, i]) / len(x)  # rule 1
                elif before:  # rules 2, 2.1, 2.2; rule 3 where it is not
                    size = {"all": abs(w[j, i]), "positive": max(w[j, i], 0), "none": 0}[o["inactive"]]
                    gradients[level][j, i] += rate * (2 * y - 1) * size / len(x)
    moved = [w - g for w, g in zip(weights, gradients, strict=True)]
    if o["sign_threshold"]:  # (14), with sgn(0) = 1
        moved = [np.where(abs(w) < THRESHOLD, np.where(w >= 0, -THRESHOLD, THRESHOLD), w) for w in moved]
    return total / len(x), gradients, moved


@pytest.fixture(scope="module")
def case():
    """Weights and inputs with everything in them that an option looks at: zeros among the inputs, activations above 10,
    logits of both signs, some below ε, errors above 1/λ, weights below η, and one example that silences everything."""
    draw = np.random.default_rng(51)
    sizes = [(5, 3), (4, 5), (1, 4)]
    weights = [draw.normal(size=size) for size in sizes]
    weights[0][2] = np.abs(weights[0][2])
    weights[1][1, 2], weights[1][3] = 0.02, -np.abs(weights[1][3])
    x = np.maximum(draw.normal(size=(12, 3)), 0) * draw.choice([0.05, 1.0, 6.0], size=(12, 1))
    x[0] = 0.0
    labels = np.arange(12) // 2 % 2
    network = networks.mlp([3, 5, 4, 1], bias=False)
    network = with_weights(network, weights)
    z = np.asarray(network(jnp.asarray(x)))[:, 0]
    a = np.maximum(x @ weights[0].T, 0)
    assert (z > 0).any() and (z < 0).any() and (np.abs(z[1:]) < EPSILON).any() and (np.abs(z) > EPSILON).any()
    assert (a > 10).any() and (a == 0).any() and (x[1:] == 0).any()
    errors = np.logaddexp(0, np.where(labels == 1, -z, z))
    assert (errors > 1 / SCALING).any() and (errors < 1 / SCALING).any() and (np.abs(weights[1]) < THRESHOLD).any()
    return network, weights, x, labels


def with_weights(network, weights):
    """The network, which has nothing but weights, with these."""
    return jax.tree.unflatten(jax.tree.structure(network), [jnp.asarray(weight) for weight in weights])


@pytest.mark.parametrize("input_activation", ["always", "nonzero"])
@pytest.mark.parametrize("inactive", ["all", "positive", "none"])
def test_every_combination_of_options(case, inactive, input_activation):
    """Loss, gradients and the weights after a step of plain descent at rate 1: 2⁶ combinations in each of six cells."""
    network, weights, x, labels = case
    batch = Batch(jnp.asarray(x), jnp.asarray(labels), losses.BERNOULLI_CROSS_ENTROPY)
    seen = []
    for chosen in itertools.product([False, True], repeat=len(FLAGS)):
        options = dict(zip(FLAGS, chosen, strict=True)) | {"inactive": inactive, "input_activation": input_activation}
        threshold = THRESHOLD if options["sign_threshold"] else 0.0
        rule = ForwardPass(scaling=SCALING, epsilon=EPSILON, **(options | {"sign_threshold": threshold}))
        credit = rule(network, None, batch)
        after, _ = rule.after_update(jax.tree.map(lambda w, g: w - g, network, credit.gradients), None)
        loss, gradients, moved = reference(weights, x, labels, options)
        np.testing.assert_allclose(credit.loss, loss, rtol=1e-12)
        for name, gradient, weight in zip(network.synaptic, gradients, moved, strict=True):
            np.testing.assert_allclose(credit.gradients[name].weight, gradient, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(after[name].weight, weight, rtol=1e-12, atol=1e-15)
        seen.append(np.concatenate([np.ravel(w) for w in moved]))
    distinct = {tuple(np.round(one, 12)) for one in seen}
    # No option is without effect on this case, in any company, but the stabilization where nothing looks at sizes: without
    # (10) and (13) only signs matter, and those of this case are the same with it (8 pairs).
    assert len(distinct) == 2 ** len(FLAGS) - 8


def one_example(rule, weights, x, label):
    """The rule's gradient of a network of two weights, one hidden unit, for one example."""
    network = with_weights(networks.mlp([1, 1, 1], bias=False), [np.full((1, 1), w) for w in weights])
    batch = Batch(jnp.asarray([[x]]), jnp.asarray([label]), losses.BERNOULLI_CROSS_ENTROPY)
    credit = rule(network, None, batch)
    return [float(credit.gradients[name].weight[0, 0]) for name in network.synaptic]


PLAIN = {"flip_label": False, "natural": False, "error_scaled": False, "inactive": "all"}


@pytest.mark.parametrize(
    ("options", "weights", "x", "label", "expected"),
    [
        # Rule 1: both layers, towards a larger output for y = 1 and a smaller one for y = 0.
        ({}, (2.0, 0.5), 1.0, 1, (-1.0, -0.25)),
        ({}, (2.0, -0.5), 1.0, 0, (1.0, 0.25)),
        # Rules 2, 2.1 and 2.2: the hidden unit is silent; rule 3 above it. F = 0, so the output did not activate either.
        ({}, (-2.0, 0.5), 1.0, 1, (1.0, 0.0)),
        ({"inactive": "positive"}, (-2.0, 0.5), 1.0, 1, (0.0, 0.0)),
        ({"inactive": "none"}, (-2.0, 0.5), 1.0, 1, (0.0, 0.0)),
        # (9): λ/(λ + 1) for y = 0 and λ for y = 1: 0.5 becomes 1/3.
        ({"adaptive_rate": True}, (2.0, 0.5), 1.0, 1, (-1.0, -0.25)),
        ({"adaptive_rate": True}, (2.0, 0.5), 1.0, 0, (2 / 3, 1 / 6)),
        # (8): z = -1, so the last layer takes y = 1 for y = 0, and (9) there the rate of y = 1.
        ({"flip_label": True}, (2.0, -0.5), 1.0, 0, (1.0, -0.25)),
        ({"flip_label": True, "adaptive_rate": True}, (2.0, -0.5), 1.0, 0, (2 / 3, -0.25)),
        # (13): z = 4 divides by 4; z = 0.1 by ε = 0.5; z = -4 turns the sign.
        ({"natural": True}, (2.0, 2.0), 1.0, 1, (-0.25, -0.25)),
        ({"natural": True}, (2.0, 0.05), 1.0, 1, (-2.0, -0.05)),
        ({"natural": True}, (2.0, -2.0), 1.0, 1, (0.25, 0.25)),
        ({"natural": True, "flip_label": True}, (2.0, -2.0), 1.0, 1, (0.25, -0.25)),
        # (10): E = ln 2 at z = 0 is no help here, so z = 1 and y = 0: E = ln(1 + e); at z = 9 it is capped at 1/λ = 2.
        ({"error_scaled": True}, (2.0, 0.5), 1.0, 0, (math.log1p(math.e), 0.25 * math.log1p(math.e))),
        ({"error_scaled": True}, (3.0, 3.0), 1.0, 0, (3.0, 3.0)),
        # (11): the output is -0.001 where everything is silent, so that the output neuron is activated.
        ({"stabilized": True, "input_activation": "always"}, (-2.0, 0.5), 1.0, 1, (1.0, 0.0)),
    ],
)
def test_hand_computed(options, weights, x, label, expected):
    rule = ForwardPass(scaling=0.5, epsilon=0.5, **(PLAIN | options))
    np.testing.assert_allclose(one_example(rule, weights, x, label), expected, rtol=1e-12)


def test_the_offset_activates_a_silent_output():
    """Rule 1 in place of rule 2: seen where an input that is 0 counts as activated and there is no hidden layer."""
    network = with_weights(networks.mlp([1, 1], bias=False), [np.full((1, 1), 2.0)])
    batch = Batch(jnp.zeros((1, 1)), jnp.asarray([1]), losses.BERNOULLI_CROSS_ENTROPY)
    for stabilized, expected in ((False, 1.0), (True, -1.0)):
        rule = ForwardPass(scaling=0.5, input_activation="always", stabilized=stabilized, **PLAIN)
        np.testing.assert_allclose(rule(network, None, batch).gradients["linear1"].weight, [[expected]], rtol=1e-12)


def test_one_versus_rest_is_one_network_a_class():
    """Block k of a step of the wide network is the step of a network of its own on the labels 1{t = k}."""
    classes, width = 3, 4
    rule, binary = ForwardPassOneVersusRest(), ForwardPass()
    x = jnp.asarray(np.maximum(np.random.default_rng(0).normal(size=(9, 5)), 0))
    labels = jnp.arange(9) % classes
    wide = networks.mlp([5, classes * width, classes * width, classes], bias=False, key=jax.random.key(2))
    batch = Batch(x, labels, losses.CATEGORICAL_CROSS_ENTROPY)
    wide = rule.trainables(wide, batch, key=jax.random.key(0))
    credit = credit_of(rule, wide, None, batch)
    assert_active(credit.gradients)
    used = [np.zeros_like(weight) for weight in wide.weights.values()]
    for k in range(classes):
        block = slice(k * width, (k + 1) * width)
        parts = [(block, slice(None)), (block, block), (slice(k, k + 1), block)]
        own = with_weights(
            jax.eval_shape(lambda: networks.mlp([5, width, width, 1], bias=False)),
            [np.asarray(weight)[part] for weight, part in zip(wide.weights.values(), parts, strict=True)],
        )
        its = jnp.asarray(np.asarray(labels) == k, jnp.int32)
        answer = credit_of(binary, own, None, Batch(x, its, losses.BERNOULLI_CROSS_ENTROPY))
        for name, part, seen in zip(wide.synaptic, parts, used, strict=True):
            np.testing.assert_allclose(
                np.asarray(credit.gradients[name].weight)[part], answer.gradients[name].weight, rtol=1e-12
            )
            seen[part] = 1
    for name, inside in zip(wide.synaptic, used, strict=True):
        assert not np.any(np.asarray(credit.gradients[name].weight)[inside == 0])
        assert not np.any(np.asarray(wide.weights[name])[inside == 0])
