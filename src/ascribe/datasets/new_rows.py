"""New rows in a data frame as the raw inputs of a data set: its columns found by their names, texts encoded as they were."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe.errors import UserError, shown

from .columns import Column, column_from_values, is_missing
from .encoding import class_name
from .frames import column_names, values_of


def rows_of_frame(frame: Any, name: str, columns: Sequence[str], feature_names: Sequence[str]) -> Any:
    """Raw inputs `(rows, features)`, float64, with NaN where a value is missing.

    **Arguments:**

    - `name`: of the data set, for sentences;
    - `columns`: the columns that are features of the table that the data set was made of, in its order; empty where it was
      made of arrays, which have no names: then the frame's values as they stand;
    - `feature_names`: what became of these: a column of numbers keeps its name, a text is one-hot encoded as `column=text`.

    Columns of other names, such as the target, are left out. Truth values are the texts true and false that training had,
    in whatever capitals.

    **Raises:** `UserError` for a column that is not there, texts where numbers were, and texts that the table did not
    have.
    """
    there = column_names(frame)
    if not columns:
        return frame.to_numpy() if hasattr(frame, "to_numpy") else np.column_stack([frame[key] for key in there])
    lacking = [column for column in columns if column not in there]
    if lacking:
        raise UserError(
            f"the data set {name} was made of the columns {_listed(columns)}; the data frame lacks {_listed(lacking)}: give "
            f"rows with all of them, under these names."
        )
    left, blocks = list(feature_names), []
    for column in columns:
        texts = []
        if left and left[0] == column:  # numbers
            left.pop(0)
        else:
            while left and left[0].startswith(f"{column}="):
                texts.append(left.pop(0).removeprefix(f"{column}="))
        values = values_of(frame, column)
        if all(map(is_missing, values)):
            blocks.append(np.full((len(values), max(len(texts), 1)), np.nan))
        else:
            read = column_from_values(column, _as_written(values, texts))
            blocks.append(_one_hot(read, texts) if texts else _numbers(read))
    return np.concatenate(blocks, axis=1)


def _as_written(values: Sequence[Any], texts: Sequence[str]) -> list[Any]:
    """Truth values in the texts that training had for them, as a library that reads `TRUE` in a file as a bool gives them;
    any others, and those that were written in several ways, as they are."""
    ways = {truth: [text for text in texts if text.casefold() == str(truth).casefold()] for truth in (False, True)}
    return [ways[value][0] if isinstance(value, bool) and len(ways[value]) == 1 else value for value in values]


def _numbers(column: Column) -> np.ndarray:
    if column.numbers is None:
        raise UserError(
            f"column {column.name!r} holds numbers, as in training; got texts such as {shown(str(column.distinct[0]))}: write "
            f"numbers."
        )
    column.check_size()
    return column.numbers[:, None]


def _one_hot(column: Column, texts: Sequence[str]) -> np.ndarray:
    values = column.values if column.written is None else column.written
    cells = [value if isinstance(value, str) else class_name(value) for value in values.tolist()]
    known = set(texts)
    for cell, gap in zip(cells, column.missing, strict=True):
        if not gap and cell not in known:
            raise UserError(
                f"column {column.name!r} has one of the texts that it had in training, {_listed(texts)}; got {shown(cell)}: "
                f"choose one of these, or leave the row out."
            )
    encoded = (np.array(cells)[:, None] == np.array(texts)).astype(np.float64)
    encoded[column.missing] = np.nan
    return encoded


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
