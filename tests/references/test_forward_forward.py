"""One step of forward-forward and its prediction, in plain loops of NumPy, from Hinton (2022), equations 1 and 2."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.networks import mlp

from ..cases import applied, credit_of
from ..training import tiny

KEY = jr.key(3)
sigmoid = lambda x: 1 / (1 + np.exp(-x))


def hidden_by_hand(layers, labels, x, label, beside):
    """(input, z, h) of every hidden layer for one example that is told `label`; None tells none."""
    code = np.zeros(len(labels)) if label is None else np.eye(len(labels))[label] - 1 / len(labels)
    found, told = [], code @ labels
    for i, (W, b) in enumerate(layers):
        if i == 0 and not beside:
            x = x + np.concatenate([told, np.zeros(len(x) - len(told))])
        z = W @ x + b + (told if i == 0 and beside else 0)
        h = np.tanh(z)
        found.append((x, z, h))
        x = h / np.sqrt(np.mean(h**2) + 1e-8)
    return found, x


def by_hand(layers, readout, labels, x, right, wrong, *, threshold, beside):
    """Gradients of the hidden layers, the readout and the labels' weights, and the readout's loss."""
    count, classes = len(x), len(labels)
    gradients = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    last, own, loss = [np.zeros_like(one) for one in readout], np.zeros_like(labels), 0.0
    for n in range(count):
        for label, sign in ((right[n], -1), (wrong[n], 1)):
            for i, (inputs, _, h) in enumerate(hidden_by_hand(layers, labels, x[n], label, beside)[0]):
                over = np.sum(h**2) - threshold * len(h)
                delta = sign * sigmoid(sign * over) * 2 * h * (1 - h**2) / count
                gradients[i][0][...] += np.outer(delta, inputs)
                gradients[i][1][...] += delta
                if i == 0 and beside:
                    own += np.outer(np.eye(classes)[label] - 1 / classes, delta)
        _, features = hidden_by_hand(layers, labels, x[n], None, beside)
        z = readout[0] @ features + readout[1]
        y = np.exp(z) / np.exp(z).sum()
        error = (y - np.eye(len(z))[right[n]]) / count
        last[0] += np.outer(error, features)
        last[1] += error
        loss -= np.log(y[right[n]]) / count
    return gradients, last, own, loss


def wrong_labels(right, classes):
    return (right + np.asarray(jr.randint(KEY, right.shape, 1, classes, np.int32))) % classes


@pytest.mark.parametrize("where", ["beside", "in-input"])
def test_a_step_and_the_goodness_are_those_of_the_loops(where):
    _, network, batch, _ = applied("forward-forward", "mlp", "categorical-cross-entropy")
    rule = rules.get("forward-forward", threshold=0.4, labels=where, scale=0.7)
    trainables = rule.trainables(network, batch, key=jr.key(1))

    @jax.jit
    def both(trainables, batch):
        return rule(trainables, None, batch, key=KEY), rule.predictor(trainables, None)(batch.inputs)

    credit, answers = jax.device_get(both(trainables, batch))
    x, right = np.asarray(batch.inputs), np.asarray(batch.targets)
    weights = [(np.asarray(network[name].weight), np.asarray(network[name].bias)) for name in network.synaptic]
    beside = where == "beside"
    labels = np.asarray(trainables.feedback["labels"]) if beside else 0.7 * np.eye(3)
    gradients, last, own, loss = by_hand(
        weights[:-1], weights[-1], labels, x, right, wrong_labels(right, 3), threshold=0.4, beside=beside
    )
    np.testing.assert_allclose(credit.loss, loss, rtol=1e-12)
    found = credit.gradients.network
    for name, (W, b) in zip(found.synaptic, [*gradients, last], strict=True):
        np.testing.assert_allclose(found[name].weight, W, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(found[name].bias, b, rtol=1e-10, atol=1e-14)
    if beside:
        np.testing.assert_allclose(credit.gradients.feedback["labels"], own, rtol=1e-10, atol=1e-14)
    for n, row in enumerate(answers):
        wanted = [sum(np.sum(h**2) for *_, h in hidden_by_hand(weights[:-1], labels, x[n], k, beside)[0]) for k in range(3)]
        np.testing.assert_allclose(row, wanted, rtol=1e-12)


def test_with_one_output_it_answers_by_the_difference_of_two_goodnesses():
    rule, network, batch, _ = applied("forward-forward", "mlp", "bernoulli-cross-entropy", "binary")
    trainables = rule.trainables(network, batch, key=jr.key(1))
    labels = np.asarray(trainables.feedback["labels"])
    weights = [(np.asarray(network[name].weight), np.asarray(network[name].bias)) for name in network.synaptic[:-1]]
    answers = np.asarray(rule.predictor(trainables, None)(batch.inputs))
    for x, (answer,) in zip(np.asarray(batch.inputs), answers, strict=True):
        goodness = [sum(np.sum(h**2) for *_, h in hidden_by_hand(weights, labels, x, k, True)[0]) for k in range(2)]
        np.testing.assert_allclose(answer, goodness[1] - goodness[0], rtol=1e-11)


def test_a_hidden_layer_s_gradient_is_jax_grad_of_its_own_loss_whatever_lies_above():
    """The layer alone, cut out of the network, with the inputs that it has there."""
    rule, network, batch, _ = applied("forward-forward", "lenet", "categorical-cross-entropy")
    trainables = rule.trainables(network, batch, key=jr.key(1))
    ours = credit_of(rule, trainables, None, batch, KEY).gradients.network
    labels, right = trainables.feedback["labels"], np.asarray(batch.targets)
    told = lambda which: jnp.einsum("nk,khwc->nhwc", jax.nn.one_hot(which, 3, dtype=float) - 1 / 3, labels)
    low, high = network.index(network.units[1]), network.index(network.units[2]) - 1

    def goodness(layers, which):
        x = network.layers[0](batch.inputs)[0] + told(which)
        for layer in network.layers[1:low]:
            x, _ = layer(x)
        for layer in layers:
            x, _ = layer(x)
        return (x**2).reshape(len(right), -1).sum(axis=1) - x[0].size

    wrong = wrong_labels(right, 3)

    def loss(layers):
        over, under = goodness(layers, right), goodness(layers, wrong)
        return jnp.mean(jax.nn.softplus(-over) + jax.nn.softplus(under))

    theirs = jax.jit(jax.grad(loss))(network.layers[low:high])[0]
    name = network.units[1]
    np.testing.assert_allclose(ours[name].weight, theirs.weight, rtol=1e-10, atol=1e-13)


def test_what_is_adapted_once_is_adapted():
    rule, data = rules.get("forward-forward"), tiny.data()
    network = rule.adapt(mlp([2, 5, 4, 1]), data)
    assert network.names == ("linear1", "relu1", "rmsnorm1", "linear2", "relu2", "rmsnorm2", "linear3")
    assert rule.adapt(network, data) is network


def test_labels_that_find_no_room_in_the_input_are_refused():
    with pytest.raises(UserError, match="3 labels into the first inputs, and there are 2: use labels='beside'"):
        rules.get("forward-forward:labels=in-input").adapt(mlp([2, 5, 3]), tiny.data("classification"))
