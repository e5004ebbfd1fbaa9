"""Node perturbation with one direction: is its step as cheap as backpropagation's?

784-1024-1024-1024-10, batch 64, plain SGD, all seeds in one program. By operation count the same: the noisy pass takes the
place of the products Wᵀδ, and neither has one for the lowest layer. What is left is the noise: a random sign for every unit
and example, of one bit each.
Run: `python benchmarks/perturbation.py`
"""

import sys

import jax
import jax.random as jr
from measure import alternate, floating_point_operations, ratio, report
from ours import training

from ascribe.networks import mlp

QUICK = "--quick" in sys.argv
BATCH, EXAMPLES, STEPS, SEEDS = (4, 16, 2, 2) if QUICK else (64, 512, 4, 4)
WIDTH = 8 if QUICK else 1024
NAMES = ("node-perturbation", "forward-gradient", "weight-perturbation", "backpropagation")


def main():
    key = jr.key(0)
    network = mlp([784, WIDTH, WIDTH, WIDTH, 10])
    inputs, targets = jr.normal(key, (EXAMPLES, 784)), jr.randint(key, (EXAMPLES,), 0, 10)
    batches = jr.randint(key, (STEPS, BATCH), 0, EXAMPLES)
    programs, operations = {}, {}
    for name in NAMES:
        state, run, data, train = training(network, name, inputs, targets, batch_size=BATCH)
        states = jax.tree.map(lambda leaf: jax.numpy.stack([leaf] * SEEDS), state)
        seeds = jax.jit(jax.vmap(train, in_axes=(0, None, None, None, 0)))
        given = (states, run, data, batches, jr.split(key, SEEDS))
        compiled = seeds.lower(*given).compile()
        operations[name] = floating_point_operations(compiled)
        programs[name] = lambda compiled=compiled, given=given: jax.block_until_ready(compiled(*given))
    times = alternate(programs)
    report(
        f"784-3×{WIDTH}-10, batch {BATCH}, {SEEDS} seeds, SGD",
        times,
        steps=STEPS * SEEDS,
        claims={
            "node perturbation's step / backpropagation's": (
                ratio(times, "node-perturbation", "backpropagation"),
                "<=",
                1.1,
            ),
            "floating-point operations, node perturbation / backpropagation": (
                operations["node-perturbation"] / operations["backpropagation"],
                "<=",
                1.1,
            ),
        },
    )


if __name__ == "__main__":
    main()
