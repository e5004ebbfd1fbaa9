"""The three losses of the course notes, each the mean over the examples, which are the rows.

A vector is one example. The first three take activations, as they are written in the notes; the last two take what enters the
logistic function or the softmax, and stay exact where those round to 0 or 1.

Source: "Neural networks" (course notes), section 2.3.
"""

from typing import Any

import numpy as np

from ascribe.errors import UserError

from .derivatives import rows
from .operators import sum, times_log
from .values import Value
from .variable import Operator, Var, holds_variables, joined, shape_of


def _part(x: Value) -> float:
    return 1.0 / rows(x)


def _mean(values: Value) -> Value:
    """Their sum over the number of rows; added up in float32 for float16, which ends at 65,504."""
    wide = np.sum(values, dtype=np.result_type(values, np.float32)) * _part(values)
    return wide.astype(np.asarray(values).dtype)


def _squared(y: Value, t: Value) -> Value:
    return 0.5 * _mean(np.square(y - t))


def _times(t: Value, x: Value) -> Value:
    """t x, 0 where t is 0: an infinite x of no weight adds nothing."""
    return np.multiply(t, np.where(np.equal(t, 0), np.zeros_like(x), x))


def _logistic_cross_entropy(z: Value, t: Value) -> Value:
    wrong = np.where(np.asarray(z) >= 0, 1.0 - np.asarray(t), t)
    return _mean(_times(wrong, np.abs(z)) + np.log1p(np.exp(-np.abs(z))))


def _softmax_cross_entropy(z: Value, t: Value) -> Value:
    shifted = z - np.max(z, axis=-1, keepdims=True)
    log_total = np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return _mean(_times(t, log_total - shifted))


_squared_error = Operator("squared_error", _squared)
_logistic_loss = Operator("logistic_cross_entropy", _logistic_cross_entropy)
_softmax_loss = Operator("softmax_cross_entropy", _softmax_cross_entropy)


def _checked(y: Any, t: Any, *, probabilities: bool = True) -> tuple[Any, Any]:
    """Outputs and targets, each a `Var` or an array; of a cross entropy the targets are `probabilities`."""
    if shape_of(y) != shape_of(t):
        raise UserError(
            f"a loss compares two arrays of one shape; the outputs have {shape_of(y)} and the targets {shape_of(t)}."
        )
    if 0 in shape_of(y):
        raise UserError(f"a loss is the mean over examples, and there are none: the outputs have the shape {shape_of(y)}.")
    y, t = (joined(x) if isinstance(x, Var) or holds_variables(x) else np.asarray(x) for x in (y, t))
    values = getattr(t, "value", t)
    if probabilities and values is not None and not (np.min(values) >= 0 and np.max(values) <= 1):
        raise UserError(
            f"the targets of a cross entropy are probabilities, or labels of 0 and 1; got {np.min(values):g} to "
            f"{np.max(values):g}."
        )
    return y, t


def squared_error(y: Any, t: Any) -> Any:
    """½ ‖y − t‖², 2.3.1."""
    y, t = _checked(y, t, probabilities=False)
    return _squared_error(y, t)


def cross_entropy(y: Any, t: Any) -> Any:
    """−Σ (t log y + (1 − t) log(1 − y)), 2.3.2, of probabilities y."""
    y, t = _checked(y, t)
    return -sum(times_log(t, y) + times_log(1.0 - t, 1.0 - y)) * _part(y)


def categorical_cross_entropy(y: Any, t: Any) -> Any:
    """−Σ_k t_k log y_k, 2.3.3, of the probabilities y of classes in the last axis."""
    y, t = _checked(y, t)
    return -sum(times_log(t, y)) * _part(y)


def logistic_cross_entropy(z: Any, t: Any) -> Any:
    """`cross_entropy(logistic(z), t)`."""
    z, t = _checked(z, t)
    return _logistic_loss(z, t)


def softmax_cross_entropy(z: Any, t: Any) -> Any:
    """`categorical_cross_entropy(softmax(z), t)`, over the last axis."""
    z, t = _checked(z, t)
    return _softmax_loss(z, t)
