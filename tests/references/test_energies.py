"""Predictive coding and equilibrium propagation beside plain loops in NumPy, written from the papers' equations."""

import jax
import jax.random as jr
import numpy as np
import pytest

from ascribe.rules import EquilibriumPropagation, PredictiveCoding

from ..cases import assert_close, credit_of, examples, shake, small_mlp

LOSSES = ("squared-error", "categorical-cross-entropy", "bernoulli-cross-entropy")


def given(loss):
    """Weights and biases of a tanh network of three layers, with a batch, as arrays."""
    network, batch = shake(small_mlp(), jr.key(3), 0.1), examples((4,), loss)
    layers = [(np.asarray(network[name].weight), np.asarray(network[name].bias)) for name in network.synaptic]
    targets = np.asarray(batch.targets) if loss == "squared-error" else np.eye(3)[np.asarray(batch.targets)]
    return network, batch, layers, np.asarray(batch.inputs), targets


def error_of(loss, z, t):
    """∂C/∂z of one example."""
    if loss == "categorical-cross-entropy":
        return np.exp(z) / np.exp(z).sum() - t
    return (1 / (1 + np.exp(-z)) if loss == "bernoulli-cross-entropy" else z) - t


def gradients_of(rule, network, batch):
    found = credit_of(rule, network, None, batch).gradients
    return [(found[name].weight, found[name].bias) for name in network.synaptic]


def slope(z):
    return 1 - np.tanh(z) ** 2


def predictive_coding(layers, x0, t, loss, steps, rate):
    """Whittington & Bogacz (2017), the dynamics of one example with a step of `rate`, and what its weights get."""
    x = [x0]
    for w, b in layers[:-1]:
        x.append(w @ (x[-1] if len(x) == 1 else np.tanh(x[-1])) + b)

    def errors():
        found = []
        for level, (w, b) in enumerate(layers):
            mu = w @ (np.tanh(x[level]) if level else x0) + b
            found.append(x[level + 1] - mu if level + 1 < len(x) else -error_of(loss, mu, t))
        return found

    for _ in range(steps):
        e = errors()
        moved = [-e[level - 1] + slope(x[level]) * (layers[level][0].T @ e[level]) for level in range(1, len(x))]
        for level, by in enumerate(moved, start=1):
            x[level] = x[level] + rate * by
    e = errors()
    return [(-np.outer(e[level], np.tanh(x[level]) if level else x0), -e[level]) for level in range(len(layers))]


@pytest.mark.parametrize(("loss", "steps", "rate"), [(LOSSES[0], 9, 0.1), (LOSSES[1], 1, 0.7), (LOSSES[2], 4, 0.3)])
def test_predictive_coding_is_the_loop_of_its_paper(loss, steps, rate):
    network, batch, layers, x, t = given(loss)
    each = [predictive_coding(layers, *one, loss, steps, rate) for one in zip(x, t, strict=True)]
    mean = jax.tree.map(lambda *parts: sum(parts) / len(x), *each)
    assert_close(gradients_of(PredictiveCoding(steps=steps, rate=rate), network, batch), mean, 1e-10)


def fixed_predictions(layers, x0, t, loss, steps, rate):
    """Rosenbaum (2022), predictive coding with the fixed prediction assumption: ε and v of one example, beside its forward
    pass v̂."""
    forward = [x0]
    for w, b in layers:
        forward.append(w @ (np.tanh(forward[-1]) if len(forward) > 1 else x0) + b)
    v, e = list(forward), [np.zeros_like(one) for one in forward]
    e[-1] = error_of(loss, forward[-1], t)
    for _ in range(steps):
        below = list(e)
        for level in range(1, len(layers)):
            dv = below[level] - slope(forward[level]) * (layers[level][0].T @ below[level + 1])
            v[level] = v[level] + rate * dv
            e[level] = forward[level] - v[level]
    return [(np.outer(e[level + 1], np.tanh(forward[level]) if level else x0), e[level + 1]) for level in range(len(layers))]


@pytest.mark.parametrize(("loss", "steps", "rate"), [(LOSSES[0], 9, 0.1), (LOSSES[1], 1, 0.7), (LOSSES[2], 4, 1.0)])
def test_fixed_predictions_are_the_loop_of_their_paper(loss, steps, rate):
    network, batch, layers, x, t = given(loss)
    each = [fixed_predictions(layers, *one, loss, steps, rate) for one in zip(x, t, strict=True)]
    mean = jax.tree.map(lambda *parts: sum(parts) / len(x), *each)
    rule = PredictiveCoding("fixed-prediction", steps=steps, rate=rate)
    assert_close(gradients_of(rule, network, batch), mean, 1e-10)


def settled(layers, states, x0, t, loss, beta, scale, steps):
    """Ernoult et al. (2019), the discrete dynamics of one example, of all states at once."""
    for _ in range(steps):
        new = []
        for level, (w, b) in enumerate(layers):
            drive = w @ (states[level - 1] if level else x0) + b
            if level + 1 < len(layers):
                new.append(np.tanh(drive + scale * layers[level + 1][0].T @ states[level + 1]))
            else:
                new.append(drive - beta * error_of(loss, states[level], t))
        states = new
    return states


def equilibrium_propagation(layers, x0, t, loss, beta, scale, steps, centered):
    """Laborieux et al. (2021), with the feedback of Xie & Seung (2003), one example."""
    start, top = [], len(layers) - 1
    for level, (w, b) in enumerate(layers):
        z = w @ (start[-1] if level else x0) + b
        start.append(np.tanh(z) if level < top else z)
    free = settled(layers, start, x0, t, loss, 0.0, scale, steps[0])
    high = settled(layers, free, x0, t, loss, beta, scale, steps[1])
    low = settled(layers, free, x0, t, loss, -beta, scale, steps[1]) if centered else free
    width, found = 2 * beta if centered else beta, []
    for level in range(len(layers)):
        below = lambda states, level=level: states[level - 1] if level else x0
        factor = -(scale ** (level - top)) / width
        outer = np.outer(high[level], below(high)) - np.outer(low[level], below(low))
        found.append((factor * outer, factor * (high[level] - low[level])))
    return found


@pytest.mark.parametrize(
    ("loss", "nudging", "steps", "scale"),
    [(LOSSES[0], "centered", (7, 4), 0.5), (LOSSES[1], "one-sided", (3, 6), 0.8), (LOSSES[2], "centered", (0, 5), 1.0)],
)
def test_equilibrium_propagation_is_the_loop_of_its_papers(loss, nudging, steps, scale):
    network, batch, layers, x, t = given(loss)
    beta = 0.2
    each = [
        equilibrium_propagation(layers, *one, loss, beta, scale, steps, nudging == "centered") for one in zip(x, t, strict=True)
    ]
    mean = jax.tree.map(lambda *parts: sum(parts) / len(x), *each)
    rule = EquilibriumPropagation(nudging, *steps, strength=beta, feedback_scale=scale)
    assert_close(gradients_of(rule, network, batch), mean, 1e-10)
