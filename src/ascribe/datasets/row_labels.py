"""Columns that number or name the rows of a table, as its writer put them beside the data: no features, and no targets."""

import re
from collections.abc import Collection

import numpy as np

from .columns import Column
from .delimited import Table

_LEVEL = re.compile(r"__index_level_\d+__")  # as pandas writes an index without a name into Parquet files
_UNNAMED = re.compile(r"Unnamed: 0([._]\w+)*")  # as pandas reads such an index from a text table

_ID = re.compile(r"(?i:(^|[^a-z])id$)|ID$|[a-z]Id$")


def row_labels(table: Table, targets: Collection[str]) -> dict[str, str]:
    """The names of the columns that label the rows, each with the reason, in the order of the table.

    Such is what the file itself calls the index of a data frame; a first column without a name that has another whole number or
    text in every row; and, in a file without any names, a first column that counts the rows. Columns are guessed to be such
    only where another feature remains; the `targets` never are.
    """
    has_names = not all(column.nameless for column in table.columns)
    found: dict[str, str] = {}
    guessed: dict[str, str] = {}
    for column in table.columns:
        if column.name in targets:
            continue
        if column.index or _LEVEL.fullmatch(column.name):
            found[column.name] = "the index of a data frame"
        elif table.names.index(column.name) == len(found) + len(guessed):  # nothing but row labels stand before it
            reason = _guess(column, has_names=has_names)
            if reason is not None:
                guessed[column.name] = reason
    if len(table.columns) - len(found) - len(guessed) < 1 + max(len(targets), 1):
        guessed = {}
    return {name: (found | guessed)[name] for name in table.names if name in found or name in guessed}


def _guess(column: Column, *, has_names: bool) -> str | None:
    """Why a first column seems to label the rows; None where it does not."""
    if _UNNAMED.fullmatch(column.name) and is_whole(column):
        return "the index of a data frame"
    if column.nameless and has_names and len(column.distinct) == len(column.missing) and is_whole(column, or_text=True):
        return "another value in every row, and no name"
    if column.nameless and not has_names and counts_rows(column):
        return "counts the rows, and has no name"
    return None


def is_whole(column: Column, *, or_text: bool = False) -> bool:
    """Whether a column holds whole numbers without gaps (or texts)."""
    if column.missing.any():
        return False
    if column.numbers is None:
        return or_text
    return bool(np.all(column.numbers == np.round(column.numbers)))


def counts_rows(column: Column) -> bool:
    """Whether a column holds 0, 1, 2, ... or 1, 2, 3, ..., row by row."""
    if column.numbers is None or column.missing.any() or column.numbers[0] not in (0, 1):
        return False
    return bool(np.array_equal(column.numbers - column.numbers[0], np.arange(len(column.numbers))))


def numbers_rows(column: Column) -> bool:
    """Whether a column holds another whole number in every row, as numbers of customers do: rising, or half of a range's, or
    under a name that ends in `id`."""
    if column.numbers is None or not is_whole(column) or len(np.unique(column.numbers)) < len(column.numbers):
        return False
    rising = bool(np.all(np.diff(column.numbers) > 0))
    dense = np.ptp(column.numbers) < 2 * len(column.numbers)
    return rising or bool(dense) or _ID.search(column.name) is not None
