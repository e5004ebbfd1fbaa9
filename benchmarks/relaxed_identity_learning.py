"""What relaxed activation identity learns in mini-batches, beside backpropagation, and what its auxiliaries have to be for it.

MNIST, 784-256-256-10, batch 128, Adam; every rule tuned alike on validation. Then the two moons: mini-batches against the full
batch. `stored z` is the document's auxiliary carried over to mini-batches as it stands.
Run: `python benchmarks/relaxed_identity_learning.py` (MNIST in the folder named in `ASCRIBE_DATA`)
"""

import sys

import numpy as np

import ascribe
from ascribe import datasets
from ascribe.rules import RelaxedIdentity

QUICK = "--quick" in sys.argv
STORED = RelaxedIdentity(hidden_loss="sum", inner_steps=5, consolidate="never")
RULES = {
    "backpropagation": "backpropagation",
    "relaxed-identity (residuals kept)": "relaxed-identity",
    "relaxed-identity-transient": "relaxed-identity-transient",
    "stored z, 5 inner steps": STORED,
}


def show(title, comparison, epochs):
    print(f"\n{title}, {epochs} epochs\n")
    print("| rule | rate | test accuracy (%), mean | worst | before the last pass | diverged | s a run |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in comparison.runs.items():
        accuracy = 100 * runs.test_accuracy
        before = 100 * runs.scores.get("test_accuracy_before_finish", runs.test_accuracy)
        row = (
            f"{runs.learning_rates[0]:.1e}",
            f"{accuracy.mean():.2f}",
            f"{accuracy.min():.2f}",
            f"{before.mean():.2f}",
        )
        print(f"| {name} | {' | '.join(row)} | {runs.diverged.sum()} | {runs.seconds / len(runs.seeds):.2f} |", flush=True)


def mnist(epochs, seeds):
    settings = {"network": "256x256", "batch_size": 128, "epochs": epochs, "seeds": seeds, "diagnostics": False}
    tuned = {"tune": 2 if QUICK else 3, "tune_seeds": 1, "controls": (), "search": {"learning_rate": (3e-4, 3e-3)}}
    data = datasets.load("digits") if QUICK else datasets.load("mnist")
    show("MNIST" if not QUICK else "digits", ascribe.compare(data, rules=RULES, **tuned, **settings), epochs)


def moons(seeds):
    epochs = 2 if QUICK else 60
    data = datasets.load("moons", samples=1000, noise=0.1)
    shared = {"epochs": epochs, "seeds": seeds, "tune": 2 if QUICK else 5, "diagnostics": False, "controls": ()}
    show("Two moons, batch 32, Adam", ascribe.compare(data, rules=RULES, **shared), epochs)
    full = {"full batch, Rprop, as published but for the output": RelaxedIdentity()}
    steps = epochs * (len(data.train) // 32)
    settings = {"optimizer": "rprop", "batch_size": len(data.train), "learning_rate": 0.1}
    shared = {"epochs": steps, "seeds": seeds, "diagnostics": False, "controls": ()}
    show("Two moons, full batch", ascribe.compare(data, rules=full, **settings, **shared), steps)


if __name__ == "__main__":
    ascribe.use_all_cores()
    np.set_printoptions(precision=4)
    mnist(2 if QUICK else 5, 2 if QUICK else 10)
    moons(2 if QUICK else 10)
