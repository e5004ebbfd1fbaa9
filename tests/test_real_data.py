"""Real data, as users meet it: MNIST in its original files (ASCRIBE_DATA), dense and convolutional."""

import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import ascribe
from ascribe.cli import main

HERE = Path(os.environ.get("ASCRIBE_DATA", "/nowhere")) / "mnist"
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not HERE.is_dir(), reason="ASCRIBE_DATA names no folder with mnist/"),
]


def test_a_dense_network_reaches_97_percent_on_mnist_by_backpropagation():
    data = ascribe.datasets.load("mnist")
    with jax.enable_x64(False):
        network = ascribe.networks.mlp([784, 256, 10])
        settings = {"optimizer": "sgd", "learning_rate": 0.3, "epochs": 3, "batch_size": 64}
        runs = ascribe.train(network, data, "backpropagation", seeds=2, diagnostics=False, **settings)
        predicted = runs.predict(data.test.inputs)
    assert not runs.diverged.any()
    assert runs.test_accuracy.mean() >= 0.97
    np.testing.assert_array_less(0.965, runs.test_accuracy)
    assert (predicted == data.test.targets).mean() == pytest.approx(runs.test_accuracy.mean())


def test_lenet_learns_mnist_on_the_command_line_under_every_rule(tmp_path, capsys, monkeypatch):
    # PNG and SVG take long and have tests of their own.
    monkeypatch.setattr(sys.modules["ascribe.report.page"], "write_vectors", lambda *_: [])
    options = ["--samples", "600", "--data-option", "test_samples=500", "--seeds", "2", "--epochs", "3"]
    options += ["--batch-size", "25", "--learning-rate", "0.002"]
    rules = ["backpropagation", "sign-symmetry", "direct-feedback-alignment"]
    out = tmp_path / "lenet"
    command = ["compare", "mnist", "--network", "lenet", *options, "--rules", ",".join(rules), "--out", str(out)]
    with jax.enable_x64(False):
        assert main(command) == 0
    assert "page:" in capsys.readouterr().out
    found = ascribe.load(out)
    assert list(found.runs) == rules
    for name in ("backpropagation", "sign-symmetry"):
        assert found.runs[name].test_accuracy.mean() > 0.6, name
    for runs in found.runs.values():
        assert not runs.diverged.any()
