"""Runs side by side: one compiled program for all runs of a rule, spread over the machine's devices.

A vmapped program of small networks keeps one core busy. So the command line tells JAX to see one device per core
(`use_all_cores`), and the run axis is divided among the devices; no number crosses between them.
"""

import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax.sharding import Mesh

from ascribe.errors import UserError
from ascribe.memory import free_memory, gibibytes
from ascribe.networks import Network, record
from ascribe.rules import network_of
from ascribe.setup import Setup
from ascribe.types import Array, PyTree

from . import loop
from .evaluate import CHUNK, Answers, answered
from .mesh import EVERYWHERE, RUNS
from .processes import gathered, joined


def use_all_cores() -> None:
    """One JAX device per CPU core of this process. Call it before JAX is used for the first time; later it does nothing,
    and where a GPU is in use it has no effect on it. One of several processes keeps its one device."""
    if joined():
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores())
    except RuntimeError:  # the backend has started already
        return


def cores() -> int:
    """How many CPU cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def count() -> int:
    """How many devices there are, those of all processes together."""
    return jax.device_count()


def use_compilation_cache() -> None:
    """Compiled programs are kept in the user's cache folder, if it can be written, unless JAX was told another place."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        folder = os.path.join(base, "ascribe", "compiled")
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError:
            return
        if not os.access(folder, os.W_OK):  # JAX would warn of every program
            return
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


CACHED = 2**24
"""Bytes of one run's state above which the caches are lost on several runs at once."""


def one_after_another(network: Network, state_bytes: int = 0) -> bool:
    """Whether a device trains its runs in turn (`lax.map`) and not at once (`vmap`). `vmap` over a convolution's kernel
    makes a grouped one, which is slow: on a CPU, convolutional networks go in turn (`benchmarks/lenet.py`), and so do runs
    with a large state, whose products are no small ones (`benchmarks/relaxed_identity.py`); on an accelerator,
    convolutional networks with a large state (`benchmarks/simplenet.py`)."""
    convolutional, large = network.convolutional, state_bytes > CACHED
    return convolutional or large if jax.default_backend() == "cpu" else convolutional and large


AT_ONCE = 8
"""Runs that a CPU computes at a time, where they divide into such groups: more of them lose its caches, a tenth of the time
(`benchmarks/discover.py`)."""


def at_once(runs: int) -> int:
    """How many of a device's runs go through the program at a time: on a CPU the largest divisor up to `AT_ONCE`, unless that
    is a few; else all."""
    if jax.default_backend() != "cpu" or runs <= AT_ONCE:
        return runs
    size = max(size for size in range(1, AT_ONCE + 1) if runs % size == 0)
    return size if size >= AT_ONCE // 2 else runs


def _over_runs(function: Callable, mesh: Mesh, in_turn: bool, batched: PyTree, *shared: PyTree) -> Any:
    """`function(batched[i], *shared)` for every run i, divided among the mesh's devices."""

    def local(batched: PyTree, *shared: PyTree) -> Any:
        runs = len(jax.tree.leaves(batched)[0])
        alone = lambda one: function(one, *shared)
        if in_turn:
            return jax.lax.map(alone, batched)
        if at_once(runs) < runs:
            return jax.lax.map(alone, batched, batch_size=at_once(runs))
        return jax.vmap(alone)(batched)

    specs = (RUNS,) + (EVERYWHERE,) * len(shared)
    # Runs are divided by hand, and what is left of the mesh, its axis `data`, by the compiler.
    mapped = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=RUNS, axis_names={"runs"}, check_vma=False)
    return mapped(batched, *shared)


class Programs(eqx.Module):
    """The compiled functions of one rule and one shape of runs. `fixed` is the rule without its arrays; `curves`: their
    names; `read`: what users' code in it reads (`identity.read_by`), so that it is traced anew where that has changed."""

    setup: Setup = eqx.field(static=True)
    fixed: Any = eqx.field(static=True)
    mesh: Mesh = eqx.field(static=True)
    in_turn: bool = eqx.field(static=True)
    curves: tuple[str, ...] = eqx.field(static=True)
    read: str = eqx.field(static=True)

    def _run(self, run: loop.Run) -> loop.Run:
        return loop.Run(eqx.combine(run.rule, self.fixed), run.learning_rate, run.seed)

    @eqx.filter_jit
    def initialize(self, networks: Network, runs: loop.Run, data: loop.Data) -> loop.RunState:
        function = lambda both, data: loop.initialize(self.setup, both[0], self._run(both[1]), data, self.curves)
        return _over_runs(function, self.mesh, self.in_turn, (networks, runs), data)

    @eqx.filter_jit
    def advance(
        self, runs: loop.Run, states: loop.RunState, data: loop.Data, start: jax.Array, stop: jax.Array
    ) -> loop.RunState:
        function = lambda both, data, start, stop: loop.advance(self.setup, self._run(both[0]), both[1], data, start, stop)
        return _over_runs(function, self.mesh, self.in_turn, (runs, states), data, start, stop)

    @eqx.filter_jit
    def one_pass(
        self,
        runs: loop.Run,
        states: loop.RunState,
        data: loop.Data,
        epoch: jax.Array,
        batches: jax.Array,
        count: jax.Array,
    ) -> tuple[loop.RunState, jax.Array]:
        """One epoch's steps of runs that share their batches."""
        function = lambda both, *given: loop.one_pass(self.setup, self._run(both[0]), both[1], *given)
        return _over_runs(function, self.mesh, self.in_turn, (runs, states), data, epoch, batches, count)

    @eqx.filter_jit
    def between_epochs(self, runs: loop.Run, states: loop.RunState, data: loop.Data, epoch: jax.Array) -> loop.RunState:
        function = lambda both, *given: loop.between_epochs(self.setup, self._run(both[0]), both[1], *given)
        return _over_runs(function, self.mesh, self.in_turn, (runs, states), data, epoch)

    @eqx.filter_jit
    def conclude(self, runs: loop.Run, states: loop.RunState, data: loop.Data) -> tuple[Network, PyTree, Network | None]:
        function = lambda both, data: loop.conclude(self.setup, self._run(both[0]), both[1], data)
        return _over_runs(function, self.mesh, self.in_turn, (runs, states), data)

    def answering(self, runs: loop.Run, states: loop.RunState, data: loop.Data) -> tuple[Network, PyTree]:
        """The networks that answer new inputs now, and their normalization statistics."""
        if not self.fixed.predicts:
            return network_of(states.trainables), states.network_state
        return self._answering(runs, states, data)

    @eqx.filter_jit
    def _answering(self, runs: loop.Run, states: loop.RunState, data: loop.Data) -> tuple[Network, PyTree]:
        def function(both: tuple[loop.Run, loop.RunState], data: loop.Data) -> tuple[Network, PyTree]:
            run, state = self._run(both[0]), both[1]
            return loop.answering(run.rule, state.trainables, state.rule_state, state.network_state, data)

        return _over_runs(function, self.mesh, self.in_turn, (runs, states), data)


@eqx.filter_jit
def new_networks(source: loop.NetworkSource, mesh: Mesh, seeds: jax.Array) -> Network:
    """The initial network of every run. Apart from `Programs`, because it is the same program for every rule."""
    return _over_runs(lambda seed: loop.new_network(source, seed), mesh, False, seeds)


@eqx.filter_jit
def evaluate_runs(
    loss: Any, mesh: Mesh, in_turn: bool, networks: PyTree, examples: PyTree, also: tuple[str, ...] = ()
) -> tuple[dict[str, jax.Array], Answers | None]:
    """The scores of every run's network, `(runs,)` each, and the answers that those `also` asked for are computed of."""
    function = lambda both, examples: answered(both[0], both[1], examples, loss, also=also)
    return _over_runs(function, mesh, in_turn, networks, examples)


@eqx.filter_jit
def outputs_of_runs(networks: Network, states: PyTree, inputs: jax.Array) -> jax.Array:
    """What every run's network answers, `(runs, examples, outputs)`."""
    return jax.lax.map(lambda both: both[0](inputs, both[1]), (networks, states))


def runs_that_fit(network: Network, state_bytes: int, example_shape: tuple[int, ...], batch_size: int, *, in_turn: bool) -> int:
    """How many runs fit into memory at once, at least one.

    A run takes its state twice (before and after a chunk), its gradient and the optimizer's update, and the activations of
    a batch on the way there and back, or of an evaluation chunk if that is more (of one run only where a device trains in
    turn). `state_bytes` is the size of everything that changes in a run.
    """
    dtype = network.dtype
    there_and_back = 4 * _activation_bytes(network, (batch_size, *example_shape), dtype)
    activations = max(there_and_back, 2 * _activation_bytes(network, (CHUNK, *example_shape), dtype))
    per_run = 2 * state_bytes + 2 * _bytes(network) + (0 if in_turn else activations)
    return max(1, int((_memory() - (activations if in_turn else 0)) // per_run))


def _activation_bytes(network: Network, shape: tuple[int, ...], dtype: Any) -> int:
    """What one forward pass keeps: every layer's input and output, and its workspace."""
    inputs = jax.ShapeDtypeStruct(shape, dtype)

    def outputs(network: Network, x: Array) -> tuple[Array, ...]:
        tape, _ = record(network, x, training=False)
        return (*tape.inputs, tape.output)

    values = eqx.filter_eval_shape(outputs, network, inputs)
    sizes = [value.size for value in values[1:]]
    numbers = sum(layer.workspace(size) for layer, size in zip(network.layers, sizes, strict=True))
    return _bytes(values) + numbers * values[0].dtype.itemsize


def _bytes(tree: PyTree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def rehearse(setup: Setup, network: Network, run: loop.Run, data: loop.Data) -> loop.RunState:
    """The shapes of the state of one run, after a look at every hook that the rule has."""
    return eqx.filter_eval_shape(lambda *given: loop.rehearse(setup, *given), network, run, data)


def state_bytes(state: loop.RunState) -> int:
    """The size of everything that changes in one run, the rule's own state and trainables included; auxiliaries three times,
    because whatever is done with all examples at the end has their size too."""
    return _bytes(state) + 2 * _bytes(getattr(state.trainables, "auxiliary", None))


def check_memory(name: str, state_bytes: int) -> None:
    """A `UserError` where not even one run, before and after a step, fits into all the memory that there is."""
    free = available_memory()
    if 2 * state_bytes > free:
        raise UserError(
            f"one run of {name} takes {gibibytes(2 * state_bytes)} for what it trains and keeps and this machine has "
            f"{gibibytes(free)}: choose fewer training examples or narrower layers, or a rule that keeps nothing for every "
            f"example."
        )


def _memory() -> int:
    """Bytes that training may take: half of the accelerator's memory, a third of the machine's."""
    return available_memory() // (2 if jax.default_backend() != "cpu" else 3)


def available_memory() -> int:
    """Bytes of the accelerator's memory, or what the machine (or the container) can still give to this process: of several
    processes that work together, what the poorest has."""
    return min(gathered(_own_memory()))


def _own_memory() -> int:
    statistics = jax.local_devices()[0].memory_stats()
    if statistics and "bytes_limit" in statistics:
        return statistics["bytes_limit"]
    return free_memory()
