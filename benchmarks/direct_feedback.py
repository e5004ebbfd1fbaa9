"""(b) Direct feedback alignment and direct random target projection never compute Wᵀδ: is their step cheaper than
backpropagation's?

6 hidden layers of 1024, batch 512, plain SGD. By operation count 0.70: backpropagation has three products a layer
(forward, Wᵀδ, parameter gradient), direct feedback two and a narrow one.
Run: `python benchmarks/direct_feedback.py`
"""

import sys

import jax.random as jr
from measure import alternate, ratio, report
from ours import race

from ascribe.networks import mlp

QUICK = "--quick" in sys.argv
BATCH, EXAMPLES, STEPS = (4, 16, 2) if QUICK else (512, 2048, 4)
DEPTH, WIDTH = (2, 8) if QUICK else (6, 1024)


def main():
    key = jr.key(0)
    network = mlp([784, *[WIDTH] * DEPTH, 10])
    inputs, targets = jr.normal(key, (EXAMPLES, 784)), jr.randint(key, (EXAMPLES,), 0, 10)
    batches = jr.randint(key, (STEPS, BATCH), 0, EXAMPLES)
    names = ("direct-feedback-alignment", "direct-random-target-projection", "backpropagation")
    programs, operations = race(network, names, inputs, targets, batches, key, batch_size=BATCH)
    times = alternate(programs)
    report(
        f"784-{DEPTH}×{WIDTH}-10, batch {BATCH}, SGD",
        times,
        steps=STEPS,
        claims={
            "direct feedback step / backpropagation step": (
                ratio(times, "direct-feedback-alignment", "backpropagation"),
                "<=",
                0.8,
            ),
            "target projection step / backpropagation step": (
                ratio(times, "direct-random-target-projection", "backpropagation"),
                "<=",
                0.75,
            ),
            "floating-point operations, direct / backpropagation": (
                operations["direct-feedback-alignment"] / operations["backpropagation"],
                "<=",
                0.72,
            ),
        },
    )


if __name__ == "__main__":
    main()
