"""One step of Hebbian rules, example by example and unit by unit, in NumPy."""

import numpy as np
import pytest

from ascribe import rules

from ..cases import credit_of, examples, small_mlp


def softhebb(W, x, anti_hebbian, beta=2.0):
    """The mean over examples of Δw_ik = y_k (x_i - u_k w_ik), Journé et al. (2023)."""
    change = np.zeros_like(W)
    for example in x:
        u = [row @ example for row in W]
        shares = np.exp(beta * np.asarray(u)) / np.exp(beta * np.asarray(u)).sum()
        for k, row in enumerate(W):
            y = -shares[k] if anti_hebbian and k != int(np.argmax(u)) else shares[k]
            change[k] += y * (example - u[k] * row) / len(x)
    return change


def sanger(W, x):
    """The mean over examples of Δw_k = y_k (x - Σ_{j ≤ k} y_j w_j), Sanger (1989)."""
    change = np.zeros_like(W)
    for example in x:
        y = [row @ example for row in W]
        for k in range(len(W)):
            left = example - sum(y[j] * W[j] for j in range(k + 1))
            change[k] += y[k] * left / len(x)
    return change


@pytest.mark.parametrize("kind", ["soft", "anti-hebbian", "sanger"])
def test_a_step_is_that_of_numpy(kind):
    network, batch = small_mlp("relu", hidden=(7, 6)), examples((4,), "categorical-cross-entropy", batch=8)
    anti = kind == "anti-hebbian"
    if kind == "sanger":
        rule, of_layer = rules.get("hebbian", strength=0.5), sanger
    else:
        rule = rules.get("softhebb", inverse_temperature=2.0, anti_hebbian=anti, strength=0.5)
        of_layer = lambda W, x: softhebb(W, x, anti)
    found = credit_of(rule, network, None, batch).gradients
    h = np.asarray(batch.inputs)
    for name in network.synaptic[:-1]:
        W, b = np.asarray(network[name].weight), np.asarray(network[name].bias)
        wanted = -0.5 * of_layer(W, h)
        assert np.any(wanted)
        np.testing.assert_allclose(found[name].weight, wanted, rtol=0, atol=1e-12)
        h = np.maximum(h @ W.T + b, 0)
