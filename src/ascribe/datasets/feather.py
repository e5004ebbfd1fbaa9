"""Feather tables (version 2, the file format of Arrow), where the extra `tables` is installed."""

import struct
from pathlib import Path
from typing import Any

from ascribe.errors import UserError, needed
from ascribe.memory import check_room

from .columns import CELL
from .delimited import SMALLER, Table, column_name, header_names
from .downloads import read_bytes, readable, size_of
from .parquet import check_kinds, made

MAGIC = b"ARROW1"
_DICTIONARY, _BATCH = 2, 3  # the kinds of messages that hold data


def read_feather(path: Path, *, ignore: tuple[str, ...] = ()) -> Table:
    """The columns of a Feather file: numbers and booleans as numbers, texts and dates as texts.

    What its packed buffers announce is compared with the memory there is before any is unpacked.

    **Raises:** `UserError` if pyarrow is missing, the file is damaged, or a column holds lists or other nested values.
    """
    pyarrow = needed("pyarrow", "tables", "a Feather file")
    needed("pyarrow.ipc", "tables", "a Feather file")
    check_room(f"the table {path}", 2 * size_of(path), SMALLER)
    content = read_bytes(path)
    if content[: len(MAGIC)] != MAGIC:
        raise UserError(f"{path} is not a Feather file of version 2: write it anew, or as CSV.")
    with readable(path, "Feather file", "write it anew or use CSV"):
        # After the magic bytes and their padding, the file is a stream of messages.
        check_room(f"the table {path}", _announced(pyarrow.py_buffer(content[8:])), SMALLER)
        with pyarrow.ipc.open_file(pyarrow.py_buffer(content)) as file:
            schema = file.schema
            names = header_names([str(name) for name in schema.names], path)
            ignored = {column_name("ignore", name, names, path) for name in ignore}
            kept = {name: field for name, field in zip(names, schema, strict=True) if name not in ignored}
            check_kinds(kept)
            table = file.read_all()
        table.validate(full=True)
        chosen = table.select([names.index(name) for name in kept])
    return made(path, names, [*kept], chosen, schema.metadata)


def _announced(stream: Any) -> int:
    """The bytes that the cells of a stream of messages take, as its messages announce them."""
    import pyarrow.ipc  # noqa: PLC0415

    size = 0
    reader = pyarrow.ipc.MessageReader.open_stream(stream)
    while True:
        try:
            message = reader.read_next_message()
        except (StopIteration, EOFError):
            return size
        metadata, body = message.metadata.to_pybytes(), message.body
        root = struct.unpack_from("<I", metadata)[0]
        kind = _field(metadata, root, 1)
        header = _field(metadata, root, 2)
        if kind is None or header is None or metadata[kind] not in (_DICTIONARY, _BATCH):
            continue
        batch = _followed(metadata, header)
        if metadata[kind] == _DICTIONARY:
            data = _field(metadata, batch, 1)
            if data is None:
                continue
            batch = _followed(metadata, data)
        rows, nodes, buffers = (_field(metadata, batch, number) for number in (0, 1, 2))
        columns = 0 if nodes is None else struct.unpack_from("<I", metadata, _followed(metadata, nodes))[0]
        size += CELL * columns * (0 if rows is None else max(struct.unpack_from("<q", metadata, rows)[0], 0))
        if buffers is not None and _field(metadata, batch, 3) is not None:
            size += 2 * _unpacked(metadata, _followed(metadata, buffers), body.to_pybytes() if body is not None else b"")


def _unpacked(metadata: bytes, buffers: int, body: bytes) -> int:
    """The bytes that packed buffers announce: each begins with their number, which is -1 where it is not packed."""
    size = 0
    for number in range(struct.unpack_from("<I", metadata, buffers)[0]):
        offset, length = struct.unpack_from("<qq", metadata, buffers + 4 + 16 * number)
        size += length if length < 8 else max(struct.unpack_from("<q", body, offset)[0], length)
    return size


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Where a field of a table of FlatBuffers stands, in which Arrow writes its messages; None where it is left out."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    place = 4 + 2 * number
    offset = (
        struct.unpack_from("<H", metadata, fields + place)[0] if place < struct.unpack_from("<H", metadata, fields)[0] else 0
    )
    return table + offset if offset else None


def _followed(metadata: bytes, place: int) -> int:
    """Where the offset at a place leads."""
    return place + struct.unpack_from("<I", metadata, place)[0]
