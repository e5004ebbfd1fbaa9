"""(b) Direct feedback alignment never computes Wᵀδ: is its step cheaper than backpropagation's?

6 hidden layers of 1024, batch 512, plain SGD. By operation count 0.70: backpropagation has three products a layer
(forward, Wᵀδ, parameter gradient), direct feedback two and a narrow one.
Run: `python benchmarks/direct_feedback.py`
"""

import jax.random as jr
from measure import alternate, ratio, report
from ours import race

from ascribe.networks import mlp

BATCH, STEPS = 512, 4


def main():
    key = jr.key(0)
    network = mlp([784, *[1024] * 6, 10])
    inputs, targets = jr.normal(key, (2048, 784)), jr.randint(key, (2048,), 0, 10)
    batches = jr.randint(key, (STEPS, BATCH), 0, 2048)
    names = ("direct-feedback-alignment", "backpropagation")
    programs, operations = race(network, names, inputs, targets, batches, key, batch_size=BATCH)
    times = alternate(programs)
    report(
        "784-6×1024-10, batch 512, SGD",
        times,
        steps=STEPS,
        claims={
            "direct feedback step / backpropagation step": (
                ratio(times, "direct-feedback-alignment", "backpropagation"),
                "<=",
                0.8,
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
