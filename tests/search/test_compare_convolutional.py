"""All backward rules side by side on LeNet and on a thin SimpleNet, at a shrunken size."""

import functools

import numpy as np
import pytest

from ascribe import compare, networks, rules
from ascribe.networks import conv2d

from ..training import tiny

OTHERS = ("forward-pass", "perceptron", "finite-differences", "relaxed-identity")
BACKWARD = [name for name in rules.names() if not name.startswith(OTHERS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "simplenet"])
def test_all_backward_rules_are_compared(name, monkeypatch):
    if (
        name == "simplenet"
    ):  # the other form of a convolution, equal to this one (tests/limits), compiles far more slowly
        monkeypatch.setattr(conv2d, "convolve", functools.partial(conv2d.convolve, form="native"))
        network = networks.simplenet((8, 8, 1), 3, width=1 / 32)
    else:
        network = networks.lenet((12, 12, 1), 3, channels=(2, 3), hidden=(5, 4))
    data = tiny.data("classification", shape=network_shape(name))
    found = compare(
        data,
        rules=BACKWARD,
        network=network,
        seeds=2,
        epochs=2,
        batch_size=8,
        learning_rate=0.01,
        diagnostics=name == "lenet",
    )
    assert len(BACKWARD) >= 10
    assert {row.rule for row in found.table()} == set(BACKWARD)
    losses = {rule: runs.train_loss for rule, runs in found.runs.items()}
    assert all(np.isfinite(loss).all() for loss in losses.values())
    reference = losses["backpropagation"]
    for rule, loss in losses.items():  # the same weights and batches, another way down
        assert rule == "backpropagation" or not np.array_equal(loss, reference)
    if name == "simplenet":  # normalization statistics that every rule moves, away from the initial ones
        for runs in found.runs.values():
            moved = [state for state in runs.states if state is not None]
            assert len(moved) == 13
            assert all(np.any(np.asarray(mean) != 0) for mean, _ in moved)


def network_shape(name):
    return (8, 8, 1) if name == "simplenet" else (12, 12, 1)
