"""One step of target propagation and of its inverses, example by example, in NumPy, from the papers' equations."""

import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.rules.target_propagation import NOISE

from ..cases import credit_of, examples, small_mlp

STEP, SIZE, RATE = 0.3, 0.2, 0.4


def layer(W, b, h, last):
    z = W @ h + b
    return z if last else np.tanh(z)


def forward(layers, h):
    """h of every layer, the input first."""
    found = [h]
    for i, (W, b) in enumerate(layers):
        found.append(layer(W, b, found[-1], i == len(layers) - 1))
    return found


def targets(kind, layers, inverses, h, t):
    """ĥ of every layer; `inverses[i]`: (B, c) of layer i, which gives what enters it."""
    found = [h[-1] - STEP * (h[-1] - t)]
    for i in reversed(range(1, len(layers))):
        B, c = inverses[i]
        if kind == "direct":
            found.insert(0, h[i] + B.T @ found[-1] - B.T @ h[-1])
        else:
            found.insert(0, h[i] + np.tanh(B.T @ found[0] + c) - np.tanh(B.T @ h[i + 1] + c))
    return found


def gradients(kind, layers, inverses, x, t):
    """Of the mean over examples of Σ_l ½ ‖f_l(h_{l-1}) - ĥ_l‖² / η̂, [(W, b), …]."""
    total = [[np.zeros_like(W), np.zeros_like(b)] for W, b in layers]
    for n in range(len(x)):
        h = forward(layers, x[n])
        for i, wanted in enumerate(targets(kind, layers, inverses, h, t[n])):
            delta = (h[i + 1] - wanted) / STEP
            delta = delta if i == len(layers) - 1 else delta * (1 - h[i + 1] ** 2)
            total[i][0] += np.outer(delta, h[i]) / len(x)
            total[i][1] += delta / len(x)
    return total


def feedback_step(kind, layers, i, inverse, x, noise):
    """The inverse of layer i after one step of gradient descent on its reconstruction, over its curvature."""
    B, c = inverse
    slope_B, slope_c, curvature = np.zeros_like(B), np.zeros_like(c), 0.0
    for n in range(len(x)):
        h = forward(layers, x[n])
        if kind == "direct":
            given = forward(layers[i:], h[i] + noise[n])[-1] - h[-1]
            error = B.T @ given - noise[n]
            curvature += given @ given / len(x)
        else:
            given = layer(*layers[i], h[i] + noise[n], i == len(layers) - 1)
            back = np.tanh(B.T @ given + c)
            error = (back - h[i] - noise[n]) * (1 - back**2)
            curvature += (given @ given + 1) / len(x)
            slope_c += error / len(x)
        slope_B += np.outer(given, error) / len(x)
    return B - RATE * slope_B / curvature, c - RATE * slope_c / curvature


@pytest.mark.parametrize("kind", ["difference", "direct", "fixed"])
def test_a_step_is_that_of_numpy(kind):
    network, batch = small_mlp("tanh", hidden=(7, 6)), examples((4,), "squared-error", batch=8)
    rule = rules.TargetPropagation(kind, 2, target_step=STEP, noise=SIZE, feedback_rate=RATE)
    own, state, key = rule.trainables(network, batch, key=jr.key(3)), rule.init(network, batch, key=jr.key(3)), jr.key(4)
    learned = kind != "fixed"
    layers = [(np.asarray(network[n].weight), np.asarray(network[n].bias)) for n in network.synaptic]
    start = own.feedback if learned else state
    numbers = lambda one: (np.asarray(one.weight), np.zeros(one.weight.shape[1]) if one.bias is None else np.asarray(one.bias))
    inverses = [None, *(numbers(start[name]) for name in network.synaptic[1:])]
    x, t = np.asarray(batch.inputs), np.asarray(batch.targets)
    credit = credit_of(rule, own, state, batch, key)
    found = credit.gradients.network if learned else credit.gradients
    for name, (weight, bias) in zip(network.synaptic, gradients(kind, layers, inverses, x, t), strict=True):
        assert np.any(weight)
        np.testing.assert_allclose(found[name].weight, weight, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found[name].bias, bias, rtol=0, atol=1e-10)
    if not learned:
        return
    moved = list(inverses)
    for k in jr.split(jr.fold_in(key, NOISE), 2):
        for i, own_key in zip((1, 2), jr.split(k, 2), strict=True):
            noise = SIZE * np.asarray(jr.normal(own_key, (len(x), layers[i][0].shape[1])))
            moved[i] = feedback_step(kind, layers, i, moved[i], x, noise)
    for i, name in enumerate(network.synaptic[1:], 1):
        change = credit.gradients.feedback[name]
        np.testing.assert_allclose(change.weight, inverses[i][0] - moved[i][0], rtol=0, atol=1e-10)
        assert np.any(change.weight)
        if change.bias is not None:
            np.testing.assert_allclose(change.bias, inverses[i][1] - moved[i][1], rtol=0, atol=1e-10)
