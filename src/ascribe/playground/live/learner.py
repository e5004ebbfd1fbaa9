"""One rule as `ascribe.train` trains it, a few steps at a time: a few programs, each compiled once.

The learning rate, the seed and the number of steps are data of these programs, so that nothing is compiled when they change.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import training
from ascribe.datasets import Dataset, Split
from ascribe.networks import Activation, Network, record
from ascribe.rules import hooks, network_of
from ascribe.setup import LARGEST
from ascribe.training import Recipe, batches, evaluate, loop, seeds
from ascribe.types import Array, Key, PyTree

JUDGED, SAMPLED = 1000, 500
"""Examples that are looked at each time: the first so many of those for validation, and of those for training."""
CONVOLVED = 4
"""Of a convolutional network, whose answers take longest, so many times fewer."""


@dataclasses.dataclass
class Learning:
    """A run under way: its seed, rate and state, the losses of its `counted` last steps, each before it, added up, and by
    which step it has diverged."""

    seed: Array
    rate: Array
    state: PyTree
    losses: float = 0.0
    counted: int = 0
    diverged_at: int | None = None

    def mean_loss(self) -> float | None:
        """The mean of the losses since this was asked for last; None where there was no step."""
        losses, counted = self.losses, self.counted
        self.losses, self.counted = 0.0, 0
        return losses / counted if counted else None


class Learner:
    """The programs of one rule.

    **Arguments:** `recipe`: a complete one; `placed`: learners that are given the same dictionary share their data.
    """

    def __init__(self, recipe: Recipe, placed: dict[Any, loop.Data]):
        self.name, self.recipe = recipe.name, recipe
        self.template = training.template_of(recipe.source)
        fewer = CONVOLVED if self.template.convolutional else 1
        self.examples, self.sampled = len(recipe.data.train), min(SAMPLED // fewer, len(recipe.data.train))
        self.judged = min(JUDGED // fewer, len(recipe.data.validation))
        self.data = _placed(training.flatten_for(self.template, recipe.data), self.judged, placed)
        self.steps_in_epoch = batches.steps_per_epoch(self.examples, recipe.setup.batch_size)
        setup = dataclasses.replace(recipe.setup, epochs=LARGEST).compiled()
        setup = dataclasses.replace(setup, epochs=LARGEST)  # there is no last one
        arrays, fixed = eqx.partition(recipe.rule, eqx.is_array)
        self._arrays = arrays
        run_of = lambda arrays, seed, rate: loop.Run(eqx.combine(arrays, fixed), rate, seed)

        def begin(arrays: Any, network: Network, seed: Array, rate: Array, data: loop.Data) -> PyTree:
            return loop.initialize(setup, network, run_of(arrays, seed, rate), data, curves=())

        def advance(run: Any, state: PyTree, data: loop.Data, epoch: Array, which: Array, first: Array, count: Array) -> Any:
            return loop.one_pass(setup, run_of(*run), state, data, epoch, which, count, first=first)

        def between(run: Any, state: PyTree, data: loop.Data, epoch: Array) -> PyTree:
            return loop.between_epochs(setup, run_of(*run), state, data, epoch)

        def look(run: Any, state: PyTree, data: loop.Data, epoch: Array) -> dict[str, Any]:
            key = jr.fold_in(loop.epoch_key(run_of(*run), epoch), self.steps_in_epoch)
            return _seen(setup, run_of(*run), state, data, key, self.sampled)

        self._begin, self._advance = eqx.filter_jit(begin), eqx.filter_jit(advance)
        self._between, self._look = eqx.filter_jit(between), eqx.filter_jit(look)

    def compile(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Compiles all of it, and learns nothing; nothing further where that is `stopped` meanwhile."""
        learning = self.begin(0, self.recipe.setup.learning_rate)
        if stopped():
            return
        self._advanced(learning, 0, self.batches(0, 0), 0, 0)
        if not stopped():
            self.look(learning, 0)

    def begin(self, seed: int, rate: float) -> Learning:
        """A run of this seed, before its first step."""
        number, rate_of = jnp.asarray(seed, jnp.uint32), jnp.asarray(rate, self.template.dtype)
        with hooks.blamed(self.name, self.recipe.rule):
            network = _network(self.recipe.source, number)
            return Learning(number, rate_of, self._begin(self._arrays, network, number, rate_of, self.data))

    def set_rate(self, learning: Learning, rate: float) -> None:
        """From the next step on."""
        learning.rate = jnp.asarray(rate, self.template.dtype)

    def batches(self, seed: int, epoch: int) -> Array:
        """The examples of every step of this epoch, `(steps, batch)`: the same for every rule."""
        size = self.recipe.setup.batch_size
        return _order(jnp.asarray(seed, jnp.uint32), jnp.asarray(epoch, jnp.int32), self.examples, size)

    def advance(self, learning: Learning, epoch: int, which: Array, first: int, count: int) -> None:
        """So many steps from the `first` of this epoch; after its last one, what the rule does between two epochs. Where the
        loss is no number any more the run has diverged, and is not moved again."""
        if learning.diverged_at is not None:
            return
        learning.state, loss = self._advanced(learning, epoch, which, first, count)
        learning.losses, learning.counted = learning.losses + count * loss, learning.counted + count
        if not np.isfinite(loss):
            learning.diverged_at = epoch * self.steps_in_epoch + first + count

    def _advanced(self, learning: Learning, epoch: int, which: Array, first: int, count: int) -> tuple[PyTree, float]:
        numbers = [jnp.asarray(one, jnp.int32) for one in (epoch, first, count)]
        run = (self._arrays, learning.seed, learning.rate)
        with hooks.blamed(self.name, self.recipe.rule):
            state, loss = self._advance(run, learning.state, self.data, numbers[0], which, *numbers[1:])
            if first + count == self.steps_in_epoch and self.recipe.rule.acts_between_epochs:
                state = self._between(run, state, self.data, numbers[0])
            return state, float(loss)

    def look(self, learning: Learning, epoch: int) -> dict[str, Any]:
        """What is seen of a run, as NumPy's arrays: `measured`, numbers by name as curves of `ascribe.train` have them, and
        `sample_loss` and other scores on some training examples; `active`, by hidden activation the share of its outputs above
        zero there; `weights`, by layer."""
        with hooks.blamed(self.name, self.recipe.rule):
            run = (self._arrays, learning.seed, learning.rate)
            return jax.device_get(self._look(run, learning.state, self.data, jnp.asarray(epoch, jnp.int32)))


# The same programs for every rule.


@eqx.filter_jit
def _network(source: training.NetworkSource, seed: Array) -> Network:
    return loop.new_network(source, seed)


@eqx.filter_jit
def _order(seed: Array, epoch: Array, examples: int, batch_size: int) -> Array:
    return batches.epoch_indices(jr.fold_in(seeds.streams(seed).batches, epoch), examples, batch_size)


def _placed(data: Dataset, judged: int, placed: dict[Any, loop.Data]) -> loop.Data:
    """The training examples and the first of those for validation, once for all that take the same."""
    place = (tuple(one.name for one in data.transforms), data.input_shape, judged)
    if place not in placed:
        few = Split(data.validation.inputs[:judged], data.validation.targets[:judged])
        looked_at = dataclasses.replace(data, validation=few)
        placed[place] = loop.Data(training.examples_of(data, "train"), training.examples_of(looked_at, "validation"))
    return placed[place]


def _seen(setup: training.Setup, run: loop.Run, state: PyTree, data: loop.Data, key: Key, sampled: int) -> dict[str, Any]:
    """What `Learner.look` returns."""
    measured = loop.measure(setup, run, state, data, key, before=state.trainables)
    network, own = loop.answering(run.rule, state.trainables, state.rule_state, state.network_state, data)
    inputs = data.train.inputs[:sampled]
    examples = evaluate.Examples(inputs, data.train.targets[:sampled], data.train.target_scale)
    scores = evaluate.evaluate(network, own, examples, setup.loss, also=() if setup.score is None else (setup.score,))
    wanted = ("validation_", "gradient_angle", "gradient_norm_ratio")
    trained = network_of(state.trainables)
    tape, _ = record(trained, inputs, state.network_state, training=False)
    outputs = [*tape.inputs[1:], tape.output]
    hidden = [name for name, layer in zip(trained.names, trained.layers, strict=True) if isinstance(layer, Activation)]
    return {
        "measured": {
            **{name: value for name, value in measured.items() if name.startswith(wanted)},
            **{f"sample_{name}": value for name, value in scores.items()},
        },
        "active": {name: jnp.mean(outputs[trained.index(name)] > 0) for name in hidden if name != trained.names[-1]},
        "weights": {name: trained[name].weight for name in trained.synaptic},
    }
