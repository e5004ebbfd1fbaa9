"""One large run over two processes, a core each: our steps against a hand-written data-parallel JAX program's, and against one
process with one of the cores.

    python benchmarks/several_processes.py

The rival is the same network, loss, optimizer and batches under `shard_map`, with a `pmean` of the gradients; a second one
sums them in one flat array. What the processes cannot do without is measured too: their own halves of the batches without the
sums, and the sums of the gradient alone. The contestants take turns inside the same two processes; one and two processes follow
each other.
"""

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time

QUICK = "--quick" in sys.argv
SIZES, BATCH, STEPS = ([8, 8, 4], 8, 2) if QUICK else ([784, 1024, 1024, 10], 512, 32)
ROUNDS = 1 if QUICK else 5


def worker(port, processes, number):
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[number]})

    import ascribe  # noqa: PLC0415

    if processes > 1:
        ascribe.join_processes(f"127.0.0.1:{port}", processes, number)

    import jax  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from ascribe.datasets import Dataset, Split  # noqa: PLC0415

    rng = np.random.default_rng(0)
    direction = rng.normal(size=(SIZES[0], SIZES[-1]))

    def split(count):
        inputs = rng.normal(size=(count, SIZES[0])).astype(np.float32)
        return Split(inputs, np.argmax(inputs @ direction, axis=1).astype(np.int32))

    names = tuple("0123456789"[: SIZES[-1]])
    data = Dataset("random", "classification", split(BATCH * STEPS), split(64), split(64), class_names=names)
    contestants = {"ours": ours(data, processes), "by hand": by_hand(data, processes)}
    if processes > 1:
        contestants["by hand, one flat sum"] = by_hand(data, processes, sums=flat_mean)
        contestants["by hand without the sums"] = by_hand(data, processes, sums=lambda gradients: gradients)
        contestants["the sums alone"] = sums_alone(processes)
    times = {name: [] for name in contestants}
    for call in contestants.values():
        jax.block_until_ready(call())  # compiles
    for turn in range(ROUNDS):
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:  # in every process the same order
            began = time.perf_counter()
            jax.block_until_ready(contestants[name]())
            times[name].append((time.perf_counter() - began) / STEPS)
    if number == 0:
        print("TIMES " + json.dumps(times), flush=True)


def ours(data, processes):
    """One epoch of the library's own program, with its shuffling, divergence flags, curves and validation."""
    import jax.numpy as jnp  # noqa: PLC0415

    import ascribe  # noqa: PLC0415
    from ascribe import rules, training  # noqa: PLC0415

    rule, network = rules.get("backpropagation"), ascribe.networks.mlp(SIZES)
    own = {"epochs": 1, "batch_size": BATCH, "diagnostics": False, "devices_per_run": processes}
    setup = training.Setup(optimizer="sgd", **own)
    experiment = training.Experiment(training.complete(training.honor(rule, "rule", network, data, setup)))
    runs = experiment.stack([training.Specification(0, 0.01)])
    states = experiment.initialize(runs)
    bounds = jnp.asarray(0, jnp.int32), jnp.asarray(1, jnp.int32)
    bounds = training.mesh.spread(bounds, experiment.mesh, training.mesh.EVERYWHERE)
    return lambda: experiment.programs.advance(runs, states, experiment.device_data, *bounds)


def mean(gradients):
    """Of the two processes."""
    import jax  # noqa: PLC0415

    return jax.lax.pmean(gradients, "data")


def flat_mean(gradients):
    import jax  # noqa: PLC0415

    flat, restore = jax.flatten_util.ravel_pytree(gradients)
    return restore(jax.lax.pmean(flat, "data"))


def by_hand(data, processes, *, sums=mean):
    import handwritten  # noqa: PLC0415
    import jax  # noqa: PLC0415
    import jax.numpy as jnp  # noqa: PLC0415
    import optax  # noqa: PLC0415
    from jax.sharding import Mesh, PartitionSpec  # noqa: PLC0415

    from ascribe.training.mesh import replicate  # noqa: PLC0415

    forward, optimizer = handwritten.mlp_forward, optax.sgd(0.01)
    mesh = Mesh(jax.devices(), ("data",))

    def loss(parameters, inputs, labels):
        return optax.softmax_cross_entropy_with_integer_labels(forward(parameters, inputs), labels).mean()

    def epoch(parameters, inputs, labels):
        order = jax.random.permutation(jax.random.key(0), BATCH * STEPS).reshape(STEPS, processes, -1)
        mine = order[:, jax.lax.axis_index("data")]

        def step(parameters, indices):
            value, gradients = jax.value_and_grad(loss)(parameters, inputs[indices], labels[indices])
            updates, _ = optimizer.update(sums(gradients), optimizer.init(parameters))
            return optax.apply_updates(parameters, updates), value

        return jax.lax.scan(step, parameters, mine)[0]

    everywhere = (PartitionSpec(),) * 3
    program = jax.jit(jax.shard_map(epoch, mesh=mesh, in_specs=everywhere, out_specs=PartitionSpec(), check_vma=False))
    given = handwritten.mlp_parameters(jax.random.key(0), SIZES), data.train.inputs, jnp.asarray(data.train.targets)
    given = replicate(given, mesh)
    return lambda: program(*given)


def sums_alone(processes):
    """As many sums over all processes as an epoch has, of an array as large as the gradient."""
    import jax  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from jax.sharding import Mesh, PartitionSpec  # noqa: PLC0415

    from ascribe.training.mesh import replicate  # noqa: PLC0415

    mesh = Mesh(jax.devices(), ("data",))
    size = sum(a * b + b for a, b in itertools.pairwise(SIZES))

    def epoch(gradient):
        return jax.lax.fori_loop(0, STEPS, lambda _, x: jax.lax.pmean(x, "data"), gradient)

    everywhere = PartitionSpec()
    program = jax.jit(jax.shard_map(epoch, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False))
    gradient = replicate(np.ones(size, np.float32), mesh)
    return lambda: program(gradient)


def measured(processes):
    """What the contestants of so many processes took, in seconds a step."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, __file__, *(["--quick"] if QUICK else [])]
    workers = [
        subprocess.Popen([*command, "--worker", f"{port}:{processes}:{number}"], stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    told = [one.communicate()[0] for one in workers]
    if any(one.returncode for one in workers):
        sys.exit("a process failed")
    return json.loads(next(line for line in told[0].splitlines() if line.startswith("TIMES "))[6:])


def main():
    from measure import report  # noqa: PLC0415

    times = {}
    for _ in range(1 if QUICK else 2):
        for processes in (1, 2):
            for name, values in measured(processes).items():
                times.setdefault(f"{name}, {processes} process{'es' * (processes > 1)}", []).extend(values)
    middle = {name: statistics.median(values) for name, values in times.items()}
    ratios = [a / b for a, b in zip(times["ours, 2 processes"], times["by hand, 2 processes"], strict=True)]
    one, two = middle["ours, 1 process"], middle["ours, 2 processes"]
    least = middle["by hand without the sums, 2 processes"] + middle["the sums alone, 2 processes"]
    claims = {
        "two processes, ours / by hand": (statistics.median(ratios), "<=", 1.1),
        "two processes / (halves without the sums + the sums alone)": (two / least, "<=", 1.1),
        "one process / two processes": (one / two, ">=", 1.0),
    }
    sizes = "-".join(map(str, SIZES))
    title = f"One run of {sizes}, batch {BATCH}, SGD, over two processes, a core each"
    report(title, times, steps=1, claims=claims)


if __name__ == "__main__":
    if "--worker" in sys.argv:
        worker(*map(int, sys.argv[sys.argv.index("--worker") + 1].split(":")))
    else:
        main()
