"""The epochs of runs, chunk by chunk: what is told between two chunks, kept, and where the work stops.

`chunks` is the only loop over epochs there is: a driver's, one that watches every epoch, and that of the estimators.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.checksums import checksum
from ascribe.errors import Interrupted, UserError
from ascribe.types import PyTree

from . import class_maps, loop
from .experiment import Experiment
from .keeping import NOTHING, Checkpoint, Checkpoints, Kept
from .mesh import put, whole
from .processes import agreed
from .progress import Epochs, Listener, Progress, silent, tell
from .recipe import Recipe, Specification

CHUNK_SECONDS = 0.25
"""How long the loop runs between two looks at it: often enough to watch, too seldom to cost."""

CHECKPOINT_SECONDS, CHECKPOINT_SHARE = 2.0, 0.05
"""A state is kept no sooner after the last than this, and so that it takes no larger share of the time."""

LARGEST_CHECKPOINT, LARGEST_REMAINDER = 2**30, 2**28
"""Bytes up to which the state of runs under way is kept, and that of finished ones, from which more epochs go on."""

FINAL = "training"
"""The phase of the runs that are compared."""

SEARCHING = "searching"
"""The phase of thousands of short runs: of those that are finished, no state is kept."""


class Chunk(NamedTuple):
    """The epochs from `start` up to but without `stop`: the states after them, and the seconds they took."""

    start: int
    stop: int
    states: PyTree
    seconds: float


def chunks(
    advance: Callable[[PyTree, int, int], PyTree],
    states: PyTree,
    *,
    start: int = 0,
    stop: int,
    ends: Collection[int] = (),
    most: int | None = None,
) -> Iterator[Chunk]:
    """The epochs from `start` to `stop`, so many at a time that a chunk takes about `CHUNK_SECONDS`, `most` of them if that is
    given. A chunk ends at every one of `ends`."""
    count = 1
    while start < stop:
        end = min([start + count, stop, *(epoch for epoch in ends if epoch > start)])
        began = time.perf_counter()
        states = jax.block_until_ready(advance(states, start, end))
        elapsed = time.perf_counter() - began
        yield Chunk(start, end, states, elapsed)
        if elapsed < CHUNK_SECONDS:
            count *= 2
        elif elapsed > 2 * CHUNK_SECONDS:
            count = max(1, count // 2)
        count = agreed(min(count, most) if most else count)
        start = end


class Driver:
    """Trains runs of an experiment in this process. With a `keeper`, those under way go on from their last state, and states
    are kept on the way; the `listener` hears of every chunk."""

    def __init__(self, experiment: Experiment, *, keeper: Checkpoints = NOTHING, listener: Listener = silent):
        self.experiment, self.keeper, self.listener = experiment, keeper, listener
        self.recipe = experiment.recipe

    def shards(
        self, specifications: Sequence[Specification], phase: str, *, networks: bool
    ) -> Iterator[tuple[range, list[Kept]]]:
        """Trains the runs, as many at a time as the experiment is wide (the last shard filled up with repeats that are dropped
        again): their rows in the list, and the finished runs, with their networks or their curves alone."""
        experiment, width = self.experiment, self.experiment.width
        experiment.compile(specifications[0], self.listener)
        epochs = self.recipe.setup.epochs
        total, done = -(-len(specifications) // width) * width * epochs, 0
        for first in range(0, len(specifications), width):
            shard = specifications[first : first + width]
            runs = experiment.stack([*shard, *[shard[-1]] * (width - len(shard))])
            states, seconds, maps = self._train(runs, shard, phase, done, total)
            done += width * epochs
            with experiment.blamed():
                concluded = experiment.programs.conclude(runs, states, experiment.device_data) if networks else None
            both = whole((states.curves, states.diverged_at, concluded))
            curves, diverged_at, concluded = first_runs(len(shard), both)
            leaves = None if concluded is None else jax.tree.leaves(concluded)
            found, curves = [], {name: curve.numbers() for name, curve in curves.items()}
            for row in range(len(shard)):
                one = {name: curve[row] for name, curve in curves.items()}
                own = None if leaves is None else [leaf[row, ...] for leaf in leaves]  # an array also where it is one number
                mine = {epoch: each[row] for epoch, each in maps.items()} or None
                found.append(Kept(one, int(diverged_at[row]), own, None, seconds / len(shard), mine))
            yield range(first, first + len(shard)), found

    def epochs(self, specification: Specification, phase: str) -> Iterator[loop.RunState]:
        """One run, watched: its state before the first epoch and after every epoch, every array with an axis of runs in
        front (that of the first is the run's)."""
        experiment = self.experiment
        experiment.compile(specification, self.listener)
        runs, epochs = experiment.stack([specification] * experiment.width), self.recipe.setup.epochs
        states = experiment.initialize(runs)
        yield states
        step = lambda states, start, stop: experiment.advance(runs, states, start, stop)
        for chunk in chunks(step, states, stop=epochs, most=1):
            loss = float(chunk.states.curves["train_loss"].numbers()[0, chunk.start])
            self.listener(Progress(self.recipe.name, phase, chunk.stop, epochs, loss))
            yield chunk.states

    def _train(
        self, runs: loop.Run, shard: Sequence[Specification], phase: str, done: int, total: int
    ) -> tuple[loop.RunState, float, dict[int, np.ndarray]]:
        """The states of one shard after the last epoch, the seconds it took, and its class maps."""
        experiment, recipe, epochs = self.experiment, self.recipe, self.recipe.setup.epochs
        states = jax.block_until_ready(experiment.initialize(runs))
        state = _State(self, shard, phase) if self.keeper.keeps else None
        start, states, spent, maps = (0, states, 0.0, {}) if state is None else state.restored(states)
        if start > 0:  # a listener of today has not heard of them
            tell_epochs(self.listener, recipe, shard, phase, 0, start, whole(states.curves))
        points = class_maps.points_of(recipe.data) if recipe.mapped and phase == FINAL else None
        mapped = [] if points is None else class_maps.mapped_epochs(epochs)
        if start in mapped and points is not None:
            maps[start] = self._class_maps(runs, states, len(shard), points)
        step = lambda states, start, stop: experiment.advance(runs, states, start, stop)
        for chunk in chunks(step, states, start=start, stop=epochs, ends=mapped):
            states, stop = chunk.states, chunk.stop
            spent += chunk.seconds
            curves = whole(states.curves)
            latest = curves["train_loss"].numbers()[:, stop - 1]
            finite = latest[np.isfinite(latest)]
            loss = float(finite.mean()) if len(finite) else float("nan")
            self.listener(Progress(recipe.name, phase, done + experiment.width * stop, total, loss))
            tell_epochs(self.listener, recipe, shard, phase, chunk.start, stop, curves)
            if state is not None:
                state.keep(stop, states, spent, maps)
            if stop in mapped and points is not None:
                maps[stop] = self._class_maps(runs, states, len(shard), points)
        return states, spent, maps

    def _class_maps(self, runs: loop.Run, states: loop.RunState, count: int, points: np.ndarray) -> np.ndarray:
        """The maps of the first `count` runs as they are now."""
        experiment = self.experiment
        with experiment.blamed():
            asked = experiment.programs.answering(runs, states, experiment.device_data)
            networks, statistics = first_runs(count, whole(asked))
            return class_maps.class_maps(experiment.predicting, self.recipe.loss, networks, statistics, points)


class _State:
    """What is kept of the runs of one shard on their way."""

    def __init__(self, driver: Driver, shard: Sequence[Specification], phase: str):
        experiment = driver.experiment
        self.keeper, self.recipe, self.phase = driver.keeper, driver.recipe, phase
        self.size = experiment.width * experiment.run_bytes
        self.key = checksum([experiment.width, *map(experiment.identity.key, shard)])
        self.remainder = 0 if phase == SEARCHING else LARGEST_REMAINDER
        self.saved, self.cost = time.monotonic(), 0.0

    def restored(self, states: loop.RunState) -> tuple[int, loop.RunState, float, dict[int, np.ndarray]]:
        """How many epochs these runs have been through, their state, the seconds they took, and their class maps; as they
        begin, where nothing is kept of them. Of runs that were to be shorter, the curves go on."""
        found, name = self.keeper.checkpoint(self.key), self.recipe.name
        if found is None or found.epoch > self.recipe.setup.epochs:
            return 0, states, 0.0, {}

        def place(new: jax.Array, old: np.ndarray) -> jax.Array:
            if old.shape != new.shape and old.shape[:1] == new.shape[:1] and old.ndim == 2:  # a curve
                longer = np.zeros(new.shape, old.dtype)
                epochs = min(old.shape[1], new.shape[1])
                longer[:, :epochs] = old[:, :epochs]
                old = longer
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                raise UserError(
                    f"the kept state of {name} does not fit its program (shape {old.shape}, not {new.shape}): it is damaged; "
                    f"begin anew in another folder."
                )
            return put(old, new.sharding)

        leaves, structure = jax.tree.flatten(_without_keys(states))
        if len(leaves) != len(found.leaves):
            raise UserError(f"the kept state of {name} does not fit its program: begin anew in another folder.")
        restored = jax.tree.unflatten(structure, list(map(place, leaves, found.leaves)))
        return found.epoch, jax.tree.map(_as_key, restored, states), found.seconds, dict(found.class_maps or {})

    def keep(self, epoch: int, states: loop.RunState, seconds: float, maps: dict[int, np.ndarray]) -> None:
        """Keeps the state where it is due.

        **Raises:** `Interrupted` where the work should end here.
        """
        finished = epoch == self.recipe.setup.epochs
        wait = max(CHECKPOINT_SECONDS, self.cost / CHECKPOINT_SHARE)
        stopping, due = self.keeper.stopping, agreed(time.monotonic() - self.saved > wait)
        if finished or stopping or due:
            began = time.monotonic()
            self.save(epoch, states, seconds, maps)
            self.saved = time.monotonic()
            self.cost = self.saved - began
        if stopping and not finished:
            of = f"{self.recipe.setup.epochs} of {self.recipe.name} ({self.phase})"
            raise Interrupted(f"stopped at epoch {epoch} of {of}")

    def save(self, epoch: int, states: loop.RunState, seconds: float, maps: dict[int, np.ndarray] | None = None) -> None:
        """Keeps the state, unless it is too large for that."""
        finished = epoch == self.recipe.setup.epochs
        if self.size <= (self.remainder if finished else LARGEST_CHECKPOINT):
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(whole(_without_keys(states)))]
            self.keeper.save(self.key, Checkpoint(epoch, leaves, seconds, maps))
        elif finished:
            self.keeper.forget(self.key)


def tell_epochs(
    listener: Listener,
    recipe: Recipe,
    shard: Sequence[Specification],
    phase: str,
    start: int,
    stop: int,
    curves: Mapping[str, loop.Curve],
) -> None:
    """What these epochs brought, to a listener that wants numbers."""
    seeds, rates = tuple(one.seed for one in shard), tuple(one.learning_rate for one in shard)
    others = tuple(dict(one.hyperparameters) for one in shard)
    news = Epochs(recipe.name, phase, seeds, rates, others, start, stop, recipe.setup.epochs, curves)
    tell(listener, "epochs", news)


def first_runs(count: int, tree: PyTree) -> PyTree:
    """The first runs of every array, in the machine's memory: on an accelerator, finished runs would take its room from the
    next."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], tree)


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(tree: PyTree) -> PyTree:
    """The tree with random keys, which a rule may have in its state, as the numbers that they are made of."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def _as_key(leaf: jax.Array, like: jax.Array) -> jax.Array:
    """The key of those numbers, where a key was."""
    return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(like)) if _is_key(like) else leaf
