"""(d) LeNet on images of MNIST's shape, batch 64, plain SGD, inside the training loop: against PyTorch's eager step, for
one seed and for 8 seeds, in both forms of the convolution and both ways to run seeds.

Run: `python benchmarks/lenet.py` (PyTorch: extra `oracle`)
"""

import ascribe

ascribe.use_all_cores()

import dataclasses  # noqa: E402
import sys  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from measure import alternate, ratio, report  # noqa: E402
from ours import training as step_program  # noqa: E402

from ascribe import rules, training  # noqa: E402
from ascribe.datasets import Dataset, Split  # noqa: E402
from ascribe.networks import conv2d, lenet  # noqa: E402

QUICK = "--quick" in sys.argv
BATCH, STEPS, SEEDS = (2, 2, 2) if QUICK else (64, 10, 8)


def images(count):
    draw = np.random.default_rng(0)
    return draw.normal(size=(count, 28, 28, 1)).astype(np.float32), draw.integers(0, 10, count).astype(np.int32)


def epoch_of(seeds):
    """One epoch of the library's real program: `STEPS` steps of every seed."""
    split = Split(*images(BATCH * STEPS))
    few = Split(*images(8))
    data = Dataset("images", "classification", split, few, few, class_names=tuple("0123456789"))
    rule, name = rules.get("backpropagation"), "backpropagation"
    setup = training.Setup(optimizer="sgd", epochs=1, batch_size=BATCH, diagnostics=False)
    recipe = training.complete(training.honor(rule, name, lenet(), data, setup))
    experiment = training.Experiment(dataclasses.replace(recipe, width=seeds))
    runs = experiment.stack([training.Specification(seed, 0.01) for seed in range(seeds)])
    states = experiment.initialize(runs)
    bounds = jnp.asarray(0, jnp.int32), jnp.asarray(1, jnp.int32)
    return lambda: jax.block_until_ready(experiment.programs.advance(runs, states, experiment.device_data, *bounds))


def one_device_vmap(seeds, form):
    """The same steps, all seeds at once by `vmap` on one device, with the convolution in the given form."""
    inputs, targets = (jnp.asarray(a) for a in images(BATCH * STEPS))
    batches = jnp.arange(BATCH * STEPS).reshape(STEPS, BATCH)
    state, run, data, train = step_program(lenet(), "backpropagation", inputs, targets, batch_size=BATCH)
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (seeds, *leaf.shape)), state)
    usual = conv2d.convolve
    conv2d.convolve = lambda *a, **k: usual(*a, **{**k, "form": form})
    try:
        together = jax.vmap(lambda one: train(one, run, data, batches, jr.key(0)))
        program = jax.jit(together).lower(states).compile()
    finally:
        conv2d.convolve = usual
    return lambda: jax.block_until_ready(program(states))


def pytorch():
    import torch  # noqa: PLC0415

    x, y = (torch.from_numpy(a) for a in images(BATCH * STEPS))
    x, y = x.permute(0, 3, 1, 2).contiguous(), y.long()
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(6, 16, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(400, 120),
        torch.nn.ReLU(),
        torch.nn.Linear(120, 84),
        torch.nn.ReLU(),
        torch.nn.Linear(84, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss = torch.nn.CrossEntropyLoss()

    def run():
        for batch in torch.randperm(len(x)).reshape(STEPS, BATCH):
            optimizer.zero_grad()
            loss(model(x[batch]), y[batch]).backward()
            optimizer.step()

    return run


def main():
    contestants = {"ours, 1 seed": epoch_of(1), f"ours, {SEEDS} seeds": epoch_of(SEEDS), "PyTorch eager": pytorch()}
    if "--forms" in sys.argv:
        for form in ("slices", "native"):
            contestants[f"1 seed, {form}"] = one_device_vmap(1, form)
            contestants[f"vmap of {SEEDS} seeds, {form}"] = one_device_vmap(SEEDS, form)
    times = alternate(contestants, rounds=7 if "--forms" in sys.argv else 15, seconds=0.5)
    per_seed = {name: [t / SEEDS if f"{SEEDS} seeds" in name else t for t in values] for name, values in times.items()}
    report(
        f"LeNet, batch {BATCH}, per step of one seed",
        per_seed,
        steps=STEPS,
        claims={
            "one seed, ours / PyTorch eager": (ratio(per_seed, "ours, 1 seed", "PyTorch eager"), "<=", 2.5),
            f"{SEEDS} seeds, per seed and step, ours / PyTorch eager": (
                ratio(per_seed, f"ours, {SEEDS} seeds", "PyTorch eager"),
                "<=",
                2.5,
            ),
        },
    )


if __name__ == "__main__":
    main()
