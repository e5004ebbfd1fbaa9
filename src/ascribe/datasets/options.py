"""Options of data sets: the checks of `ascribe.checks`, in sentences that spell an option as their reader does."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from ascribe.checks import at_least, closest, refusal, whole
from ascribe.errors import option, shown
from ascribe.memory import check_room

# What a user gives for an option: anything, until its check below has looked at it. A narrower annotation would,
# where annotations are checked while the program runs, answer with a type error in place of a sentence.
Option = Any
Task = Literal["binary", "classification", "regression"]
Value = TypeVar("Value")

COPIES = 6
"""A table in memory, at most, in units of its numbers in float64: as it was read, joined, chosen, filled and scaled."""
MINIMUM_EXAMPLES = 10  # fewer cannot be cut into three splits that mean anything


OTHER_WORDS = {
    **{"sep": "separator", "delimiter": "separator", "na_values": "missing_words", "skiprows": "skip", "sheet_name": "sheet"},
    **{"label": "target", "target_column": "target", "drop": "ignore", "index_col": "ignore", "decimal_separator": "decimal"},
}
"""What other libraries call the options of a table."""


def meant_options(wanted: str, allowed: Sequence[str]) -> list[str]:
    """The option that another library calls so, or that a name is close to; empty where there is none."""
    other = OTHER_WORDS.get(wanted)
    return [other] if other is not None and other in allowed else closest(wanted, allowed)


def ask(check: Callable[..., Value], name: str, value: Option, example: Any) -> Value:
    """What an option was given, by a check of `ascribe.checks`; the sentence of a refusal ends with an example."""
    return check(option(name), value, advice=suggest(name, example))


def suggest(name: str, value: Any) -> str:
    """The advice to give an option that value."""
    return f"try {option(name, value)}"


def whole_number(name: str, value: Option, *, minimum: int) -> int:
    """A whole number from `minimum` up."""
    return ask(partial(at_least, minimum), name, value, minimum)


def sample_count(value: Option, *, minimum: int = MINIMUM_EXAMPLES, features: int = 2) -> int:
    """The number of examples of a generated set: enough of them to fill train, validation and test, and few enough to fit
    into memory with so many features each."""
    if 0 < (whole(value) or 0) < minimum:
        wanted = f"at least {shown(minimum)}, to be split into train, validation and test"
        raise refusal(option("samples"), wanted, shown(value), suggest("samples", minimum))
    count = whole_number("samples", value, minimum=minimum)
    wanted = f"samples={shown(count)}" if features <= 2 else f"samples={shown(count)} of {shown(features)} features"
    check_room(wanted, 8 * COPIES * count * (features + 1), "choose fewer")
    return count


def names_list(name: str, value: Option) -> tuple[str, ...]:
    """A name, several names separated by commas, or a sequence of names or whole numbers, as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Sequence) and all(isinstance(part, str) or whole(part) is not None for part in value):
        return tuple(map(str, value))
    raise refusal(option(name), "a name or a list of names", shown(value), suggest(name, ("first", "second")))
