"""Functions as JAX traces them, to be read: the only module that looks into what `jax.make_jaxpr` returns.

A `Graph` is the function's operations in their order. Calls that only wrap others (`jax.jit`) are opened; loops
(`lax.scan`), rematerialization and functions with a derivative of their own (`custom_jvp`) stay one equation, with what is
inside them as a graph of its own.
"""

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from ascribe.types import Array, PyTree

WRAPPERS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
"""Operations that only wrap others, which a graph has in their place."""

OPENED = {"remat2": "jaxpr", "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "scan": "jaxpr"}
"""Operations with one graph inside them."""

# fmt: off
ELEMENTWISE = frozenset({
    "abs", "acos", "acosh", "add", "and", "asin", "asinh", "atan", "atanh", "cbrt", "ceil", "clamp", "convert_element_type",
    "copy", "copy_p", "cos", "cosh", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt",
    "integer_pow", "is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or",
    "pow", "rem", "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan",
    "tanh", "xor",
})
# fmt: on
"""Operations that answer for every number alone."""


class Variable:
    """A value that a graph computes or is given; its `shape`, in which symbols may stand for sizes, and `dtype`."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[Any, ...], dtype: Any):
        self.shape, self.dtype = tuple(shape), dtype

    @property
    def floating(self) -> bool:
        """Whether it has a derivative."""
        return jnp.issubdtype(self.dtype, jnp.inexact)


class Constant:
    """A number that is written in the program."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a scalar mostly."""
        return np.shape(self.value)


Atom = Variable | Constant


class Equation:
    """One operation: `outputs` = `name`(`inputs`), with `parameters`."""

    def __init__(self, raw: JaxprEqn, inputs: Sequence[Atom], outputs: Sequence[Variable]):
        self._raw, self.inputs, self.outputs = raw, tuple(inputs), tuple(outputs)

    @property
    def name(self) -> str:
        """The primitive's name, as in `dot_general`."""
        return self._raw.primitive.name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the operation is told beside its inputs, as JAX names it."""
        return self._raw.params

    @property
    def acts(self) -> bool:
        """Whether it does more than to compute its outputs."""
        return bool(self._raw.effects)

    @functools.cached_property
    def inner(self) -> "Graph | None":
        """What is inside; None for an operation that is a whole. The graph's inputs are the equation's."""
        found = self.parameters.get(OPENED.get(self.name, ""))
        return None if found is None else graph_of(found)

    @functools.cached_property
    def hidden(self) -> tuple["Graph", ...]:
        """The graphs of an operation that is never opened, such as the branches of `lax.cond`."""
        if self.name in OPENED:
            return ()
        leaves = jax.tree.leaves(dict(self.parameters), is_leaf=lambda one: isinstance(one, Jaxpr | ClosedJaxpr))
        return tuple(graph_of(one) for one in leaves if isinstance(one, Jaxpr | ClosedJaxpr))

    def evaluate(self, *values: Any) -> list[Any]:
        """The outputs for these inputs."""
        bound = self._raw.primitive.get_bind_params(self._raw.params)
        with self._raw.ctx.manager:
            found = self._raw.primitive.bind(*values, **bound)
        return list(found) if self._raw.primitive.multiple_results else [found]

    @property
    def carried(self) -> tuple[int, int]:
        """Of a `lax.scan`: the number of its constants, and of its carried values, which follow them."""
        return self.parameters["num_consts"], self.parameters["num_carry"]


class Graph:
    """Equations in their order, from `inputs` to `outputs`. `constants`: arrays that the function closed over."""

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Atom],
        equations: Sequence[Equation],
        constants: Mapping[Variable, Any],
    ):
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.equations, self.constants = tuple(equations), constants

    def evaluate(self, *values: Any, forms: "Forms | None" = None) -> list[Any]:
        """The outputs for these inputs."""
        known = {**self.constants, **dict(zip(self.inputs, values, strict=True))}
        run(self.equations, known, forms)
        return read(self.outputs, known)

    def everywhere(self) -> Iterator[Equation]:
        """All equations, and those inside them."""
        for equation in self.equations:
            yield equation
            for graph in (*([] if equation.inner is None else [equation.inner]), *equation.hidden):
                yield from graph.everywhere()


Forms = Mapping[str, Callable[[Equation, Sequence[Any]], list[Any] | None]]
"""Other ways to evaluate operations, by their names; None from one that does not apply."""


def run(equations: Iterable[Equation], known: dict[Variable, Any], forms: Forms | None = None) -> None:
    """Evaluates equations; `known` has the values that they need, and gets those that they make."""
    for equation in equations:
        values = read(equation.inputs, known)
        form = (forms or {}).get(equation.name)
        found = None if form is None else form(equation, values)
        if found is None:
            opened = equation.inner if forms and equation.name != "custom_jvp_call" else None
            inside = opened is not None and any(one.name in forms for one in opened.everywhere())  # pyright: ignore
            found = _opened(equation, values, forms) if inside else equation.evaluate(*values)
        known |= dict(zip(equation.outputs, found, strict=True))


def _opened(equation: Equation, values: Sequence[Any], forms: Forms | None) -> list[Any]:
    """An equation with a graph inside, evaluated by that graph: a loop, or rematerialization (which goes). A function with a
    derivative of its own is never opened, for it would lose that."""
    inner: Any = equation.inner
    if equation.name != "scan":
        return inner.evaluate(*values, forms=forms)
    constants, carried = equation.carried
    fixed, start, rows = values[:constants], values[constants : constants + carried], values[constants + carried :]

    def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        found = inner.evaluate(*fixed, *carry, *row, forms=forms)
        return found[:carried], found[carried:]

    end, rows = jax.lax.scan(step, list(start), list(rows), **scan_options(equation))
    return [*end, *rows]


def scan_options(equation: Equation) -> dict[str, Any]:
    """How a `lax.scan` runs: its length, direction and unrolling."""
    return {name: equation.parameters[name] for name in ("length", "reverse", "unroll")}


def read(atoms: Iterable[Atom], known: Mapping[Variable, Any]) -> list[Any]:
    """The values of atoms."""
    return [atom.value if isinstance(atom, Constant) else known[atom] for atom in atoms]


def trace(function: Callable[..., PyTree], *arguments: PyTree) -> tuple[Graph, Any]:
    """The graph of a function, whose inputs and outputs are the leaves of its arguments and of what it returns; and the
    structure of that. Arguments may be shapes alone (`jax.ShapeDtypeStruct`)."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    return graph_of(closed), jax.tree.structure(shape)


def graph_of(program: ClosedJaxpr | Jaxpr) -> Graph:
    """A program of JAX's as a graph."""
    jaxpr, values = (program.jaxpr, program.consts) if isinstance(program, ClosedJaxpr) else (program, ())
    constants: dict[Variable, Any] = {}
    equations: list[Equation] = []
    inputs = [_variable(one) for one in jaxpr.invars]
    outputs = _inline(jaxpr, values, inputs, constants, equations)
    equations = _used(equations, outputs)
    used = {*outputs, *(atom for one in equations for atom in one.inputs)}
    return Graph(inputs, outputs, equations, {one: value for one, value in constants.items() if one in used})


def _used(equations: Sequence[Equation], outputs: Sequence[Atom]) -> list[Equation]:
    """Those that an output needs, or that do something else, such as printing."""
    needed, found = set(outputs), []
    for equation in reversed(equations):
        if equation.acts or any(one in needed for one in equation.outputs):
            needed.update(equation.inputs)
            found.append(equation)
    return found[::-1]


def _inline(
    jaxpr: Jaxpr,
    values: Sequence[Any],
    inputs: Sequence[Atom],
    constants: dict[Variable, Any],
    equations: list[Equation],
) -> list[Atom]:
    """Appends a program's operations, with variables of their own, for one program can be called in several places."""
    here: dict[Any, Atom] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, value in zip(jaxpr.constvars, values, strict=True):
        here[variable] = own = _variable(variable)
        constants[own] = value
    atom = lambda one: Constant(one.val) if isinstance(one, Literal) else here[one]
    for raw in jaxpr.eqns:
        given = [atom(one) for one in raw.invars]
        inner = raw.params.get(WRAPPERS.get(raw.primitive.name, ""))
        if isinstance(inner, ClosedJaxpr):
            found = _inline(inner.jaxpr, inner.consts, given, constants, equations)
        elif isinstance(inner, Jaxpr):
            found = _inline(inner, (), given, constants, equations)
        else:
            found = [_variable(one) for one in raw.outvars]
            equations.append(Equation(raw, given, found))
        here |= dict(zip(raw.outvars, found, strict=True))
    return [atom(one) for one in jaxpr.outvars]


def _variable(one: Any) -> Variable:
    return Variable(one.aval.shape, one.aval.dtype)


def zeros(like: Any) -> Array:
    """A cotangent of zeros."""
    return jnp.zeros(like.shape, like.dtype)


def total(sizes: Iterable[int]) -> int:
    """A product of sizes."""
    return functools.reduce(operator.mul, sizes, 1)
