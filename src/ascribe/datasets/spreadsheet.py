"""Sheets of Excel files (.xlsx), where the extra `tables` is installed: values as they were computed last, no formulas."""

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

from ascribe.checks import refusal
from ascribe.errors import UserError, needed, option, shown
from ascribe.memory import check_room

from .delimited import SMALLER, Layout, Row, Table, check_widths, table_of_rows
from .downloads import read_bytes, readable, size_of

EXPANSION = 50
"""What a sheet takes in memory, at most, in units of its unpacked text."""
_PIECE = 2**20  # bytes that are unpacked at a time
CELLS = 10_000_000
"""A sheet's own limit is 17 thousand million; a single cell at its end would make rows of blanks up to there."""


def read_spreadsheet(path: Path, layout: Layout, *, sheet: str | int | None = None, ignore: tuple[str, ...] = ()) -> Table:
    """The columns of one sheet, the first or that of a name or a number (from 1); dates are texts.

    Nothing in the file is executed: neither formulas nor macros are looked at.

    **Raises:** `UserError` if openpyxl is missing, the file is damaged or larger than the memory, or has no such sheet.
    """
    openpyxl = needed("openpyxl", "tables", "an Excel file")
    check_room(f"the file {path}", size_of(path), SMALLER)
    content = read_bytes(path)
    with readable(path, "Excel file", "save it anew as .xlsx, or as CSV"):
        book = openpyxl.load_workbook(_bounded(content, path), read_only=True, data_only=True, keep_links=False)
        chosen, names = _chosen(book, sheet, path), [one.title for one in book.worksheets]
        rows: list[Row] = []
        count = 0
        for number, values in enumerate(book[chosen].iter_rows(values_only=True), 1):
            count += len(values)
            if count > CELLS:
                raise UserError(f"{path} has a sheet of at most {CELLS:,} cells; got more: save it as CSV or NPZ.")
            cells = [_text(value) for value in values]
            if number > layout.skip and any(cells):
                rows.append((number, cells))
        book.close()
    if not rows:
        raise UserError(
            f"{path} is a table with one example per row; got the empty sheet {chosen!r}: choose one with {option('sheet')}."
        )
    others = [name for name in names if name != chosen]
    advice = f"choose another sheet with {option('sheet', others[0])}" if others else "write each cell into a column of its own"
    rows = check_widths(_without_margins(rows), path, unit="row", advice=advice)
    try:
        table = table_of_rows(rows, path, layout, ignore)
    except UserError:
        if cell := _uncomputed(content, chosen, rows):
            raise UserError(
                f"{path} holds values that were computed; got the formula in {cell}, which was not: open the file in a "
                f"spreadsheet program and save it there."
            ) from None
        raise
    if others and sheet is None:
        note = f"the sheet {chosen} is read, the first of {len(names)}; {option('sheet', others[0])} reads another"
        return table._replace(notes=(*table.notes, note))
    return table


def _uncomputed(content: bytes, chosen: str, rows: list[Row]) -> str:
    """The place of a formula of a column without values, as a program leaves it that computes nothing; else empty."""
    below = [cells for _, cells in rows[1:]]
    if all(map(any, zip(*below, strict=True))):
        return ""
    openpyxl = needed("openpyxl", "tables", "an Excel file")
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
    cells = (cell for row in book[chosen].iter_rows() for cell in row)
    found = next((cell.coordinate for cell in cells if cell.data_type == "f"), "")
    book.close()
    return found


def _bounded(content: bytes, path: Path) -> io.BytesIO:
    """The same archive unpacked: of every entry no more than it announces, which openpyxl would not ask."""
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(found, "w") as whole:
        entries = packed.infolist()
        check_room(f"the table {path}", EXPANSION * sum(entry.file_size for entry in entries), SMALLER)
        for entry in entries:
            # The packings that spreadsheets write, and the only ones that unpack no more at a time than was asked for.
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("unknown packing")
            with (
                packed.open(entry) as source,
                whole.open(zipfile.ZipInfo(entry.filename), "w", force_zip64=True) as copy,
            ):
                while part := source.read(_PIECE):
                    copy.write(part)
    return found


def _chosen(book: Any, sheet: str | int | None, path: Path) -> str:
    """The name of the sheet that is wanted."""
    names = [one.title for one in book.worksheets]
    if isinstance(sheet, str) and sheet in names:
        return sheet
    number = 1 if sheet is None else int(sheet) if str(sheet).isdecimal() and len(str(sheet)) < 10 else 0
    if not 1 <= number <= len(names):
        wanted = f"a sheet of {path}, by its name or by its number from 1 to {len(names)}"
        raise refusal(option("sheet"), wanted, shown(sheet), f"its sheets are {', '.join(names[:10])}")
    return names[number - 1]


def _text(value: Any) -> str:
    """A cell as a text table would have it."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return str(value).strip()


def _without_margins(rows: list[Row]) -> list[Row]:
    """The rows without columns that are empty in all of them, and each of one length."""
    width = max(len(cells) for _, cells in rows)
    full = [(number, cells + [""] * (width - len(cells))) for number, cells in rows]
    used = [at for at in range(width) if any(cells[at] for _, cells in full)]
    return [(number, [cells[at] for at in used]) for number, cells in full]
