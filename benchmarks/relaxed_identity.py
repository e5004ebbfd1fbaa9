"""One step of relaxed activation identity on the published 100-layer network, against a PyTorch version of the published code,
and against its own depth.

(2, 100 × 100 hidden, 1), logistic, 100 points, full batch, Rprop on weights and auxiliaries, the output relaxed. `the step` is
what PyTorch does too; the library also reports the loss of the plain forward pass, and `validated` is its real program, which
evaluates after every step. All times are per run. The last lines are a step at depth 10, 100 and 1,000: the layers are
independent, so that on a GPU with room the time should hardly grow.
Run: `python benchmarks/relaxed_identity.py` (PyTorch: extra `oracle`)
"""

import dataclasses
import itertools
import sys

import ascribe

ascribe.use_all_cores()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from measure import alternate, ratio, report  # noqa: E402
from ours import training as step_program  # noqa: E402

from ascribe import training  # noqa: E402
from ascribe.datasets import Dataset, Split  # noqa: E402
from ascribe.networks import mlp  # noqa: E402
from ascribe.rules import RelaxedIdentity  # noqa: E402

QUICK = "--quick" in sys.argv
DEPTH, WIDTH, EXAMPLES, STEPS = 10 if QUICK else 100, 100, 100, 25
DEPTHS = (10, 20) if QUICK else (10, 100, 1000)
RULE = RelaxedIdentity(relax_output=True, consolidate="never")


def points():
    draw = np.random.default_rng(0)
    return draw.normal(size=(EXAMPLES, 2)).astype(np.float32), draw.integers(0, 2, EXAMPLES).astype(np.int32)


def network(depth):
    return mlp([2, *[WIDTH] * depth, 1], activation="logistic", initializer="pytorch-uniform")


def one_run(depth, steps=STEPS):
    inputs, targets = map(jnp.asarray, points())
    batches = jnp.tile(jnp.arange(EXAMPLES), (steps, 1))
    settings = {"optimizer": "rprop", "batch_size": EXAMPLES, "learning_rate": 0.1}
    state, run, data, train = step_program(network(depth), RULE, inputs, targets, **settings)
    program = jax.jit(train).lower(state, run, data, batches, jax.random.key(0)).compile()
    return lambda: jax.block_until_ready(program(state, run, data, batches, jax.random.key(0)))


def one_run_a_core(depth, *, loss):
    """A run on every core, with or without the loss of the forward pass, which the objective needs not and PyTorch has not."""
    inputs, targets = map(jnp.asarray, points())
    batches = jnp.tile(jnp.arange(EXAMPLES), (STEPS, 1))
    settings = {"optimizer": "rprop", "batch_size": EXAMPLES, "learning_rate": 0.1}
    state, run, data, train = step_program(network(depth), RULE, inputs, targets, **settings)
    mesh = training.mesh.mesh_for(training.devices.count())
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * mesh.devices.size), state)

    def each(states):
        state, losses = train(jax.tree.map(lambda leaf: leaf[0], states), run, data, batches, jax.random.key(0))
        return jax.tree.map(lambda leaf: leaf[None], (state, losses if loss else None))

    rows = training.mesh.RUNS
    program = jax.jit(jax.shard_map(each, mesh=mesh, in_specs=(rows,), out_specs=rows, check_vma=False))
    return lambda: jax.block_until_ready(program(states))


def seeds_together(depth, seeds):
    split = Split(*points())
    data = Dataset("points", "binary", split, split, split, class_names=("a", "b"))
    setup = training.Setup(optimizer="rprop", epochs=STEPS, batch_size=EXAMPLES, diagnostics=False)
    recipe = training.complete(training.honor(RULE, "relaxed-identity", network(depth), data, setup))
    experiment = training.Experiment(dataclasses.replace(recipe, width=seeds))
    runs = experiment.stack([training.Specification(seed, 0.1) for seed in range(seeds)])
    states = experiment.initialize(runs)
    bounds = jnp.asarray(0, jnp.int32), jnp.asarray(STEPS, jnp.int32)
    return lambda: jax.block_until_ready(experiment.programs.advance(runs, states, experiment.device_data, *bounds))


def pytorch(depth):
    """The published code's step: every layer's output is relaxed, the last one's too."""
    import torch  # noqa: PLC0415 - an extra

    device = "cuda" if jax.default_backend() == "gpu" else "cpu"
    x, y = (torch.tensor(array, device=device) for array in points())
    sizes = [2, *[WIDTH] * depth, 1]
    layers = [torch.nn.Linear(a, b, device=device) for a, b in itertools.pairwise(sizes)]
    auxiliaries, h = [], x
    for layer in layers:
        auxiliaries.append(torch.nn.Parameter(layer(h).detach()))
        h = torch.sigmoid(auxiliaries[-1])
    weights = [parameter for layer in layers for parameter in layer.parameters()]
    optimizer = torch.optim.Rprop([*weights, *auxiliaries], lr=0.1)
    mean_square, cross_entropy = torch.nn.MSELoss(), torch.nn.BCELoss()

    def step():
        optimizer.zero_grad()
        inputs = [x, *(torch.sigmoid(z) for z in auxiliaries)]
        hidden = sum(mean_square(z, layer(h)) for z, layer, h in zip(auxiliaries, layers, inputs, strict=False))
        (cross_entropy(inputs[-1][:, 0], y.float()) + hidden).backward()
        optimizer.step()

    def run():
        for _ in range(STEPS):
            step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def main():
    cores = training.devices.count()
    seeds = 2 if QUICK else 4 * cores
    rival = "PyTorch, one run"
    programs = {
        "the step, a run on every core": (one_run_a_core(DEPTH, loss=False), cores),
        "with the forward pass's loss": (one_run_a_core(DEPTH, loss=True), cores),
        f"its program, {seeds} seeds, validated": (seeds_together(DEPTH, seeds), seeds),
        "one run alone, one core": (one_run(DEPTH), 1),
        rival: (pytorch(DEPTH), 1),
    }
    times = alternate({name: program for name, (program, _) in programs.items()}, rounds=9)
    times = {name: [value / programs[name][1] for value in values] for name, values in times.items()}
    claims = {}
    for name in list(programs)[:-1]:
        claims[f"{name} / {rival}"] = (ratio(times, name, rival), "<=", 0.25)
        claims[f"{name}, ms a step and run"] = (1e3 * float(np.median(times[name])) / STEPS, "<=", 12)
    report(f"2-{DEPTH}×{WIDTH}-1, {EXAMPLES} examples", times, steps=STEPS, claims=claims)

    times = alternate({f"depth {depth}": one_run(depth, 2) for depth in DEPTHS}, rounds=5)
    low, high = f"depth {DEPTHS[0]}", f"depth {DEPTHS[-1]}"
    growth = {f"{high} / {low}": (ratio(times, high, low), "<=", DEPTHS[-1] / DEPTHS[0])}
    report("One run, by depth", times, steps=2, claims=growth)


if __name__ == "__main__":
    main()
