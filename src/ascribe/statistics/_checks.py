"""Where samples and settings enter: checked once, in plain Python, so that no formula meets what it cannot take."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe import arguments
from ascribe.arguments import real, real_numbers
from ascribe.errors import UserError, shown

LARGEST = sys.float_info.max
MOST_DRAWS = 10**8
Numbers = np.ndarray | Sequence[Any]
"""Numbers as an array, a list or nested lists."""


def array(name: str, values: Numbers, dimensions: int) -> np.ndarray:
    """`values` in float64 with so many axes, none of them empty; NaN may be among them."""
    wanted = {1: "a list of numbers", 2: "a table of numbers with rows of one length"}[dimensions]
    numbers = real_numbers(values)
    if numbers is None:
        raise UserError(f"`{name}` is {wanted}; got {shown(values)}: write nan where a run has no number.")
    if numbers.ndim != dimensions or not numbers.size:
        raise UserError(f"`{name}` is {wanted}; got the shape {numbers.shape}: give it {dimensions} axes, none empty.")
    return numbers


def sample(name: str, values: Numbers, least: int = 1) -> np.ndarray:
    """`values` as finite numbers (values,), at least `least` of them."""
    numbers = array(name, values, 1)
    lost = int(np.count_nonzero(~np.isfinite(numbers)))
    if lost:
        raise UserError(
            f"`{name}` holds finite numbers; got {lost} that are not: `paired` leaves such pairs out and counts them."
        )
    if len(numbers) < least:
        raise UserError(f"`{name}` holds at least {least} numbers; got {len(numbers)}: train more seeds.")
    return numbers


def share(name: str, value: float, example: float) -> float:
    """A number strictly between 0 and 1."""
    number = real(value)
    if number is None or not 0.0 < number < 1.0:
        raise UserError(f"`{name}` is a number between 0 and 1; got {shown(value)}: try {example}.")
    return float(number)


def positive(name: str, value: float) -> float:
    """A finite number above 0."""
    number = real(value)
    if number is None or not 0.0 < number <= LARGEST:
        raise UserError(f"`{name}` is a positive number; got {shown(value)}: try one of the size that matters to you.")
    return float(number)


def tolerance(name: str, value: float) -> float:
    """A finite number, 0 or above."""
    return 0.0 if real(value) == 0.0 else positive(name, value)


def exponent(values: np.ndarray) -> int:
    """The k for which `np.ldexp(values, -k)`, the values over 2^k, can be summed and raised to the third power: 0 for all but
    sizes beyond 2^±300, for which no float is left then. A power of two changes no digit."""
    finite = np.abs(values[np.isfinite(values)])
    size = int(np.frexp(finite.max(initial=0.0))[1])
    return size if abs(size) > 300 else 0


def whole(name: str, value: int, least: int, example: int) -> int:
    """An integer that is at least `least`."""
    number = arguments.whole(value)
    if number is None or not least <= number < 2**63:
        limit = " and of 64 bits" if number is not None and number >= 2**63 else ""
        raise UserError(f"`{name}` is an integer of at least {least}{limit}; got {shown(value)}: try {example}.")
    return number


def draws(name: str, value: int, example: int) -> int:
    """A number of random draws: more would take days."""
    if whole(name, value, 1, example) > MOST_DRAWS:
        raise UserError(f"`{name}` is {MOST_DRAWS:,} at most; got {shown(value)}: try {example}.")
    return int(value)
