"""Where samples enter: checked once, so that no formula meets what it cannot take."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe import checks
from ascribe.checks import at_least
from ascribe.errors import UserError

MOST = 2**63 - 1
"""So many pairs, rules and data sets are told apart from their neighbors in 64 bits."""
MOST_DRAWS = 10**8
Numbers = np.ndarray | Sequence[Any]
"""Numbers as an array, a list or nested lists."""


def array(name: str, values: Numbers, dimensions: int) -> np.ndarray:
    """`values` in float64 with so many axes, none of them empty; NaN may be among them."""
    wanted = {1: "a list of numbers", 2: "a table of numbers with rows of one length"}[dimensions]
    advice = f"give it {dimensions} ax{'es' if dimensions > 1 else 'is'}, none empty, and write nan where a run has no number"
    filled = lambda shape: len(shape) == dimensions and 0 not in shape
    return checks.array(name, values, wanted, filled, advice, gaps=True)


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


def exponent(values: np.ndarray) -> int:
    """The k for which `np.ldexp(values, -k)`, the values over 2^k, can be summed and raised to the third power: 0 for all but
    sizes beyond 2^±300, for which no float is left then. A power of two changes no digit."""
    finite = np.abs(values[np.isfinite(values)])
    size = int(np.frexp(finite.max(initial=0.0))[1])
    return size if abs(size) > 300 else 0


def draws(value: int, example: int) -> int:
    """A number of random draws, `resamples`: more would take days."""
    return at_least(1, "resamples", value, most=MOST_DRAWS, advice=f"try {example}")
