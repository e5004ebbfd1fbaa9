"""What goes backwards: sums of cotangents, the transpose of a product, and terms in the shapes of what they replace."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.errors import UserError
from ascribe.jaxprs import Constant, Equation, Variable, run
from ascribe.networks import forms, sites
from ascribe.types import Array


class Cotangents:
    """Sums of cotangents, by variable."""

    def __init__(self) -> None:
        self._sums: dict[Variable, Array] = {}

    def get(self, one: Any) -> Array | None:
        """The sum so far; None where nothing came."""
        return None if isinstance(one, Constant) else self._sums.get(one)

    def set(self, one: Variable, cotangent: Array) -> None:
        """In place of whatever came."""
        self._sums[one] = cotangent

    def add(self, one: Any, cotangent: Array | None) -> None:
        """One more."""
        if cotangent is None or isinstance(one, Constant) or not one.floating:
            return
        self._sums[one] = cotangent if one not in self._sums else self._sums[one] + cotangent

    def add_all(self, ones: Iterable[Any], cotangents: Iterable[Array | None]) -> None:
        """One for each."""
        for one, cotangent in zip(ones, cotangents, strict=True):
            self.add(one, cotangent)


def only(found: Sequence[Array | None]) -> list[Array]:
    """Those that there are."""
    return [one for one in found if one is not None]


def evaluate(equation: Equation, values: Sequence[Any]) -> Any:
    """The one output of an equation."""
    known = {one: value for one, value in zip(equation.inputs, values, strict=True) if isinstance(one, Variable)}
    run([equation], known, forms.FORMS)
    return known[equation.outputs[0]]


def transposed(equation: Equation, values: Sequence[Any], operand: int, cotangent: Array) -> Array:
    """The cotangent of one operand of an operation that is linear in it."""

    def product(value: Array) -> Array:
        return evaluate(equation, [value if k == operand else one for k, one in enumerate(values)])

    return jax.linear_transpose(product, values[operand])(cotangent)[0]


def fitting(what: str, value: Any, like: Array) -> Any:
    """A replaced term: an array of the exact one's shape, or one number for all; what broadcasts otherwise is a mistake."""
    number = isinstance(value, int | float | jax.Array | np.ndarray | np.generic)
    if not number or np.shape(value) not in (like.shape, ()):
        came = f"the shape {np.shape(value)}" if number else type(value).__name__
        raise UserError(f"{what} has the shape of what it is taken at, {like.shape}, or is one number; got {came}.")
    return value


def directly(matrix: Array, delta: Array, x: Array, name: str, batch: tuple[int, int] = (0, 1)) -> Array:
    """The error δ^L·B at a value x. `batch`: the axis of x that has the examples, and how many rows each has there."""
    axis, rows = batch
    expected = (delta.shape[1], *sites.example_shape(x.shape, axis, rows))
    if matrix.shape != expected:
        raise UserError(f"direct feedback to layer {name} has the shape {expected}; got {matrix.shape}.")
    error = jnp.moveaxis(jnp.tensordot(delta, matrix, axes=1), 0, axis)
    return error if rows == 1 else error.reshape(x.shape)
