"""Checks of the values a user gives for the options of a data set, each refusal one sentence."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

# What a user gives for an option: anything, until its check below has looked at it. A narrower annotation would,
# where annotations are checked while the program runs, answer with a type error in place of a sentence.
Option = Any

COPIES = 6
"""A table in memory, at most, in units of its numbers in float64: as it was read, joined, chosen, filled and scaled."""
MINIMUM_EXAMPLES = 10  # fewer cannot be cut into three splits that mean anything


def whole_number(name: str, value: Option, *, minimum: int) -> int:
    """`value` as an int of at least `minimum`; anything else, booleans included, is a `UserError`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < minimum:
        raise UserError(
            f"{option(name)} wants a whole number of at least {minimum}, not {shown(value)}; try {option(name, minimum)}."
        )
    return int(value)


def sample_count(value: Option, *, minimum: int = MINIMUM_EXAMPLES, features: int = 2) -> int:
    """The number of examples of a generated set: enough of them to fill train, validation and test, and few enough to fit
    into memory with so many features each."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 < int(value) < minimum:
        raise UserError(
            f"{option('samples', int(value))} is too few to be split into train, validation and test; "
            f"try {option('samples', minimum)} or more."
        )
    count = whole_number("samples", value, minimum=minimum)
    wanted = f"samples={shown(count)}" if features <= 2 else f"samples={shown(count)} of {shown(features)} features"
    check_room(wanted, 8 * COPIES * count * (features + 1), "choose fewer")
    return count


def real_number(name: str, value: Option, *, minimum: float = 0.0, above: bool = False) -> float:
    """`value` as a finite float of at least `minimum` (or strictly `above` it); else a `UserError`."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number = as_float(value) if is_number else math.nan
    if not math.isfinite(number) or number < minimum or (above and number == minimum):
        wanted = f"above {minimum:g}" if above else f"of at least {minimum:g}"
        raise UserError(
            f"{option(name)} wants a finite number {wanted}, not {shown(value)}; try {option(name, minimum + 0.1)}."
        )
    return number


def as_float(value: Any) -> float:
    """A real number as a float; one that is too large for it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def yes_or_no(name: str, value: Option) -> bool:
    """`value` if it is a bool; else a `UserError`."""
    if not isinstance(value, bool):
        raise UserError(f"{option(name)} wants True or False, not {shown(value)}; try {option(name, True)}.")
    return value


def one_of(name: str, value: Option, choices: Sequence[str]) -> str:
    """`value` if it is one of the `choices`; else a `UserError` that lists them."""
    if value not in choices:
        raise UserError(
            f"{option(name)} wants one of {', '.join(choices)}, not {shown(value)}; try {option(name, choices[0])}."
        )
    return value


def names_list(name: str, value: Option) -> tuple[str, ...]:
    """A name, several names separated by commas, or a sequence of names or whole numbers, as a tuple; else a `UserError`."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Sequence) and all(_names_something(part) for part in value):
        return tuple(str(part) for part in value)
    raise UserError(
        f"{option(name)} wants a name or a list of names, not {shown(value)}; try {option(name, ('first', 'second'))}."
    )


def _names_something(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, numbers.Integral) and not isinstance(part, bool))
