"""One step of weight perturbation, node perturbation and forward gradients, in loops of NumPy's."""

import jax
import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.rules.perturbations import drawn

from ..cases import credit_of, examples, small_mlp

SIZE = 0.01
KEY = jr.key(7)


def passed(layers, x, noise=None):
    """Activations and preactivations of one example, with noise at every preactivation."""
    h, z = [x], []
    for i, (W, b) in enumerate(layers):
        z.append(W @ h[i] + b + (0 if noise is None else noise[i]))
        h.append(np.tanh(z[i]))
    return h, z


def loss_of(z, label):
    return np.log(np.sum(np.exp(z))) - z[label]


def mean_loss(layers, inputs, labels):
    return np.mean([loss_of(passed(layers, x)[1][-1], label) for x, label in zip(inputs, labels, strict=True)])


def moved(layers, direction, by):
    return [(W + by * V, b + by * v) for (W, b), (V, v) in zip(layers, direction, strict=True)]


def weight_perturbation(layers, inputs, labels, direction, antithetic):
    """Cauwenberghs (1993): the loss's change, times the perturbation."""
    up = mean_loss(moved(layers, direction, SIZE), inputs, labels)
    low = mean_loss(moved(layers, direction, -SIZE if antithetic else 0.0), inputs, labels)
    slope = (up - low) / (2 * SIZE if antithetic else SIZE)
    return [(slope * V, slope * v) for V, v in direction]


def node_perturbation(layers, inputs, labels, noise, antithetic):
    """Hiratani et al. (2022): each example's own change of the loss, times its noise, times the input of the pass
    without noise."""
    found = [[np.zeros_like(W), np.zeros_like(b)] for W, b in layers]
    for n, (x, label) in enumerate(zip(inputs, labels, strict=True)):
        h, _ = passed(layers, x)
        at = lambda by, n=n, x=x, label=label: loss_of(passed(layers, x, [by * one[n] for one in noise])[1][-1], label)
        slope = (at(SIZE) - at(-SIZE)) / (2 * SIZE) if antithetic else (at(SIZE) - at(0.0)) / SIZE
        for i, one in enumerate(found):
            delta = slope * noise[i][n] / len(inputs)
            one[0] += np.outer(delta, h[i])
            one[1] += delta
    return found


def forward_gradient(layers, inputs, labels, direction, antithetic):
    """Baydin et al. (2022), algorithm 1: the derivative is carried along with the pass."""
    slopes = []
    for x, label in zip(inputs, labels, strict=True):
        h, z = passed(layers, x)
        dh = np.zeros_like(x)
        for i, ((W, _), (V, v)) in enumerate(zip(layers, direction, strict=True)):
            dz = V @ h[i] + v + W @ dh
            dh = (1 - np.tanh(z[i]) ** 2) * dz
        y = np.exp(z[-1]) / np.sum(np.exp(z[-1]))
        slopes.append(np.sum((y - np.eye(3)[label]) * dz))
    return [(np.mean(slopes) * V, np.mean(slopes) * v) for V, v in direction]


EACH = [(name, antithetic) for name in ("weight-perturbation", "node-perturbation") for antithetic in (False, True)]


@pytest.mark.parametrize(("name", "antithetic"), [*EACH, ("forward-gradient", None)])
def test_a_step_is_that_of_numpy(name, antithetic):
    network, batch = small_mlp("tanh", hidden=(7, 6, 5)), examples((4,), "categorical-cross-entropy", batch=8)
    rule = rules.get(name) if antithetic is None else rules.get(name, antithetic=antithetic, size=SIZE)
    credit = credit_of(rule, network, None, batch, KEY)
    (key,) = jr.split(jr.fold_in(KEY, 1), 1)
    direction = jax.device_get(jax.jit(lambda key: drawn(rule.probe(network, batch, key=key).space, key=key))(key))
    pair = lambda layer: (np.asarray(layer.weight), np.asarray(layer.bias))
    layers = [pair(network[one]) for one in network.synaptic]
    if name == "node-perturbation":
        direction = [one for one in direction if one is not None]
    else:
        direction = [pair(direction[one]) for one in network.synaptic]
    step = {"weight-perturbation": weight_perturbation, "node-perturbation": node_perturbation}.get(name, forward_gradient)
    expected = step(layers, np.asarray(batch.inputs), np.asarray(batch.targets), direction, antithetic)
    for one, (W, b) in zip(network.synaptic, expected, strict=True):
        assert np.max(np.abs(W)) > 1e-3
        np.testing.assert_allclose(credit.gradients[one].weight, W, rtol=0, atol=1e-10)
        np.testing.assert_allclose(credit.gradients[one].bias, b, rtol=0, atol=1e-10)
    np.testing.assert_allclose(credit.loss, mean_loss(layers, np.asarray(batch.inputs), np.asarray(batch.targets)), rtol=1e-12)
