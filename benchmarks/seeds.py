"""(c) 32 seeds of 2-64-64-1 on moons, batch 32, Adam, on all cores: against PyTorch's eager loop and against hand-written,
vmapped JAX divided among the same devices.

Ours is the library's real program: shuffling, divergence flags, curves and validation every epoch included. The rival
written by hand shuffles and trains, and evaluates the validation loss every epoch, no more.
Run: `python benchmarks/seeds.py` (PyTorch: extra `oracle`; skipped where it is missing)
"""

import dataclasses
import itertools
import sys

import ascribe

ascribe.use_all_cores()

import handwritten  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import optax  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402
from measure import alternate, ratio, report  # noqa: E402

from ascribe import rules, training  # noqa: E402

QUICK = "--quick" in sys.argv
SEEDS, EPOCHS, BATCH = (2, 2, 8) if QUICK else (32, 40, 32)
SIZES, SAMPLES = ([2, 4, 4, 1], 50) if QUICK else ([2, 64, 64, 1], 1000)


def ours(data):
    rule, name = rules.get("backpropagation"), "backpropagation"
    network = ascribe.networks.mlp(SIZES)
    setup = training.Setup(epochs=EPOCHS, batch_size=BATCH, diagnostics=False)
    recipe = training.complete(training.honor(rule, name, network, data, setup))
    experiment = training.Experiment(dataclasses.replace(recipe, width=SEEDS))
    runs = experiment.stack([training.Specification(seed, 1e-3) for seed in range(SEEDS)])
    states = experiment.initialize(runs)
    bounds = jnp.asarray(0, jnp.int32), jnp.asarray(EPOCHS, jnp.int32)
    advance = lambda: experiment.programs.advance(runs, states, experiment.device_data, *bounds)
    return lambda: jax.block_until_ready(advance())


def by_hand(data):
    forward = handwritten.mlp_forward
    loss = handwritten.logistic_cross_entropy(forward)
    optimizer = optax.adam(1e-3)
    train = handwritten.train(loss, optimizer)
    arrays = tuple(jnp.asarray(a) for a in (data.train.inputs, data.train.targets))
    validation = tuple(jnp.asarray(a) for a in (data.validation.inputs, data.validation.targets))
    steps = len(data.train) // BATCH

    def one_seed(key, inputs, targets, validation_inputs, validation_targets):
        parameters = handwritten.mlp_parameters(key, SIZES)

        def epoch(carry, number):
            order = jr.permutation(jr.fold_in(key, number), inputs.shape[0])[: steps * BATCH].reshape(steps, BATCH)
            (parameters, state), losses = train(*carry, inputs, targets, order)
            return (parameters, state), (losses.mean(), loss(parameters, validation_inputs, validation_targets))

        return jax.lax.scan(epoch, (parameters, optimizer.init(parameters)), jnp.arange(EPOCHS))

    def all_seeds(keys, *data):
        return jax.vmap(one_seed, in_axes=(0, None, None, None, None))(keys, *data)

    mesh = training.mesh.mesh_for(SEEDS)
    program = jax.jit(
        jax.shard_map(all_seeds, mesh=mesh, in_specs=(P("runs"), P(), P(), P(), P()), out_specs=P("runs"), check_vma=False)
    )
    keys = jr.split(jr.key(0), SEEDS)
    data_everywhere = training.mesh.replicate((*arrays, *validation), mesh)
    return lambda: jax.block_until_ready(program(keys, *data_everywhere))


def pytorch(data):
    """One seed, two epochs: an eager loop's time is proportional to steps."""
    import torch  # noqa: PLC0415

    x, y = torch.from_numpy(data.train.inputs), torch.from_numpy(data.train.targets).float()[:, None]
    layers = []
    for fan_in, fan_out in itertools.pairwise(SIZES):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = torch.nn.BCEWithLogitsLoss()
    steps = len(x) // BATCH

    def run():
        for _ in range(2):
            for batch in torch.randperm(len(x))[: steps * BATCH].reshape(steps, BATCH):
                optimizer.zero_grad()
                loss(model(x[batch]), y[batch]).backward()
                optimizer.step()

    return run, 2 * steps


def main():
    data = ascribe.datasets.load("moons", samples=SAMPLES, noise=0.1, seed=0)
    steps = len(data.train) // BATCH * EPOCHS * SEEDS
    contestants = {"ours": ours(data), "hand-written JAX": by_hand(data)}
    torch_steps = None
    try:
        contestants["PyTorch eager"], torch_steps = pytorch(data)
    except ImportError:
        print("PyTorch is not installed (extra `oracle`): that race is left out.")
    times = alternate(contestants)
    claims = {"steps per second, ours / hand-written JAX": (1 / ratio(times, "ours", "hand-written JAX"), ">=", 0.95)}
    if torch_steps is not None:
        times["PyTorch eager"] = [seconds * steps / torch_steps for seconds in times["PyTorch eager"]]
        claims["steps per second, ours / PyTorch eager"] = (1 / ratio(times, "ours", "PyTorch eager"), ">=", 12)
    report(f"{SEEDS} seeds of {'-'.join(map(str, SIZES))} on moons, batch {BATCH}, Adam", times, steps=steps, claims=claims)


if __name__ == "__main__":
    main()
