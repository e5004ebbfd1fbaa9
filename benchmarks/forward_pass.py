"""The forward-pass rule needs one product a layer beyond the forward pass: is its step cheaper than backpropagation's?

4 hidden layers of 1024 without biases, one logit, batch 512, plain SGD, the same network for both rules. By operation count
0.667 for 2 inputs and 0.715 for 784: backpropagation has three products a layer (forward, Wᵀδ, parameter gradient; its first
layer two), the forward-pass rule two.
Run: `python benchmarks/forward_pass.py`
"""

import sys

import jax.numpy as jnp
import jax.random as jr
from measure import alternate, ratio, report
from ours import race

from ascribe.networks import mlp

QUICK = "--quick" in sys.argv
BATCH, EXAMPLES, STEPS = (4, 16, 2) if QUICK else (512, 2048, 4)
DEPTH, WIDTH = (1, 8) if QUICK else (4, 1024)


def main():
    key = jr.key(0)
    for inputs_count, wanted, counted in ((2, 0.75, 0.68), (784, 0.80, 0.73)):
        network = mlp([inputs_count, *[WIDTH] * DEPTH, 1], bias=False)
        inputs = jnp.maximum(jr.normal(key, (EXAMPLES, inputs_count)), 0)
        targets, batches = jr.randint(key, (EXAMPLES,), 0, 2), jr.randint(key, (STEPS, BATCH), 0, EXAMPLES)
        names = ("forward-pass", "backpropagation")
        programs, operations = race(network, names, inputs, targets, batches, key, batch_size=BATCH)
        times = alternate(programs)
        claims = {
            "forward-pass step / backpropagation step": (ratio(times, *programs), "<=", wanted),
            "floating-point operations, forward-pass / backpropagation": (
                operations["forward-pass"] / operations["backpropagation"],
                "<=",
                counted,
            ),
        }
        report(f"{inputs_count}-{DEPTH}×{WIDTH}-1 without biases, batch {BATCH}, SGD", times, steps=STEPS, claims=claims)


if __name__ == "__main__":
    main()
