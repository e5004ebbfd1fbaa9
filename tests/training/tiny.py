"""Data sets, networks and rules so small that a program compiles in a second or two."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import networks, training
from ascribe.datasets import Dataset, Split
from ascribe.rules import AbstractRule, Backpropagation, Credit
from ascribe.training import loop
from ascribe.training.examples import examples_of

TRAIN, VALIDATION, TEST = 26, 11, 13
BATCH, STEPS, EPOCHS = 8, 3, 3  # 26 = 3 · 8 + 2: two examples sit out in every epoch


def data(task="binary", outputs=1, features=2, shape=None, seed=0):
    """Random inputs, targets that follow from them; regression targets in a unit of their own."""
    rng = np.random.default_rng(seed)
    shape = (features,) if shape is None else shape
    direction = rng.normal(size=(int(np.prod(shape)), max(outputs, 3)))
    direction /= np.linalg.norm(direction, axis=0)
    parts = {}
    for name, count in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        inputs = rng.normal(size=(count, *shape)).astype(np.float32)
        drive = inputs.reshape(count, -1) @ direction + 0.3 * rng.normal(size=(count, direction.shape[1]))
        if task == "regression":
            targets = np.tanh(drive[:, :outputs]).astype(np.float32)
        elif task == "binary":
            targets = (drive[:, 0] > 0).astype(np.int32)
        else:
            targets = np.argmax(drive[:, :3], axis=1).astype(np.int32)
        parts[name] = Split(inputs, targets)
    names = {"binary": ("no", "yes"), "classification": ("a", "b", "c"), "regression": ()}[task]
    unit = {}
    if task == "regression":
        unit = {"target_mean": np.linspace(-3.0, 5.0, outputs), "target_scale": np.linspace(0.5, 20.0, outputs)}
    return Dataset("tiny", task, **parts, class_names=names, **unit)


def mlp(outputs=1, activation="tanh", output_activation=None, features=2):
    return networks.mlp([features, 3, outputs], activation=activation, output_activation=output_activation)


WORLD = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "seeds": 2,
    "diagnostics": False,
}
"""What every training uses that is not about one of these. Rates, seeds, the numbers of a rule and data of one shape are data
to a compiled program; whatever else is another costs a program, a second or two."""


def trained(rule="backpropagation", dataset=None, network=None, **changes):
    """The runs of `train`, two seeds wide, in the small world."""
    return training.train(network or mlp(), dataset or data(), rule, **(WORLD | changes))


def recipe(network, dataset, rule=None, *, name="tiny", width=1, **changes):
    """What a rule trains, as `train` has it, without diagnostics."""
    chosen = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": EPOCHS, "batch_size": BATCH, "diagnostics": False}
    asked = training.honor(rule or Backpropagation(), name, network, dataset, training.Setup(**(chosen | changes)))
    return dataclasses.replace(training.complete(asked), width=width)


def experiment(network, dataset, rule, width, **changes):
    return Watched(recipe(network, dataset, rule, name=type(rule).__name__, width=width, **changes))


def looped(network, dataset, rule, seed=0, **changes):
    """The setup, one run and the data, as the functions of the loop take them."""
    run = loop.Run(rule, jnp.asarray(0.1), jnp.asarray(seed, jnp.uint32))
    both = loop.Data(examples_of(dataset, "train"), examples_of(dataset, "validation"))
    return recipe(network, dataset, rule, **changes).setup, run, both


class Watched(training.Experiment):
    """Trains runs in this process, as a `Trainer` does without store and engine."""

    def train(self, specifications, phase="training", *, keep=True, listener=training.silent):
        driver = Remembering(self, listener=listener)
        parts = [one for _, found in driver.shards(specifications, phase, networks=keep) for one in found]
        return Finished(self, parts, driver.states)

    def runs(self, specifications, parts, data):
        trainer = training.Trainer.__new__(training.Trainer)
        vars(trainer).update(recipe=self.recipe, experiment=self, keeper=training.NOTHING, listener=training.silent)
        return training.runs_of(trainer, specifications, parts, data)


class Remembering(training.Driver):
    """Remembers the whole state after the last epoch, which the library lets go."""

    def _train(self, *shard):
        self.states, *others = super()._train(*shard)
        return self.states, *others


class Finished:
    """Finished runs side by side."""

    def __init__(self, experiment, parts, states):
        self.experiment, self.parts, self.states = experiment, parts, states
        self.curves, self.diverged_at = training.curves_of(parts), training.diverged_at(parts)

    def runs(self, specifications, data):
        return self.experiment.runs(specifications, self.parts, data)


def final_states(trained):
    """The states of all runs of one shard, after the last epoch."""
    count = len(trained.diverged_at)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], trained.states)


class Recorder(AbstractRule):
    """Another rule that writes down the weights it began with, and the batches and keys it was given, in order."""

    inner: AbstractRule
    steps: int = eqx.field(static=True, default=EPOCHS * STEPS)
    batch: int = eqx.field(static=True, default=BATCH)

    def init(self, network, data, *, key):
        return {
            "first": network,
            "seen": jnp.full((self.steps, self.batch), -1),
            "began": jr.key_data(key),
            "keys": jnp.zeros((self.steps, 2), jnp.uint32),
            "step": jnp.asarray(0),
            "inner": self.inner.init(network, data, key=key),
        }

    def __call__(self, network, state, batch, *, key):
        credit = self.inner(network, state["inner"], batch, key=key)
        seen = state["seen"].at[state["step"]].set(batch.indices)
        keys = state["keys"].at[state["step"]].set(jr.key_data(key))
        state = state | {"seen": seen, "keys": keys, "step": state["step"] + 1, "inner": credit.state}
        return Credit(credit.loss, credit.gradients, state, credit.network_state)


class Still(AbstractRule):
    """Moves nothing."""

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        return Credit(credit.loss, jax.tree.map(jnp.zeros_like, credit.gradients), state, credit.network_state)


class Constant(AbstractRule):
    """The gradient one for every number, so that the weights show what the optimizer did with it."""

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        return Credit(credit.loss, jax.tree.map(jnp.ones_like, credit.gradients), state, credit.network_state)


class Breaks(AbstractRule):
    """Backpropagation whose gradient is infinite in step number `after`, and whose loss is in step number `stumble`."""

    after: jax.Array = eqx.field(converter=jnp.asarray, default=1e9)
    stumble: jax.Array = eqx.field(converter=jnp.asarray, default=1e9)

    def init(self, network, data, *, key):
        return jnp.asarray(0)

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        broken = state == self.after.astype(state.dtype)
        gradients = jax.tree.map(lambda g: jnp.where(broken, jnp.inf, g), credit.gradients)
        loss = jnp.where(state == self.stumble.astype(state.dtype), jnp.inf, credit.loss)
        return Credit(loss, gradients, state + 1, credit.network_state)


class Spoils(AbstractRule):
    """Backpropagation that turns around after `good` steps."""

    good: int = eqx.field(static=True, default=2 * STEPS)

    def init(self, network, data, *, key):
        return jnp.asarray(0)

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        sign = jnp.where(state < self.good, 1.0, -4.0)
        return Credit(credit.loss, jax.tree.map(lambda g: sign * g, credit.gradients), state + 1, credit.network_state)


def numpy_backpropagation(weights, biases, x, t, link):
    """Loss and gradients of a two-layer tanh network in NumPy: Bernoulli cross entropy or half the squared error."""
    (w1, w2), (b1, b2) = weights, biases
    hidden = np.tanh(x @ w1.T + b1)
    z = hidden @ w2.T + b2
    y = 1 / (1 + np.exp(-z)) if link == "logistic" else z
    per_output = -(t * np.log(y) + (1 - t) * np.log(1 - y)) if link == "logistic" else 0.5 * (y - t) ** 2
    delta2 = (y - t) / len(x)
    delta1 = (delta2 @ w2) * (1 - hidden**2)
    return per_output.sum(axis=1).mean(), (delta1.T @ x, delta2.T @ hidden), (delta1.sum(0), delta2.sum(0))
