"""One step of the rules with direct and learned feedback, written from their papers with plain loops."""

import jax.random as jr
import numpy as np
import pytest

from ascribe import rules

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
