"""A process of its own: runs of rules by the page's engine and by the training step of `ascribe.train`, compared, in float32.

`python -m tests.playground.training JOB` prints, for every case, how far the parameters are apart at the start, after 20 steps
and at the end (the largest norm of a difference, in units of the largest norm that the tensor has had until then: a bias that
has come back to zero has none of its own); and how far the same run of JAX is from itself when the initial weights are changed
by one part in 10^7, the largest of three such changes.
"""

import json
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import datasets, rules, training
from ascribe.playground import programs
from ascribe.rules import network_of
from ascribe.setup import Setup
from ascribe.training import loop

from .node import node, numbers

SEED, RATE, BATCH, EARLY = 3, 0.01, 32, 20
MOVES = ((0, 0), (1.2e-7, 1), (1.2e-7, 2), (1.2e-7, 3))
SCRIPT = """
const job = JSON.parse(require("fs").readFileSync(process.argv[3]));
const machine = require(process.argv[2]).load(job.page);
const x = Float32Array.from(job.x), y = Float32Array.from(job.y);
const text = (learner) => learner.trainables.map((one) => Array.from(one, String));
const found = job.cases.map((one) => {
  const learner = machine.learner({ ...one, seed: job.seed, data: { x, y } }), begin = text(learner), losses = [];
  let early = null, begun = 0;
  const timed = Math.min(100, job.order.length - 1);
  job.order.forEach((indices, step) => {
    if (step === timed) begun = process.cpuUsage().user;
    const inputs = Float32Array.from(indices.flatMap((k) => [...x.subarray(one.inputs * k, one.inputs * (k + 1))]));
    const labels = Float32Array.from(indices, (k) => y[k]);
    losses.push(learner.step(inputs, labels, job.rate, Int32Array.from(indices)));
    if (step === job.early - 1) early = text(learner);
  });
  const ms = (process.cpuUsage().user - begun) / 1e3 / (job.order.length - timed);
  const saved = learner.state(), probabilities = Array.from(learner.predict(x), String);
  const read = learner.read(x.subarray(0, 32 * one.inputs), y.subarray(0, 32), Int32Array.from(job.order[0]));
  const angles = read.layers.map(({ angle }) => angle);
  learner.restore(saved);
  return { begin, early, late: text(learner), losses, ms, probabilities, angles };
});
require("fs").writeFileSync(process.argv[4], JSON.stringify(found));
"""


def distance(tree, found, sizes):
    """How far parameters are from JAX's, in units of `sizes`; of a rule that trains other things too, the network's."""
    ours = jax.tree.leaves(tree)
    theirs = [numbers(one) if isinstance(one[0], str) else np.ravel(one) for one in found]
    if [leaf.size for leaf in ours] != [leaf.size for leaf in theirs]:
        ours = jax.tree.leaves(network_of(tree))
    pairs = zip(ours, theirs, sizes, strict=False)
    return max(float(np.linalg.norm(np.ravel(a) - b) / max(size, 1e-30)) for a, b, size in pairs)


def reference(case, rule, data, order):
    """The trainables at the start, the networks of all steps, their losses and answers, by the project's own step; and the
    networks for initial weights that are a last bit away."""
    text = "x".join(case["architecture"].split("-")[1:-1]) or "linear"
    setup = Setup(optimizer=case["optimizer"], learning_rate=RATE, batch_size=BATCH, diagnostics=False)
    source = training.network_for(text, data, case["activation"])
    recipe = training.complete(training.honor(rule, case["rule"], source, data, setup))
    examples = training.examples_of(recipe.data, "train")
    both = loop.Data(examples, examples)
    arrays, rest = eqx.partition(recipe.rule, eqx.is_array)

    @jax.jit
    def run(arrays, order, size, signs):
        own = loop.Run(eqx.combine(arrays, rest), jnp.float32(RATE), jnp.uint32(SEED))
        network = loop.new_network(recipe.source, own.seed)
        network = jax.tree.map(lambda leaf: leaf * (1 + size * jr.rademacher(jr.key(signs), leaf.shape, leaf.dtype)), network)
        state = loop.initialize(recipe.setup, network, own, both, curves=())
        key = loop.epoch_key(own, jnp.int32(0))

        def step(state, item):
            state, loss = loop.step(recipe.setup, own, state, both, item[0], jr.fold_in(key, item[1]))
            return state, (loss, network_of(state.trainables))

        end, (losses, networks) = jax.lax.scan(step, state, (order, jnp.arange(len(order))))
        answers, statistics = loop.answering(own.rule, end.trainables, end.rule_state, end.network_state, both)
        outputs = answers(examples.inputs, statistics)
        return (state.trainables, networks, losses, outputs)

    exact, *moved = [jax.device_get(run(arrays, order, jnp.float32(size), signs)) for size, signs in MOVES]
    return exact, [networks for _, networks, *_ in moved]


def compared(named, architectures, activations, optimizers, steps, inputs=2):
    """Every case with its distances; of more than two `inputs`, the others are products of the two."""
    data = datasets.load("moons", samples=400)
    if inputs > 2:
        plane, labels = data.train.inputs, data.train.targets
        products = np.stack([plane[:, 0] ** i * plane[:, 1] ** (2 - i) for i in range(inputs - 2)], axis=1)
        data = datasets.load((np.concatenate([plane, products], axis=1), labels))
    x, y = np.asarray(data.train.inputs, np.float32), np.asarray(data.train.targets)
    order = np.stack([np.random.default_rng(k).choice(len(x), BATCH, replace=False) for k in range(steps)]).astype(np.int32)
    built = {name: rules.get(name) for name in named}
    page = programs.page_data(built, architectures, activations, optimizers)
    cases = [
        {"rule": rule, "architecture": architecture, "activation": activation, "optimizer": one, "inputs": inputs}
        for rule in named
        for architecture in architectures
        for activation in activations
        for one in optimizers
        if str(architecture.count("-") - 1) not in page["rules"][rule]["refused"]
    ]
    common = {"seed": SEED, "rate": RATE, "early": EARLY, "x": x.ravel().tolist(), "y": y.tolist(), "order": order.tolist()}
    found = node(SCRIPT, {"page": page, "cases": cases, **common})
    for case, ours in zip(cases, found, strict=True):
        (begin, networks, losses, outputs), others = reference(case, built[case["rule"]], data, jnp.asarray(order))
        answers = np.ravel(outputs) > 0
        yield {
            **case,
            **distances(ours, begin, networks, others),
            "loss": float(np.max(np.abs(losses - ours["losses"]))),
            "answers": float(np.mean(answers != (numbers(ours["probabilities"]) > 0.5))),
            "angles": ours["angles"],
            "ms": ours["ms"],
        }


def distances(ours, begin, networks, others):
    """How far the engine's run is from JAX's, and JAX's other runs are from it."""
    norms = [np.linalg.norm(leaf.reshape(len(leaf), -1), axis=1) for leaf in jax.tree.leaves(networks)]
    sizes = lambda step: [own[: step + 1].max() for own in norms]
    at = lambda step, tree: jax.tree.map(lambda leaf: leaf[step], tree)
    moved = lambda step: max(distance(at(step, networks), jax.tree.leaves(at(step, one)), sizes(step)) for one in others)
    early, late = EARLY - 1, len(norms[0]) - 1
    return {
        "begin": distance(begin, ours["begin"], sizes(0)),
        "early": distance(at(early, networks), ours["early"], sizes(early)),
        "late": distance(at(late, networks), ours["late"], sizes(late)),
        "own_early": moved(early),
        "own_late": moved(late),
    }


if __name__ == "__main__":
    for row in compared(**json.loads(sys.argv[1])):
        print(json.dumps(row), flush=True)
