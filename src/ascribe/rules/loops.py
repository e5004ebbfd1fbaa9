"""Backwards through a loop (`lax.scan`), step by step, with the terms of the sites inside it: a recurrent weight meets the same
B at every step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from ascribe.jaxprs import Equation, Graph, Variable, read, scan_options, trace, zeros
from ascribe.types import Array

from .cotangents import Cotangents, only


def through_scan(walk: Any, equation: Equation) -> Callable[[Cotangents, Array, dict[str, Array]], None]:
    """A scan forwards that keeps of every step what its way back needs; and the way back, a scan in the other direction.

    What a step's way back needs of arrays that all steps share, such as weights, is kept once.
    """
    inner: Any = equation.inner
    constants, carried = equation.carried
    end = constants + carried
    values = read(equation.inputs, walk.known)
    fixed, start, rows = values[:constants], values[constants:end], values[end:]
    shadowed = {i: walk.shadow(one) for i, one in enumerate(equation.inputs) if walk.is_shadowed(one)}
    own_rows = {i: one for i, one in shadowed.items() if i >= constants}
    active = {one for one in inner.inputs[constants:end] if one.floating}
    for own, outer in zip(inner.inputs, equation.inputs, strict=True):
        if isinstance(outer, Variable) and outer in walk.active:
            active.add(own)
    wanted = [one.floating for one in equation.outputs]
    kept = _Kept(jax.tree.leaves(([*fixed, *shadowed.values()], walk.terms)))

    def step(carry: list[Any], item: tuple[list[Any], dict[int, Any]]) -> tuple[list[Any], Any]:
        row, shadow_rows = item
        both = {**shadowed, **shadow_rows}
        made, pull = walk.into(inner, {inner.inputs[i]: one for i, one in both.items()}, set(active)).forward(
            [*fixed, *carry, *row]
        )

        def back(cotangents: list[Array], delta: Array) -> Any:
            every = iter(cotangents)
            return pull([next(every) if one else None for one in wanted], delta)

        return made[:carried], (made[carried:], kept.arrays_of(back, _examples(equation, carried), walk.terms.delta))

    last, (made, residuals) = jax.lax.scan(step, list(start), (list(rows), own_rows), **scan_options(equation))
    walk.known |= dict(zip(equation.outputs, [*last, *made], strict=True))
    reverse = scan_options(equation) | {"reverse": not equation.parameters["reverse"]}
    targets = [one for one, own in zip(equation.inputs, inner.inputs, strict=True) if own.floating]

    def pull(cotangents: Cotangents, delta: Array, met: dict[str, Array]) -> None:
        own = _filled([cotangents.get(one) for one in equation.outputs], equation.outputs)
        sums = [zeros(one) for one in inner.inputs[:constants] if one.floating]

        def back(after: tuple[list[Array], list[Array]], item: Any) -> tuple[Any, Any]:
            carry, sums = after
            given, arrays = item
            found, errors = kept.function(arrays)([*carry, *given], delta)
            found = _filled(found, inner.inputs)
            sums = [old + new for old, new in zip(sums, only(found[:constants]), strict=True)]
            return (only(found[constants:end]), sums), (only(found[end:]), errors)

        begin = (only(own[:carried]), sums)
        (first, sums), (in_rows, errors) = jax.lax.scan(back, begin, (only(own[carried:]), residuals), **reverse)
        met |= errors
        cotangents.add_all(targets, [*sums, *first, *in_rows])

    return pull


class _Kept:
    """A function's arrays, apart from the function: those that a scan keeps of every step, and the `shared` ones."""

    def __init__(self, shared: Sequence[Any]):
        self._shared = {id(one) for one in shared}
        self._rest: Any = None

    def arrays_of(self, function: Callable[..., Any], *examples: Any) -> list[Array]:
        """The arrays of one step; what else there is of the function is the same in all of them."""
        graph, structure = trace(function, *examples)
        shared = {one: value for one, value in graph.constants.items() if id(value) in self._shared}
        self._rest = graph, structure, shared
        return [value for one, value in graph.constants.items() if one not in shared]

    def function(self, arrays: Sequence[Array]) -> Callable[..., Any]:
        """The function of one step."""
        graph, structure, shared = self._rest
        own = dict(zip((one for one in graph.constants if one not in shared), arrays, strict=True))
        filled = Graph(graph.inputs, graph.outputs, graph.equations, shared | own)
        return lambda *given: jax.tree.unflatten(structure, filled.evaluate(*jax.tree.leaves(given)))


def _examples(equation: Equation, carried: int) -> list[jax.ShapeDtypeStruct]:
    """The shapes of one step's outputs that have a derivative."""
    shapes = [one.shape[number >= carried :] for number, one in enumerate(equation.outputs)]
    pairs = zip(shapes, equation.outputs, strict=True)
    return [jax.ShapeDtypeStruct(shape, one.dtype) for shape, one in pairs if one.floating]


def _filled(found: Sequence[Array | None], like: Sequence[Any]) -> list[Array | None]:
    """Cotangents with zeros where none came; None for what has no derivative."""
    pairs = zip(found, like, strict=True)
    return [(zeros(own) if one is None else one) if own.floating else None for one, own in pairs]
