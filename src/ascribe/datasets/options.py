"""Checks of the values a user gives for the options of a data set, each refusal one sentence."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

from ascribe.errors import UserError

# What a user gives for an option: anything, until its check below has looked at it. A narrower annotation would,
# where annotations are checked while the program runs, answer with a type error in place of a sentence.
Option = Any

MINIMUM_EXAMPLES = 10  # fewer cannot be cut into three splits that mean anything


def whole_number(name: str, value: Option, *, minimum: int) -> int:
    """`value` as an int of at least `minimum`; anything else, booleans included, is a `UserError`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < minimum:
        raise UserError(f"{name} wants a whole number of at least {minimum}, not {value!r}; try {name}={minimum}.")
    return int(value)


def sample_count(value: Option, *, minimum: int = MINIMUM_EXAMPLES) -> int:
    """The number of examples of a generated set: enough of them to fill train, validation and test."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 < int(value) < minimum:
        raise UserError(
            f"samples={value} is too few to be split into train, validation and test; try samples={minimum} or more."
        )
    return whole_number("samples", value, minimum=minimum)


def real_number(name: str, value: Option, *, minimum: float = 0.0, above: bool = False) -> float:
    """`value` as a finite float of at least `minimum` (or strictly `above` it); else a `UserError`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        is_number = is_number and math.isfinite(float(value))
    except OverflowError:  # an integer beyond all floats
        is_number = False
    if not is_number or float(value) < minimum or (above and float(value) == minimum):
        wanted = f"above {minimum:g}" if above else f"of at least {minimum:g}"
        raise UserError(f"{name} wants a finite number {wanted}, not {value!r}; try {name}={minimum + 0.1:g}.")
    return float(value)


def yes_or_no(name: str, value: Option) -> bool:
    """`value` if it is a bool; else a `UserError`."""
    if not isinstance(value, bool):
        raise UserError(f"{name} wants True or False, not {value!r}; try {name}=True.")
    return value


def one_of(name: str, value: Option, choices: Sequence[str]) -> str:
    """`value` if it is one of the `choices`; else a `UserError` that lists them."""
    if value not in choices:
        raise UserError(f"{name} wants one of {', '.join(choices)}, not {value!r}; try {name}={choices[0]!r}.")
    return value


def names_list(name: str, value: Option) -> tuple[str, ...]:
    """A name, several names separated by commas, or a sequence of names, as a tuple; else a `UserError`."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Sequence) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise UserError(f"{name} wants a name or a list of names, not {value!r}; try {name}=('first', 'second').")
