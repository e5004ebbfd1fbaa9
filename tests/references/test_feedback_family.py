"""One step of the rules with direct and learned feedback, written from their papers with plain loops."""

import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.rules.weight_mirror import NOISE

from ..cases import credit_of, examples, small_mlp


def forward(layers, x):
    """z and h of every tanh layer of one example, h from the input on; softmax probabilities."""
    h, z = [x], []
    for i, (W, b) in enumerate(layers):
        z.append(np.array([sum(W[j][k] * h[i][k] for k in range(len(h[i]))) + b[j] for j in range(len(b))]))
        h.append(np.tanh(z[i]))
    return z, h[:-1], np.exp(z[-1]) / np.exp(z[-1]).sum()


def numbers(network):
    return [(np.asarray(network[name].weight), np.asarray(network[name].bias)) for name in network.synaptic]


def assert_gradients(gradients, expected):
    for name, (weight, bias) in zip(gradients.synaptic, expected, strict=True):
        assert np.any(weight != 0)
        np.testing.assert_allclose(gradients[name].weight, weight, rtol=0, atol=1e-10 * np.max(np.abs(weight)))
        np.testing.assert_allclose(gradients[name].bias, bias, rtol=0, atol=1e-10 * np.max(np.abs(bias)))


SENT = {
    "direct-random-target-projection": lambda e, t: t,
    "direct-feedback-alignment:error=sign": lambda e, t: np.sign(e),
    "direct-feedback-alignment:error=ternary;threshold=0.3": lambda e, t: np.sign(e) * (np.abs(e) > 0.3),
    "direct-feedback-alignment:derivative=0.5": lambda e, t: e,
}


@pytest.mark.parametrize("name", SENT)
def test_what_is_sent_directly_is_that_of_plain_loops(name):
    network, batch = small_mlp("tanh", hidden=(7, 6, 5)), examples((4,), "categorical-cross-entropy", batch=6)
    rule = rules.get(name)
    state = rule.init(network, batch, key=jr.key(3))
    layers, B = numbers(network), [np.asarray(b) for b in state.values()]
    expected = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    for x, label in zip(np.asarray(batch.inputs), np.asarray(batch.targets), strict=True):
        z, h, y = forward(layers, x)
        t = np.eye(3)[label]
        sent = SENT[name](y - t, t)
        for i in range(len(layers)):
            slope = np.full_like(z[i], 0.5) if "derivative" in name else 1 - np.tanh(z[i]) ** 2
            delta = y - t if i == len(layers) - 1 else sum(sent[k] * B[i][k] for k in range(3)) * slope
            expected[i][0][:] += np.outer(delta, h[i]) / 6
            expected[i][1][:] += delta / 6
    assert_gradients(credit_of(rule, network, state, batch).gradients, expected)


def back_through(layers, B, z, h, error):
    """δ of every layer, from the last one's, through B in the weights' shape."""
    delta = [error]
    for i in reversed(range(len(layers) - 1)):
        delta.insert(0, (B[i].T @ delta[0]) * (1 - np.tanh(z[i]) ** 2))
    return delta


def test_one_step_of_a_weight_mirror_is_that_of_plain_loops():
    network, batch = small_mlp("tanh", hidden=(7, 6, 5)), examples((4,), "categorical-cross-entropy", batch=6)
    rule = rules.WeightMirror(rate=0.3, decay=0.05, warm_up=0, batches=2, examples=3)
    state = rule.init(network, batch, key=jr.key(3))
    layers, B = numbers(network), [np.array(b) for b in state.feedback.values()]
    expected = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    for x, label in zip(np.asarray(batch.inputs), np.asarray(batch.targets), strict=True):
        z, h, y = forward(layers, x)
        for i, delta in enumerate(back_through(layers, B, z, h, y - np.eye(3)[label])):
            expected[i][0][:] += np.outer(delta, h[i]) / 6
            expected[i][1][:] += delta / 6
    credit = credit_of(rule, network, state, batch, jr.key(9))
    assert_gradients(credit.gradients, expected)
    for phase in range(2):
        keys = jr.split(jr.fold_in(jr.fold_in(jr.key(9), NOISE), phase), 3)
        for i, (W, _) in enumerate(layers[1:]):
            B[i] *= 1 - 0.05
            for x in np.asarray(jr.normal(keys[i], (3, W.shape[1]))):
                for row in range(W.shape[0]):
                    B[i][row] += 0.3 * sum(W[row][k] * x[k] for k in range(W.shape[1])) * x / 3
    for ours, theirs in zip(credit.state.feedback.values(), B, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_one_step_of_direct_kolen_pollack_is_that_of_plain_loops():
    network, batch = small_mlp("tanh", hidden=(7, 6, 5)), examples((4,), "categorical-cross-entropy", batch=6)
    rule = rules.DirectKolenPollack(decay=0.05)
    both = rule.trainables(network, batch, key=jr.key(3))
    layers, B = numbers(network), [np.asarray(b) for b in both.feedback.values()]
    expected = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    learned = [np.zeros_like(b) for b in B]
    for x, label in zip(np.asarray(batch.inputs), np.asarray(batch.targets), strict=True):
        z, h, y = forward(layers, x)
        e = y - np.eye(3)[label]
        for i in range(len(layers)):
            delta = e if i == len(layers) - 1 else sum(e[k] * B[i][k] for k in range(3)) * (1 - np.tanh(z[i]) ** 2)
            expected[i][0][:] += np.outer(delta, h[i]) / 6
            expected[i][1][:] += delta / 6
        for i, gradient in enumerate(learned):
            for k in range(3):
                gradient[k] += e[k] * h[i + 1] / 6
    gradients = credit_of(rule, both, None, batch).gradients
    assert_gradients(gradients.network, expected)
    after, _ = rule.after_update(both, None)
    for i, name in enumerate(both.feedback):
        np.testing.assert_allclose(gradients.feedback[name], learned[i], rtol=0, atol=1e-13)
        np.testing.assert_allclose(after.feedback[name], 0.95 * B[i], rtol=1e-14)
        np.testing.assert_allclose(after.network[name].weight, 0.95 * layers[i + 1][0], rtol=1e-14)
    np.testing.assert_array_equal(after.network["linear1"].weight, layers[0][0])


def test_one_step_of_indirect_feedback_alignment_is_that_of_plain_loops():
    network, batch = small_mlp("tanh", hidden=(7, 6, 5)), examples((4,), "categorical-cross-entropy", batch=6)
    rule = rules.IndirectFeedbackAlignment()
    state = rule.init(network, batch, key=jr.key(3))
    layers, (B,) = numbers(network), [np.asarray(b) for b in state.values()]
    expected = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    for x, label in zip(np.asarray(batch.inputs), np.asarray(batch.targets), strict=True):
        z, h, y = forward(layers, x)
        e, delta = y - np.eye(3)[label], None
        for i, (W, _) in enumerate(layers):
            if i == len(layers) - 1:
                delta = e
            elif i == 0:
                delta = np.array([sum(B[k][j] * e[k] for k in range(3)) for j in range(7)]) * (1 - np.tanh(z[0]) ** 2)
            else:
                delta = np.array([sum(W[j][k] * delta[k] for k in range(len(delta))) for j in range(len(W))])
                delta = delta * (1 - np.tanh(z[i]) ** 2)
            expected[i][0][:] += np.outer(delta, h[i]) / 6
            expected[i][1][:] += delta / 6
    assert_gradients(credit_of(rule, network, state, batch).gradients, expected)
