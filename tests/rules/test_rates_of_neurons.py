"""A network of integrate-and-fire neurons, described by their rates, trains with backward rules of every family."""

import jax
import numpy as np
import pytest

import ascribe
from ascribe import rules

FAMILIES = (
    *("backpropagation", "feedback-alignment", "direct-feedback-alignment", "kolen-pollack", "b-function"),
    "relaxed-identity-transient",
)
"""One rule of each; all others train it too, by the same code."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_it_learns_two_gaussians(name):
    data = ascribe.datasets.load("gaussians", samples=200, seed=0)
    network = ascribe.networks.mlp([2, 8, 1], activation="lif-rate", key=jax.random.key(0))
    runs = ascribe.train(network, data, rules.get(name), optimizer="adam", learning_rate=0.02, epochs=15, seeds=1)
    assert not runs.diverged.any()
    assert runs.train_loss[0, -1] < 0.8 * runs.train_loss[0, 0]
    assert np.mean(runs.validation_accuracy[:, -1]) > 0.7
