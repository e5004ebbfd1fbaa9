"""All backward rules side by side on images, and a thin SimpleNet, at a shrunken size."""

import functools

import numpy as np
import pytest

from ascribe import compare, rules
from ascribe.networks import Activation, BatchNorm, Conv2d, Flatten, Linear, Network, conv2d, simplenet

from ..training import tiny

WAYS_BACK = (
    *("backpropagation", "feedback-alignment", "direct-", "sign-symmetry", "kolen-pollack", "weight-mirror"),
    *("b-function", "gradient-noise"),
)
BACKWARD = [name for name in rules.names() if name.startswith(WAYS_BACK)]
SHAPE = (8, 8, 1)


def compared(network, chosen):
    """Each from the same weights and on the same batches, by another way down."""
    data = tiny.data("classification", shape=SHAPE)
    found = compare(data, rules=chosen, network=network, **tiny.WORLD | {"learning_rate": 0.01})
    assert {row.rule for row in found.table()} == set(chosen)
    losses = {rule: runs.train_loss for rule, runs in found.runs.items()}
    assert all(np.isfinite(loss).all() for loss in losses.values())
    reference = losses.pop("backpropagation")
    assert not any(np.array_equal(loss, reference) for loss in losses.values())
    return found


def normalizations(runs):
    """Whether the running mean of each normalization layer has moved from zero."""
    return [np.any(np.asarray(state[0]) != 0) for state in runs.states if state is not None]


@pytest.mark.slow
def test_all_backward_rules_are_compared():
    layers = [Conv2d(1, 2, 3), BatchNorm(2), Activation("relu"), Conv2d(2, 2, 3), BatchNorm(2), Activation("relu")]
    found = compared(Network([*layers, Flatten(), Linear(4 * 4 * 2, 3)]), BACKWARD)
    assert len(BACKWARD) >= 10
    assert all(normalizations(runs) == [True] * 2 for runs in found.runs.values())


@pytest.mark.slow
def test_a_thin_simplenet_trains(monkeypatch):
    # The other form of a convolution, equal to this one (tests/limits), compiles far more slowly.
    monkeypatch.setattr(conv2d, "convolve", functools.partial(conv2d.convolve, form="native"))
    found = compared(simplenet(SHAPE, 3, width=1 / 32), ["backpropagation", "feedback-alignment"])
    assert all(normalizations(runs) == [True] * 13 for runs in found.runs.values())
