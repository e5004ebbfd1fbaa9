"""SimpleNet's training step on images of CIFAR-10's shape, Adadelta at 0.01: against PyTorch's eager step on the same device,
and several runs at once (`vmap`) against one after the other.

On a CPU the thin network (an eighth of the widths, batch 64), on a GPU the whole one (batch 128).
Run: `python benchmarks/simplenet.py` (PyTorch: extra `oracle`, or a CUDA build)
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from measure import alternate, ratio, report
from ours import training

from ascribe.networks import simplenet
from ascribe.networks.simplenet import BLOCKS

GPU = jax.default_backend() == "gpu"
WIDTH, BATCH, STEPS = (1.0, 128, 20) if GPU else (1 / 8, 64, 4)
RUNS = 2


def images(count):
    draw = np.random.default_rng(0)
    return draw.normal(size=(count, 32, 32, 3)).astype(np.float32), draw.integers(0, 10, count).astype(np.int32)


def ours():
    """One run's steps; `RUNS` runs at once; `RUNS` runs in turn: each in one compiled program."""
    inputs, targets = (jnp.asarray(array) for array in images(BATCH * STEPS))
    batches = jnp.arange(BATCH * STEPS).reshape(STEPS, BATCH)
    network = simplenet(width=WIDTH, dropout=0.0)
    state, run, data, train = training(network, "backpropagation", inputs, targets, optimizer="adadelta", batch_size=BATCH)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (RUNS, *leaf.shape)), state)
    one = lambda state: train(state, run, data, batches, jr.key(0))
    alone = jax.jit(one).lower(state).compile()
    together = jax.jit(jax.vmap(one)).lower(states).compile()
    in_turn = jax.jit(lambda states: jax.lax.map(one, states)).lower(states).compile()
    return {
        "ours, one run": lambda: jax.block_until_ready(alone(state)),
        f"ours, {RUNS} runs at once": lambda: jax.block_until_ready(together(states)),
        f"ours, {RUNS} runs in turn": lambda: jax.block_until_ready(in_turn(states)),
    }


def pytorch_model(width, dropout=0.0) -> Any:
    """The same network in PyTorch, on the same device."""
    import torch  # noqa: PLC0415

    if GPU:  # as JAX does by default
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    channels, layers = 3, []
    for number, (full, kernel, pooled) in enumerate(BLOCKS, 1):
        fan_out = int(full * width)
        layers += [
            torch.nn.Conv2d(channels, fan_out, kernel, padding=kernel // 2),
            torch.nn.BatchNorm2d(fan_out, momentum=0.05),
            torch.nn.ReLU(inplace=True),
        ]
        layers += [torch.nn.MaxPool2d(2)] if pooled else []
        layers += [torch.nn.Dropout(dropout)] if dropout and number < len(BLOCKS) else []
        channels = fan_out
    head = torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten(), torch.nn.Linear(channels, 10)
    return torch.nn.Sequential(*layers, *head).to("cuda" if GPU else "cpu")


def pytorch():
    import torch  # noqa: PLC0415

    device = "cuda" if GPU else "cpu"
    model = pytorch_model(WIDTH)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.01)
    loss = torch.nn.CrossEntropyLoss()
    x, y = (torch.from_numpy(array).to(device) for array in images(BATCH * STEPS))
    x, y = x.permute(0, 3, 1, 2).contiguous(), y.long()

    def run():
        for start in range(0, len(x), BATCH):
            optimizer.zero_grad()
            loss(model(x[start : start + BATCH]), y[start : start + BATCH]).backward()
            optimizer.step()
        if GPU:
            torch.cuda.synchronize()

    return run


def main():
    contestants = {**ours(), "PyTorch eager": pytorch()}
    quick = GPU or "--quick" in sys.argv
    times = alternate(contestants, rounds=5, seconds=0.0 if quick else 0.5)
    per_run = {name: [t / RUNS if f"{RUNS} runs" in name else t for t in values] for name, values in times.items()}
    report(
        f"SimpleNet at width {WIDTH:g}, batch {BATCH}, per step of one run ({jax.devices()[0].device_kind})",
        per_run,
        steps=STEPS,
        claims={
            "one run, ours / PyTorch eager": (ratio(per_run, "ours, one run", "PyTorch eager"), "<=", 2.5),
            "in turn / at once": (
                ratio(per_run, f"ours, {RUNS} runs in turn", f"ours, {RUNS} runs at once"),
                "<=",
                1.0,
            ),
        },
    )


if __name__ == "__main__":
    main()
