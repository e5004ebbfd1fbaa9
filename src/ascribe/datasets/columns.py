"""The columns of a table: numbers or texts, with their gaps, and how they become arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ascribe.errors import UserError
from ascribe.memory import check_room

from .base import Task

CATEGORIES = 20  # at most so many distinct texts are one-hot encoded, so many distinct integers are classes
MIXED_NUMBERS = 5  # a column of texts may hold so many distinct numbers ("2", "3", "5more"); more is a typing error
LARGEST_CLASS = 2.0**53  # whole numbers from there on are rounded, so that two classes may become one
LARGEST_NUMBER = 1e18  # the square still fits into float32, whose largest number is 3e38
SMALLEST_CLASS = 3  # one example of each class per split
_TEXT_COPIES = 3
_GAPS = frozenset({"", "na", "n/a", "nan", "?", "null", "none", "."})


def is_gap(cell: str) -> bool:
    """True for the usual ways to write a missing value: empty, NA, NaN, ?, null, none or a point."""
    return cell.casefold() in _GAPS


def as_number(cell: str) -> float | None:
    """The number a cell holds, or None. Python's `1_000` is no number in a data file."""
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


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

    `missing` has one bool per row.
    """

    name: str
    missing: np.ndarray
    numbers: np.ndarray | None = None
    texts: np.ndarray | None = None

    @property
    def values(self) -> np.ndarray:
        """The numbers or the texts, whichever the column has."""
        values = self.numbers if self.numbers is not None else self.texts
        assert values is not None
        return values

    def keep(self, rows: np.ndarray) -> "Column":
        """The column with only the chosen rows."""
        return Column(
            self.name,
            self.missing[rows],
            None if self.numbers is None else self.numbers[rows],
            None if self.texts is None else self.texts[rows],
        )


def column_from_cells(name: str, cells: Sequence[str], lines: Sequence[int]) -> Column:
    """Read the cells of one column as numbers if all of them are, else as texts.

    **Arguments:**

    - `lines`: the line of the file that each cell stands on, for errors.

    Raises `UserError` for an infinite number, a column without values, or texts among many numbers.
    """
    missing = np.array([is_gap(cell) for cell in cells], dtype=bool)
    values = [None if gap else as_number(cell) for cell, gap in zip(cells, missing, strict=True)]
    if missing.all():
        raise UserError(
            f"Column {name!r} holds no value at all; leave it out with ignore={name!r} or remove it from the file."
        )
    texts = [row for row, value in enumerate(values) if value is None and not missing[row]]
    if not texts:
        numbers = np.array([math.nan if value is None else value for value in values])
        row = first_too_large(numbers)
        if row is not None:
            raise UserError(
                f"Column {name!r} holds {too_large(numbers[row])} on line {lines[row]}; "
                f"write a smaller number or leave the cell empty."
            )
        return Column(name, missing, numbers=numbers)
    if len({value for value in values if value is not None}) > MIXED_NUMBERS:
        cell = cells[texts[0]]
        hint = " with a decimal point" if as_number(cell.replace(",", ".")) is not None else ""
        raise UserError(
            f"Column {name!r} mixes numbers with text: line {lines[texts[0]]} says {cell[:40]!r}; write a number"
            f"{hint}, leave the cell empty, or leave the column out with ignore={name!r}."
        )
    filled = ["" if gap else cell for cell, gap in zip(cells, missing, strict=True)]
    return Column(name, missing, texts=text_array(name, filled))


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
        f"shorten it or leave it out with ignore={name!r}",
    )


def encode_feature(column: Column) -> tuple[np.ndarray, list[str]]:
    """A feature column as float64 of shape `(rows, k)` and the names of the `k` features.

    Numbers stay one column. Texts become one column per distinct text, 1 where it stands and 0 elsewhere, named
    `column=text`; a gap is NaN in all of them. Raises `UserError` for more than 20 distinct texts.
    """
    if column.numbers is not None:
        return column.numbers[:, None], [column.name]
    values = np.unique(column.values[~column.missing])
    if len(values) > CATEGORIES:
        is_comma = as_number(str(values[0]).replace(",", ".")) is not None
        advice = "write numbers with a decimal point" if is_comma else f"leave it out with ignore={column.name!r}"
        raise UserError(
            f"Column {column.name!r} holds {len(values)} different texts (such as {str(values[0])[:40]!r}), more than "
            f"the {CATEGORIES} that are one-hot encoded; {advice}."
        )
    encoded = (column.values[:, None] == values).astype(np.float64)
    encoded[column.missing] = np.nan
    return encoded, [f"{column.name}={value}" for value in values]


def infer_task(column: Column) -> Task:
    """Text, or at most 20 distinct whole numbers, means classes (two of them: binary); all else is regression."""
    values = np.unique(column.values[~column.missing])
    if column.numbers is not None and (len(values) > CATEGORIES or np.any(values != np.round(values))):
        return "regression"
    return "binary" if len(values) == 2 else "classification"


def class_name(value: float) -> str:
    """A number as the name of a class: 3, not 3.0."""
    return str(int(value)) if value == round(value) else repr(float(value))


def encode_target(column: Column, task: Task) -> tuple[np.ndarray, tuple[str, ...]]:
    """The target column (without gaps) as arrays for the task.

    Returns labels `(rows,)`, int64, with the class names in ascending order; or values `(rows, 1)`, float64, and
    no names. Raises `UserError` for a constant target, text under regression, other than two classes under
    binary, or a class with fewer than three examples.
    """
    distinct, labels, counts = np.unique(column.values, return_inverse=True, return_counts=True)
    names = tuple(class_name(value) if column.numbers is not None else str(value) for value in distinct)
    if task != "regression" and column.numbers is not None and np.abs(distinct).max() >= LARGEST_CLASS:
        raise UserError(
            f"Numbers that name classes are wanted below 2^53, from where on they are rounded, but the target "
            f"{column.name!r} holds {names[int(np.abs(distinct).argmax())]}; write a letter before them, as in 'c1', or try "
            f"task='regression'."
        )
    if len(distinct) == 1:
        raise UserError(
            f"The target {column.name!r} has the one value {names[0]!r} everywhere, so there is nothing to learn; "
            f"name another column with target=."
        )
    if task == "regression":
        if column.numbers is None:
            raise UserError(
                f"Regression wants numbers in the target {column.name!r}, but it holds texts such as {names[0]!r}; "
                f"leave task= out or name another column with target=."
            )
        return column.numbers[:, None], ()
    if task == "binary" and len(distinct) != 2:
        raise UserError(
            f"A binary task wants two classes, but the target {column.name!r} has {len(distinct)}; "
            f"try task='classification'."
        )
    smallest = int(np.argmin(counts))
    if counts[smallest] < SMALLEST_CLASS:
        raise UserError(
            f"Every class wants at least {SMALLEST_CLASS} examples, one per split, but class {names[smallest]!r} of "
            f"the target {column.name!r} has {counts[smallest]}; remove or merge it, or try task='regression' "
            f"if the target is a quantity."
        )
    return labels.reshape(-1), names
