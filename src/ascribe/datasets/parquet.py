"""Parquet tables, where the extra `tables` is installed."""

import datetime
import decimal
import math
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import UserError, how_to_install
from ascribe.memory import check_room

from .columns import Column, check_texts, first_too_large, text_array, too_large
from .delimited import check_ignored, header_names

CELL = 140
"""Bytes that a cell takes in memory, at most, as a value of Python and then as a number of the table."""
TEXTS = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
ROWS = 2**16
"""Rows that are read at a time."""


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
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
        # Texts stay a dictionary and numbers, as in the file: spelled out, one text may be there a million times.
        texts = [field.name for field in schema if str(field.type) in TEXTS]
        with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
            names = header_names([str(name) for name in schema.names], path)
            check_ignored(ignore, names, path)
            kept = {name: field for name, field in zip(names, schema, strict=True) if name not in ignore}
            for name, field in kept.items():
                if pyarrow.types.is_nested(field.type) or pyarrow.types.is_fixed_size_binary(field.type):
                    raise _neither(name, str(field.type))
            _check_announced(path, file.metadata)
            table = _read(path, file, [field.name for field in kept.values()])
        for name, column in zip(kept, table.columns, strict=True):
            _check_longest(name, column)
        cells = [[cell for chunk in column.chunks for cell in _cells(chunk)] for column in table.columns]
    except UserError:
        raise
    except Exception as error:  # what pyarrow raises depends on where the damage is
        reason = " ".join(str(error).split()).split(". ")[0][:80]
        raise UserError(f"{path} is not a readable Parquet file ({reason}); write it anew or use CSV.") from None
    if len(names) < 2:
        raise UserError(f"{path} wants at least two columns, a feature and a target, but has {len(names)}; add them.")
    if not table.num_rows:
        raise UserError(f"{path} has columns but no rows; give a file with one example per row.")
    return [_column(name, values) for name, values in zip(kept, cells, strict=True)]


def _check_announced(path: Path, metadata: Any) -> None:
    """Refuse a table whose cells, as the file's own description counts them, do not fit into memory."""
    # Not asked of each column: of a damaged description, that ends the process.
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(max(group.num_rows, 0) for group in groups))
    size = CELL * rows * metadata.num_columns + 2 * sum(max(group.total_byte_size, 0) for group in groups)
    check_room(f"the table {path}", size, "choose fewer rows or columns of it, or save it as NPZ")


def _read(path: Path, file: Any, names: list[str]) -> Any:
    """The table, batch by batch: no more of it than was announced, whatever its pages hold."""
    import pyarrow  # noqa: PLC0415

    batches, size = [], 0
    for batch in file.iter_batches(ROWS, columns=names, use_threads=False):  # one thread: the process may fork
        batches.append(batch)
        size += batch.nbytes
        check_room(f"the table {path}", 2 * size, "choose fewer rows or columns of it, or save it as NPZ")
    return pyarrow.Table.from_batches(batches) if batches else file.schema_arrow.empty_table().select(names)


def _check_longest(name: str, column: Any) -> None:
    """Refuse texts of which one is too long to be there once for every row."""
    import pyarrow.compute  # noqa: PLC0415

    compute: Any = pyarrow.compute
    for chunk in column.chunks:
        words = getattr(chunk, "dictionary", chunk)
        if pyarrow.types.is_string(words.type) or pyarrow.types.is_large_string(words.type):
            check_texts(name, len(column), compute.max(compute.binary_length(words)).as_py() or 0)


def _cells(chunk: Any) -> list[Any]:
    """The values of a part of a column; of a dictionary, every text is there once."""
    words = getattr(chunk, "dictionary", None)
    if words is None:
        return chunk.to_pylist()
    texts = words.to_pylist()
    return [None if place is None else texts[place] for place in chunk.indices.to_pylist()]


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
        texts = text_array(name, ["" if gap else str(value) for value, gap in zip(values, missing, strict=True)])
        return Column(name, missing, texts=texts)
    raise _neither(name, type(present[0]).__name__)


def _neither(name: str, kind: str) -> UserError:
    """What is said of a column that holds neither numbers nor texts."""
    return UserError(
        f"Column {name!r} wants numbers or texts but holds values of type {kind[:40]}; leave it out with ignore={name!r}."
    )
