"""A script for the tests of several processes: trains small things, and process 0 writes what came out.

`python together.py FILE RULE:DEVICES_PER_RUN:EPOCHS,... [PORT PROCESSES PROCESS]`; the file grows with every rule.
"""

import sys

import jax
import numpy as np

import ascribe
from ascribe.datasets import Dataset, Split
from ascribe.networks import Activation, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Network

jax.config.update("jax_enable_x64", True)  # so that rounding is far below what the tests allow

CONVOLUTIONAL = "backpropagation"
"""The rule that trains batch normalization and dropout on images; all others train one hidden layer on the moons."""


def moons():
    return ascribe.datasets.load("moons", samples=100, noise=0.1, seed=0), ascribe.networks.mlp([2, 5, 1])


def images():
    # Without a bias before the normalization: its gradient is zero, and Adam would make steps of what rounding leaves of it.
    first = (Conv2d(1, 2, 3, bias=False), BatchNorm(2), Activation("relu"), MaxPool2d(2))
    network = Network([*first, Dropout(0.3), Flatten(), Linear(18, 3)])
    rng = np.random.default_rng(0)  # (to import scikit-learn for its digits takes longer than to train)
    inputs = rng.normal(size=(150, 8, 8, 1)).astype(np.float32)
    targets = np.argmax(inputs[:, :3].mean(axis=(2, 3)), axis=1).astype(np.int32)
    parts = [Split(inputs[rows], targets[rows]) for rows in (slice(90), slice(90, 120), slice(120, 150))]
    return Dataset("noise", "classification", *parts, class_names=("a", "b", "c")), network


def trained(rule, epochs, devices_per_run):
    data, network = images() if rule == CONVOLUTIONAL else moons()
    shape = {"epochs": epochs, "batch_size": 16, "seeds": 2, "learning_rate": 0.01, "devices_per_run": devices_per_run}
    said = lambda progress: print(progress.phase, flush=True)
    runs = ascribe.train(network, data, rule, **shape, diagnostics=False, listener=said)
    weights = {f"weight {place}": leaf for place, leaf in enumerate(jax.tree.leaves((runs.networks, runs.states)))}
    return {f"{rule} {name}": value for name, value in {**runs.curves, **runs.scores, **weights}.items()}


def main():
    file, cases, *meeting = sys.argv[1:]
    number = 0
    if meeting:
        number = ascribe.join_processes(f"127.0.0.1:{meeting[0]}", int(meeting[1]), int(meeting[2]))
        assert (jax.process_count(), jax.local_device_count()) == (int(meeting[1]), 1)
    found = {}
    for rule, devices_per_run, epochs in (case.split(":") for case in cases.split(",")):
        found |= trained(rule, int(epochs), int(devices_per_run))
        if number == 0:
            np.savez(file, **found)
            print("written", flush=True)


if __name__ == "__main__":
    main()
