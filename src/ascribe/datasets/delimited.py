"""Text tables: comma, semicolon, tab or white space between the cells, with or without a header line."""

import codecs
import csv
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ascribe.checks import closest, refusal, whole
from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

from .columns import Column, column_from_cells
from .downloads import read_bytes, size_of
from .options import suggest
from .writing import PLAIN, Writing, is_whole_number

DELIMITERS = ("\t", ";", ",")
EXPANSION = 30
"""What a text table takes in memory, at most, in units of its text: two bytes of it may be a cell, which becomes a number."""
PACKED = b"\x1f\x8b"
"""How a file that is packed with gzip begins."""
TABLES = "a .csv, .tsv, .txt, .npz or .parquet file"
SMALLER = "choose fewer rows or columns of it, or save it as NPZ"
_SNIFFED = 50  # lines that decide on the delimiter
_MANY = 8  # numbers in the first row that count the columns by no chance
_FEW = 10  # rows from which on it is no chance that no whole number stands below whole numbers
_PIECE = 2**20  # bytes that are unpacked at a time
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The marks with which a text says its encoding. Those of UTF-32 begin with those of UTF-16."""
_ANNOUNCED = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # the first line of some spreadsheets' files

JSON = "is a JSON file, which is not read: write its table as CSV, as pandas.read_json and to_csv do"
ARFF = "is an ARFF file, which is not read: write its table as CSV, as with scipy.io.arff.loadarff"
"""What is said of texts that are no tables."""

Row = tuple[int, list[str]]  # the line of the file, and the cells


class Table(NamedTuple):
    """The names of all columns of a table, in its order, and the columns that are read, without those to ignore.

    `without_header` says that the first row was taken for data though nobody said so.
    """

    names: list[str]
    columns: list[Column]
    without_header: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a text table is laid out, as far as its user says so.

    **Arguments:**

    - `separator`: what stands between the cells; None finds out, and a blank stands for any white space.
    - `encoding`: of the text; by default UTF-8, or what its first bytes say.
    - `skip`: lines at the beginning that are no part of the table.
    - `comment`: how lines begin that are no part of it.
    - `header`: whether the first line holds the names; None finds out.
    - `writing`: how its cells are written.
    """

    separator: str | None = None
    encoding: str | None = None
    skip: int = 0
    comment: str | None = None
    header: bool | None = None
    writing: Writing = PLAIN


def nothing_in(path: Path, found: str = "no lines") -> UserError:
    """What is said of a file without examples."""
    return UserError(f"{path} is a table with one example per line; got {found}: add examples.")


def too_few_columns(what: Path | str, count: int, advice: str = "add them") -> UserError:
    """What is said of a table without a feature or a target."""
    return UserError(f"{what} has at least two columns, a feature and a target; got {count or 'none'}: {advice}.")


def check_table_room(path: Path, size: int) -> None:
    """A `UserError` where the memory does not hold the table of a text of so many bytes."""
    check_room(f"the table {path}", EXPANSION * size, SMALLER)


def unpacked(content: bytes, path: Path, check_size: Callable[[Path, int], None] = check_table_room) -> bytes:
    """The content of a file, unpacked if it was packed with gzip; no more of it than `check_size` lets pass."""
    parts, size = [], 0
    while content[: len(PACKED)] == PACKED:
        packer = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            while content and not packer.eof:
                part = packer.decompress(content, _PIECE)
                content = packer.unconsumed_tail
                parts.append(part)
                size += len(part)
                check_size(path, size)
            if not packer.eof:
                raise zlib.error("cut short")
        except zlib.error:
            raise UserError(f"{path} is cut short or damaged, and its gzip packing cannot be opened: pack it anew.") from None
        content = packer.unused_data  # a file may be of several parts
    return b"".join(parts) if parts else content


def decode(content: bytes, path: Path, encoding: str | None = None, *, instead: str = TABLES) -> str:
    """The text of a file; bytes that are not text in that encoding are a `UserError`. `instead`: what to give in place of
    binary data."""
    said = encoding or next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if said is None and b"\0" in content:
        raise UserError(f"{path} is text; got binary data: give {instead}.")
    try:
        return content.decode(said or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        advice = (
            f"save it as UTF-8, or try {option('encoding', 'cp1252')} (Windows) or another that it may be in"
            if said is None
            else "save it as UTF-8"
        )
        raise UserError(
            f"{path} is {(said or 'UTF-8').removesuffix('-sig')} text; got another encoding on line {line}: {advice}."
        ) from None
    except UnicodeError:  # UTF-16 without its mark
        raise UserError(f"{path} is {said} text; got another encoding: save it as UTF-8.") from None


def sniff(lines: list[str], delimiters: Sequence[str] = DELIMITERS) -> str | None:
    """The delimiter that cuts the first lines into equally many cells, more than one; None for white space.

    Where several do, the one on whose number of cells the most lines agree wins, and then the one that makes the
    most cells. Commas that all stand between digits, in lines that semicolons or tabs cut, are decimal commas.
    """
    found: dict[str, tuple[int, int]] = {}
    for delimiter in delimiters:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        cells, agreeing = max(counts.items(), key=lambda item: (item[1], item[0]))
        if cells > 1:
            found[delimiter] = (agreeing, cells)
    commas = "".join(lines[1:])
    if "," in commas and re.search(r"(?<!\d),|,(?!\d)", commas) is None:
        others = [delimiter for delimiter in found if delimiter != ","]
        if any(found[other][0] == len(lines) for other in others):
            found.pop(",", None)
    best, best_score = None, (0, 1)
    for delimiter, score in found.items():
        if score > best_score:
            best, best_score = delimiter, score
    # Commas inside texts separated by blanks are rare; blanks inside texts separated by commas are not.
    return best


def read_rows(text: str, path: Path, layout: Layout) -> list[Row]:
    """All rows with something in them, every one with the same number of cells; else a `UserError`.

    The header may have one cell less than the rows below it, as R writes tables whose first column names the rows.
    """
    announced = _ANNOUNCED.match(text)
    _refuse_others(text, path)
    every = text.splitlines(keepends=True)
    separator = announced[1] if announced and layout.separator is None else layout.separator
    left_out = {*range(min(max(layout.skip, 1 if announced else 0), len(every)))}
    if layout.comment:
        left_out |= {at for at, line in enumerate(every) if line.lstrip().startswith(layout.comment)}
    kept = [(at + 1, line) for at, line in enumerate(every) if at not in left_out]
    filled = [line for _, line in kept if line.strip()]
    if not filled:
        raise nothing_in(path)
    rows: list[Row] = []
    try:
        delimiter = _delimiter(filled[:_SNIFFED], layout.writing) if separator is None else separator
        if delimiter is None or delimiter == " ":
            rows = [(number, line.split()) for number, line in kept if line.strip()]
        else:
            # What is left out stays as an empty line, so that lines keep their numbers.
            whole = text if not left_out else "".join("\n" if at in left_out else line for at, line in enumerate(every))
            reader = csv.reader(io.StringIO(whole, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise UserError(f"{path} is not a readable table ({error}): look for a quotation mark left open.") from None
    if not rows:
        raise nothing_in(path, "empty cells alone")
    return rows


def _refuse_others(text: str, path: Path) -> None:
    """Refuse texts that are JSON or ARFF by the way they begin, whatever their names."""
    start = text[:_PIECE].lstrip()
    if start[:1] in ("[", "{") and start[1:].lstrip()[:1] in ('"', "[", "{"):
        raise UserError(f"{path} {JSON}.")
    first = next((line for line in start.splitlines() if line.strip() and line[:1] != "%"), "")
    if first[:10].lower() == "@relation ":
        raise UserError(f"{path} {ARFF}.")


def _delimiter(lines: list[str], writing: Writing) -> str | None:
    """The delimiter of these lines; a mark within numbers is one only where no other cuts them, as of cells in quotes."""
    others = [delimiter for delimiter in DELIMITERS if delimiter not in (writing.decimal, writing.thousands)]
    return sniff(lines, others) or sniff(lines)


def check_widths(rows: list[Row], path: Path, *, unit: str = "line", advice: str = "") -> list[Row]:
    """The rows, each with the same number of cells, at least two; else a `UserError`, with `advice` where they are one
    column."""
    width = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    first = rows[0][1]
    below = [cells[0] for _, cells in rows[1:]]
    no_number = not any(PLAIN.number(cell) is not None for cell in first)
    if len(first) == width - 1 and no_number and len({*below}) == len(below):
        rows = [(rows[0][0], ["", *first]), *rows[1:]]
    before = next(number for number, cells in rows if len(cells) == width)
    for number, cells in rows:
        if len(cells) != width:
            skipped = f"{option('skip', before - 1)} or " if number < before else ""
            raise UserError(
                f"{path} has {width} cells on every {unit}; got {len(cells)} on {unit} {number}: correct that {unit}, or "
                f"leave {unit}s out that are no part of the table with {skipped}{option('comment', '#')}, which begins them."
            )
    if width < 2:
        mark = _mark([cells[0] for _, cells in rows])
        other = f"separate the cells by commas, or name what separates them with {option('separator', mark)}"
        raise too_few_columns(path, 1, advice or other)
    return rows


def _mark(lines: list[str]) -> str:
    """What may separate the cells of these lines: a mark that is in each of them equally often; else a usual one."""
    marks = dict.fromkeys(mark for mark in lines[0] if not mark.isalnum() and mark not in "\"'._+- ")
    found = next((mark for mark in marks if len({line.count(mark) for line in lines}) == 1), "|")
    return "tab" if found == "\t" else found


def has_header(rows: list[Row], writing: Writing = PLAIN) -> bool:
    """True if the first row looks like names: no number in it, and unlike what stands below it; or numbers that can be no
    data.

    Unlike means: some column holds a number further down or, in a table of texts only, no first cell occurs again.
    """
    first, below = rows[0][1], rows[1:]
    if all(writing.is_gap(cell) for cell in first) or not below:
        return False
    if any(writing.number(cell) is not None and not writing.is_gap(cell) for cell in first):
        return _has_numbers_as_names(first, [cells for _, cells in below], writing)
    if any(writing.number(cell) is not None for _, cells in below for cell in cells):
        return True
    return all(cell not in {cells[index] for _, cells in below} for index, cell in enumerate(first))


def _has_numbers_as_names(first: list[str], below: Sequence[Sequence[str]], writing: Writing) -> bool:
    """True where whole numbers name columns: a text beside them stands over nothing but numbers; they count the columns
    (0, 1, 2, ... or from 1) and either there are many or what stands below is written with decimals or as texts; or, as
    with years, in a few rows or more no whole number stands below any of them."""
    counted = [cell for cell in first if re.fullmatch(r"[0-9]{1,9}", cell)]
    texts = [at for at, cell in enumerate(first) if not writing.is_gap(cell) and writing.number(cell) is None]
    if len({*first}) < len(first) or len(counted) + len(texts) + first.count("") < len(first):
        return False
    columns = [[cells[at] for cells in below if not writing.is_gap(cells[at])] for at in range(len(first))]
    if any(columns[at] and all(writing.number(cell) is not None for cell in columns[at]) for at in texts):
        return True
    if len(counted) < 2:
        return False
    start = int(counted[0])
    if start not in (0, 1) or [*map(int, counted)] != [*range(start, start + len(counted))]:
        under = [columns[at] for at, cell in enumerate(first) if cell in counted]
        return len(below) >= _FEW and all(under) and not any(is_whole_number(cell) for cells in under for cell in cells)
    whole = [is_whole_number(column[0]) for column in columns if column]
    return len(counted) >= _MANY or not all(whole)


def header_names(cells: list[str], path: Path | str) -> list[str]:
    """The column names of a header; a nameless column is called after its position.

    **Raises:** `UserError` on a name used twice.
    """
    names = [cell or f"column{position}" for position, cell in enumerate(cells, 1)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(f"{path} has a different name for every column; got {repeated[0]!r} twice: rename it.")
    return names


def read_delimited(path: Path, layout: Layout, *, ignore: tuple[str, ...] = ()) -> Table:
    """The columns of a text table, packed with gzip or not. Without names, columns are called `column1`, `column2`, and
    so on.

    **Arguments:**

    - `ignore`: columns to leave out before anything in them can be an error.

    **Raises:** `UserError` if the file is not a rectangular text table.
    """
    check_table_room(path, size_of(path))
    content = unpacked(read_bytes(path), path)
    rows = check_widths(read_rows(decode(content, path, layout.encoding), path, layout), path)
    return table_of_rows(rows, path, layout, ignore)


def table_of_rows(rows: list[Row], path: Path, layout: Layout, ignore: tuple[str, ...]) -> Table:
    """The columns of rows of texts, under their header or without one."""
    _check_title(rows, path, layout.writing)
    found = has_header(rows, layout.writing) if layout.header is None else layout.header
    nameless = [True] * len(rows[0][1])
    if found:
        nameless = [not cell for cell in rows[0][1]]
        names, rows = header_names(rows[0][1], path), rows[1:]
    else:
        names = [f"column{position}" for position in range(1, len(rows[0][1]) + 1)]
    if not rows:
        raise UserError(f"{path} has a header but no rows below it: give a file with one example per line.")
    ignored = {column_name("ignore", name, names, path) for name in ignore}
    lines = [number for number, _ in rows]
    columns = [
        column_from_cells(name, [cells[index] for _, cells in rows], lines, layout.writing, nameless=nameless[index])
        for index, name in enumerate(names)
        if name not in ignored
    ]
    notes = [
        f"no cell is {word}, which {option('missing_words', word)} has for a missing value"
        for word in layout.writing.unused({cell for _, cells in rows for cell in cells})
    ]
    return Table(names, columns, without_header=not found and layout.header is None, notes=tuple(notes))


def _check_title(rows: list[Row], path: Path, writing: Writing) -> None:
    """Refuse lines above the names, of one filled cell each, as spreadsheets' titles are."""
    height = next((at for at, (_, cells) in enumerate(rows) if sum(map(bool, cells)) > 1), 0)
    if not 0 < height < len(rows) - 1 or any(writing.number(cell) is not None for _, cells in rows[:height] for cell in cells):
        return
    names, below = rows[height][1], rows[height + 1][1]
    holds_numbers = lambda cells: any(writing.number(cell) is not None for cell in cells)
    if all(names) and not holds_numbers(names) and holds_numbers(below):
        title = next(filter(None, rows[0][1]))
        raise UserError(
            f"{path} begins with its names or its first example; got a title, {shown(title)}: leave it out with "
            f"{option('skip', rows[height][0] - 1)}."
        )


def column_name(setting: str, wanted: object, names: Sequence[str], path: Path | str) -> str:
    """The name of the column that an option means: by its name, or by its number, counted from 1, or from -1 at the end.

    **Raises:** `UserError` if there is no such column.
    """
    if isinstance(wanted, str) and wanted in names:
        return wanted
    wanted_kind = f"a column of {path}, by its name or by its number from 1 to {len(names)}"
    place = whole(wanted)
    if isinstance(wanted, str) and wanted.lstrip("-").isdecimal() and len(wanted) < 20:
        place = int(wanted)
    if place is not None:
        if place == 0 or not -len(names) <= place <= len(names):
            raise refusal(option(setting), wanted_kind, shown(wanted), f"{suggest(setting, -1)}, the last column")
        return names[place - 1 if place > 0 else place]
    advice = close_names(wanted, names) if isinstance(wanted, str) else suggest(setting, -1)
    raise refusal(option(setting), wanted_kind, shown(wanted), advice)


def close_names(name: str, names: Sequence[str]) -> str:
    """What to try instead of an unknown column name: the closest ones, or all of a few."""
    close = closest(name, names, 3)
    if close:
        return f"did you mean {' or '.join(repr(entry) for entry in close)}"
    listing = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"its columns are {listing}"
