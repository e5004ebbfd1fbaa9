"""A program with one source perturbed and all others held: what stands beside each "no" of a table of needs.

The program is evaluated twice side by side, as it is and perturbed. Wherever a value is a source (a signal or a product of the
forward pass, the output error), the perturbed one takes the value of the unperturbed, so that nothing passes but by the way
that is asked about, and is moved there itself if that source is the one. Both are one compiled program for all sources; how
strongly each is moved is data to it, so that what a source does not reach is the same to the bit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.jaxprs import Equation, Graph, Variable, read, scan_options
from ascribe.types import Array

from .examples import SIZE

QUICKLY: dict[str, Any] = {"xla_backend_optimization_level": 0}
"""The program runs a few times only."""


def perturbed(
    graph: Graph, sources: Mapping[Variable, int], axes: Mapping[Variable, int], observed: Sequence[Variable]
) -> Callable[..., tuple[list[Array], list[Array]]]:
    """The compiled program.

    **Arguments:** `sources`: the values that are held, with their number in `strengths`; `axes`: of the examples;
    `observed`: values whose first example is asked for.

    **Returns:** a function of the inputs, of the same with those moved that are sources themselves, of `strengths`, by which
    the held values are moved, and of `spared`, whether the first example is left alone (1 or 0); it gives the perturbed
    outputs, and the first example of what is observed.
    """
    pair = _Pair(sources, axes)

    def run(one: list[Any], other: list[Any], strengths: Array, spared: Array) -> tuple[list[Array], list[Array]]:
        outputs, known = pair.run(graph, one, other, strengths, spared)[1:]
        return outputs, [jnp.take(known[variable], 0, axis=axes[variable]) for variable in observed]

    return jax.jit(run, compiler_options=QUICKLY)


def others(value: Any, *, axis: int | None = None) -> Any:
    """An input moved, every number by another amount; labels become others. With `axis` the first example stays. Keys stay."""
    if not isinstance(value, np.ndarray):
        return value
    weight = np.ones(value.shape)
    if axis is not None:
        np.moveaxis(weight, axis, 0)[:1] = 0
    if value.dtype == bool:
        return np.where(weight > 0, ~value, value)
    if np.issubdtype(value.dtype, np.integer):
        return np.where(weight > 0, value + np.where(value > 0, -1, 1), value).astype(value.dtype)
    return (value + weight * (0.7 + 0.6 * np.sin(np.arange(value.size))).reshape(value.shape)).astype(value.dtype)


def _moved(value: Array, strength: Array, spared: Array, axis: int | None) -> Array:
    """The same for a value inside a program, by `strength`; where `spared` is 1 the first example stays, and so does a value
    without an axis that has one row for each example, for it may be that example's."""
    weight = jnp.broadcast_to(strength, value.shape)
    first = True if axis is None else jax.lax.broadcasted_iota(jnp.int32, value.shape, axis) == 0
    weight = jnp.where(first & (spared > 0), jnp.zeros_like(weight), weight)
    if jnp.issubdtype(value.dtype, jnp.bool_):
        return jnp.where(weight > 0, ~value, value)
    if jnp.issubdtype(value.dtype, jnp.integer):
        return jnp.where(weight > 0, value + jnp.where(value > 0, -1, 1).astype(value.dtype), value)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return value
    pattern = 0.7 + 0.6 * jnp.sin(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape)
    return value + weight.astype(value.dtype) * pattern


class _Pair:
    def __init__(self, sources: Mapping[Variable, int], axes: Mapping[Variable, int]):
        self.sources, self.axes = sources, axes
        self._held: dict[Equation, bool] = {}

    def run(
        self, graph: Graph, one: Sequence[Any], other: Sequence[Any], strengths: Array, spared: Array
    ) -> tuple[list[Any], list[Any], dict[Variable, Any]]:
        """The outputs of both, and all that the perturbed one computes."""
        ours = {**graph.constants, **dict(zip(graph.inputs, one, strict=True))}
        theirs = {**graph.constants, **dict(zip(graph.inputs, other, strict=True))}

        def hold(variable: Variable) -> None:
            if variable in self.sources:
                axis = self.axes.get(variable, -1)
                apart = axis >= 0 and variable.shape[axis] == SIZE  # one row for each example, not several
                strength = strengths[self.sources[variable]]
                theirs[variable] = _moved(ours[variable], strength, spared, axis if apart else None)

        for variable in graph.inputs:
            hold(variable)
        for equation in graph.equations:
            both = read(equation.inputs, ours), read(equation.inputs, theirs)
            found = self._through(equation, *both, strengths, spared)
            ours |= dict(zip(equation.outputs, found[0], strict=True))
            theirs |= dict(zip(equation.outputs, found[1], strict=True))
            for variable in equation.outputs:
                hold(variable)
        return read(graph.outputs, ours), read(graph.outputs, theirs), theirs

    def _through(self, equation: Equation, one: list[Any], other: list[Any], *moves: Any) -> tuple[list[Any], list[Any]]:
        inner = equation.inner
        if inner is None or not self._holds(equation):
            return equation.evaluate(*one), equation.evaluate(*other)
        if equation.name != "scan":
            return self.run(inner, one, other, *moves)[:2]
        constants, carried = equation.carried
        end = constants + carried

        def step(carry: Any, rows: Any) -> Any:
            first, second = ([*own[:constants], *c, *row] for own, c, row in zip((one, other), carry, rows, strict=True))
            ours, theirs, _ = self.run(inner, first, second, *moves)
            return (ours[:carried], theirs[:carried]), (ours[carried:], theirs[carried:])

        start, rows = (one[constants:end], other[constants:end]), (one[end:], other[end:])
        last, made = jax.lax.scan(step, start, rows, **scan_options(equation))
        return [*last[0], *made[0]], [*last[1], *made[1]]

    def _holds(self, equation: Equation) -> bool:
        """Whether there is a source inside."""
        if equation not in self._held:
            graph: Any = equation.inner
            inside = [*graph.inputs, *(one for each in graph.everywhere() for one in each.outputs)]
            inner = [one.inner for one in graph.everywhere() if one.inner is not None]
            inside += [one for each in inner for one in each.inputs]
            self._held[equation] = any(one in self.sources for one in inside)
        return self._held[equation]
