"""Parquet tables, where the extra `tables` is installed."""

import datetime
import decimal
import math
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import UserError, how_to_install

from .columns import Column, first_too_large, too_large
from .delimited import check_ignored, header_names


def read_parquet(path: Path, *, ignore: tuple[str, ...] = ()) -> list[Column]:
    """The columns of a Parquet file: numbers and booleans as numbers, texts and dates as texts.

    Raises `UserError` if pyarrow is missing, the file is damaged, or a column holds lists or other nested values.
    """
    try:
        import pyarrow  # noqa: PLC0415  (an extra, and slow)
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise UserError(
            "A Parquet file wants the package pyarrow, which is not installed; "
            f"try {how_to_install('tables')} or save the table as CSV."
        ) from None
    try:
        # One thread: the process may fork, and the tables are small.
        table = pyarrow.parquet.read_table(path, use_threads=False)
        names = header_names([str(name) for name in table.column_names], path)
        cells = [column.to_pylist() for column in table.columns]
    except UserError:
        raise
    except Exception as error:  # what pyarrow raises depends on where the damage is
        reason = " ".join(str(error).split())[:80]
        raise UserError(f"{path} is not a readable Parquet file ({reason}); write it anew or use CSV.") from None
    if len(names) < 2:
        raise UserError(f"{path} wants at least two columns, a feature and a target, but has {len(names)}; add them.")
    if not cells[0]:
        raise UserError(f"{path} has columns but no rows; give a file with one example per row.")
    check_ignored(ignore, names, path)
    return [_column(name, values) for name, values in zip(names, cells, strict=True) if name not in ignore]


def _column(name: str, values: list[Any]) -> Column:
    """One column of Python values as a `Column`."""
    missing = np.array([value is None or (isinstance(value, float) and math.isnan(value)) for value in values])
    if missing.all():
        raise UserError(
            f"Column {name!r} holds no value at all; leave it out with ignore={name!r} or remove it from the file."
        )
    present = [value for value, gap in zip(values, missing, strict=True) if not gap]
    if all(isinstance(value, int | float | decimal.Decimal) for value in present):
        numbers = np.array([math.nan if gap else float(value) for value, gap in zip(values, missing, strict=True)])
        row = first_too_large(numbers)
        if row is not None:
            raise UserError(
                f"Column {name!r} holds {too_large(numbers[row])} in row {row + 1}; write a smaller number or no value."
            )
        return Column(name, missing, numbers=numbers)
    if all(isinstance(value, str | datetime.date) for value in present):
        texts = np.array(["" if gap else str(value) for value, gap in zip(values, missing, strict=True)])
        return Column(name, missing, texts=texts)
    raise UserError(
        f"Column {name!r} wants numbers or texts but holds values of type {type(present[0]).__name__}; "
        f"leave it out with ignore={name!r}."
    )
