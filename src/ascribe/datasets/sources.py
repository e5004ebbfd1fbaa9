"""Where a table comes from: which kind of source is which, the options of reading it, and its reader."""

import codecs
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ascribe.checks import closest, refusal, whole
from ascribe.errors import UserError, option, shown

from .delimited import ARFF, JSON, Layout, Table, nothing_in, read_delimited
from .feather import read_feather
from .frames import FRAME, PAIR, is_frame, read_frame, read_pair
from .npz import Arrays, read_npz
from .options import Option, names_list, suggest, whole_number
from .parquet import read_parquet
from .spreadsheet import read_spreadsheet
from .writing import GAPS, Writing

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "bar": "|"}
"""Words for what may stand between cells, where the character itself is hard to write."""

# Which kind of table an ending means, and which options are of every kind beside target, task, missing and so on.
TEXT, SPREADSHEET, NPZ = "a text table", "an Excel file", "an NPZ file"
PARQUET, FEATHER = "a Parquet file", "a Feather file"
FRAME_KIND, PAIR_KIND = "a data frame", "a pair of arrays"
KINDS = {".npz": NPZ, ".parquet": PARQUET, ".pq": PARQUET, ".feather": FEATHER, ".arrow": FEATHER}
KINDS |= {".xlsx": SPREADSHEET, ".xlsm": SPREADSHEET}
COLUMNS = ("target", "ignore")
READING = {
    TEXT: (*COLUMNS, "header", "separator", "decimal", "thousands", "encoding", "missing_words", "skip", "comment"),
    SPREADSHEET: (*COLUMNS, "header", "sheet", "missing_words", "skip"),
    PARQUET: COLUMNS,
    FEATHER: COLUMNS,
    FRAME_KIND: COLUMNS,
    NPZ: (),
    PAIR_KIND: (),
}
UNREAD = {
    (".json", ".jsonl", ".ndjson"): JSON,
    (".arff",): ARFF,
    (".npy",): "holds a single array, not the named ones of NPZ: write it with np.savez(path, x=inputs, y=targets)",
    (".xls", ".ods"): "is a spreadsheet of another kind than .xlsx: save it as .xlsx or CSV",
    (
        ".pkl",
        ".pickle",
        ".joblib",
    ): "is a pickle, which is not read because it could run code: save CSV, Parquet or NPZ",
    (
        ".zip",
        ".tar",
        ".tgz",
        ".bz2",
        ".xz",
        ".zst",
        ".7z",
    ): "is an archive: unpack it, or pack one table with gzip (.csv.gz)",
    (
        *(".h5", ".hdf5", ".mat", ".sav", ".dta", ".rds", ".rdata", ".sas7bdat", ".db", ".sqlite"),
    ): "is of a format that is not read: save its table as CSV, Parquet or NPZ",
}
"""Endings of files that are known and not read, and what to do instead."""


def neighbors(path: Path) -> list[str]:
    """The names of what lies in the folder of a path; empty if that cannot be said."""
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def check_there(path: Path, kind: str) -> int:
    """The bytes of a file; what is no existing file of that kind is refused in a sentence."""
    try:
        size = path.stat().st_size
        is_folder = path.is_dir()
    except PermissionError:
        raise UserError(f"the file {path} may not be read: give yourself the right to read it.") from None
    except (OSError, ValueError):
        close = closest(path.name, neighbors(path))
        advice = f"did you mean {close[0]!r}" if close else "check the path"
        raise UserError(f"there is no file {shown(str(path), 300)}: {advice}.") from None
    if is_folder:
        raise UserError(f"{path} is a folder, not a {kind}: name a file in it.")
    return size


def check_file(path: Path) -> None:
    """Refuse what is not an existing, filled file of a kind that is read, in a sentence."""
    if check_there(path, "table") == 0:
        raise nothing_in(path)
    for endings, sentence in UNREAD.items():
        if path.suffix.lower() in endings:
            raise UserError(f"{path} {sentence}.")


def kind_of(source: Any) -> tuple[str, str]:
    """The kind of a table, and what sentences call it."""
    if not isinstance(source, str | Path):
        return (FRAME_KIND, FRAME) if is_frame(source) else (PAIR_KIND, PAIR)
    path = Path(source)
    check_file(path)
    return KINDS.get(path.suffix.lower(), TEXT), str(path)


def check_given(kind: str, given: Mapping[str, Any]) -> None:
    """Refuse options of reading that do not apply to this kind of table."""
    wrong = [name for name, value in given.items() if value is not None and name not in READING[kind]]
    if wrong:
        kinds = " or ".join(other for other, names in READING.items() if wrong[0] in names)
        raise refusal(option(wrong[0]), f"for {kinds}", kind, "leave it out")


def read(source: Any, kind: str, given: Mapping[str, Any], sheet: Option) -> Table | Arrays:
    """The columns, or the arrays, of a source of that kind."""
    ignored = names_list("ignore", given["ignore"] or ())
    readers: dict[str, Callable[[], Table | Arrays]] = {
        FRAME_KIND: lambda: read_frame(source, ignore=ignored),
        PAIR_KIND: lambda: read_pair(*source),
        NPZ: lambda: read_npz(Path(source)),
        PARQUET: lambda: read_parquet(Path(source), ignore=ignored),
        FEATHER: lambda: read_feather(Path(source), ignore=ignored),
        SPREADSHEET: lambda: read_spreadsheet(Path(source), _layout(given), sheet=_sheet(sheet), ignore=ignored),
        TEXT: lambda: read_delimited(Path(source), _layout(given), ignore=ignored),
    }
    return readers[kind]()


def _sheet(sheet: Option) -> str | int | None:
    if sheet is not None and not isinstance(sheet, str) and whole(sheet) is None:
        raise refusal(option("sheet"), "the name or the number of a sheet", shown(sheet), suggest("sheet", 1))
    return sheet


def check_encoding(encoding: Option) -> None:
    """Refuse what is neither None nor the name of an encoding."""
    try:
        if encoding is not None:
            bytes(4).decode(codecs.lookup(encoding).name, "replace")
    except (LookupError, TypeError, ValueError):
        advice = f"{suggest('encoding', 'cp1252')} or {option('encoding', 'latin-1')}"
        raise refusal(option("encoding"), "the name of an encoding of text", shown(encoding), advice) from None


def _layout(given: Mapping[str, Any]) -> Layout:
    """The options of reading, checked."""
    separator = given["separator"]
    separator = SEPARATORS.get(separator, separator) if isinstance(separator, str) else separator
    for name, value in {**given, "separator": separator}.items():
        marks = ("separator", "decimal", "thousands")
        if name in marks and value is not None and not (isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0'):
            words = f" or {', '.join(SEPARATORS)}" if name == "separator" else ""
            raise refusal(option(name), f"one character{words}", shown(value), suggest(name, ","))
    decimal, thousands = given["decimal"] or ".", given["thousands"] or ""
    if decimal == thousands or any(mark.isalnum() or mark in ("+", "-") for mark in (decimal, thousands)):
        raise UserError(
            f"{option('decimal')} and {option('thousands')} are two different marks, and no digits, letters or signs; got "
            f"{shown(decimal)} and {shown(thousands)}: give both {option('decimal', ',')} and {option('thousands', '.')}."
        )
    encoding, comment = given["encoding"], given["comment"]
    check_encoding(encoding)
    if comment is not None and not (isinstance(comment, str) and comment.strip()):
        raise refusal(option("comment"), "the text that lines of comment begin with", shown(comment), suggest("comment", "#"))
    words = given["missing_words"]
    words = () if words is None else words if isinstance(words, str | Sequence) else [words]
    words = words if isinstance(words, str) else [str(word) if isinstance(word, float) else word for word in words]
    words = names_list("missing_words", words)
    return Layout(
        separator=separator,
        encoding=encoding,
        skip=0 if given["skip"] is None else whole_number("skip", given["skip"], minimum=0),
        comment=comment,
        header=given["header"],
        writing=Writing(decimal, thousands, GAPS | {word.casefold() for word in words}),
    )
