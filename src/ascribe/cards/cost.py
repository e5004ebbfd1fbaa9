"""What a rule's step costs: operations, bytes and memory of the compiled program, as XLA counts them, and its seconds.

XLA counts what is inside a loop once, however often the loop runs (`HloCostAnalysis`). The loops whose length is known, those
of `lax.scan` (a network of many equal layers, inner steps), are therefore counted as often as they run: of each loop its body
is compiled alone and counted, too.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Unpack

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import jaxprs
from ascribe.checks import flag, options
from ascribe.datasets import DataLike
from ascribe.jaxprs import Equation, Graph
from ascribe.rules import Trainables, hooks
from ascribe.training import Examples, devices, loop

from .case import DEFAULTS, Case, Trained, case_of

ROUNDS, LEAST = 5, 0.02
"""How often contestants take turns, and the seconds that a turn takes at least."""


class Counts(NamedTuple):
    """What XLA counts in a program: floating-point `operations` (without transcendental functions), `transcendentals`, `bytes`
    that its instructions read and write, and whether a loop of unknown length, counted once, is in it."""

    operations: float
    transcendentals: float
    bytes: float
    unknown_loops: bool


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one step of a rule costs: the credit of one batch, the optimizer's step, and what the rule does after it.

    - `operations`: floating-point operations, as XLA counts them in the compiled program, a loop as often as it runs; a
      multiplication and an addition are two, and transcendental functions are counted apart (`transcendentals`);
    - `bytes`: what the program's instructions read and write;
    - `peak`: bytes of arguments, results and everything between, at once; None where the backend does not tell;
    - `batch`: examples in the batch; `parameters`: trainable numbers of the network;
    - `kept`: bytes that the rule keeps for every training example from step to step (auxiliary activations); `state`: bytes
      that it keeps whatever the number of examples, beside the network's own parameters (feedback weights, running averages);
    - `at_least`: a loop whose length only the numbers decide is in it, and counted once;
    - `seconds`: of the compiled step on this machine; None where it was not timed.
    """

    operations: float
    transcendentals: float
    bytes: float
    peak: int | None
    batch: int
    parameters: int
    kept: float
    state: int
    at_least: bool = False
    seconds: float | None = None

    @property
    def operations_an_example(self) -> float:
        """Floating-point operations for each example of the batch."""
        return self.operations / self.batch


@options(**DEFAULTS)
def cost(
    rule: Any, network: Any = None, data: DataLike | None = None, *, timed: bool = False, **trained: Unpack[Trained]
) -> Cost:
    """What one step of a rule costs.

    The program is the library's own step for a batch of `batch_size` examples, compiled for this machine. Nothing is trained,
    and nothing runs unless it is `timed`.

    **Arguments:** as in `card`; `optimizer`: plain SGD by default, so that what differs between rules is theirs.

    **Raises:** `UserError` where rule, network, data and settings do not go together.

    For dense layers without biases, of n_0, n_1, … n_L units, backpropagation takes 6 Σ n_{l-1} n_l - 2 n_0 n_1 operations an
    example in its products; what the count has beyond that (nonlinearities, the loss, the optimizer) fades with the width and
    the size of the batch.
    """
    flag("timed", timed)
    case = case_of(rule, network, data, **trained)
    return costs([case], timed=timed)[0]


def costs(cases: Sequence[Case], *, timed: bool = False) -> list[Cost]:
    """What a step of each case costs; `timed`: the cases take turns on this machine, and each has the median of its turns."""
    devices.use_compilation_cache()
    with ThreadPoolExecutor() as pool:  # XLA compiles without Python's lock
        steps = list(pool.map(_Step, cases))
        found = list(pool.map(_Step.cost, steps))
    if not timed:
        return found
    calls = [step.call() for step in steps]
    return [dataclasses.replace(one, seconds=seconds) for one, seconds in zip(found, _seconds(calls), strict=True)]


class _Step:
    """The step of a case, compiled."""

    def __init__(self, case: Case):
        self.case = case
        setup, network, batch = case.setup, case.network, case.batch
        examples = Examples(batch.inputs, batch.targets, jnp.ones(1, network.dtype))
        data = loop.Data(examples, examples)
        run = loop.Run(case.rule, jnp.asarray(setup.learning_rate, network.dtype), jnp.asarray(0, jnp.uint32))
        with hooks.blamed(case.name, case.rule):
            start = lambda run, data: loop.initialize(setup, network, run, data, ())
            state = eqx.filter_eval_shape(start, run, data)
            given = (state, run, data, jnp.arange(batch.inputs.shape[0]), jr.key(0))
            dynamic, fixed = eqx.partition(given, lambda leaf: eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct))

            def step(dynamic: Any) -> Any:
                state, run, data, indices, key = eqx.combine(dynamic, fixed)
                moved, loss = loop.step(setup, run, state, data, indices, key)
                return eqx.filter((moved, loss), eqx.is_array)

            self.shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dynamic)
            traced = jax.jit(step).trace(self.shapes)
            self.state, self.graph = state, jaxprs.graph_of(traced.jaxpr)
            self.compiled = traced.lower().compile()

    def cost(self) -> Cost:
        counts = _with_loops(_counted(self.compiled), self.graph)
        memory = self.compiled.memory_analysis()
        needed = ("temp_size_in_bytes", "argument_size_in_bytes", "output_size_in_bytes")
        peak = None if memory is None else sum(getattr(memory, name) for name in needed) - memory.alias_size_in_bytes
        batch, network = self.case.batch.inputs.shape[0], self.case.network
        trainables = self.state.trainables
        beside = (trainables.auxiliary, trainables.feedback) if isinstance(trainables, Trainables) else (None, None)
        return Cost(
            counts.operations,
            counts.transcendentals,
            counts.bytes,
            peak=peak,
            batch=batch,
            parameters=network.parameters,
            kept=_bytes(beside[0]) / batch,
            state=_bytes((self.state.rule_state, beside[1])),
            at_least=counts.unknown_loops,
        )

    def call(self) -> Callable[[], Any]:
        """What runs the step once. Its time does not depend on the numbers, which are small ones here and not those of a
        training, so that nothing needs to be initialized by a program of its own."""
        random = np.random.default_rng(0)

        def fill(leaf: Any) -> Any:
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jr.key(0) if not leaf.shape else jr.split(jr.key(0), leaf.shape)
            if jnp.issubdtype(leaf.dtype, jnp.floating):
                return jax.device_put(random.normal(0, 0.1, leaf.shape).astype(leaf.dtype))
            return jax.device_put(np.zeros(leaf.shape, leaf.dtype))

        given = jax.tree.map(fill, self.shapes)
        return lambda: jax.block_until_ready(self.compiled(given))


def count(function: Callable[..., Any], *arguments: Any) -> Counts:
    """What XLA counts in a function of `arguments` (arrays, or their shapes alone), loops of known length as often as they
    run."""
    traced = jax.jit(function).trace(*arguments)
    return _with_loops(_counted(traced.lower().compile()), jaxprs.graph_of(traced.jaxpr))


def _with_loops(once: Counts, graph: Graph) -> Counts:
    for equation in _loops(graph):
        inner = equation.inner
        if inner is None:
            once = once._replace(unknown_loops=True)
            continue
        shapes = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in inner.inputs]
        body = _counted(jax.jit(inner.evaluate).lower(*shapes).compile())
        each, times = _with_loops(body, inner), equation.parameters["length"]
        more = [own + times * one - counted for own, one, counted in zip(once[:3], each[:3], body[:3], strict=True)]
        once = Counts(more[0], more[1], more[2], once.unknown_loops or each.unknown_loops)
    return once


def _loops(graph: Graph) -> Iterator[Equation]:
    """The loops of a graph that are inside no other one."""
    for equation in graph.equations:
        if equation.name in ("scan", "while"):
            yield equation
        else:
            for inner in (*([] if equation.inner is None else [equation.inner]), *equation.hidden):
                yield from _loops(inner)


def _counted(compiled: Any) -> Counts:
    found = compiled.cost_analysis() or {}
    number = lambda name: float(found.get(name, 0.0))
    return Counts(number("flops"), number("transcendentals"), number("bytes accessed"), False)


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _seconds(calls: Sequence[Callable[[], Any]]) -> list[float]:
    """The median over rounds of what a call takes; machines are shared, so the calls take turns, forwards and backwards."""
    repeats = []
    for call in calls:
        call()
        began = time.perf_counter()
        call()
        repeats.append(max(1, int(LEAST / max(time.perf_counter() - began, 1e-6))))
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(ROUNDS):
        for place in range(len(calls))[:: 1 if turn % 2 == 0 else -1]:
            began = time.perf_counter()
            for _ in range(repeats[place]):
                calls[place]()
            times[place].append((time.perf_counter() - began) / repeats[place])
    return [statistics.median(one) for one in times]
