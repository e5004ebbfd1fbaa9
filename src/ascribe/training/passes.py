"""One run, pass by pass over its rows: what the estimators of scikit-learn train with."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe.networks import Network
from ascribe.types import Array, PyTree

from . import devices, loop
from .batches import epoch_indices
from .evaluate import Examples
from .experiment import Experiment
from .mesh import replicate
from .recipe import Specification
from .seeds import streams


class Passes:
    """The passes of one run over the examples of an experiment, one program for all numbers of rows with the same next
    power of two: examples and steps are filled up to it, and no step looks at what was filled in."""

    def __init__(self, experiment: Experiment, seed: int):
        self.experiment = experiment
        self.rule, self.initialize = experiment.recipe.rule, experiment.initialize
        self.programs, self.data = experiment.programs, experiment.device_data
        self.runs = experiment.stack([Specification(seed, experiment.recipe.setup.learning_rate)])
        self.examples = self.data.train.inputs.shape[0]
        self.batch_size = experiment.recipe.setup.batch_size
        fill = lambda leaf: jnp.asarray(_filled(np.asarray(leaf), _power_of_two(self.examples)))
        inputs, targets = fill(self.data.train.inputs), fill(self.data.train.targets)
        train = Examples(inputs, targets, self.data.train.target_scale)
        self.padded = replicate(loop.Data(train, train), experiment.mesh)

    def begin(self) -> loop.RunState:
        """The state before the first pass, without curves: they are kept here."""
        return dataclasses.replace(self.initialize(self.runs), curves={})

    def one(self, states: loop.RunState, epoch: int) -> tuple[loop.RunState, float]:
        """The state after this pass, and the mean loss of its steps."""
        which = jnp.asarray(epoch, jnp.int32)
        batches = np.asarray(_batches(self.runs.seed, which, self.examples, self.batch_size))
        padded = _filled(batches, _power_of_two(len(batches)))
        count = jnp.asarray(len(batches), jnp.int32)
        states, loss = self.programs.one_pass(self.runs, states, self.padded, which, jnp.asarray(padded), count)
        return states, float(loss[0])

    def advance(self, both: tuple[loop.RunState, float], start: int, stop: int) -> tuple[loop.RunState, float]:
        """The same from a state and a loss, with what the rule does between this epoch and the next."""
        states, loss = self.one(both[0], start)
        return self.between(states, start), loss

    def between(self, states: loop.RunState, epoch: int) -> loop.RunState:
        """The state after what the rule does between this epoch and the next."""
        if not self.rule.acts_between_epochs:
            return states
        return self.programs.between_epochs(self.runs, states, self.data, jnp.asarray(epoch, jnp.int32))

    def conclude(self, states: loop.RunState) -> tuple[Network, PyTree]:
        """The network that prediction uses, without the axis of runs, and its normalization statistics, with it."""
        network, network_state, _ = jax.device_get(self.programs.conclude(self.runs, states, self.data))
        return jax.tree.map(lambda leaf: leaf[0], network), network_state

    def judge(self, states: loop.RunState) -> dict[str, float]:
        """The scores on what was held out."""
        experiment = self.experiment
        answering = self.programs.answering(self.runs, states, self.data)
        found, _ = devices.evaluate_runs(
            experiment.recipe.loss, experiment.mesh, experiment.in_turn, answering, self.data.validation
        )
        return {name: float(value[0]) for name, value in found.items()}


@partial(jax.jit, static_argnums=(2, 3))
def _batches(seeds: Array, epoch: Array, examples: int, batch_size: int) -> Array:
    """The batches that `ascribe.train` has in this epoch of the first seed, `(steps, batch)`."""
    return epoch_indices(jr.fold_in(streams(seeds[0]).batches, epoch), examples, batch_size)


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """The rows and as many zeros as are wanting to `count` of them."""
    return np.pad(rows, [(0, count - len(rows))] + [(0, 0)] * (rows.ndim - 1))


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
