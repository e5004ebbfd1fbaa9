"""Functions as programs of the page's engine: JAX traces them, and the walk here writes what came out as data.

A program is plain JSON: `types` (a letter and a shape each), `values` (the number of a type; with the value that it shares its
numbers with, where it is only another view of them), `inputs` and `outputs` (numbers of values), `constants` (numbers by value)
and `operations`, `[name, outputs, inputs, parameters]` in their order. Sizes are whole numbers, or symbols such as `"b"` and
expressions of them such as `["*", 2, "h1"]`, which the engine puts numbers in.
"""

import ast
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ascribe.errors import UserError
from ascribe.jaxprs import Atom, Constant, Equation, Graph, Variable, graph_of, trace
from ascribe.types import PyTree

from .primitives import ENTRIES, OPENED, SAME, UnknownError, is_key, number, physical, type_of

LETTERS = {
    "float32": "f",
    "float64": "d",
    "int32": "i",
    "uint32": "u",
    "bool": "b",
    "int8": "c",
    "uint8": "h",
}
"""Types of numbers, as programs name them."""
FUNCTIONS = {"floordiv": "//", "mod": "%", "max": "max", "min": "min"}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.BitXor: "^"}


def emit(function: Callable[..., PyTree], *arguments: PyTree, whose: str = "this function") -> tuple[dict[str, Any], Any]:
    """The program of a function, whose inputs and outputs are the leaves of its arguments (shapes are enough) and of what it
    returns; and the structure of that with shapes in place of arrays.

    **Raises:** `UserError` for a primitive that the engine has no form of; `whose` names the function in it.
    """
    graph, structure = trace(function, *arguments)
    leaves = [jax.ShapeDtypeStruct(one.shape, _type(one)) for one in graph.outputs]
    return program_of(graph, whose), jax.tree.unflatten(structure, leaves)


def program_of(graph: Graph, whose: str = "this function") -> dict[str, Any]:
    """A graph as a program."""
    return _Writer(whose).program(graph)


def size(dimension: Any) -> Any:
    """A dimension as programs have it: a number, a symbol, or an expression."""
    if isinstance(dimension, int | np.integer):
        return int(dimension)
    return _parsed(str(dimension))


@functools.cache
def _parsed(text: str) -> Any:
    return text if text.isidentifier() else _expression(ast.parse(text, mode="eval").body)


def _expression(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return ["-", 0, _expression(node.operand)]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return [OPERATORS[type(node.op)], _expression(node.left), _expression(node.right)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return [FUNCTIONS[node.func.id], *map(_expression, node.args)]
    raise UnknownError(f"the size {ast.unparse(node)}")


def _type(atom: Atom) -> Any:
    return atom.dtype if isinstance(atom, Variable) else type_of(atom.value)


class _Writer:
    """Writes one program."""

    def __init__(self, whose: str):
        self.whose = whose
        self.types: dict[str, int] = {}
        self.type_list: list[list[Any]] = []
        self.values: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.operations: list[list[Any]] = []
        self.known: dict[Variable, int] = {}
        self.written: dict[tuple[str, str], int] = {}

    def program(self, graph: Graph) -> dict[str, Any]:
        """A graph as a program of its own."""
        own = _Writer(self.whose)
        inputs = [own.variable(one) for one in graph.inputs]
        outputs = own.walk(graph)
        return {
            "types": own.type_list,
            "values": own.values,
            "inputs": inputs,
            "outputs": outputs,
            "constants": own.constants,
            "operations": own.operations,
        }

    def walk(self, graph: Graph) -> list[int]:
        """Writes a graph whose inputs are known; the numbers of its outputs."""
        for variable, value in graph.constants.items():
            data = jax.random.key_data(value) if is_key(variable.dtype) else value
            self.constants[str(self.variable(variable))] = [number(one) for one in np.asarray(data).ravel()]
        for equation in graph.equations:
            self.equation(equation)
        return [self.atom(one) for one in graph.outputs]

    def equation(self, equation: Equation) -> None:
        """Writes one equation."""
        inputs = [self.atom(one) for one in equation.inputs]
        if equation.name in OPENED:
            inner = graph_of(equation.parameters[OPENED[equation.name]])
            self.known |= dict(zip(inner.inputs, inputs, strict=True))
            self.known |= dict(zip(equation.outputs, self.walk(inner), strict=True))
            return
        outputs = [self.variable(one) for one in equation.outputs]
        if equation.name in SAME:
            return self.same(outputs[0], inputs[0])
        try:
            if equation.name not in ENTRIES:
                raise UnknownError(equation.name)
            ENTRIES[equation.name](self, equation, outputs, inputs)
        except UnknownError as error:
            raise UserError(
                f"the playground has no form of JAX's {error} yet, which {self.whose} is computed with: leave it out."
            ) from error

    def atom(self, one: Atom) -> int:
        """The number of a value."""
        if isinstance(one, Constant):
            return self.constant(one.value, type_of(one.value))
        return self.known[one]

    def variable(self, one: Variable) -> int:
        """The number of a new value."""
        self.known[one] = self.temporary(one.shape, one.dtype)
        return self.known[one]

    def temporary(self, shape: Sequence[Any], dtype: Any) -> int:
        """The number of a value that no equation has."""
        sizes = [size(one) for one in physical(shape, dtype)]
        name = "uint32" if is_key(dtype) else str(np.dtype(dtype))
        if name not in LETTERS:
            raise UserError(f"the playground has no numbers of the type {name}, which {self.whose} uses: leave it out.")
        kind = [LETTERS[name], sizes]
        if str(kind) not in self.types:
            self.types[str(kind)] = len(self.type_list)
            self.type_list.append(kind)
        self.values.append(self.types[str(kind)])
        return len(self.values) - 1

    def constant(self, value: Any, dtype: Any) -> int:
        """The number of a value that is written in the program, the same for the same number."""
        array = np.asarray(value, dtype)
        place = (str(array.dtype) + str(array.shape), str(array.tolist()))
        if place not in self.written:
            self.written[place] = self.temporary(array.shape, array.dtype)
            self.constants[str(self.written[place])] = [number(one) for one in array.ravel()]
        return self.written[place]

    def same(self, output: int, given: int) -> None:
        """The output is another view of a value."""
        self.values[output] = [self.values[output], given]

    def write(self, operation: str, outputs: Sequence[int], inputs: Sequence[int], **parameters: Any) -> None:
        """One operation."""
        row: list[Any] = [operation, list(outputs), list(inputs)]
        if parameters:
            row.append({name: _sized(value) for name, value in parameters.items()})
        self.operations.append(row)


def _sized(value: Any) -> Any:
    """A parameter as plain data; sizes may be expressions."""
    if isinstance(value, list | tuple):
        return [_sized(one) for one in value]
    if isinstance(value, dict | str | float | bool | int | type(None)):
        return value
    return size(value)
