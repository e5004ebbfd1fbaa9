"""Rules that relax an energy before each step: what does a step of inference cost beside backpropagation's step?

784-256-256-10, batch 64, plain SGD, and the same with 6 hidden layers of 512. By operation count a step of predictive coding
has two products a layer but the first (a prediction and Jᵀε), with fixed predictions one; backpropagation's step has three.
Run: `python benchmarks/energies.py`
"""

import sys

import jax.random as jr
from measure import alternate, ratio, report
from ours import race

from ascribe.networks import mlp

QUICK = "--quick" in sys.argv
BATCH, EXAMPLES, STEPS = (4, 16, 2) if QUICK else (64, 2048, 8)
SHAPES = ((2, 8),) if QUICK else ((2, 256), (6, 512))
INFERENCE = 20


def main():
    key = jr.key(0)
    for depth, width in SHAPES:
        network = mlp([784, *[width] * depth, 10], activation="tanh")
        inputs, targets = jr.normal(key, (EXAMPLES, 784)), jr.randint(key, (EXAMPLES,), 0, 10)
        batches = jr.randint(key, (STEPS, BATCH), 0, EXAMPLES)
        # By their wanted cost, in steps of backpropagation.
        bounds = {
            f"predictive-coding:steps={INFERENCE}": INFERENCE + 2,
            f"predictive-coding:steps={INFERENCE},inference=fixed-prediction": INFERENCE + 2,
            "predictive-coding:inference=zero-divergence": depth + 3,
            f"equilibrium-propagation:free_steps={INFERENCE},nudged_steps=10": INFERENCE + 20 + 2,
        }
        names = ("backpropagation", *bounds)
        programs, _ = race(network, names, inputs, targets, batches, key, batch_size=BATCH)
        times = alternate(programs, rounds=7)
        report(
            f"784-{depth}×{width}-10, batch {BATCH}, SGD",
            times,
            steps=STEPS,
            claims={
                f"{name} step / backpropagation step": (ratio(times, name, "backpropagation"), "<=", bound)
                for name, bound in bounds.items()
            },
        )


if __name__ == "__main__":
    main()
