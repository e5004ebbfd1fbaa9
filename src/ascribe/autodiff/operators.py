"""The operators: what each computes. How each is differentiated stands in `derivatives.py`.

Every one takes `Var`s, arrays and numbers in any mixture, and returns a `Var` if one of them is a `Var`.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe.checks import fits, refusal, share, whole
from ascribe.errors import UserError, shown

from .values import Value
from .variable import Operator, shape_of

LEAK = 0.01
"""Slope of the leaky ReLU below zero."""


def _elementwise(name: str, forward: Any, symbol: str = "") -> Operator:
    return Operator(name, forward, symbol=symbol, elementwise=True)


# Arithmetic

# (Python's, which do the same to arrays, and ten times as fast to a number.)
add = _elementwise("add", operator.add, "+")
subtract = _elementwise("subtract", operator.sub, "−")
multiply = _elementwise("multiply", operator.mul, "×")
divide = _elementwise("divide", operator.truediv, "/")
power = _elementwise("power", lambda x, y: np.power(x, y if np.ndim(y) else float(y)), "^")
negative = _elementwise("negative", operator.neg, "−")
matmul = Operator("matmul", np.matmul, symbol="@")


def _affine(x: Value, W: Value, b: Value) -> Value:
    z = np.matmul(x, W)
    return np.add(z, b, out=z) if np.result_type(z, b) == z.dtype else z + b


_dense = Operator("affine", _affine)


def affine(x: Any, W: Any, b: Any) -> Any:
    """x W + b for rows x, `(…, inputs)`, W of `(inputs, outputs)` and b of `(outputs,)`: one operator, since a sum of its own
    would write every number of a layer once more."""
    if len(shape_of(W)) != 2 or shape_of(b) != shape_of(W)[1:]:
        raise UserError(
            f"affine takes W of (inputs, outputs) and b of (outputs,); got the shapes {shape_of(W)} and {shape_of(b)}."
        )
    return _dense(x, W, b)


# Functions of one number

exp = _elementwise("exp", np.exp)
"""exp(x), elementwise."""
log = _elementwise("log", np.log)
"""ln x, elementwise."""
sin = _elementwise("sin", np.sin)
"""sin(x), elementwise."""
cos = _elementwise("cos", np.cos)
"""cos(x), elementwise."""
arctan = _elementwise("arctan", np.arctan)
"""arctan(x), elementwise."""
sqrt = _elementwise("sqrt", np.sqrt)
"""√x, elementwise."""
absolute = _elementwise("abs", np.abs)
"""|x|, elementwise; its derivative at 0 is 0."""
sign = _elementwise("sign", np.sign)


def _as_number(condition: Any, x: Any) -> Value:
    return np.asarray(condition).astype(np.asarray(x).dtype)[()]


def _logistic(x: Value) -> Value:
    e = np.exp(-np.abs(x))  # never overflows
    return np.where(np.asarray(x) >= 0, 1.0, e)[()] / (1.0 + e)


tanh = _elementwise("tanh", np.tanh)
"""tanh(x), elementwise."""
logistic = _elementwise("logistic", _logistic)
"""1 / (1 + exp(-x)), elementwise."""
relu = _elementwise("relu", lambda x: np.maximum(x, 0.0))
"""max(x, 0), elementwise; its derivative at 0 is 0."""
_leaky_relu = _elementwise("leaky_relu", lambda x, slope: np.maximum(x, slope * x))
threshold = _elementwise("threshold", lambda x: _as_number(x >= 0, x))
"""1 where x >= 0, else 0; no derivative passes through it."""
softplus = _elementwise("softplus", lambda x: np.logaddexp(x, 0.0))
"""ln(1 + exp(x)), elementwise: a smooth ReLU."""
positive = _elementwise("positive", lambda x: _as_number(x > 0, x))
"""1 where x > 0, else 0: the derivative of ReLU."""
nonzero = _elementwise("nonzero", lambda x: _as_number(x != 0, x))
"""0 where x is 0, else 1."""
equal = _elementwise("equal", lambda x, y: _as_number(np.equal(x, y), x))
"""1 where x and y are equal, else 0."""


def leaky_relu(x: Any, slope: float = LEAK) -> Any:
    """x where x ≥ 0, else slope · x, 0 ≤ slope ≤ 1."""
    return _leaky_relu(x, slope=share("slope", slope, zero=True, one=True))


times_log = _elementwise("times_log", lambda t, x: np.multiply(t, np.log(np.where(np.equal(t, 0), np.ones_like(x), x))))
"""t ln x, and 0 where t is 0: at x = 0, too."""


# Reductions, over `axis`: a number, several, or all of them (None)


def _total(x: Value, axis: Any, keepdims: bool = True) -> Value:
    """Σ x; in float32 for float16, which ends at 65,504."""
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=np.result_type(x, np.float32))


def _logsumexp(x: Value, axis: Any, keepdims: bool) -> Value:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    total = (np.log(_total(np.exp(x - top), axis)) + top).astype(np.asarray(x).dtype)
    return total if keepdims else np.reshape(total, np.shape(np.max(x, axis=axis)))


def _softmax(x: Value, axis: int) -> Value:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return (e / _total(e, axis)).astype(e.dtype)


def _mean_of(x: Value, axis: Any, keepdims: bool) -> Value:
    if not np.size(x) and np.size(np.sum(x, axis=axis)):
        raise UserError(f"the mean of no numbers is none: the axis {axis} of the shape {np.shape(x)} has none.")
    return np.mean(x, axis=axis, keepdims=keepdims)


def _shares_of(x: Value, axis: Any) -> Value:
    largest = np.equal(x, np.max(x, axis=axis, keepdims=True))
    return (largest / np.sum(largest, axis=axis, keepdims=True)).astype(np.asarray(x).dtype)


_sum = Operator("sum", lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims))
_mean = Operator("mean", _mean_of)
_max = Operator("max", lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims))
shares = Operator("shares", _shares_of)
"""1/n at each of the n largest entries over `axis`, 0 elsewhere."""
_log_sum = Operator("logsumexp", _logsumexp)
_soft = Operator("softmax", _softmax)


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Σ x over `axis`."""
    return _sum(x, axis=axis, keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of x over `axis`."""
    return _mean(x, axis=axis, keepdims=keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest x over `axis`. Where several are largest, its derivative is shared equally."""
    return _max(x, axis=axis, keepdims=keepdims)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log Σ exp(x) over `axis`, without overflow."""
    return _log_sum(x, axis=axis, keepdims=keepdims)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / Σ exp(x) over one axis."""
    if whole(axis) is None:
        raise refusal("axis", "an integer", shown(axis))
    return _soft(x, axis=axis)


# Shapes

_reshape = Operator("reshape", lambda x, shape: np.reshape(x, shape))  # noqa: PLW0108 - `shape` has another name in old NumPy
_transpose = Operator("transpose", np.transpose)
_broadcast = Operator("broadcast", np.broadcast_to)
_getitem = Operator("getitem", lambda x, index: np.asarray(x)[index])
_concatenate = Operator("concatenate", lambda *x, axis: np.concatenate(x, axis=axis))
stack = Operator("stack", lambda *x: np.stack(x))
"""Several arrays of one shape along a new first axis."""


def _sum_into(x: Value, shape: tuple[int, ...]) -> Value:
    x = np.asarray(x)
    extra = x.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1))
    return np.sum(x, axis=axes).reshape(shape)


def _scatter(x: Value, index: Any, shape: tuple[int, ...]) -> Value:
    out = np.zeros(shape, np.asarray(x).dtype)
    np.add.at(out, index, x)
    return out


_fit = Operator("fit", _sum_into)
_put = Operator("scatter", _scatter)


def reshape(x: Any, shape: Any) -> Any:
    """The same numbers in another shape."""
    return _reshape(x, shape=tuple(shape) if isinstance(shape, Sequence) else shape)


def transpose(x: Any, axes: Any = None) -> Any:
    """The axes in another order; reversed by default."""
    return _transpose(x, axes=axes)


def swap_last(x: Any) -> Any:
    """The last two axes exchanged."""
    n = len(shape_of(x))
    return _transpose(x, axes=(*range(n - 2), n - 1, n - 2))


def broadcast(x: Any, shape: tuple[int, ...]) -> Any:
    """x repeated to a larger shape, by NumPy's rules."""
    return _broadcast(x, shape=tuple(shape))


def fit(x: Any, shape: tuple[int, ...]) -> Any:
    """x summed over what `broadcast` repeats: its transpose. It brings a derivative to the shape of an operand."""
    return x if shape_of(x) == tuple(shape) else _fit(x, shape=tuple(shape))


def getitem(x: Any, index: Any) -> Any:
    """x[index]: numbers, slices, lists or arrays of whole numbers or of truth values."""
    return _getitem(x, index=index)


def scatter(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of that shape with x added at `index`, repeated entries each time: the transpose of `getitem`."""
    return _put(x, index=index, shape=tuple(shape))


def concatenate(parts: Sequence[Any], axis: int = 0) -> Any:
    """Several arrays one after the other, along an axis that they have."""
    if not isinstance(parts, Sequence) or not parts:
        raise UserError("concatenate wants a list of at least one array.")
    if not fits(axis, int):
        raise UserError(f"`axis` of concatenate is the number of an axis; got {shown(axis)}.")
    return _concatenate(*parts, axis=axis)


def one_hot(x: Any) -> Any:
    """1 at the largest entry of the last axis (the first of several), 0 elsewhere. Its derivative is 0."""
    return _one_hot(x)


_one_hot = Operator("one_hot", lambda x: np.eye(np.shape(x)[-1], dtype=np.asarray(x).dtype)[np.argmax(x, axis=-1)])
