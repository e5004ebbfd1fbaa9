"""Activations in what JAX traces: nonlinear functions that answer for every number alone, found whole.

`jax.nn.gelu` is eight operations in a program, and another library's is six; what is found is the largest piece that is a
function of one value alone, and its name is known by its values.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.jaxprs import ELEMENTWISE, Atom, Constant, Equation, Graph, Variable

from .activations import ACTIVATIONS

MARKS = frozenset(
    {"tanh", "atan", "logistic", "erf", "erfc", "max", "min", "select_n", "clamp", "custom_jvp_call"}
    | {"ge", "gt", "le", "lt", "sign"}
)
"""Operations that make an elementwise function an activation. (Powers and exponentials alone are part of normalizations.)"""

PROBES = np.array([-3.0, -1.2, -0.4, 0.0, 0.3, 1.0, 2.5, 8.0, 12.0])
"""Where an activation is evaluated to know it by its values."""

KNOWN: dict[str, Callable[[Any], Any]] = {
    **{name: row.function for name, row in ACTIVATIONS.items() if row.elementwise and name != "identity"},
    "gelu-tanh": lambda z: jax.nn.gelu(z, approximate=True),
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "relu6": jax.nn.relu6,
    "hard-tanh": jax.nn.hard_tanh,
    "mish": jax.nn.mish,
}
"""Activations by the names that sites have."""


class Curve(NamedTuple):
    """An activation in a graph: `output` is a function of `input` alone, by these equations."""

    name: str
    function: str
    input: Variable
    output: Variable
    equations: tuple[Equation, ...]

    def evaluate(self, z: Any) -> Any:
        """σ(z)."""
        known = {self.input: z}
        for equation in self.equations:
            values = [one.value if isinstance(one, Constant) else known[one] for one in equation.inputs]
            known |= dict(zip(equation.outputs, equation.evaluate(*values), strict=True))
        return known[self.output]


class _Shape(NamedTuple):
    """A value as an elementwise function of another one, its `root`; `curved`: whether it is not affine in it; `marked`:
    whether one of `MARKS` is among its operations."""

    root: Variable
    curved: bool = False
    marked: bool = False


def curves_of(graph: Graph) -> list[Curve]:
    """The activations of a graph, without names."""
    shapes: dict[Variable, _Shape] = {}
    lifted: dict[Variable, Variable] = {}  # of a root that is affine in another one: that one
    uniform: set[Variable] = set()
    made: dict[Variable, Equation] = {}
    users: dict[Variable, list[Equation]] = {}
    for equation in graph.equations:
        for one in equation.inputs:
            if isinstance(one, Variable):
                users.setdefault(one, []).append(equation)
        made |= dict.fromkeys(equation.outputs, equation)
        operands = [one for one in equation.inputs if isinstance(one, Variable) and one not in uniform]
        plain = equation.name in ELEMENTWISE or equation.name == "broadcast_in_dim"
        if not operands and plain and all(np.shape(getattr(one, "value", 0)) == () for one in equation.inputs):
            uniform.update(equation.outputs)
            continue
        if not is_elementwise(equation, operands):
            continue
        out = equation.outputs[0]
        if any(one.shape != out.shape for one in operands):
            continue
        own = [shapes.get(one, _Shape(one)) for one in operands]
        root = _common(own, lifted)
        if root is None:
            continue
        bent = any(one.curved for one in own) or not _is_affine(equation, operands)
        if not bent:  # z / 2, say: what follows is a function of it, or of z itself
            shapes[out] = _Shape(out)
            lifted[out] = root
            continue
        marked = any(one.marked for one in own) or equation.name in MARKS
        shapes[out] = _Shape(root, True, marked)
    results = {one for one in graph.outputs if isinstance(one, Variable)}
    found: list[Curve] = []
    taken: set[Variable] = set()
    for out, shape in shapes.items():
        if not (shape.curved and shape.marked and out.floating):
            continue
        later = [one for equation in users.get(out, []) for one in equation.outputs]
        inside = [one for one in later if one in shapes and _within(shapes[one].root, shape.root, lifted)]
        if len(inside) == len(later) and out not in results:
            continue
        curves = (
            Curve("", "", root, end, _between(root, end, made))
            for end in _ends(out, made, shapes, uniform)
            for root in _chain(shape.root, lifted)
        )
        named = next((one._replace(function=name) for one in curves if (name := _function(one)) is not None), None)
        if named is None or any(one in taken for equation in named.equations for one in equation.outputs):
            continue
        found.append(named)
        taken.add(named.output)
    return found


def is_elementwise(equation: Equation, operands: Sequence[Variable]) -> bool:
    if len(equation.outputs) != 1 or not operands:
        return False
    if equation.name == "custom_jvp_call":
        return equation.inner is not None and all(
            one.name in ELEMENTWISE or one.name in ("custom_jvp_call", "broadcast_in_dim")
            for one in equation.inner.everywhere()
        )
    return equation.name in ELEMENTWISE


def _is_affine(equation: Equation, operands: Sequence[Variable]) -> bool:
    """Whether it is affine in its one operand that is not uniform."""
    if len(operands) != 1:
        return False
    if equation.name == "div":
        return equation.inputs[0] is operands[0]
    return equation.name in ("add", "sub", "mul", "neg", "convert_element_type", "copy")


def _common(own: Sequence[_Shape], lifted: dict[Variable, Variable]) -> Variable | None:
    """The one variable that all are functions of; None where there is none."""
    chains = [list(_chain(one.root, lifted)) for one in own]
    return next((one for one in chains[0] if all(one in chain for chain in chains[1:])), None)


def _chain(root: Variable, lifted: dict[Variable, Variable]) -> Iterator[Variable]:
    while True:
        yield root
        if root not in lifted:
            return
        root = lifted[root]


def _within(root: Variable, other: Variable, lifted: dict[Variable, Variable]) -> bool:
    return root is other or other in _chain(root, lifted) or root in _chain(other, lifted)


def _ends(
    out: Variable, made: dict[Variable, Equation], shapes: dict[Variable, _Shape], uniform: set[Variable]
) -> Iterator[Variable]:
    """Where an activation may end: at `out`, or before the affine steps at its end, such as dropout's division by 1 - rate."""
    while True:
        yield out
        equation = made[out]
        bent = [one for one in equation.inputs if isinstance(one, Variable) and one not in uniform]
        if not _is_affine(equation, bent) or not shapes[bent[0]].marked:
            return
        out = bent[0]


def _between(root: Variable, out: Variable, made: dict[Variable, Equation]) -> tuple[Equation, ...]:
    """The equations that make `out` of `root`, in their order."""
    found: dict[Equation, None] = {}

    def visit(one: Atom) -> None:
        if one is root or isinstance(one, Constant) or one not in made or made[one] in found:
            return
        for before in made[one].inputs:
            visit(before)
        found.setdefault(made[one])

    visit(out)
    return tuple(found)


def _function(curve: Curve) -> str | None:
    """The name of a function, known by its values; None for one that no table has."""
    with jax.ensure_compile_time_eval():
        z = jnp.asarray(PROBES, curve.input.dtype)
        values = np.asarray(_probed(curve.equations, {curve.input: z})[curve.output], float)
    scale = 1e-5 * (1 + np.abs(values).max())
    near = (name for name, one in _known_values().items() if np.abs(one - values).max() < scale)
    # max(z, 1e-6), which keeps a divisor from 0, is no relu: where that is 0, it is exactly 0.
    return next((name for name in near if not np.any(values[_known_values()[name] == 0])), None)


def _probed(equations: Iterable[Equation], known: dict[Variable, Any]) -> dict[Variable, Any]:
    """The values of elementwise equations at `PROBES`, whatever shape they were traced in."""
    spread = lambda value: jnp.broadcast_to(value, PROBES.shape)
    for equation in equations:
        values = [spread(one.value if isinstance(one, Constant) else known[one]) for one in equation.inputs]
        if equation.name == "broadcast_in_dim":
            found = values
        elif equation.name == "custom_jvp_call" and equation.inner is not None:
            inside = _probed(equation.inner.equations, dict(zip(equation.inner.inputs, values, strict=True)))
            found = [one.value if isinstance(one, Constant) else inside[one] for one in equation.inner.outputs]
        else:
            found = equation.evaluate(*values)
        known |= dict(zip(equation.outputs, found, strict=True))
    return known


@functools.cache
def _known_values() -> dict[str, np.ndarray]:
    with jax.ensure_compile_time_eval():
        return {name: np.asarray(function(jnp.asarray(PROBES)), float) for name, function in KNOWN.items()}
