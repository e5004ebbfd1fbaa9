"""A recipe on devices: its compiled programs, with data and runs in place."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ascribe.checksums import checksum
from ascribe.errors import UserError
from ascribe.networks import Network
from ascribe.rules import hooks

from . import devices, loop
from .examples import examples_of, flatten_for
from .identity import Identity, read_by
from .keeping import NOTHING, Checkpoints
from .mesh import EVERYWHERE, RUNS, check_devices_per_run, mesh_for, replicate, spread
from .network_sources import template_of
from .processes import check_same
from .progress import Listener, Progress, silent
from .recipe import Recipe, Specification, find_leaf
from .seeds import check_runs

TIMED_SECONDS = 0.25
"""Epochs are timed for at least so long."""


class Experiment:
    """A rule on a data set, ready to train any number of runs with one compiled shape.

    `width` runs go through the program at a time: as many as the recipe wants, within memory, the same number on every device.
    Where `recipe.setup.devices_per_run` is more than one, so many devices divide every batch (`mesh.py`).

    **Arguments:**

    - `recipe`: a complete one (`recipe.complete`);
    - `placed`: experiments that are given the same dictionary share one copy of the data on the devices;
    - `keeper`: asked whether runs that share a program have had a width before: it stays theirs, whatever memory is free today.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        placed: dict[Any, loop.Data] | None = None,
        keeper: Checkpoints = NOTHING,
        identity: Identity | None = None,
    ):
        _ = recipe.loss  # of a complete recipe
        devices.use_compilation_cache()
        self.recipe, self.identity = recipe, Identity(recipe) if identity is None else identity
        self.template: Network = template_of(recipe.source)
        self.data = flatten_for(self.template, recipe.data)
        setup = recipe.setup
        _check_division(setup.batch_size, check_devices_per_run(setup.devices_per_run))
        same = [recipe.name, recipe.width, recipe.data.checksum, self.template.config(), setup.agreed()]
        check_same("data and settings", same)
        self.mesh: Mesh = mesh_for(recipe.width, setup.devices_per_run)
        placed = {} if placed is None else placed
        encoding = tuple(transform.name for transform in recipe.encoding)
        place = (encoding, self.data.input_shape, self.mesh)
        if place not in placed:
            both = loop.Data(examples_of(self.data, "train"), examples_of(self.data, "validation"))
            placed[place] = replicate(both, self.mesh)
        self.device_data = placed[place]
        self._arrays, fixed = eqx.partition(recipe.rule, eqx.is_array)
        state = self._rehearse()
        self.run_bytes = devices.state_bytes(state)
        """The size of everything that changes in one run."""
        devices.check_memory(recipe.name, self.run_bytes)
        self.in_turn = devices.one_after_another(self.template, self.run_bytes)
        read = read_by(recipe.rule, self.template)
        self.predicting = self._predicting(state)
        self.programs = devices.Programs(setup.compiled(), fixed, self.mesh, self.in_turn, tuple(state.curves), read)
        self.width = self._width(keeper)
        self.compile_seconds = 0.0
        self._compiled = False

    def compile(self, example: Specification, listener: Listener = silent) -> None:
        """Compiles the programs that train runs like the example, and trains nothing."""
        if self._compiled:
            return
        listener(Progress(self.recipe.name, "compiling", 0, 1, float("nan")))
        began = time.perf_counter()
        with self.blamed():
            runs = self.stack([example] * self.width)
            jax.block_until_ready(self.advance(runs, self.initialize(runs), 0, 0))
        self.compile_seconds = time.perf_counter() - began
        self._compiled = True

    def timed(self, example: Specification) -> tuple[float, float]:
        """Seconds that compiling takes, and one epoch of `width` runs like the example; what they learn is dropped.

        Of a call of one short epoch most is spent on the call itself, and in training many epochs go into one: here twice as
        many each time, until they take `TIMED_SECONDS` or there are no more.
        """
        self.compile(example)
        done, count = 0, 1
        with self.blamed():
            runs = self.stack([example] * self.width)
            states = jax.block_until_ready(self.initialize(runs))
            while True:
                began = time.perf_counter()
                states = jax.block_until_ready(self.advance(runs, states, done, done + count))
                elapsed, done = time.perf_counter() - began, done + count
                if elapsed >= TIMED_SECONDS or done + 2 * count > self.recipe.setup.epochs:
                    return self.compile_seconds, elapsed / count
                count *= 2

    @property
    def bytes_at_a_time(self) -> int:
        """The size of everything that changes in the runs that train at a time, and of the data."""
        return self.width * self.run_bytes + sum(leaf.nbytes for leaf in jax.tree.leaves(self.device_data))

    def check_results(self, count: int) -> None:
        """A `UserError` where the machine has not the memory for what so many runs end with."""
        check_runs(count, self.run_bytes, of=f" of {self.recipe.name}")

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Errors in the rule's own file are told by their line."""
        with hooks.blamed(self.recipe.name, self.recipe.rule):
            yield

    def stack(self, shard: Sequence[Specification]) -> loop.Run:
        """The runs of one shard, every array with a leading axis of runs."""
        stacked = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (len(shard), *leaf.shape)), self._arrays)
        for name, _ in shard[0].hyperparameters:
            values = jnp.asarray([dict(one.hyperparameters)[name] for one in shard])
            where = find_leaf(name)
            stacked = eqx.tree_at(where, stacked, values.astype(where(stacked).dtype))
        rates = jnp.asarray([one.learning_rate for one in shard], self.template.dtype)
        run = loop.Run(stacked, rates, jnp.asarray([one.seed for one in shard], jnp.uint32))
        return spread(run, self.mesh, RUNS)

    def initialize(self, runs: loop.Run) -> loop.RunState:
        """The states of these runs before the first step."""
        networks = devices.new_networks(self.recipe.source, self.mesh, runs.seed)
        return self.programs.initialize(networks, runs, self.device_data)

    def advance(self, runs: loop.Run, states: loop.RunState, start: int, stop: int) -> loop.RunState:
        """Their states after the epochs from `start` up to but without `stop`."""
        bounds = (jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32))
        bounds = spread(bounds, self.mesh, EVERYWHERE)
        return self.programs.advance(runs, states, self.device_data, *bounds)

    def _rehearse(self) -> loop.RunState:
        """The shapes of the state of one run."""
        recipe = self.recipe
        one = loop.Run(recipe.rule, jnp.asarray(1.0, self.template.dtype), jnp.asarray(0, jnp.uint32))
        with self.blamed():
            return devices.rehearse(recipe.setup, self.template, one, self.device_data)

    def _predicting(self, state: loop.RunState) -> Network:
        """The structure of the network that answers new inputs: the trained one's, or that of the rule's own `predictor`."""
        rule = self.recipe.rule
        if not rule.predicts:
            return self.template
        given = (state.trainables, state.rule_state, state.network_state, self.device_data)
        shapes, _ = eqx.filter_eval_shape(lambda *given: loop.answering(rule, *given), *given)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def _width(self, keeper: Checkpoints) -> int:
        wanted, count = self.recipe.width, self.mesh.shape["runs"]
        shape, size = self.data.input_shape, self.recipe.setup.batch_size
        fit = devices.runs_that_fit(self.template, self.run_bytes, shape, size, in_turn=self.in_turn)
        width = -(-min(wanted, max(fit, count)) // count) * count
        if not keeper.keeps:
            return width
        kept = keeper.agreed(f"width {wanted} {checksum(self.identity.context)}", width)
        return width if kept % count else kept  # it was for other devices


def _check_division(batch_size: int, devices_per_run: int) -> None:
    if batch_size % devices_per_run:
        raise UserError(
            f"`devices_per_run` divides the batch size, {batch_size}, into equal parts; got {devices_per_run}: choose another "
            f"batch size or number of devices."
        )
