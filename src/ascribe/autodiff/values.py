"""What a `Var` holds: a real number, or an array of them that nobody writes into."""

from typing import Any

import numpy as np

from ascribe.errors import UserError

Value = Any
"""An array, or a number: NumPy's, except for constants that came as Python's."""

REAL = np.dtype(np.float64)


def number_or_array(value: Any) -> Value:
    """What a `Var` of it holds: floating-point, a copy, not writable."""
    try:
        array = np.array(value)
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"a Var holds a number or an array of numbers, all rows of one length: {error}.") from None
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise UserError(f"a Var holds real numbers; got {array.dtype} (from {type(value).__name__}).")
    return frozen(array)


def frozen(value: np.ndarray) -> Value:
    """The array, not writable; a NumPy number for an array of no axes."""
    if value.ndim == 0:
        return value[()]
    value.flags.writeable = False
    return value


def describe(value: Any) -> str:
    """The kind of a value, in words: for error messages."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}" + ("" if value.dtype.kind in "fiub" else f" and of {value.dtype}")
    return f"the {type(value).__name__} {value}" if np.isscalar(value) else f"a {type(value).__name__}"
