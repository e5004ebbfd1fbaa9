"""The columns of a table: numbers or texts, with their gaps, and how they become arrays."""

import datetime
import decimal
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

from .options import Task

CATEGORIES = 20  # at most so many distinct texts are one-hot encoded, so many distinct integers are classes
MIXED_NUMBERS = 5  # a column of texts may hold so many distinct numbers ("2", "3", "5more"); more is a typing error
LARGEST_CLASS = 2.0**53  # whole numbers from there on are rounded, so that two classes may become one
LARGEST_NUMBER = 1e18  # the square still fits into float32, whose largest number is 3e38
SMALLEST_CLASS = 3  # one example of each class per split
_TEXT_COPIES = 3
GAPS = frozenset({"", "na", "n/a", "nan", "?", "null", "none", "."})
"""The usual ways to write a missing value, in lower case."""
_WHOLE = re.compile(r"[+-]?[0-9]+")
_THOUSANDS = re.compile(r"[+-]?(0|[1-9][0-9]{0,2}(\.[0-9]{3})?)")
_SIGNS = "$€£¥% "
_AS_TEXT = re.compile(rf"[{_SIGNS}]*[+-]?([0-9]{{1,3}}([.,][0-9]{{3}})+|[0-9]*)([.,][0-9]*)?[{_SIGNS}]*")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:.*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4})")


@dataclass(frozen=True)
class Writing:
    """How the cells of a text table are written.

    **Arguments:**

    - `decimal`: what stands before the decimals, a point or a comma.
    - `thousands`: what stands between groups of three digits; nothing by default.
    - `gaps`: the ways to write a missing value, in lower case.
    """

    decimal: str = "."
    thousands: str = ""
    gaps: frozenset[str] = GAPS

    def is_gap(self, cell: str) -> bool:
        """True for a missing value."""
        return cell.casefold() in self.gaps

    def number(self, cell: str) -> float | None:
        """The number a cell holds, or None. Python's `1_000` is no number in a data file."""
        if self.thousands and self.thousands in cell:
            groups = rf"[+-]?\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+({re.escape(self.decimal)}\d*)?"
            if re.fullmatch(groups, cell) is None:
                return None
            cell = cell.replace(self.thousands, "")
        if self.decimal != ".":
            if "." in cell:
                return None
            cell = cell.replace(self.decimal, ".")
        if "_" in cell:
            return None
        try:
            return float(cell)
        except ValueError:
            return None


PLAIN = Writing()


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
            f"Column {self.name!r} holds {too_large(self.numbers[row])} {place}; write a smaller number or leave it out."
        )


def column_from_cells(
    name: str, cells: Sequence[str], lines: Sequence[int], writing: Writing = PLAIN, *, nameless: bool = False
) -> Column:
    """Read the cells of one column as numbers if all of them are, else as texts.

    **Arguments:**

    - `lines`: the line of the file that each cell stands on, for errors.

    Raises `UserError` for a column without values, or texts among many numbers.
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
        if np.abs(numbers[~missing]).max() >= LARGEST_CLASS or any(_has_leading_zero(cell) for cell in cells):
            written = _whole_numbers(name, cells, missing)
        grouped = (
            _grouped([cell for cell, gap in zip(cells, missing, strict=True) if not gap])
            if writing.decimal == "."
            else ""
        )
        return Column(name, missing, numbers=numbers, written=written, lines=places, nameless=nameless, grouped=grouped)
    if len({value for value in values if value is not None}) > MIXED_NUMBERS:
        names = f"give {option('header', True)} if that line holds names, "
        raise UserError(
            f"Column {name!r} mixes numbers with text: line {lines[texts[0]]} says {cells[texts[0]][:40]!r}; "
            f"{names if texts == [0] else ''}{number_advice(cells[texts[0]])}, leave the cell empty, or leave the column out "
            f"with {option('ignore', name)}."
        )
    filled = ["" if gap else cell for cell, gap in zip(cells, missing, strict=True)]
    return Column(name, missing, texts=text_array(name, filled), lines=places, nameless=nameless)


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
            f"Column {name!r} mixes numbers with text such as {shown(str(text))}; make it all numbers or all texts, or leave "
            f"the column out with {option('ignore', name)}."
        )
    raise neither(name, type(odd).__name__)


def neither(name: str, kind: str) -> UserError:
    """What is said of a column that holds neither numbers nor texts."""
    return UserError(
        f"Column {name!r} wants numbers or texts but holds values of type {kind[:40]}; leave it out with "
        f"{option('ignore', name)}."
    )


def _empty(name: str) -> UserError:
    return UserError(
        f"Column {name!r} holds no value at all; leave it out with {option('ignore', name)} or remove it from the table."
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


def _has_leading_zero(cell: str) -> bool:
    digits = cell.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits.isdecimal()


def _whole_numbers(name: str, cells: Sequence[str], missing: np.ndarray) -> np.ndarray | None:
    """The texts of the cells if each is a whole number; else None."""
    filled = ["" if gap else cell for cell, gap in zip(cells, missing, strict=True)]
    if not all(gap or _WHOLE.fullmatch(cell) for cell, gap in zip(filled, missing, strict=True)):
        return None
    return text_array(name, filled)


def _grouped(cells: Sequence[str]) -> str:
    """The first cell with a point, where some have none and, with the point between thousands, all are whole numbers."""
    dotted = next((cell for cell in cells if "." in cell), "")
    if not dotted or all("." in cell for cell in cells):
        return ""
    return dotted if all(_THOUSANDS.fullmatch(cell) for cell in cells) else ""


def doubt(column: Column) -> str:
    """What may have been meant otherwise in a column: texts that are dates or would be numbers in another writing, or a point
    between thousands; empty where nothing is."""
    if column.grouped:
        return (
            f"{column.name} is read as numbers with decimals, such as {column.grouped}; give {option('decimal', ',')} and "
            f"{option('thousands', '.')} if the point stands between thousands"
        )
    if are_dates(column):
        return f"{column.name} holds dates, which are taken as texts; write what matters of them as numbers, such as the month"
    cell = _number_as_text(column)
    return (
        f"{column.name} is read as texts, such as {cell!r}; if it holds numbers, {number_advice(cell)}" if cell else ""
    )


def _number_as_text(column: Column) -> str:
    """One of a column's texts that all are numbers in another writing (1,5 or 1,200 or 20 % or $3); empty where not all are."""
    texts = [] if column.texts is None else [str(text) for text in column.distinct]
    odd = [text for text in texts if PLAIN.number(text) is None]
    return odd[0] if odd and all(_AS_TEXT.fullmatch(text) and re.search("[0-9]", text) for text in texts) else ""


def number_advice(cell: str) -> str:
    """What to do about a cell that is nearly a number."""
    bare = cell.strip(_SIGNS)
    if bare != cell and PLAIN.number(bare.replace(",", "")) is not None:
        return f"write them without the sign {cell.replace(bare, '').strip()}"
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", cell):
        decimals = (
            "" if "." in cell or cell.count(",") > 1 else f", or {option('decimal', ',')} if it is the decimal comma"
        )
        return f"give {option('thousands', ',')} if the comma stands between thousands{decimals}"
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?", cell) and ("," in cell or cell.count(".") > 1):
        return f"give {option('decimal', ',')} and {option('thousands', '.')}"
    if PLAIN.number(cell.replace(",", ".", 1)) is not None:
        return f"give {option('decimal', ',')} for the decimal comma"
    return f"write a number, give {option('missing_words', cell[:40])} if it stands for a missing value"


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


def are_dates(column: Column) -> bool:
    """Whether all texts of a column look like dates: 2024-01-31, with a time or without, or 31.1.2024."""
    return column.texts is not None and all(_DATE.fullmatch(str(text)) for text in column.distinct)


def encode_feature(column: Column) -> tuple[np.ndarray, list[str]]:
    """A feature column as float64 of shape `(rows, k)` and the names of the `k` features.

    Numbers stay one column. Texts become one column per distinct text, 1 where it stands and 0 elsewhere, named
    `column=text`; a gap is NaN in all of them. Raises `UserError` for more than 20 distinct texts, and numbers that are too
    large.
    """
    if column.numbers is not None:
        column.check_size()
        return column.numbers[:, None], [column.name]
    values = column.distinct
    if len(values) > CATEGORIES:
        example = str(values[0])[:40]
        if are_dates(column):
            raise UserError(
                f"Column {column.name!r} holds dates (such as {example!r}), which are not read as numbers; write what matters "
                f"of them as numbers, such as the month or the days since the first, or leave it out with "
                f"{option('ignore', column.name)}."
            )
        cell = _number_as_text(column) or (example if re.fullmatch(r"[+-]?[\d.,]*[.,][\d.,]*", example) else "")
        advice = number_advice(cell) if cell else f"leave it out with {option('ignore', column.name)}"
        raise UserError(
            f"Column {column.name!r} holds {len(values)} different texts (such as {example!r}), more than "
            f"the {CATEGORIES} that are one-hot encoded; {advice}."
        )
    encoded = (column.values[:, None] == values).astype(np.float64)
    encoded[column.missing] = np.nan
    return encoded, [f"{column.name}={value}" for value in values]


def infer_task(column: Column) -> tuple[Task, str]:
    """The task that a target means, and why: text, or at most 20 distinct whole numbers, means classes (two of them:
    binary); all else is regression."""
    values = column.distinct
    if column.numbers is not None:
        present = column.numbers[~column.missing]
        if np.any(present != np.round(present)):
            return "regression", "it holds numbers with decimals"
        if len(values) > CATEGORIES:
            return "regression", f"it holds {len(values)} different numbers"
    kind = "texts" if column.numbers is None else "whole numbers"
    return "binary" if len(values) == 2 else "classification", f"it holds {len(values)} different {kind}"


def class_name(value: float) -> str:
    """A number as the name of a class: 3, not 3.0."""
    return str(int(value)) if value == round(value) else repr(float(value))


def class_labels(column: Column) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Labels `(rows,)`, int64, of a column without gaps, the class names in ascending order, and how many rows each has.

    Whole numbers that float64 does not tell apart are told apart by their texts. Raises `UserError` for such numbers where
    they come as floats, rounded already.
    """
    if column.written is not None:
        texts, labels, counts = np.unique(column.written, return_inverse=True, return_counts=True)
        # By size, and not as texts, of which "10" comes before "9".
        order = sorted(range(len(texts)), key=lambda place: (decimal.Decimal(str(texts[place])), str(texts[place])))
        return np.argsort(order)[labels.reshape(-1)], tuple(str(texts[place]) for place in order), counts[order]
    distinct, labels, counts = np.unique(column.values, return_inverse=True, return_counts=True)
    if column.numbers is None:
        return labels.reshape(-1), tuple(str(value) for value in distinct), counts
    column.check_size()  # a constant or a chosen class may be infinite
    names = tuple(class_name(value) for value in distinct)
    if np.abs(distinct).max() >= LARGEST_CLASS:
        raise UserError(
            f"Numbers with decimals that name classes are wanted below 2^53, from where on they are rounded, but the target "
            f"{column.name!r} holds {names[int(np.abs(distinct).argmax())]}; write whole numbers or texts, or try "
            f"{option('task', 'regression')}."
        )
    return labels.reshape(-1), names, counts


def encode_target(column: Column, task: Task, *, hint: str = "") -> tuple[np.ndarray, tuple[str, ...]]:
    """The target column (without gaps) as arrays for the task.

    Returns labels `(rows,)`, int64, with the class names in ascending order; or values `(rows, 1)`, float64, and
    no names. Raises `UserError` for a constant target, text under regression, other than two classes under
    binary, or a class with fewer than three examples, where `hint` says what else may help.
    """
    if column.written is None:
        column.check_size()
    distinct = column.distinct
    if len(distinct) == 1:
        only = distinct[0] if column.numbers is None or column.written is not None else class_name(distinct[0])
        raise UserError(
            f"The target {column.name!r} has the one value {str(only)!r} everywhere, so there is nothing to learn; "
            f"name another column as {option('target')}."
        )
    cell = _number_as_text(column)
    if task == "regression":
        column.check_size()
        if column.numbers is None:
            raise UserError(
                f"Regression wants numbers in the target {column.name!r}, but it holds texts such as {str(distinct[0])!r}; "
                f"{number_advice(cell) if cell else 'leave ' + option('task') + ' out'} or name another column as "
                f"{option('target')}."
            )
        return column.numbers[:, None], ()
    labels, names, counts = class_labels(column)
    if task == "binary" and len(names) != 2:
        raise UserError(
            f"A binary task wants two classes, but the target {column.name!r} has {len(names)}; "
            f"try {option('task', 'classification')}."
        )
    smallest = int(np.argmin(counts))
    if counts[smallest] < SMALLEST_CLASS:
        large = [name for name, count in zip(names, counts, strict=True) if count >= SMALLEST_CLASS]
        advice = "merge it with another"
        if are_dates(column):
            advice = f"these are dates, so name another column as {option('target')}"
        elif cell:
            advice = f"if it holds numbers, {number_advice(cell)}"
        elif len(large) > 1:
            advice = (
                f"keep the others with {option('classes', (*large[:5], '...') if len(large) > 5 else tuple(large))}"
            )
        quantity = (
            f", or try {option('task', 'regression')} if the target is a quantity" if column.texts is None else ""
        )
        raise UserError(
            f"Every class wants at least {SMALLEST_CLASS} examples, one per split, but class {names[smallest]!r} of "
            f"the target {column.name!r} has {counts[smallest]}{hint}; {advice}{quantity}."
        )
    return labels, names


def chosen_rows(column: Column, classes: Sequence[str], what: str) -> np.ndarray:
    """Which rows of a column without gaps are of the classes that are named, as a mask.

    Raises `UserError` for a class that is not there.
    """
    labels, names, _ = class_labels(column)
    for name in classes:
        if name not in names:
            listing = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            raise UserError(
                f"{what} has no class {shown(name)} in the target {column.name!r}; {option('classes')} chooses among {listing}."
            )
    return np.isin(labels, [names.index(name) for name in classes])
