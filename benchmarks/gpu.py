"""On a GPU: 1,024 seeds of 2-64-64-1 at once, and one step of 784-1024-1024-10 (batch 128), against PyTorch on the same card
in one run.

Run: `python benchmarks/gpu.py` with the extra `cuda` and a CUDA build of PyTorch. Without a GPU it says so and ends.
"""

import itertools
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
from measure import alternate, ratio, report
from ours import training

from ascribe.networks import mlp

SEEDS = 1024


def many_seeds(sizes, seeds, batch, steps):
    """All seeds at once, from the same first state (the time of a step does not depend on its numbers)."""
    inputs, targets = jr.normal(jr.key(0), (1024, sizes[0])), jr.randint(jr.key(1), (1024,), 0, 2)
    batches = jr.randint(jr.key(2), (steps, batch), 0, 1024)
    state, run, data, train = training(mlp(sizes), "backpropagation", inputs, targets, optimizer="adam", batch_size=batch)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (seeds, *leaf.shape)), state)
    program = jax.jit(jax.vmap(lambda one: train(one, run, data, batches, jr.key(0))))
    return lambda: jax.block_until_ready(program(states))


def pytorch(sizes, batch, steps):
    import torch  # noqa: PLC0415

    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    binary = sizes[-1] == 1
    loss = torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss()
    x = torch.randn(batch, sizes[0], device="cuda")
    y = torch.randint(0, 2, (batch,), device="cuda")
    y = y.float()[:, None] if binary else y

    def run():
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        torch.cuda.synchronize()

    return run


def main():
    if jax.default_backend() != "gpu":
        sys.exit("JAX sees no GPU here: install the extra `cuda` on a machine that has one.")
    steps, small, large = 200, [2, 64, 64, 1], [784, 1024, 1024, 10]
    times = alternate({"ours": many_seeds(small, SEEDS, 32, steps), "PyTorch eager": pytorch(small, 32, steps)})
    times["ours"] = [seconds / SEEDS for seconds in times["ours"]]
    faster = 1 / ratio(times, "ours", "PyTorch eager")
    report(
        f"{SEEDS} seeds of 2-64-64-1, batch 32, Adam",
        times,
        steps=steps,
        claims={"seed-steps per second, ours / PyTorch eager": (faster, ">=", 12)},
    )
    times = alternate({"ours": many_seeds(large, 1, 128, steps), "PyTorch eager": pytorch(large, 128, steps)})
    report(
        "784-1024-1024-10, batch 128, Adam",
        times,
        steps=steps,
        claims={"step, ours / PyTorch eager": (ratio(times, "ours", "PyTorch eager"), "<=", 1.0)},
    )


if __name__ == "__main__":
    main()
