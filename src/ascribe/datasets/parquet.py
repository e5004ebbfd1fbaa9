"""Parquet tables, where the extra `tables` is installed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascribe.errors import UserError, needed
from ascribe.memory import check_room

from .columns import CELL, check_texts, column_from_values, neither
from .delimited import Table, column_name, header_names, too_few_columns
from .downloads import readable

TEXTS = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
ROWS = 2**16
"""Rows that are read at a time."""


def read_parquet(path: Path, *, ignore: tuple[str, ...] = ()) -> Table:
    """The columns of a Parquet file: numbers and booleans as numbers, texts and dates as texts.

    **Raises:** `UserError` if pyarrow is missing, the file is damaged, or a column holds lists or other nested values.
    """
    parquet = needed("pyarrow.parquet", "tables", "a Parquet file")
    with readable(path, "Parquet file", "write it anew or use CSV"):
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
        # Texts stay a dictionary and numbers, as in the file: spelled out, one text may be there a million times.
        texts = [field.name for field in schema if str(field.type) in TEXTS]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            names = header_names([str(name) for name in schema.names], path)
            ignored = {column_name("ignore", name, names, path) for name in ignore}
            kept = {name: field for name, field in zip(names, schema, strict=True) if name not in ignored}
            check_kinds(kept)
            _check_announced(path, file.metadata)
            table = _read(path, file, [field.name for field in kept.values()])
    return made(path, names, [*kept], table, schema.metadata)


def check_kinds(fields: Mapping[str, Any]) -> None:
    """Refuse columns of lists and other nested values."""
    import pyarrow  # noqa: PLC0415

    for name, field in fields.items():
        if pyarrow.types.is_nested(field.type) or pyarrow.types.is_fixed_size_binary(field.type):
            raise neither(name, str(field.type))


def made(path: Path, names: list[str], kept: list[str], table: Any, metadata: Any) -> Table:
    """The columns of a table of Arrow that are `kept`; `names` are those of all columns of the file."""
    if len(names) < 2:
        raise too_few_columns(path, len(names))
    if not table.num_rows:
        raise UserError(f"{path} has columns but no rows: give a file with one example per row.")
    for name, column in zip(kept, table.columns, strict=True):
        _check_longest(name, column)
    index = index_columns(metadata)
    try:
        cells = [[cell for chunk in column.chunks for cell in _cells(chunk)] for column in table.columns]
    except Exception as error:  # texts that are none
        raise UserError(f"{path} holds damaged texts ({' '.join(str(error).split())[:80]}): write it anew.") from None
    return Table(
        names, [column_from_values(name, values, index=name in index) for name, values in zip(kept, cells, strict=True)]
    )


def index_columns(metadata: Any) -> set[str]:
    """The columns that hold a data frame's index, as pandas says in the description that it writes beside the schema."""
    try:
        described = json.loads(metadata[b"pandas"])["index_columns"]
        return {name for name in described if isinstance(name, str)}
    except (TypeError, KeyError, ValueError, RecursionError):  # another writer, or a damaged description
        return set()


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
