"""(a) Does the tape cost anything? One training step through it against `jax.value_and_grad` + Optax written by hand.

Both sides: the same convolution form, the same `lax.scan`, the same batches, plain SGD.
Run: `python benchmarks/tape.py`
"""

import sys

import handwritten
import jax
import jax.random as jr
import optax
from measure import alternate, floating_point_operations, ratio, report
from ours import training

from ascribe.networks import convolve, lenet, mlp

QUICK = "--quick" in sys.argv
BATCH, EXAMPLES, STEPS, WIDTH = (4, 16, 2, 8) if QUICK else (128, 2048, 10, 1024)


def race(title, network, parameters, forward, input_shape):
    key = jr.key(0)
    inputs = jr.normal(key, (EXAMPLES, *input_shape))
    targets = jr.randint(key, (EXAMPLES,), 0, 10)
    batches = jr.randint(key, (STEPS, BATCH), 0, EXAMPLES)

    optimizer = optax.sgd(0.01)
    by_hand = jax.jit(handwritten.train(handwritten.softmax_cross_entropy(forward), optimizer))
    hand_arguments = (parameters, optimizer.init(parameters), inputs, targets, batches)
    by_hand = by_hand.lower(*hand_arguments).compile()

    state, run, data, train = training(network, "backpropagation", inputs, targets, batch_size=BATCH)
    our_arguments = (state, run, data, batches, key)
    tape = jax.jit(train).lower(*our_arguments).compile()

    times = alternate(
        {
            "tape": lambda: jax.block_until_ready(tape(*our_arguments)),
            "by hand": lambda: jax.block_until_ready(by_hand(*hand_arguments)),
        }
    )
    operations = floating_point_operations(tape) / floating_point_operations(by_hand)
    report(
        title,
        times,
        steps=STEPS,
        claims={
            "step through the tape / step by hand": (ratio(times, "tape", "by hand"), "<=", 1.05),
            "floating-point operations, tape / by hand": (operations, "<=", 1.0),
        },
    )


def main():
    sizes = [784, WIDTH, WIDTH, 10]
    race(
        f"{'-'.join(map(str, sizes))}, batch {BATCH}",
        mlp(sizes),
        handwritten.mlp_parameters(jr.key(1), sizes),
        handwritten.mlp_forward,
        (784,),
    )
    race(
        f"LeNet, batch {BATCH}",
        lenet(),
        handwritten.lenet_parameters(jr.key(1)),
        handwritten.lenet_forward(convolve),
        (28, 28, 1),
    )


if __name__ == "__main__":
    main()
