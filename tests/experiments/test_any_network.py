"""Rules of the way back train networks that are no chains of layers, in one comparison."""

import numpy as np
import pytest

import ascribe

from .. import models

RULES = ["fa", "sign-symmetry", "kp", "dfa", "dfa:cuts=macro", "b-function", "gradient-noise"]
"""All that replace a term of the way back. A network has half of them, the next one the others: each is a program more."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "half"), [("transformer", 0), ("mixer", 1), ("lstm", 0), ("resnet", 1)])
def test_every_rule_of_the_way_back_lowers_the_loss(name, half):
    rules = ["backprop", *RULES[half::2]]
    network, batch = models.network_of(name), models.batch_of(name)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, *batch.inputs.shape[1:]))
    labels = np.argsort(np.argsort(inputs.reshape(40, -1) @ rng.normal(size=batch.inputs[0].size))) * network.outputs // 40
    data = ascribe.datasets.load((inputs, labels))  # thirds along a direction: classes of one size that can be learned
    found = ascribe.compare(
        data,
        rules=rules,
        network=network,
        controls=(),
        seeds=2,
        learning_rate=0.01,
        epochs=15,
        batch_size=10,
        diagnostics=False,
    )
    assert len(found.runs) == len(rules) and found.reference is not None
    curves = {rule: runs.curves["train_loss"].mean(axis=0) for rule, runs in found.runs.items()}
    assert all(curve.min() < curve[0] for curve in curves.values()), curves
    exact = found.runs[found.reference].curves["train_loss"]
    for rule, runs in found.runs.items():
        same = np.allclose(runs.curves["train_loss"], exact, rtol=1e-3)
        assert same == (rule == found.reference), rule
