"""Data frames and arrays in memory, of whatever library: pandas, polars, pyarrow, NumPy, lists."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, cast

import numpy as np

from ascribe.checks import unmasked
from ascribe.errors import UserError
from ascribe.memory import check_room

from .columns import CELL, column_from_values, is_missing
from .delimited import Table, column_name, header_names, too_few_columns
from .npz import Arrays, checked
from .options import COPIES

FRAME, PAIR = "the data frame", "the pair (inputs, targets)"
"""What sentences call them."""


def is_frame(value: Any) -> bool:
    """Whether it has named columns, as data frames of pandas and polars and tables of pyarrow have."""
    return _names(value) is not None and hasattr(value, "__getitem__")


def is_pair(value: Any) -> bool:
    """Whether it is inputs and targets: a tuple or list of two arrays, frames or lists, and none of numbers or texts."""
    return isinstance(value, tuple | list) and len(value) == 2 and all(is_frame(part) or _is_array(part) for part in value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping)


def _names(value: Any) -> list[Any] | None:
    """The names of the columns; None where there are no such."""
    if isinstance(value, type):
        return None
    for attribute in ("column_names", "columns"):  # pyarrow calls its columns themselves `columns`
        names = getattr(value, attribute, None)
        if names is not None and not callable(names):
            try:
                return list(names)
            except TypeError:
                return None
    return None


def column_names(frame: Any) -> list[str]:
    """The names of a frame's columns, as texts."""
    return [str(key) for key in _names(frame) or []]


def values_of(frame: Any, name: str) -> list[Any]:
    """The values in the column of that name, as Python's."""
    return _values(next(frame[key] for key in _names(frame) or [] if str(key) == name))


def read_frame(frame: Any, *, ignore: tuple[str, ...] = (), least: int = 2) -> Table:
    """The columns of a data frame; its index, which labels the rows, is none of them.

    **Raises:** `UserError` for names that are there twice, fewer than `least` columns, columns of other than numbers,
    texts and dates, and too little memory.
    """
    if hasattr(frame, "lazy") and hasattr(frame, "collect"):
        raise UserError(f"{FRAME} is one whose values are in memory; got a LazyFrame: give frame.collect().")
    keys = _names(frame) or []
    names = header_names([str(key) for key in keys], FRAME)
    if len(names) < least:
        raise too_few_columns(FRAME, len(names))
    columns = {name: frame[key] for name, key in zip(names, keys, strict=True)}
    rows = max(map(len, columns.values()))
    if rows == 0:
        raise UserError(f"{FRAME} has columns but no rows: give one with one example per row.")
    check_room(f"a data frame of {rows} rows and {len(names)} columns", CELL * rows * len(names), "choose fewer of them")
    ignored = {column_name("ignore", name, names, FRAME) for name in ignore}
    kept = {name: column for name, column in columns.items() if name not in ignored}
    return Table(names, [column_from_values(name, _values(column)) for name, column in kept.items()])


def _values(column: Any) -> list[Any]:
    """A column as a list of values of Python."""
    column = unmasked(column)
    for method in ("to_list", "to_pylist", "tolist"):
        if hasattr(column, method):
            column = getattr(column, method)()
            break
    return [value.item() if isinstance(value, np.generic) else value for value in column]


def read_pair(inputs: Any, targets: Any) -> Table | Arrays:
    """Inputs and targets as the columns of one table if the inputs are a data frame, else as arrays.

    **Raises:** `UserError` for anything but numbers, rows of one length, and as many targets as rows.
    """
    _check_index(inputs, targets)
    if is_frame(targets) and len(_names(targets) or []) == 1:
        targets = targets[(_names(targets) or [])[0]]
    if is_frame(inputs):
        table = read_frame(inputs, least=1)
        rows = len(table.columns[0].missing) if table.columns else len(targets)
        for name, values in _named_targets(targets).items():
            if len(values) != rows:
                raise UserError(f"{PAIR} has one target per row; got {rows} rows and {len(values)} targets: match them.")
            if name in table.names and values_of(inputs, name) == values:
                raise UserError(
                    f"{PAIR} has the targets apart from the inputs; got inputs with the targets' own column {name!r}: give "
                    "inputs without it."
                )
            apart = name
            while apart in table.names:
                apart += "'"
            table = Table([*table.names, apart], [*table.columns, column_from_values(apart, values)])
        return table
    rows, answers = _numbered(_array("inputs", inputs)), _array("targets", targets)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim < 1 or answers.ndim < 1 or len(rows) != len(answers) or rows.size == 0:
        raise UserError(
            f"{PAIR} has as many rows of inputs as targets, at least one; got the shapes {rows.shape} and {answers.shape}: "
            f"match them."
        )
    if rows.dtype.kind not in "biuf":
        raise UserError(f"{PAIR} has numbers as inputs; got the type {rows.dtype}: encode texts or give a data frame.")
    answers = answers[:, 0] if answers.ndim == 2 and answers.shape[1] == 1 else answers
    check_room("the arrays", 8 * COPIES * (rows.size + answers.size), "choose fewer rows or columns")
    if answers.dtype.kind == "O" and answers.ndim == 1:
        check_inputs = checked(Arrays(rows.astype(np.float64), np.zeros(len(rows)), None), PAIR)
        return Arrays(check_inputs.inputs, column_from_values("y", _values(answers)), None)
    if answers.dtype.kind not in "biufU" or answers.ndim > 2:
        raise UserError(
            f"{PAIR} has numbers or texts as targets, on one axis or two; got the type {answers.dtype} and the "
            f"shape {answers.shape}: write labels as whole numbers."
        )
    return checked(Arrays(rows.astype(np.float64), answers, None), PAIR)


def _numbered(rows: np.ndarray) -> np.ndarray:
    """Objects that are all numbers, as a frame of columns with missing values gives, as floats; any others as they are."""
    if rows.dtype != object or not all(is_missing(one) or isinstance(one, Real) for one in rows.ravel()):
        return rows
    return np.array([np.nan if is_missing(one) else float(one) for one in rows.ravel()]).reshape(rows.shape)


def _named_targets(targets: Any) -> dict[str, list[Any]]:
    """The columns of targets by their names; those of an array are numbered."""
    if is_frame(targets):
        return {str(key): _values(targets[key]) for key in _names(targets) or []}
    if getattr(targets, "ndim", 1) == 2:
        columns = [_values(column) for column in np.asarray(unmasked(targets)).T]
        return {f"target{number if len(columns) > 1 else ''}": column for number, column in enumerate(columns, 1)}
    name = getattr(targets, "name", None)
    return {name if isinstance(name, str) and name else "target": _values(targets)}


def _check_index(inputs: Any, targets: Any) -> None:
    """Refuse inputs and targets of pandas whose rows have different labels: row by row they would be joined wrongly."""
    index, other = (cast("Any", getattr(part, "index", None)) for part in (inputs, targets))
    if hasattr(index, "equals") and hasattr(other, "equals") and len(index) == len(other) and not index.equals(other):
        raise UserError(
            f"{PAIR} has rows of the same index, in the same order; got others: give targets.loc[inputs.index], or "
            "targets.to_numpy() where they belong together row by row."
        )


def _array(name: str, values: Any) -> np.ndarray:
    """The values as an array; a `UserError` where rows have several lengths."""
    if hasattr(values, "toarray"):
        raise UserError(f"{PAIR} has {name} of which all values are in memory; got a sparse matrix: give its .toarray().")
    try:
        return np.asarray(unmasked(values))
    except Exception as error:  # what an array of another library raises is its own
        reason = " ".join(str(error).split()).split(". ")[0][:80]
        raise UserError(
            f"{PAIR} has {name} that are one array, rows of one length; got none ({reason}): reshape them."
        ) from None
