"""The derivative rules: one table, apart from what walks the graph.

The entry of an operator has a rule for each of its arguments, or one for all. A rule takes s, the derivative of the whole
expression with respect to the operator's result y, then y and the arguments, and returns the derivative with respect to its
argument: s · ∂y/∂x for numbers. None stands for 0.

Rules are written in the operators themselves, which take arrays as well as `Var`s: given arrays they return arrays, given
`Var`s an expression graph of the derivative, which can be differentiated again.

To put another entry in place of one is a b-function ("Function changes in the Backpropagation equation is equivalent to an
implicit learning rate"): see `replaced`.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ascribe.checks import unknown
from ascribe.errors import UserError

from . import operators as op
from .variable import OPERATORS, shape_of

Rule = Callable[..., Any]


def rows(x: Any) -> int:
    """How many examples a loss is the mean of: the length of the first axis, or 1 for a vector or a number."""
    shape = shape_of(x)
    return shape[0] if len(shape) > 1 else 1


def each(s: Any, x: Any) -> Any:
    """s over the number of examples: a product, since float16 has no number above 65,504 to divide by."""
    return s * (1.0 / rows(x))


def restore(s: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """What a reduction of x over `axis` gave, in x's shape again."""
    shape = shape_of(x)
    if not keepdims:
        axes = range(len(shape)) if axis is None else np.atleast_1d(axis) % max(len(shape), 1)
        s = op.reshape(s, tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return op.broadcast(s, shape)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that undoes another."""
    return tuple(int(i) for i in np.argsort(np.asarray(axes) % len(axes)))


def shaped(x: Any, shape: tuple[int, ...]) -> Any:
    """x in that shape; x itself where it has it."""
    return x if shape_of(x) == shape else op.reshape(x, shape)


def _matrices(s: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """s, a and b as (stacks of) matrices: a vector on the left is a row, one on the right a column."""
    left, right = shape_of(a), shape_of(b)
    shape = shape_of(s)
    if len(right) == 1:
        b, shape = op.reshape(b, (*right, 1)), (*shape, 1)
    if len(left) == 1:
        a, shape = op.reshape(a, (1, *left)), (*shape[:-1], 1, shape[-1])
    return shaped(s, shape), a, b


def _matmul_left(s: Any, y: Any, a: Any, b: Any) -> Any:
    s, left, right = _matrices(s, a, b)
    return shaped(op.fit(op.matmul(s, op.swap_last(right)), shape_of(left)), shape_of(a))


def _matmul_right(s: Any, y: Any, a: Any, b: Any) -> Any:
    s, left, right = _matrices(s, a, b)
    return shaped(op.fit(op.matmul(op.swap_last(left), s), shape_of(right)), shape_of(b))


def _max(s: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return restore(s, x, axis, keepdims) * op.shares(x, axis=axis)


def _mean(s: Any, y: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    return restore(s * (math.prod(shape_of(y)) / (math.prod(shape_of(x)) or 1)), x, axis, keepdims)


def _part(number: int, s: Any, y: Any, *parts: Any, axis: int) -> Any:
    ends = np.cumsum([shape_of(part)[axis] for part in parts])
    place = slice(int(ends[number] - shape_of(parts[number])[axis]), int(ends[number]))
    return op.getitem(s, (slice(None),) * (axis % len(shape_of(y))) + (place,))


DERIVATIVES: dict[str, tuple[Rule | None, ...] | Rule] = {
    "add": (lambda s, y, a, b: s, lambda s, y, a, b: s),
    "subtract": (lambda s, y, a, b: s, lambda s, y, a, b: -s),
    "multiply": (lambda s, y, a, b: s * b, lambda s, y, a, b: s * a),
    "divide": (lambda s, y, a, b: s / b, lambda s, y, a, b: -s * y / b),
    "power": (
        lambda s, y, a, b: s * b * op.power(a, b - op.nonzero(b)),
        lambda s, y, a, b: s * y * op.log(a + (1.0 - op.nonzero(a))),
    ),
    "negative": (lambda s, y, x: -s,),
    "matmul": (_matmul_left, _matmul_right),
    "affine": (
        lambda s, y, x, W, b: _matmul_left(s, y, x, W),
        lambda s, y, x, W, b: _matmul_right(s, y, x, W),
        lambda s, y, x, W, b: op.fit(s, shape_of(b)),
    ),
    "exp": (lambda s, y, x: s * y,),
    "log": (lambda s, y, x: s / x,),
    "times_log": (lambda s, y, t, x: s * op.log(x), lambda s, y, t, x: s * t / (x + (1.0 - op.nonzero(t)))),
    "sin": (lambda s, y, x: s * op.cos(x),),
    "cos": (lambda s, y, x: -s * op.sin(x),),
    "arctan": (lambda s, y, x: s / (1.0 + x * x),),
    "sqrt": (lambda s, y, x: s * 0.5 / y,),
    "abs": (lambda s, y, x: s * op.sign(x),),
    "sign": (None,),
    "tanh": (lambda s, y, x: s * (1.0 - y * y),),
    "logistic": (lambda s, y, x: s * y * (1.0 - y),),
    "relu": (lambda s, y, x: s * op.positive(x),),
    "leaky_relu": (lambda s, y, x, slope: s * (slope + (1.0 - slope) * op.threshold(x)),),
    "threshold": (None,),
    "softplus": (lambda s, y, x: s * op.logistic(x),),
    "positive": (None,),
    "nonzero": (None,),
    "equal": (None, None),
    "one_hot": (None,),
    "shares": (None,),
    "sum": (lambda s, y, x, axis, keepdims: restore(s, x, axis, keepdims),),
    "mean": (_mean,),
    "max": (_max,),
    "logsumexp": (lambda s, y, x, axis, keepdims: restore(s, x, axis, keepdims) * op.exp(x - restore(y, x, axis, keepdims)),),
    "softmax": (lambda s, y, x, axis: y * (s - op.sum(s * y, axis, keepdims=True)),),
    "reshape": (lambda s, y, x, shape: op.reshape(s, shape_of(x)),),
    "transpose": (lambda s, y, x, axes: op.transpose(s, None if axes is None else inverse(axes)),),
    "broadcast": (lambda s, y, x, shape: op.fit(s, shape_of(x)),),
    "fit": (lambda s, y, x, shape: op.broadcast(s, shape_of(x)),),
    "getitem": (lambda s, y, x, index: op.scatter(s, index, shape_of(x)),),
    "scatter": (lambda s, y, x, index, shape: op.getitem(s, index),),
    "concatenate": _part,
    "stack": lambda number, s, y, *parts: op.getitem(s, number),
    "squared_error": (lambda s, y, a, t: each(s, a) * (a - t), lambda s, y, a, t: each(s, a) * (t - a)),
    "logistic_cross_entropy": (
        lambda s, y, z, t: each(s, z) * (op.logistic(z) - t),
        lambda s, y, z, t: -each(s, z) * z,
    ),
    "softmax_cross_entropy": (
        lambda s, y, z, t: each(s, z) * (op.softmax(z) * op.sum(t, -1, keepdims=True) - t),
        lambda s, y, z, t: each(s, z) * (op.logsumexp(z, -1, keepdims=True) - z),
    ),
}
"""Operator → its derivative rules."""


def rule(operator: str, number: int) -> Rule | None:
    """The rule for an argument, counted from 0.

    **Raises:** `UserError` for an operator that has none.
    """
    entry = DERIVATIVES.get(operator, ())
    if callable(entry):
        return functools.partial(entry, number)
    if number < len(entry):
        return entry[number]
    raise UserError(
        f"the operator {operator} has no derivative rule for its argument {number + 1}: put one into "
        f"ascribe.autodiff.DERIVATIVES[{operator!r}], a function (s, y, *arguments) for each argument, or None for 0."
    )


@contextlib.contextmanager
def replaced(**entries: tuple[Rule | None, ...] | Rule) -> Iterator[None]:
    """Other rules in the table for a while: `with replaced(tanh=(lambda s, y, x: s,)): f.backward()`.

    A replaced derivative is a b-function; the values that the graph computes stay what they are.

    **Raises:** `UserError` for a name that is no operator's.
    """
    for name in entries:
        if name not in OPERATORS:
            raise unknown("operator", name, sorted(OPERATORS))
    before = dict(DERIVATIVES)
    DERIVATIVES.update(entries)
    try:
        yield
    finally:
        DERIVATIVES.clear()
        DERIVATIVES.update(before)
