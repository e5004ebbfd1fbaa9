"""One step of PEPITA, example by example, in NumPy, from algorithm 1 of Dellaferrera & Kreiman (2022)."""

import jax.random as jr
import numpy as np

from ascribe import rules

from ..cases import credit_of, examples, small_mlp


def numpy_gradients(layers, F, x, t):
    """The mean over examples of ΔW and Δb, [(W, b), …]; `F`: (inputs, outputs)."""
    relu = lambda z: np.maximum(z, 0)

    def forward(h):
        activations = [h]
        for W, b in layers[:-1]:
            activations.append(relu(W @ activations[-1] + b))
        return activations, layers[-1][0] @ activations[-1] + layers[-1][1]

    total = [[np.zeros_like(W), np.zeros_like(b)] for W, b in layers]
    for n in range(len(x)):
        h, z = forward(x[n])
        e = np.exp(z) / np.exp(z).sum() - t[n]
        h_err, _ = forward(x[n] + F @ e)
        for i in range(len(layers)):
            change = e if i == len(layers) - 1 else h[i + 1] - h_err[i + 1]
            total[i][0] += np.outer(change, h_err[i]) / len(x)
            total[i][1] += change / len(x)
    return total


def test_a_step_is_that_of_numpy():
    network, batch = small_mlp("relu", hidden=(7, 6)), examples((4,), "categorical-cross-entropy", batch=8)
    rule = rules.get("pepita", scale=0.5)
    state = rule.init(network, batch, key=jr.key(3))
    assert np.abs(state).max() <= 0.5 * np.sqrt(6 / 4) and np.abs(state).max() > 0.3
    layers = [(np.asarray(network[n].weight), np.asarray(network[n].bias)) for n in network.synaptic]
    wanted = numpy_gradients(layers, np.asarray(state).T, np.asarray(batch.inputs), np.eye(3)[np.asarray(batch.targets)])
    found = credit_of(rule, network, state, batch).gradients
    for name, (weight, bias) in zip(network.synaptic, wanted, strict=True):
        assert np.any(weight)
        np.testing.assert_allclose(found[name].weight, weight, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found[name].bias, bias, rtol=0, atol=1e-12)
