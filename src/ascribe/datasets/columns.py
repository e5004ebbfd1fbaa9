"""The columns of a table: numbers or texts, with their gaps, as they were read."""

import datetime
import decimal
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

from .writing import PLAIN, Writing, find_grouped, has_leading_zero, is_whole_number, number_advice

MIXED_NUMBERS = 5  # a column of texts may hold so many distinct numbers ("2", "3", "5more"); more is a typing error
LARGEST_CLASS = 2.0**53  # whole numbers from there on are rounded, so that two classes may become one
LARGEST_NUMBER = 1e18  # the square still fits into float32, whose largest number is 3e38
CELL = 140
"""Bytes that a cell takes in memory, at most, as a value of Python and then as a number of the table."""
_TEXT_COPIES = 3


def first_too_large(numbers: np.ndarray) -> int | None:
    """The position of the first infinite number, or one beyond what float32 can work with; None if there is none."""
    found = np.flatnonzero(np.abs(numbers) > LARGEST_NUMBER)
    return int(found[0]) if len(found) else None


def too_large(number: float) -> str:
    """Such a number, in words."""
    return "an infinite value" if math.isinf(number) else f"the value {number:g}, too large for 32-bit numbers,"


@dataclass(frozen=True)
class Column:
    """A column of a table: either `numbers` (float64, NaN where missing) or `texts` ("" where missing).

    **Arguments:**

    - `missing`: one bool per row.
    - `written`: the texts of whole numbers that float64 does not tell apart, or whose leading zeros it loses; None where
      the numbers say it all.
    - `lines`: the line of the file that each row stands on; None where rows are counted from 1.
    - `index`: whether the file itself says that the column numbers or names its rows.
    - `nameless`: whether the file has no name for it.
    - `grouped`: a cell such as 1.011 where every cell would be a whole number if the point stood between thousands.
    """

    name: str
    missing: np.ndarray
    numbers: np.ndarray | None = None
    texts: np.ndarray | None = None
    written: np.ndarray | None = None
    lines: np.ndarray | None = None
    index: bool = False
    nameless: bool = False
    grouped: str = ""

    @property
    def values(self) -> np.ndarray:
        """The numbers or the texts, whichever the column has."""
        values = self.numbers if self.numbers is not None else self.texts
        assert values is not None
        return values

    @property
    def distinct(self) -> np.ndarray:
        """Every value that is there, once; of whole numbers that float64 does not tell apart, their texts."""
        return np.unique((self.values if self.written is None else self.written)[~self.missing])

    def keep(self, rows: np.ndarray) -> "Column":
        """The column with only the chosen rows."""
        arrays = {name: getattr(self, name) for name in ("missing", "numbers", "texts", "written", "lines")}
        return replace(self, **{name: None if array is None else array[rows] for name, array in arrays.items()})

    def check_size(self) -> None:
        """Refuse numbers that are infinite or too large, in the sentence that says where."""
        row = None if self.numbers is None else first_too_large(self.numbers)
        if row is None or self.numbers is None:
            return
        place = f"in row {row + 1}" if self.lines is None else f"on line {self.lines[row]}"
        raise UserError(
            f"column {self.name!r} holds {too_large(self.numbers[row])} {place}: write a smaller number or leave it out."
        )


def column_from_cells(
    name: str, cells: Sequence[str], lines: Sequence[int], writing: Writing = PLAIN, *, nameless: bool = False
) -> Column:
    """Read the cells of one column as numbers if all of them are, else as texts.

    **Arguments:**

    - `lines`: the line of the file that each cell stands on, for errors.

    **Raises:** `UserError` for a column without values, or texts among many numbers.
    """
    missing = np.array([writing.is_gap(cell) for cell in cells], dtype=bool)
    values = [None if gap else writing.number(cell) for cell, gap in zip(cells, missing, strict=True)]
    if missing.all():
        raise _empty(name)
    texts = [row for row, value in enumerate(values) if value is None and not missing[row]]
    places = np.asarray(lines)
    if not texts:
        numbers = np.array([math.nan if value is None else value for value in values])
        written = None
        if np.abs(numbers[~missing]).max() >= LARGEST_CLASS or any(has_leading_zero(cell) for cell in cells):
            written = _whole_numbers(name, cells, missing)
        present = [cell for cell, gap in zip(cells, missing, strict=True) if not gap]
        dotted = find_grouped(present) if writing.decimal == "." else ""
        return Column(name, missing, numbers=numbers, written=written, lines=places, nameless=nameless, grouped=dotted)
    if len({value for value in values if value is not None}) > MIXED_NUMBERS:
        odd = [cells[row] for row in texts]
        raise UserError(
            f"column {name!r} is all numbers or all texts; got numbers and {odd[0][:40]!r} on line {lines[texts[0]]}: "
            f"{_line_advice(name, odd[0], texts[0], nameless=nameless)}{number_advice(odd[0], odd)}, leave the cell empty, or "
            f"leave the column out with {option('ignore', name)}."
        )
    filled = ["" if gap else cell for cell, gap in zip(cells, missing, strict=True)]
    return Column(name, missing, texts=text_array(name, filled), lines=places, nameless=nameless)


def _line_advice(name: str, cell: str, row: int, *, nameless: bool) -> str:
    """What to do about a line that may be no example: names, units, or the names once more."""
    if cell == name:
        return "remove that line if it repeats the names, "
    if row > 0:
        return ""
    return f"give {option('header', True)} if that line holds names, " if nameless else "remove that line if it holds units, "


def column_from_values(name: str, values: Sequence[Any], *, index: bool = False) -> Column:
    """A column of Python values: numbers, texts or dates, with None and NaN for gaps; a `UserError` for anything else."""
    missing = np.array([is_missing(value) for value in values], dtype=bool)
    if missing.all():
        raise _empty(name)
    present = [value for value, gap in zip(values, missing, strict=True) if not gap]
    if all(isinstance(value, int | float | decimal.Decimal | np.bool_) for value in present):
        numbers = np.array([math.nan if gap else _as_float(value) for value, gap in zip(values, missing, strict=True)])
        written = None
        if np.abs(numbers[~missing]).max() >= LARGEST_CLASS:
            cells = ["" if gap else _as_cell(value) for value, gap in zip(values, missing, strict=True)]
            written = _whole_numbers(name, cells, missing)
        return Column(name, missing, numbers=numbers, written=written, index=index)
    if all(isinstance(value, str | datetime.date) for value in present):
        texts = text_array(name, ["" if gap else str(value) for value, gap in zip(values, missing, strict=True)])
        return Column(name, missing, texts=texts, index=index)
    kinds = (int, float, decimal.Decimal, str, datetime.date)
    odd = next((value for value in present if not isinstance(value, kinds)), None)
    if odd is None:
        text = next(value for value in present if isinstance(value, str | datetime.date))
        raise UserError(
            f"column {name!r} is all numbers or all texts; got numbers and {shown(str(text))}: make it so, or leave the column "
            f"out with {option('ignore', name)}."
        )
    raise neither(name, type(odd).__name__)


def neither(name: str, kind: str) -> UserError:
    """What is said of a column that holds neither numbers nor texts."""
    return UserError(
        f"column {name!r} is all numbers or all texts; got values of type {kind[:40]}: leave it out with "
        f"{option('ignore', name)}."
    )


def _empty(name: str) -> UserError:
    return UserError(
        f"column {name!r} holds no value at all: leave it out with {option('ignore', name)} or remove it from the table."
    )


def is_missing(value: Any) -> bool:
    """None, NaN, and what else is not equal to itself; what will not say, as pandas.NA, is missing too."""
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 - which NaN and NaT are
    except (TypeError, ValueError, ArithmeticError):
        return type(value).__name__ == "NAType"


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _as_cell(value: Any) -> str:
    """A number as a text table would have it; one of more digits than Python writes is none that names a class."""
    try:
        return str(value)
    except ValueError:
        return ""


def _whole_numbers(name: str, cells: Sequence[str], missing: np.ndarray) -> np.ndarray | None:
    """The texts of the cells if each is a whole number; else None."""
    filled = ["" if gap else cell for cell, gap in zip(cells, missing, strict=True)]
    if not all(gap or is_whole_number(cell) for cell, gap in zip(filled, missing, strict=True)):
        return None
    return text_array(name, filled)


def text_array(name: str, texts: Sequence[str]) -> np.ndarray:
    """Texts as an array, which gives each of them as much memory as the longest; a `UserError` where that is not there."""
    check_texts(name, len(texts), max(map(len, texts), default=0))
    return np.array(texts)


def check_texts(name: str, rows: int, longest: int) -> None:
    """Refuse texts of which one is so long that all rows together do not fit into memory."""
    size = _TEXT_COPIES * 4 * rows * longest
    check_room(
        f"the column {name!r}, with a text of {longest} characters",
        size,
        f"shorten it or leave it out with {option('ignore', name)}",
    )
