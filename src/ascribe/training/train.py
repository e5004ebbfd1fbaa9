"""`train`: one rule, many seeds, one compiled program."""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ascribe import losses, rules
from ascribe.arguments import at_least, flag, plain, real
from ascribe.datasets import DataLike, Dataset, as_dataset
from ascribe.errors import Interrupted, UserError, shown
from ascribe.files import short
from ascribe.measures import Measure, before_finish, measure_for, measures_of, score_name
from ascribe.networks import Network, check_input
from ascribe.networks.registry import layer_classes
from ascribe.rules import AbstractRule, hooks, network_of
from ascribe.rules.tools.verify import notes as equality
from ascribe.types import PyTree

from . import class_maps, devices, loop, optimizers, source
from .demands import Demands, honor, made, network_for
from .engine import Engine
from .evaluate import CONFUSION, RANKED, Examples, judged
from .freezing import check_layer
from .keeping import About, Checkpoint, Keeper, Kept, code_of, fingerprint, key_of
from .mesh import EVERYWHERE, RUNS, check_devices_per_run, mesh_for, put, replicate, spread, whole
from .pixels import pixels
from .processes import agreed, check_same, number
from .progress import Epochs, Listener, Progress, or_one_line, silent, tell
from .runs import Runs, area_scores, flat_confusion, split_confusion
from .seeds import LARGEST, check_runs, check_seeds

RuleLike = str | AbstractRule | type[AbstractRule]
"""A rule, its name, or its class where that needs no options."""
Rules = Sequence[RuleLike] | Mapping[str, RuleLike]
"""Several rules: names, rules or classes, or a mapping that gives them names of their own."""

CHUNK_SECONDS = 0.25
"""How long the loop runs between two looks at it: often enough to watch, too seldom to cost."""

CHECKPOINT_SECONDS, CHECKPOINT_SHARE = 2.0, 0.05
"""A state is kept no sooner after the last than this, and so that it takes no larger share of the time."""

LARGEST_CHECKPOINT, LARGEST_REMAINDER = 2**30, 2**28
"""Bytes up to which the state of runs under way is kept, and that of finished ones, from which more epochs go on."""

MOST_CLASSES = 20
"""Classes up to which every one is ranked against the others, and a confusion matrix is kept, without being asked for."""

FINAL = "training"
"""The phase of the runs that are compared."""

SEARCHING = "searching"
"""The phase of thousands of short runs: of those that are finished, no state is kept."""


@dataclasses.dataclass(frozen=True)
class Specification:
    """One run to be trained: its seed, its learning rate, and array leaves of the rule that are set for it by name: a field
    (`scale`), or a path (`derivative.relu2.omega`)."""

    seed: int
    learning_rate: float
    hyperparameters: tuple[tuple[str, Any], ...] = ()


def leaf(path: str) -> Callable[[Any], Any]:
    """What finds the leaf of that path: fields, and names in mappings, with dots between."""

    def find(tree: Any) -> Any:
        for part in path.split("."):
            tree = tree[part] if isinstance(tree, Mapping) else getattr(tree, part)
        return tree

    return find


class Experiment:
    """A rule on a data set, ready to train any number of runs with one compiled shape.

    `width` runs go through the program at a time; a list of specifications is cut into such shards (the last one filled
    up with repeats that are dropped again), so that tuning and final runs share the compilation. Experiments that are given
    the same dictionary `placed` share one copy of the data on the devices. With a `keeper`, runs that it has are not trained
    again, and those under way go on from their last state. With an `engine`, they are trained elsewhere. Where
    `devices_per_run` is more than one, so many devices divide every batch (`mesh.py`). `mapped`: whether the class maps of some
    epochs of the final runs are kept (`class_maps.py`).
    """

    def __init__(
        self,
        demands: Demands,
        rule: AbstractRule,
        settings: loop.Settings,
        *,
        width: int,
        name: str,
        listener: Listener = silent,
        placed: dict[Any, loop.Data] | None = None,
        keeper: Keeper | None = None,
        engine: Engine | None = None,
        devices_per_run: int = 1,
        mapped: bool = False,
    ):
        devices.use_compilation_cache()
        self.name, self.rule, self.settings, self.listener = name, with_array_leaves(rule), settings, listener
        self.demands, self.source, self.mapped = demands, demands.source, mapped
        self.template = made(demands.source)
        self._fitted = fitted(self.template, demands.data)
        _check_division(settings, check_devices_per_run(devices_per_run))
        check_same("data and settings", [name, width, *self._told_apart()])
        self.mesh: Mesh = mesh_for(width, devices_per_run)
        placed = {} if placed is None else placed
        encoding = tuple(transform.name for transform in demands.encoding)
        place = (encoding, self._fitted.input_shape, self.mesh)
        if place not in placed:
            both = loop.Data(examples(self._fitted, "train"), examples(self._fitted, "validation"))
            placed[place] = replicate(both, self.mesh)
        self.device_data = placed[place]
        self._arrays, fixed = eqx.partition(self.rule, eqx.is_array)
        size = self._state_bytes()
        self.in_turn = devices.one_after_another(self.template, size)
        self.programs = devices.Programs(settings, fixed, self.mesh, self.in_turn)
        self.keeper, self.engine, self._size = keeper, engine, size
        self.width = self._width(width, size)
        if keeper is not None:  # runs that share a program stay the same ones, whatever memory is free today
            kept = keeper.agreed(f"width {width} {key_of(self.context)}", self.width)
            self.width = self.width if kept % self.mesh.shape["runs"] else kept  # it was for other devices
        self.compile_seconds = 0.0
        self._compiled = False

    def _told_apart(self) -> list[Any]:
        """What several processes have in common, where they train the same."""
        settings, data = self.settings, self.demands.data
        numbers = [
            settings.epochs,
            settings.batch_size,
            settings.select,
            settings.diagnostics,
            settings.only,
            settings.score,
        ]
        return [data.checksum, self.template.config(), settings.loss.name, settings.augmentations, *numbers]

    def compile(self, example: Specification) -> None:
        """Compiles the programs that train runs like the example, and trains nothing."""
        if self._compiled:
            return
        self.listener(Progress(self.name, "compiling", 0, 1, float("nan")))
        began = time.perf_counter()
        with self.blamed():
            runs = self.stack([example] * self.width)
            states = self.initialize(runs)
            jax.block_until_ready(self._advance(runs, states, 0, 0))
        self.compile_seconds = time.perf_counter() - began
        self._compiled = True

    def timed(self, example: Specification) -> tuple[float, float]:
        """Seconds that compiling takes, and one epoch of `width` runs like the example; what they learn is dropped."""
        self.compile(example)
        with self.blamed():
            runs = self.stack([example] * self.width)
            states = jax.block_until_ready(self.initialize(runs))
            began = time.perf_counter()
            jax.block_until_ready(self._advance(runs, states, 0, 1))
        return self.compile_seconds, time.perf_counter() - began

    @property
    def bytes_at_a_time(self) -> int:
        """The size of everything that changes in the runs that train at a time, and of the data."""
        return self.width * self._size + sum(leaf.nbytes for leaf in jax.tree.leaves(self.device_data))

    def _state_bytes(self) -> int:
        """The size of everything that changes in one run, if the machine has that."""
        one = loop.Run(self.rule, jnp.asarray(1.0, self._dtype), jnp.asarray(0, jnp.uint32))
        with self.blamed():
            size = devices.state_bytes(self.settings, self.template, one, self.device_data)
        devices.check_memory(self.name, size)
        return size

    def check_results(self, count: int) -> None:
        """A `UserError` where the machine has not the memory for what so many runs end with."""
        check_runs(count, self._size, of=f" of {self.name}")

    def _width(self, wanted: int, size: int) -> int:
        """Runs at a time: what was wanted, within memory, the same number on every device."""
        fit = devices.runs_that_fit(
            self.template, size, self._fitted.input_shape, self.settings.batch_size, in_turn=self.in_turn
        )
        count = self.mesh.shape["runs"]
        return -(-min(wanted, max(fit, count)) // count) * count

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Errors in the rule's own file are told by their line."""
        with hooks.blamed(self.name, self.rule):
            yield

    def initialize(self, runs: loop.Run) -> loop.RunState:
        """The states of these runs before the first step."""
        networks = devices.new_networks(self.source, self.mesh, runs.seed)
        return self.programs.initialize(networks, runs, self.device_data)

    def _advance(self, runs: loop.Run, states: loop.RunState, start: int, stop: int) -> loop.RunState:
        bounds = (jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32))
        bounds = spread(bounds, self.mesh, EVERYWHERE)
        return self.programs.advance(runs, states, self.device_data, *bounds)

    @functools.cached_property
    def context(self) -> dict[str, Any]:
        """Everything that decides what a run becomes, beside its specification and its number of epochs."""
        settings, demands = self.settings, self.demands
        return {
            "common": {"code": "ascribe.training", "source": source.common()},
            "packages": [{"code": name, "source": version} for name, version in source.packages()],
            "rule": fingerprint(self.rule),
            "network": self.template.config(),
            "layers": [fingerprint(kind) for kind in layer_classes(self.template)],
            "factory": None if isinstance(self.source, Network) else fingerprint(self.source),
            "data": [demands.data.checksum, demands.data.task, fingerprint(demands.data.target_scale)],
            "optimizer": fingerprint(demands.optimizer),
            "loss": fingerprint(settings.loss),
            "settings": [settings.batch_size, settings.select, settings.diagnostics, settings.only, settings.score],
            "augmentations": [settings.augmentations, settings.black],
            "dtype": str(self._dtype),
            # Between epochs, but not after the last: such a rule's state after 50 epochs is not one of 100 at its 50th.
            "epochs": settings.epochs if self.rule.acts_between_epochs else None,
        }

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """The context as people read it."""
        demands = self.demands
        fold = {"fold": list(demands.data.fold)} if demands.data.fold else {}
        return {
            "data": {"name": demands.data.name, "checksum": demands.data.checksum, **fold},
            "network": str(self.template),
            "rule": rules.settings(self.rule),
            "optimizer": optimizers.describe(demands.optimizer),
            "loss": self.settings.loss.name,
            "batch_size": self.settings.batch_size,
            "select": self.settings.select,
            "score": self.settings.score,
            "only": self.settings.only,
            "source": key_of(code_of(self.context))[:12],
        }

    def key(self, specification: Specification, *, epochs: int | None = None) -> str:
        """What the run is kept under; `epochs`: None for the key of its state, which goes on to any number of them."""
        return key_of([self._context_key, fingerprint(dataclasses.astuple(specification)), epochs])

    @functools.cached_property
    def _context_key(self) -> str:
        return key_of(self.context)

    def kept(self, specifications: Sequence[Specification], *, networks: bool) -> list[Kept | None]:
        """What is kept of these runs; None for those that must be trained."""
        if self.keeper is None:
            return [None] * len(specifications)
        keys = [self.key(one, epochs=self.settings.epochs) for one in specifications]
        found = self.keeper.finished(keys)
        return [one if one and (one.networks or not networks) else None for one in map(found.get, keys)]

    def outdated(self, specifications: Sequence[Specification]) -> int:
        """How many of these runs must be trained although they are kept, because they were made by other code."""
        found = [] if self.keeper is None else self.keeper.outdated(self.name, self.settings.epochs, self.about)
        if not found:
            return 0
        parts = self.kept(specifications, networks=False)
        missing = [self._told(one, "") for one, part in zip(specifications, parts, strict=True) if part is None]
        return sum([one.seed, one.learning_rate, one.hyperparameters] in found for one in missing)

    def train(self, specifications: Sequence[Specification], phase: str, *, keep: bool = True) -> "Trained":
        """All runs that are not kept yet, shard by shard. With `keep=False` only their curves are kept, not their networks:
        enough for tuning."""
        check_same("runs", [[one.seed, one.learning_rate] for one in specifications])
        parts = self.kept(specifications, networks=keep)
        missing = [place for place, part in enumerate(parts) if part is None]
        wanted = [specifications[place] for place in missing]
        shards = self.shards if self.engine is None else functools.partial(self.engine.shards, self)
        for rows, found in shards(wanted, phase, networks=keep) if wanted else ():
            for row, one in zip(rows, found, strict=True):
                parts[missing[row]] = one
            if self.keeper is not None:
                pairs = [(wanted[row], one) for row, one in zip(rows, found, strict=True)]
                self.keeper.finish({self.finished_key(a): (self._told(a, phase), b) for a, b in pairs})
        return Trained(self, list(specifications), [part for part in parts if part is not None])

    def begin(self, specifications: Sequence[Specification], phase: str, *, keep: bool = True) -> None:
        """Sends those of the runs that are not kept yet to the engine, if there is one, and waits for nothing: `train` does."""
        if self.engine is not None:
            pairs = zip(specifications, self.kept(specifications, networks=keep), strict=True)
            self.engine.begin(self, [one for one, part in pairs if part is None], phase, networks=keep)

    def shards(
        self, specifications: Sequence[Specification], phase: str, *, networks: bool
    ) -> Iterator[tuple[range, list[Kept]]]:
        """Trains the runs in this process, `width` of them at a time: their rows in the list, and what became of them."""
        self.compile(specifications[0])
        total, done = -(-len(specifications) // self.width) * self.width * self.settings.epochs, 0
        for first in range(0, len(specifications), self.width):
            shard = specifications[first : first + self.width]
            filled = [*shard, *[shard[-1]] * (self.width - len(shard))]
            runs = self.stack(filled)
            states, seconds, maps = self._train_shard(runs, shard, phase, done, total)
            done += self.width * self.settings.epochs
            with self.blamed():
                concluded = self.programs.conclude(runs, states, self.device_data) if networks else None
            curves, diverged_at, concluded = _first(len(shard), whole((states.curves, states.diverged_at, concluded)))
            leaves = None if concluded is None else jax.tree.leaves(concluded)
            found, curves = [], {name: curve.numbers() for name, curve in curves.items()}
            for row in range(len(shard)):
                one = {name: curve[row] for name, curve in curves.items()}
                own = None if leaves is None else [leaf[row] for leaf in leaves]
                mine = {epoch: each[row] for epoch, each in maps.items()} or None
                found.append(Kept(one, int(diverged_at[row]), own, None, seconds / len(shard), mine))
            yield range(first, first + len(shard)), found

    def finished_key(self, specification: Specification) -> str:
        """What the finished run is kept under."""
        return self.key(specification, epochs=self.settings.epochs)

    def _told(self, one: Specification, phase: str) -> About:
        own = {name: np.asarray(value).tolist() for name, value in one.hyperparameters}
        return About(self.name, phase, one.seed, one.learning_rate, own, self.settings.epochs, self.about)

    def _train_shard(
        self, runs: loop.Run, shard: Sequence[Specification], phase: str, done: int, total: int
    ) -> tuple[loop.RunState, float, dict[int, np.ndarray]]:
        states = jax.block_until_ready(self.initialize(runs))
        key, start, spent = key_of([self.width, *map(self.key, shard)]), 0, 0.0
        maps: dict[int, np.ndarray] = {}
        if self.keeper is not None:
            start, states, spent, maps = self._restored(key, states)
        if start > 0:  # a listener of today has not heard of them
            self.tell_epochs(shard, phase, 0, start, whole(states.curves))
        remainder = 0 if phase == SEARCHING else LARGEST_REMAINDER
        chunk, saved, cost = 1, time.monotonic(), 0.0
        points = class_maps.points_of(self.demands.data) if self.mapped and phase == FINAL else None
        mapped = [] if points is None else class_maps.mapped_epochs(self.settings.epochs)
        while start < self.settings.epochs:
            if start in mapped and points is not None:
                maps[start] = self._class_maps(states, len(shard), points)
            stop = min([start + chunk, self.settings.epochs, *(epoch for epoch in mapped if epoch > start)])
            began = time.perf_counter()
            states = jax.block_until_ready(self._advance(runs, states, start, stop))
            elapsed = time.perf_counter() - began
            spent += elapsed
            if elapsed < CHUNK_SECONDS:
                chunk *= 2
            elif elapsed > 2 * CHUNK_SECONDS:
                chunk = max(1, chunk // 2)
            chunk = agreed(chunk)
            curves = whole(states.curves)
            latest = curves["train_loss"].numbers()[:, stop - 1]
            finite = latest[np.isfinite(latest)]
            loss = float(finite.mean()) if len(finite) else float("nan")
            self.listener(Progress(self.name, phase, done + self.width * stop, total, loss))
            self.tell_epochs(shard, phase, start, stop, curves)
            start = stop
            if self.keeper is None:
                continue
            finished, wait = stop == self.settings.epochs, max(CHECKPOINT_SECONDS, cost / CHECKPOINT_SHARE)
            stopping, due = self.keeper.stopping, agreed(time.monotonic() - saved > wait)
            if finished or stopping or due:
                began = time.monotonic()
                self._save(key, stop, states, spent, remainder if finished else LARGEST_CHECKPOINT, maps)
                saved = time.monotonic()
                cost = saved - began
            if stopping and not finished:
                raise Interrupted(f"stopped at epoch {stop} of {self.settings.epochs} of {self.name} ({phase})")
        return states, spent, maps

    def _class_maps(self, states: loop.RunState, count: int, points: np.ndarray) -> np.ndarray:
        """The maps of the first `count` runs as they are now."""
        networks, statistics = _first(count, whole((network_of(states.trainables), states.network_state)))
        with self.blamed():
            return class_maps.class_maps(self.template, self.settings.loss, networks, statistics, points)

    def _save(
        self,
        key: str,
        epoch: int,
        states: loop.RunState,
        seconds: float,
        largest: int,
        maps: dict[int, np.ndarray] | None = None,
    ) -> None:
        assert self.keeper is not None
        if self.width * self._size <= largest:
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(whole(_without_keys(states)))]
            self.keeper.save(key, Checkpoint(epoch, leaves, seconds, maps))
        elif epoch == self.settings.epochs:
            self.keeper.forget(key)

    def _restored(self, key: str, states: loop.RunState) -> tuple[int, loop.RunState, float, dict[int, np.ndarray]]:
        """How many epochs these runs have been through, their state, the seconds they took, and their class maps; as they
        begin, where nothing is kept of them. Of runs that were to be shorter, the curves go on."""
        assert self.keeper is not None
        found = self.keeper.checkpoint(key)
        if found is None or found.epoch > self.settings.epochs:
            return 0, states, 0.0, {}

        def place(new: jax.Array, old: np.ndarray) -> jax.Array:
            if old.shape != new.shape and old.shape[:1] == new.shape[:1] and old.ndim == 2:  # a curve
                longer = np.zeros(new.shape, old.dtype)
                epochs = min(old.shape[1], new.shape[1])
                longer[:, :epochs] = old[:, :epochs]
                old = longer
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                raise UserError(
                    f"the kept state of {self.name} does not fit its program (shape {old.shape}, not {new.shape}): it is "
                    f"damaged; begin anew in another folder."
                )
            return put(old, new.sharding)

        leaves, structure = jax.tree.flatten(_without_keys(states))
        if len(leaves) != len(found.leaves):
            raise UserError(f"the kept state of {self.name} does not fit its program: begin anew in another folder.")
        restored = jax.tree.unflatten(structure, list(map(place, leaves, found.leaves)))
        return found.epoch, jax.tree.map(_as_key, restored, states), found.seconds, dict(found.class_maps or {})

    def tell_epochs(
        self, shard: Sequence[Specification], phase: str, start: int, stop: int, curves: Mapping[str, loop.Curve]
    ) -> None:
        """What these epochs brought, to a listener that wants numbers."""
        seeds, rates = tuple(one.seed for one in shard), tuple(one.learning_rate for one in shard)
        others = tuple(dict(one.hyperparameters) for one in shard)
        news = Epochs(self.name, phase, seeds, rates, others, start, stop, self.settings.epochs, curves)
        tell(self.listener, "epochs", news)

    def epochs(self, specification: Specification, phase: str) -> Iterator[loop.RunState]:
        """One run, watched: its state before the first epoch and after every epoch, every array with an axis of runs in
        front (that of the first is the run's)."""
        self.compile(specification)
        runs = self.stack([specification] * self.width)
        states = self.initialize(runs)
        yield states
        for epoch in range(self.settings.epochs):
            states = self._advance(runs, states, epoch, epoch + 1)
            loss = float(states.curves["train_loss"].numbers()[0, epoch])
            self.listener(Progress(self.name, phase, epoch + 1, self.settings.epochs, loss))
            yield states

    def stack(self, shard: Sequence[Specification]) -> loop.Run:
        """The runs of one shard, every array with a leading axis of runs."""
        dtype = self._dtype
        stacked = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (len(shard), *leaf.shape)), self._arrays)
        for name, _ in shard[0].hyperparameters:
            values = jnp.asarray([dict(one.hyperparameters)[name] for one in shard])
            where = leaf(name)
            stacked = eqx.tree_at(where, stacked, values.astype(where(stacked).dtype))
        rates = jnp.asarray([one.learning_rate for one in shard], dtype)
        run = loop.Run(stacked, rates, jnp.asarray([one.seed for one in shard], jnp.uint32))
        return spread(run, self.mesh, RUNS)

    @property
    def _dtype(self) -> Any:
        return self.template.dtype


def _is_key(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_keys(tree: PyTree) -> PyTree:
    """The tree with random keys, which a rule may have in its state, as the numbers that they are made of."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def _as_key(leaf: jax.Array, like: jax.Array) -> jax.Array:
    """The key of those numbers, where a key was."""
    return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(like)) if _is_key(like) else leaf


def _first(count: int, tree: PyTree) -> PyTree:
    """The first runs of every array, in the machine's memory, off the accelerator."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], tree)


class Trained:
    """Finished runs: their curves, and their networks where they were kept."""

    def __init__(self, experiment: Experiment, specifications: list[Specification], parts: list[Kept]):
        self.experiment, self.specifications = experiment, specifications
        self.seconds = sum(part.seconds for part in parts)
        self.curves: dict[str, np.ndarray] = {
            name: np.stack([part.curves[name] for part in parts]) for name in parts[0].curves
        }
        """Every curve, `(runs, epochs)`."""
        self.diverged_at: np.ndarray = np.asarray([part.diverged_at for part in parts], np.int32)
        """The epoch in which each run diverged, or -1."""
        self._kept_scores = [part.scores for part in parts]
        self._class_maps = class_maps.side_by_side([part.class_maps or {} for part in parts])
        leaves = [part.networks for part in parts if part.networks is not None]
        self.networks: PyTree = None
        """The networks, their normalization statistics, and the networks before the rule's `finish` where it has its own; a
        leading axis of runs on every array."""
        if len(leaves) == len(parts):
            one = experiment.template
            structure = jax.tree.structure((one, one.initial_state(), one if self.finished_apart else None))
            self.networks = jax.tree.unflatten(structure, [np.stack(same) for same in zip(*leaves, strict=True)])

    @property
    def finished_apart(self) -> bool:
        """Whether the rule's `finish` is its own, so that curves end before it."""
        return self.experiment.rule.finishes

    def tested(self) -> dict[str, np.ndarray]:
        """The test scores, `(runs,)`: the one look at the test split."""
        experiment, kept = self.experiment, self._kept_scores
        if all(scores is not None for scores in kept):
            return {name: np.asarray([scores[name] for scores in kept if scores is not None]) for name in kept[0] or ()}
        found = {name: np.asarray(value, np.float64) for name, value in self._tested().items()}
        if experiment.keeper is not None:
            rows = [{name: float(value[row]) for name, value in found.items()} for row in range(len(kept))]
            keys = map(experiment.finished_key, self.specifications)
            experiment.keeper.score(dict(zip(keys, rows, strict=True)))
        return found

    def _tested(self) -> dict[str, np.ndarray]:
        """Every measure of the task; with more than `MOST_CLASSES` only what does not grow with them, and what was chosen."""
        networks, states, before = self.networks
        data, chosen = self.experiment.demands.data, self.experiment.settings.score
        also = measures_of(data.task)
        if data.classes > MOST_CLASSES:
            also = tuple(name for name in also if name not in RANKED or name == chosen)
        elif data.classes:
            also = (*also, CONFUSION)
        found = self._scores("test", (networks, states), also)
        if before is not None:
            earlier = split_confusion(self._scores("test", (before, states), also))[0]
            found |= {before_finish(name): value for name, value in earlier.items()}
        return found

    def validated(self) -> dict[str, np.ndarray]:
        """The validation scores of the finished networks, `(runs,)`."""
        score = self.experiment.settings.score
        return self._scores("validation", self.networks[:2], () if score is None else (score,))

    def _note_before_finish(self, scores: dict[str, np.ndarray]) -> tuple[str, ...]:
        """What a rule's `finish` did to the test score, where it did something."""
        measure = measure_for(self.experiment.demands.data.task, self.experiment.settings.score)
        score = score_name("test", measure.name)
        before, after = scores.get(before_finish(score)), scores[score]
        if before is None or np.array_equal(before, after, equal_nan=True) or not np.isfinite(after).any():
            return ()
        mean = np.nanmean(before)
        text = f"{100 * mean:.1f} %" if measure.percent else f"{mean:.4g}"
        return (f"mean {score.replace('_', ' ')} before its last pass {text}",)

    def _equality(self) -> tuple[str, ...]:
        """Where the rule is backpropagation. Once for all runs of a rule, by a trace and by their curves."""
        experiment = self.experiment
        settings, statistics = experiment.settings, experiment.template.initial_state()
        indices = jnp.arange(settings.batch_size)
        batch = jax.eval_shape(lambda data: loop.take(settings, data, indices, statistics), experiment.device_data)
        with experiment.blamed():
            return equality(experiment.rule, experiment.template, batch, self.curves, only=settings.only)

    def _own_notes(self) -> tuple[str, ...]:
        finished = self.diverged_at < 0
        own = {name: curve[finished] for name, curve in self.curves.items()}
        return hooks.notes(self.experiment.rule, self.experiment.name, own) if finished.any() else ()

    def _scores(self, split: str, networks: tuple[Network, PyTree], also: tuple[str, ...]) -> dict[str, np.ndarray]:
        experiment = self.experiment
        data, template = examples(experiment._fitted, split), experiment.template
        part, targets = replicate(data, experiment.mesh), np.asarray(data.targets)
        scores = []
        for start in range(0, len(self.diverged_at), experiment.width):
            shard = jax.tree.map(lambda leaf, start=start: leaf[start : start + experiment.width], networks)
            count = len(jax.tree.leaves(shard)[0])
            rows = np.minimum(np.arange(experiment.width), count - 1)  # the last one fills up the shard
            filled = jax.tree.map(lambda leaf, rows=rows: leaf[rows], shard)
            found, answers = devices.evaluate_runs(
                experiment.settings.loss,
                experiment.mesh,
                experiment.in_turn,
                spread(filled, experiment.mesh, RUNS),
                part,
                also,
            )
            values, answers = _first(count, whole((found, answers)))
            if answers is not None:
                one = lambda row, kept=answers: jax.tree.map(lambda leaf: leaf[row], kept)
                rows = [judged(one(row), targets, template, values["loss"][row], also=also) for row in range(count)]
                values |= {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            scores.append(flat_confusion({score_name(split, name): value for name, value in values.items()}))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *scores)

    def runs(self, specifications: Sequence[Specification], data: Dataset, notes: tuple[str, ...] = ()) -> Runs:
        """The runs as users see them, on the data as users see it: without the rule's own encoding. A diverged run keeps its
        curves and has NaN for scores."""
        demands = self.experiment.demands
        tested, confusion = split_confusion(self.tested())
        values = {**tested, **area_scores(self.curves)}
        scores = {name: np.where(self.diverged_at >= 0, np.nan, value) for name, value in values.items()}
        networks, states, _ = self.networks
        runs = Runs(
            rule=self.experiment.name,
            rule_settings=short(rules.settings(self.experiment.rule)),
            data=data,
            loss=self.experiment.settings.loss.name,
            network=self.experiment.template,
            seeds=tuple(one.seed for one in specifications),
            learning_rates=np.asarray([one.learning_rate for one in specifications]),
            hyperparameters=dict(specifications[0].hyperparameters),
            curves=self.curves,
            scores=scores,
            diverged_at=self.diverged_at,
            networks=networks,
            states=states,
            seconds=self.seconds,
            compile_seconds=self.experiment.compile_seconds,
            optimizer=optimizers.describe(demands.optimizer),
            notes=(*demands.notes, *notes, *self._equality(), *self._note_before_finish(scores), *self._own_notes()),
            encoding=demands.encoding,
            score=self.experiment.settings.score,
            confusion=confusion,
            class_maps=self._class_maps,
        )
        tell(self.experiment.listener, "finished", runs)
        return runs


def train(
    network: str | Network | Callable[..., Network],
    data: DataLike,
    rule: RuleLike,
    *,
    optimizer: str | optimizers.Factory | Mapping[str, Any] = "adam",
    learning_rate: float = 1e-3,
    epochs: int = 50,
    batch_size: int = 32,
    seeds: int | Sequence[int] = 8,
    select: str = "last",
    score: str | None = None,
    loss: str | losses.Loss | None = None,
    diagnostics: bool = True,
    only: str | None = None,
    devices_per_run: int = 1,
    listener: Listener | None = None,
) -> Runs:
    """Trains one rule over many seeds in one compiled program.

    **Arguments:**

    - `network`: hidden layers as `"64x64"` (`networks.build`), a template, initialized anew for each seed, or a factory
      `key -> Network`;
    - `data`: a `Dataset`, or what `datasets.load` makes one of: a name, a path, a data frame, a pair of arrays;
    - `rule`: a rule or its name; `loss`: by default cross entropy for classes (Bernoulli for a single output), squared
      error for numbers;
    - `optimizer`: a name, a factory `learning_rate -> optax.GradientTransformation` (schedules included: the rate is a
      traced array), or a mapping of the labels `network`, `auxiliary`, `feedback` to either;
    - `epochs`, `batch_size`, `seeds` (a number, or a list of integers);
    - `select`: the network that is tested, of the `"last"` epoch or of the `"best-validation"` one;
    - `score`: the measure that says which is the best, and that results name first: `"accuracy"` (the default for classes),
      `"balanced_accuracy"`, `"macro_f1"`, `"auc"`, `"log_loss"` or `"loss"`; for numbers `"rmse"` (the default), `"r2"` or
      `"loss"`. It is recorded on validation after every epoch; the test split is measured by all of them in the end;
    - `diagnostics`: measure the angle to backpropagation's gradient after every epoch (costs two gradients);
    - `only`: the name of the one layer with weights that is trained; all others of the network stay as they began;
    - `devices_per_run`: how many devices divide every batch of a run, for networks that keep one busy; the others train
      other runs. The numbers are those of one device, to rounding;
    - `listener`: called with a `Progress` between chunks of epochs; a logger (`ascribe.loggers`) hears the numbers too. By
      default a notebook shows one line (`OneLine`), and nobody hears anything elsewhere; `silent` is nobody anywhere.

    **Returns:** `Runs`. A run that diverges is recorded as such and leaves its neighbors alone. A rule that needs another
    network, encoded inputs or settings of its own gets them, and `runs.notes` says so.

    **Raises:** `UserError` for anything that does not fit together, before anything is compiled.
    """
    data = check_data(data)
    name, built = named_rule(rule)
    check_rule(built, name, data)
    demands = honor(
        built,
        name,
        network_for(network, data),
        data,
        optimizer=optimizer,
        learning_rate=positive("learning_rate", learning_rate),
        batch_size=plain(batch_size),
    )
    settings = make_settings(
        demands, epochs=epochs, select=select, score=score, loss=loss, diagnostics=diagnostics, only=only
    )
    chosen = [Specification(seed, demands.learning_rate) for seed in check_seeds(seeds)]
    listening = or_one_line(listener) if number() == 0 else silent
    size: Any = {"width": len(chosen), "devices_per_run": devices_per_run}
    experiment = Experiment(demands, built, settings, **size, name=name, listener=listening)
    experiment.check_results(len(chosen))
    trained = experiment.train(chosen, FINAL)
    return trained.runs(chosen, data, () if only is None else (f"only {only} was trained",))


def make_settings(
    demands: Demands,
    *,
    epochs: int,
    select: str,
    loss: str | losses.Loss | None,
    diagnostics: bool,
    only: str | None = None,
    score: str | None = None,
) -> loop.Settings:
    """The checked settings of a program."""
    data = demands.data
    epochs, batch_size = at_least(1, "epochs", epochs), at_least(1, "batch_size", demands.batch_size)
    if epochs > LARGEST:
        raise UserError(f"`epochs` is {LARGEST} at most; got {shown(epochs)}: choose fewer.")
    diagnostics = flag("diagnostics", diagnostics)
    if not isinstance(select, str) or select not in ("last", "best-validation"):
        raise UserError(f"`select` is last or best-validation; got {select!r}.")
    measure = measure_for(data.task, score)
    _check_classes(measure, data)
    template = made(demands.source)
    if only is not None:
        check_layer("only", template, only)
    chosen = losses.default_for(data.task, template.outputs) if loss is None else losses.get(loss)
    shape = fitted(template, data).input_shape
    check_input(template, shape)
    _check_outputs(template, data, chosen)
    if data.augmentations and len(shape) != 3:
        raise UserError(
            f"{data.augmentations[0]} needs images (height, width, channels), but layer {template.names[0]} gets them as "
            f"vectors: choose a convolutional network, such as lenet or simplenet/8, or leave it out."
        )
    optimizer = optimizers.factory(demands.optimizer)
    batch_size = min(batch_size, len(data.train))
    images = {"augmentations": data.augmentations, "black": data.black} if data.augmentations else {}
    shared: Any = {"only": only, "score": measure.name}
    return loop.Settings(optimizer, chosen, epochs, batch_size, select, diagnostics, **shared, **images)


def _check_classes(measure: Measure, data: Dataset) -> None:
    """A `UserError` where a split of one class alone has no such measure."""
    for name, split in data.splits if measure.name in RANKED else ():
        count = len(np.unique(split.targets))
        if len(split) and count < 2:
            raise UserError(
                f"the score {measure.name} ranks examples of several classes; the {name} split of {data.name} has one alone: "
                f"choose another score, or another split of the data."
            )


def _check_division(settings: loop.Settings, devices_per_run: int) -> None:
    if settings.batch_size % devices_per_run:
        raise UserError(
            f"`devices_per_run` divides the batch size, {settings.batch_size}, into equal parts; got {devices_per_run}: "
            f"choose another batch size or number of devices."
        )


def positive(name: str, value: Any) -> float:
    """A positive finite number, or a `UserError`."""
    number = real(value)
    if number is None or not 0 < number <= sys.float_info.max:
        raise UserError(f"`{name}` is a positive number; got {shown(value)}.")
    return float(number)


def check_data(data: DataLike) -> Dataset:
    """The data set of whatever was given as data; a `UserError` where there is none, or it has no examples."""
    data = as_dataset(data)
    if not len(data.train):
        raise UserError(
            f"the data set {data.name} has no examples, as in a record that leaves large data out: load it anew."
        )
    return data


def check_rule(rule: AbstractRule, name: str, data: Dataset) -> None:
    """A `UserError` where `rule` is no rule or cannot do the data's task."""
    if not isinstance(rule, AbstractRule):
        raise UserError(f"a rule is a name or an ascribe.rules.AbstractRule; got {type(rule).__name__}.")
    hooks.check_attributes(rule, name)
    if data.task not in rule.tasks:
        two = data.task == "classification" and "binary" in rule.tasks
        raise UserError(
            f"the rule {name} cannot do {data.task} ({data.name}): it does {', '.join(rule.tasks)}; "
            f"leave it out or choose {'two of the classes' if two else 'other data'}."
        )


def named_rule(given: Any) -> tuple[str, Any]:
    """The name that results have, and the rule, of a name, a class or a rule."""
    rule = rules.made(given)
    return rules.full_name(given) if isinstance(given, str) else rules.name_of(rule), rule


def named_rules(given: Rules, data: Dataset) -> dict[str, AbstractRule]:
    """The rules by the names that results have, each fit for the data's task; a `UserError` where one is named twice."""
    check_data(data)
    if not isinstance(given, Sequence | Mapping) or isinstance(given, str) or not given:
        raise UserError(
            f"`rules` is a list of at least one rule or name; got {shown(given)}: leave it out for all rules that can do the "
            f"task, or list them with `ascribe rules`."
        )
    found: dict[str, AbstractRule] = {}
    for label, one in given.items() if isinstance(given, Mapping) else [(None, one) for one in given]:
        name, rule = named_rule(one)
        name = label or name
        if name in found:
            raise UserError(
                f'the rule {name} is named twice: name each rule once, or give names of your own, {{"a name": rule}}.'
            )
        check_rule(rule, name, data)
        found[name] = rule
    return found


def with_array_leaves(rule: AbstractRule) -> AbstractRule:
    """The rule with its float fields as arrays, so that a new value does not recompile. (`astype` makes their type a firm
    one: to JAX, the array of a Python number and the array of a tuned value are different types otherwise.)"""

    def firm(leaf: Any) -> Any:
        if isinstance(leaf, float):
            leaf = jnp.asarray(leaf)
        return leaf.astype(leaf.dtype) if isinstance(leaf, jax.Array) else leaf

    return jax.tree.map(firm, rule)


def fitted(network: Network, data: Dataset) -> Dataset:
    """The data in the shape that the network takes: images become vectors for a network that begins with a dense layer."""
    return data.flat() if network.first.wants_vectors and len(data.input_shape) > 1 else data


def examples(data: Dataset, split: str) -> Examples:
    """A split as arrays."""
    part = getattr(data, split)
    scale = np.ones(data.outputs) if data.target_scale is None else np.asarray(data.target_scale).reshape(-1)
    dtype = jnp.zeros(()).dtype  # float32, or float64 where JAX was told so
    targets = jnp.asarray(part.targets, jnp.int32 if data.task != "regression" else dtype)
    images = pixels(data, part.inputs, dtype)
    inputs = jnp.asarray(part.inputs, dtype) if images is None else images
    return Examples(inputs, targets, jnp.asarray(scale, dtype))


def _check_outputs(network: Network, data: Dataset, loss: losses.Loss) -> None:
    outputs = network.outputs
    if data.task == "regression" and loss.link != "identity":
        raise UserError(f"the loss {loss.name} is for classes but {data.name} is regression: use squared-error.")
    allowed = {data.outputs, data.classes} if data.task != "regression" else {data.outputs}
    if loss.link == "softmax":
        allowed -= {1}
    if loss.link == "logistic" and data.task == "binary":
        allowed = {1}
    if outputs not in allowed:
        wanted = " or ".join(map(str, sorted(allowed)))
        raise UserError(
            f"{data.name} with the loss {loss.name} needs a network with {wanted} outputs; this one has {outputs}."
        )
