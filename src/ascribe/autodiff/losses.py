"""The three losses of the course notes, each the mean over the examples, which are the rows.

A vector is one example. The first three take activations, as they are written in the notes; the last two take what enters the
logistic function or the softmax, and stay exact where those round to 0 or 1.

Source: "Neural networks" (course notes), section 2.3.
"""

from typing import Any

import numpy as np

from ascribe.errors import UserError

from .derivatives import rows
from .operators import log, sum
from .variable import Operator, Value, shape_of


def _rows(x: Value) -> int:
    return x.shape[0] if np.ndim(x) > 1 else 1


def _squared(y: Value, t: Value) -> Value:
    return 0.5 * np.sum(np.square(y - t)) / _rows(y)


def _logistic_cross_entropy(z: Value, t: Value) -> Value:
    return np.sum(np.maximum(z, 0.0) - z * t + np.log1p(np.exp(-np.abs(z)))) / _rows(z)


def _softmax_cross_entropy(z: Value, t: Value) -> Value:
    shifted = z - np.max(z, axis=-1, keepdims=True)
    log_total = np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return np.sum(t * (log_total - shifted)) / _rows(z)


_squared_error = Operator("squared_error", _squared)
_logistic_loss = Operator("logistic_cross_entropy", _logistic_cross_entropy)
_softmax_loss = Operator("softmax_cross_entropy", _softmax_cross_entropy)


def _check(y: Any, t: Any) -> None:
    if shape_of(y) != shape_of(t):
        raise UserError(
            f"a loss compares two arrays of one shape; the outputs have {shape_of(y)} and the targets {shape_of(t)}."
        )


def squared_error(y: Any, t: Any) -> Any:
    """½ ‖y − t‖², 2.3.1."""
    _check(y, t)
    return _squared_error(y, t)


def cross_entropy(y: Any, t: Any) -> Any:
    """−Σ (t log y + (1 − t) log(1 − y)), 2.3.2, of probabilities y."""
    _check(y, t)
    return -sum(t * log(y) + (1.0 - t) * log(1.0 - y)) / rows(y)


def categorical_cross_entropy(y: Any, t: Any) -> Any:
    """−Σ_k t_k log y_k, 2.3.3, of the probabilities y of classes in the last axis."""
    _check(y, t)
    return -sum(t * log(y)) / rows(y)


def logistic_cross_entropy(z: Any, t: Any) -> Any:
    """`cross_entropy(logistic(z), t)`."""
    _check(z, t)
    return _logistic_loss(z, t)


def softmax_cross_entropy(z: Any, t: Any) -> Any:
    """`categorical_cross_entropy(softmax(z), t)`, over the last axis."""
    _check(z, t)
    return _softmax_loss(z, t)
