"""Text tables: comma, semicolon, tab or white space between the cells, with or without a header line."""

import csv
import difflib
import io
from collections import Counter
from pathlib import Path

from ascribe.errors import UserError
from ascribe.memory import check_room

from .columns import Column, as_number, column_from_cells, is_gap
from .downloads import read_bytes, size_of

DELIMITERS = ("\t", ";", ",")
EXPANSION = 30
"""What a text table takes in memory, at most, in units of its file: two bytes of it may be a cell, which becomes a number."""
_SNIFFED = 50  # lines that decide on the delimiter

Row = tuple[int, list[str]]  # the line of the file, and the cells


def decode(content: bytes, path: Path) -> str:
    """The text of a file; bytes that are not UTF-8 text are a `UserError`."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path} wants UTF-8 text but is in UTF-16; save it as UTF-8 (in a spreadsheet: CSV UTF-8).")
    if b"\0" in content:
        raise UserError(f"{path} wants text but holds binary data; give a .csv, .tsv, .txt, .npz or .parquet file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path} wants UTF-8 text, but line {line} is in another encoding; save it as UTF-8.") from None


def sniff(lines: list[str]) -> str | None:
    """The delimiter that cuts the first lines into equally many cells, more than one; None for white space.

    Where several do, the one on whose number of cells the most lines agree wins, and then the one that makes the
    most cells.
    """
    best, best_score = None, (0, 1)
    for delimiter in DELIMITERS:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        cells, agreeing = max(counts.items(), key=lambda item: (item[1], item[0]))
        if cells > 1 and (agreeing, cells) > best_score:
            best, best_score = delimiter, (agreeing, cells)
    # Commas inside texts separated by blanks are rare; blanks inside texts separated by commas are not.
    return best


def read_rows(text: str, path: Path) -> list[Row]:
    """All rows with something in them, every one with the same number of cells; else a `UserError`."""
    filled = [line for line in text.splitlines() if line.strip()]
    if not filled:
        raise UserError(f"{path} wants a table but is empty; give a file with one example per line.")
    rows: list[Row] = []
    try:
        delimiter = sniff(filled[:_SNIFFED])
        if delimiter is None:
            rows = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        else:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise UserError(f"{path} is not a readable table ({error}); look for a quotation mark left open.") from None
    if not rows:
        raise UserError(f"{path} wants a table but has empty cells alone; give a file with one example per line.")
    width = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    for number, cells in rows:
        if len(cells) != width:
            raise UserError(
                f"{path} wants {width} cells on every line, but line {number} has {len(cells)}; correct that line."
            )
    if width < 2:
        raise UserError(
            f"{path} wants at least two columns, a feature and a target, but has one; separate the cells by commas."
        )
    return rows


def has_header(rows: list[Row]) -> bool:
    """True if the first row looks like names: no number in it, and unlike what stands below it.

    Unlike means: some column holds a number further down or, in a table of texts only, no first cell occurs again.
    """
    first, below = rows[0][1], rows[1:]
    if any(as_number(cell) is not None and not is_gap(cell) for cell in first) or all(is_gap(cell) for cell in first):
        return False
    if any(as_number(cell) is not None for _, cells in below for cell in cells):
        return True
    return bool(below) and all(cell not in {cells[index] for _, cells in below} for index, cell in enumerate(first))


def header_names(cells: list[str], path: Path) -> list[str]:
    """The column names of a header; a nameless column is called after its position. Raises on a name used twice."""
    names = [cell or f"column{position}" for position, cell in enumerate(cells, 1)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(
            f"{path} wants a different name for every column, but {repeated[0]!r} is there twice; rename it."
        )
    return names


def read_delimited(path: Path, *, header: bool | None = None, ignore: tuple[str, ...] = ()) -> list[Column]:
    """The columns of a text table.

    **Arguments:**

    - `header`: whether the first line holds the names; None finds out. Without names, columns are called
      `column1`, `column2` and so on.
    - `ignore`: names of columns to leave out before anything in them can be an error.

    Raises `UserError` if the file is not a rectangular text table.
    """
    check_room(f"the table {path}", EXPANSION * size_of(path), "choose fewer rows or columns of it, or save it as NPZ")
    rows = read_rows(decode(read_bytes(path), path), path)
    if has_header(rows) if header is None else header:
        names, rows = header_names(rows[0][1], path), rows[1:]
    else:
        names = [f"column{position}" for position in range(1, len(rows[0][1]) + 1)]
    if not rows:
        raise UserError(f"{path} has a header but no rows below it; give a file with one example per line.")
    check_ignored(ignore, names, path)
    lines = [number for number, _ in rows]
    return [
        column_from_cells(name, [cells[index] for _, cells in rows], lines)
        for index, name in enumerate(names)
        if name not in ignore
    ]


def check_ignored(ignore: tuple[str, ...], names: list[str], path: Path) -> None:
    """Refuse names of columns to ignore that the table does not have."""
    for name in ignore:
        if name not in names:
            raise UserError(f"{path} has no column {name!r} to ignore; {close_names(name, names)}.")


def close_names(name: str, names: list[str]) -> str:
    """What to try instead of an unknown column name: the closest ones, or all of a few."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(repr(entry) for entry in close)}"
    listing = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"its columns are {listing}"
