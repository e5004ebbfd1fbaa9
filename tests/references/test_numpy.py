"""One step of backpropagation, feedback alignment and direct feedback alignment, in twenty lines of NumPy."""

import dataclasses

import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe import rules

from ..cases import credit_of, examples, small_mlp


def numpy_step(rule, layers, feedback, x, t):
    """The parameters [(W, b), …] after one gradient step on the mean of -Σ t ln softmax(z)."""
    learning_rate = 0.5
    activations = [x]
    for W, b in layers:
        activations.append(np.tanh(activations[-1] @ W.T + b))
    z = activations[-2] @ layers[-1][0].T + layers[-1][1]
    y = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    top = delta = (y - t) / len(x)
    stepped = []
    for i in reversed(range(len(layers))):
        W, b = layers[i]
        stepped.insert(0, (W - learning_rate * delta.T @ activations[i], b - learning_rate * delta.sum(axis=0)))
        if i > 0:
            back = {
                "backpropagation": lambda W=W, delta=delta: delta @ W,
                "feedback-alignment": lambda i=i, delta=delta: delta @ feedback[i],
                "direct-feedback-alignment": lambda i=i: top @ feedback[i],
            }[rule]()
            delta = back * (1 - activations[i] ** 2)
    return stepped


@pytest.mark.parametrize("name", ["backpropagation", "feedback-alignment", "direct-feedback-alignment"])
def test_three_steps_are_those_of_numpy(name):
    network, batch = small_mlp("tanh", hidden=(7, 6, 5)), examples((4,), "categorical-cross-entropy", batch=8)
    rule, optimizer = rules.get(name), optax.sgd(0.5)
    state = rule.init(network, batch, key=jr.key(3))
    layers = [(np.asarray(network[n].weight), np.asarray(network[n].bias)) for n in network.synaptic]
    feedback = {network.synaptic.index(n): np.asarray(b) for n, b in (state or {}).items()}
    start = layers
    for seed in range(3):
        batch = dataclasses.replace(batch, inputs=jr.normal(jr.key(seed), batch.inputs.shape))
        layers = numpy_step(name, layers, feedback, np.asarray(batch.inputs), np.eye(3)[np.asarray(batch.targets)])
        credit = credit_of(rule, network, state, batch)
        updates, _ = optimizer.update(credit.gradients, optimizer.init(network))
        network = optax.apply_updates(network, updates)
    for synaptic, (W, b), (W0, _) in zip(network.synaptic, layers, start, strict=True):
        assert np.max(np.abs(W - W0)) > 1e-3
        np.testing.assert_allclose(network[synaptic].weight, W, rtol=0, atol=1e-12)
        np.testing.assert_allclose(network[synaptic].bias, b, rtol=0, atol=1e-12)
