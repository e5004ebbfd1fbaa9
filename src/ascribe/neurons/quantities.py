"""Checks of what a user gives: plain numbers in stated units. Each guesses the likely mistake. And how numbers are said."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.checks import real_numbers
from ascribe.errors import UserError, shown
from ascribe.memory import check_room
from ascribe.types import Array

Numbers = np.ndarray | np.floating
"""An array, or NumPy's number where one number was asked for."""

NEAR = 1e-12
"""Of a time: closer to a multiple of a step it is that multiple."""

UNHEARD_OF = 1e30
"""Bytes: more than any memory has, where a number of them is infinite."""

LONGEST = 1.0
"""Seconds. A time constant or a step beyond it was meant in milliseconds."""


def numbers(name: str, value: Any, unit: str) -> np.ndarray:
    """The value as an array of finite numbers.

    **Raises:** `UserError` for anything else.
    """
    array = real_numbers(value)
    if array is None:
        raise UserError(f"{name} is a number or an array of numbers, in {unit}; got {shown(value)}.")
    if not np.all(np.isfinite(array)):
        raise UserError(f"{name} has to be finite, in {unit}; got {written(array)}.")
    return array


def positive(name: str, value: Any, unit: str) -> np.ndarray:
    """As `numbers`, and above 0."""
    array = numbers(name, value, unit)
    if not np.all(array > 0):
        raise UserError(f"{name} has to be above 0, in {unit}; got {written(array)}.")
    return array


def not_negative(name: str, value: Any, unit: str) -> np.ndarray:
    """As `numbers`, and 0 at least."""
    array = numbers(name, value, unit)
    if not np.all(array >= 0):
        raise UserError(f"{name} is 0 at least, in {unit}; got {written(array)}.")
    return array


def single(name: str, value: Any, unit: str) -> float:
    """As `positive`, of one number."""
    array = positive(name, value, unit)
    if array.ndim:
        raise UserError(f"{name} is one number, in {unit}; got {written(array)}.")
    return float(array)


def seconds(name: str, value: Any) -> np.ndarray:
    """As `positive`; beyond a second it is taken for milliseconds, and refused."""
    array = positive(name, value, "seconds")
    if np.any(array > LONGEST):
        raise UserError(f"{name}={written(array)} is in seconds; did you mean {np.max(array) / 1000:g}?")
    return array


def whole_steps(t: Any, dt: float) -> np.ndarray:
    """How many whole steps of dt fit into the times t, both in seconds: k in k·dt, although in floating-point numbers k·dt
    / dt may be a little less."""
    ratio = np.asarray(t, np.float64) / dt
    nearest = np.rint(ratio)
    return np.where(np.abs(ratio - nearest) <= NEAR * np.abs(nearest), nearest, np.floor(ratio)).astype(np.int64)


def check_steps(what: str, duration: float, dt: float, size: int) -> None:
    """**Raises:** `UserError` where the duration's steps of dt, of `size` bytes each, do not fit into memory."""
    steps = duration / dt
    check_room(f"{what} of {steps:,.4g} steps", int(min(size * steps, UNHEARD_OF)), "take a larger dt")


def check_shapes(**given: np.ndarray) -> None:
    """**Raises:** `UserError` where arrays of one number for each neuron are for different numbers of them."""
    try:
        np.broadcast_shapes(*(array.shape for array in given.values()))
    except ValueError:
        shapes = ", ".join(f"{array.shape} for {name}" for name, array in given.items() if array.ndim)
        raise UserError(f"parameters are numbers, or arrays for the same neurons; got the shapes {shapes}.") from None


def whole_numbers(value: Any) -> np.ndarray | None:
    """The value as an array of whole numbers, an empty one as one of int64; None for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows that differ in length
        return None
    if not array.size:
        return array.astype(np.int64) if array.ndim == 1 else None
    return array if array.dtype.kind in "iu" else None


def leaf(array: np.ndarray) -> Array:
    """A parameter as an array leaf in JAX's default precision, so that a new value compiles nothing."""
    return jnp.asarray(array, jax.dtypes.canonicalize_dtype(np.float64))


def counted(number: int, name: str) -> str:
    """The number and its noun: 1 spike, 2 spikes."""
    return f"{number} {name}{'s' * (number != 1)}"


def written(array: np.ndarray) -> str:
    """An array as sentences tell it, on one line."""
    return f"{float(array):g}" if array.ndim == 0 else " ".join(np.array2string(array, threshold=6).split())
