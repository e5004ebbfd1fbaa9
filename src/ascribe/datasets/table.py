"""A table of the user's own: CSV, TSV, white-space separated text, Excel, NPZ or Parquet, a data frame, or arrays."""

import codecs
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ascribe.arguments import closest, flag, one_of, whole
from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

from .assembly import assemble
from .base import Card, Dataset
from .columns import (
    GAPS,
    Column,
    Writing,
    are_dates,
    chosen_rows,
    class_name,
    doubt,
    encode_feature,
    encode_target,
    infer_task,
)
from .delimited import ARFF, JSON, Layout, Table, column_name, read_delimited
from .feather import read_feather
from .frames import FRAME, PAIR, is_frame, read_frame, read_pair
from .images import VALIDATION_FRACTION
from .npz import Arrays, is_one_hot, read_npz
from .options import COPIES, MINIMUM_EXAMPLES, Option, Task, asked, names_list, whole_number
from .parquet import read_parquet
from .row_labels import counts_rows, row_labels
from .splits import Indices, split_indices
from .spreadsheet import read_spreadsheet
from .understood import CONSTANT, ColumnRead, Understood

TARGET_NAMES = ("target", "label", "class", "y")
MISSING = ("refuse", "drop", "mean")
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "bar": "|"}
"""Words for what may stand between cells, where the character itself is hard to write."""

# Which kind of table an ending means, and which options are of every kind beside target, task, missing and so on.
TEXT, SPREADSHEET, PARQUET, FEATHER, NPZ = "text table", "Excel file", "Parquet file", "Feather file", "NPZ file"
FRAME_KIND, PAIR_KIND = "data frame", "pair of arrays"
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
    (".npy",): "holds a single array, not the named ones of NPZ; write it with np.savez(path, x=inputs, y=targets)",
    (".xls", ".ods"): "is a spreadsheet of another kind than .xlsx; save it as .xlsx or CSV",
    (
        ".pkl",
        ".pickle",
        ".joblib",
    ): "is a pickle, which is not read because it could run code; save CSV, Parquet or NPZ",
    (
        ".zip",
        ".tar",
        ".tgz",
        ".bz2",
        ".xz",
        ".zst",
        ".7z",
    ): "is an archive; unpack it, or pack one table with gzip (.csv.gz)",
    (
        ".h5",
        ".hdf5",
        ".mat",
        ".sav",
        ".dta",
        ".rds",
        ".rdata",
        ".sas7bdat",
        ".db",
        ".sqlite",
    ): "is of a format that is not read; save its table as CSV, Parquet or NPZ",
}
"""Endings of files that are known and not read, and what to do instead."""


def neighbors(path: Path) -> list[str]:
    """The names of what lies in the folder of a path; empty if that cannot be said."""
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def check_file(path: Path) -> None:
    """Refuse what is not an existing, filled file of a kind that is read, in a sentence."""
    try:
        size = path.stat().st_size
        is_folder = path.is_dir()
    except PermissionError:
        raise UserError(f"The file {path} may not be read; give yourself the right to read it.") from None
    except (OSError, ValueError):
        close = closest(path.name, neighbors(path))
        advice = f"did you mean {close[0]!r}" if close else "check the path"
        raise UserError(f"There is no file {shown(str(path), 300)}; {advice}.") from None
    if is_folder:
        raise UserError(f"{path} is a folder, not a table; name a file in it.")
    if size == 0:
        raise UserError(f"{path} wants a table but is empty; give a file with one example per line.")
    for endings, sentence in UNREAD.items():
        if path.suffix.lower() in endings:
            raise UserError(f"{path} {sentence}.")


def target_column(target: Option, names: Sequence[str], every: Sequence[str], what: str) -> tuple[str, str]:
    """The name of the target column, as named, as numbered, or by convention, and how it was chosen.

    Without a choice it is the one column called target, label, class or y; else the last one.

    **Arguments:**

    - `names`: the columns that may be the target; `every`: all of the table, by which it is numbered.

    Raises `UserError` if there is no such column.
    """
    if target is None:
        usual = [name for name in names if name.casefold() in TARGET_NAMES]
        if len(usual) == 1:
            return usual[0], f"guessed: it is called {usual[0]}"
        if not names:
            raise UserError(f"{what} has no column left; ignore fewer columns.")
        return names[-1], "guessed: the last column"
    name = column_name("target", target, every, what)
    if name not in names:
        raise UserError(
            f"{what} has the target {name!r} among the columns to leave out; take it from {option('ignore')}."
        )
    return name, "named"


def rows_to_keep(gaps: dict[str, np.ndarray], target_gaps: np.ndarray, missing: str, what: str) -> np.ndarray:
    """The rows that stay under a policy for missing values, as a mask; what the policy forbids is a `UserError`.

    `gaps` has the missing cells of each column, the target included.
    """
    count = sum(int(mask.sum()) for mask in gaps.values())
    worst = max(gaps, key=lambda name: int(gaps[name].sum()))
    drop, mean = option("missing", "drop"), option("missing", "mean")
    if missing == "refuse" and count:
        raise UserError(
            f"{what} has {count} missing values, {int(gaps[worst].sum())} of them in column {worst!r}; "
            f"try {drop} to leave those rows out or {mean} to fill them."
        )
    if missing == "mean" and target_gaps.any():
        raise UserError(
            f"{what} has {int(target_gaps.sum())} rows without a target, which no mean can fill; try {drop}."
        )
    if missing == "drop":
        keep = ~np.any(np.stack(list(gaps.values())), axis=0)
        if count and not keep.any():
            raise UserError(f"{what} has a missing value in every row, so {drop} leaves nothing; try {mean}.")
        return keep
    return np.ones(len(target_gaps), dtype=bool)


def check_rows(inputs: np.ndarray, what: str) -> None:
    """Refuse too few examples, and inputs in which nothing changes."""
    if len(inputs) < MINIMUM_EXAMPLES:
        raise UserError(
            f"{what} wants at least {MINIMUM_EXAMPLES} examples to fill three splits, but has {len(inputs)}; "
            f"add more rows."
        )
    flat = inputs.reshape(len(inputs), -1)
    if np.all((flat == flat[0]) | np.isnan(flat)):
        raise UserError(f"{what} has the same inputs in every row, so there is nothing to learn; add a feature.")


def given_rows(sizes: tuple[int, int, int], keep: np.ndarray, labels: np.ndarray | None, seed: int) -> Indices:
    """The cut an NPZ file brings along; without a validation part, 10 % of the training rows become it."""
    origin = np.repeat([0, 1, 2], sizes)[keep]
    train, validation, test = (np.flatnonzero(origin == part) for part in range(3))
    if len(validation) == 0:
        part = split_indices(
            len(train),
            seed=seed,
            labels=None if labels is None else labels[train],
            validation=VALIDATION_FRACTION,
            test=0.0,
        )
        train, validation = train[part.train], train[part.validation]
    return Indices(train, validation, test)


@dataclass(frozen=True, eq=False)
class _Contents:
    """What a table holds, of whatever kind it came: inputs with gaps, the target, and what was understood so far.

    `gaps`: which rows of each column lack a value; `features`: how many columns of inputs `gaps` speaks of; `sizes`: as in
    `Arrays`; `kept`: which rows of the table these are.
    """

    inputs: np.ndarray
    target: Column | np.ndarray
    gaps: dict[str, np.ndarray]
    kept: np.ndarray
    target_chosen: str
    feature_names: tuple[str, ...] = ()
    sizes: tuple[int, int, int] | None = None
    columns: tuple[ColumnRead, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str = ""


def table(
    source: Any,
    *,
    seed: int = 0,
    target: Option = None,
    task: Option = None,
    missing: Option = "refuse",
    classes: Option = None,
    standardize: Option = True,
    ignore: Option = (),
    header: Option = None,
    separator: Option = None,
    decimal: Option = None,
    thousands: Option = None,
    encoding: Option = None,
    missing_words: Option = None,
    skip: Option = None,
    comment: Option = None,
    sheet: Option = None,
) -> Dataset:
    """Read a table from a file, a data frame or arrays and split it 70/15/15.

    Numbers are features, texts with at most 20 distinct values are one-hot encoded. Statistics (means, scales,
    the filling of gaps) come from the training rows only. Columns that label the rows, as the index of a data frame, are left
    out; `Dataset.understood` says so, and everything else that was understood.

    **Arguments:**

    - `source`: a path, a data frame of pandas or polars, a table of pyarrow, or a pair of inputs and targets.
    - `target`: the target column, by name or by number (1 is the first, -1 the last). By default the one column called
      target, label, class or y; else the last.
    - `task`: binary, classification or regression; by default texts or at most 20 distinct whole numbers are
      classes, all else is regression, whose targets are standardized.
    - `missing`: what to do about missing values: refuse the table, drop the rows, or fill in the mean.
    - `classes`: the classes of the target to keep, at least two; labels count in this order.
    - `standardize`: zero mean and unit variance of every feature (one mean and scale for image-shaped inputs).
    - `ignore`: columns to leave out, by name or by number.
    - `header`: whether the first line of a text file or sheet holds the names; by default it is found out.
    - `separator`: what stands between the cells of a text file: a character, or comma, semicolon, tab, space, bar.
    - `decimal`, `thousands`: the marks within its numbers, as in `decimal=","` with `thousands="."`.
    - `encoding`: of a text file; by default UTF-8, or what its first bytes say.
    - `missing_words`: further words for a missing value, such as -99, beside the usual ones.
    - `skip`: lines at the beginning that are no part of the table.
    - `comment`: how lines begin that are no part of it, as in `comment="#"`.
    - `sheet`: the sheet of an Excel file, by name or by number from 1; by default the first.

    Raises `UserError`, one sentence, if it cannot be read as such a table.
    """
    missing = asked(partial(one_of, choices=MISSING), "missing", missing, "drop")
    if task is not None:
        task = asked(partial(one_of, choices=get_args(Task)), "task", task, "classification")
    standardize = asked(flag, "standardize", standardize, True)
    header = None if header is None else asked(flag, "header", header, True)
    wanted = None if classes is None else _class_names(classes)
    given = dict(target=target, ignore=ignore or None, header=header, separator=separator, decimal=decimal)
    given |= dict(thousands=thousands, encoding=encoding, missing_words=missing_words, skip=skip, comment=comment)
    kind, what = _kind(source)
    _check_given(kind, what, given | dict(sheet=sheet))
    found = _read(source, kind, given, sheet)
    if kind == FRAME_KIND:
        target = _label(source, target)
    elif isinstance(found, Table) and kind == PAIR_KIND:
        target = found.names[-1]
    contents = _of_columns(found, what, target, wanted) if isinstance(found, Table) else _of_arrays(found, what, wanted)
    if kind == PAIR_KIND:
        contents = replace(contents, target_chosen="the targets of the pair")
    return _dataset(source, what, contents, seed, task, missing, wanted, standardize=standardize)


def _kind(source: Any) -> tuple[str, str]:
    """The kind of a table, and what sentences call it."""
    if not isinstance(source, str | Path):
        return (FRAME_KIND, FRAME) if is_frame(source) else (PAIR_KIND, PAIR)
    path = Path(source)
    check_file(path)
    return KINDS.get(path.suffix.lower(), TEXT), str(path)


def _check_given(kind: str, what: str, given: Mapping[str, Any]) -> None:
    """Refuse options of reading that do not apply to this kind of table."""
    wrong = [name for name, value in given.items() if value is not None and name not in READING[kind]]
    if wrong and kind in (NPZ, PAIR_KIND):
        names = ", ".join(option(name) for name in wrong)
        raise UserError(f"{what} has arrays, not columns, so {names} cannot apply; leave it out.")
    if wrong:
        whose = [other for other, names in READING.items() if wrong[0] in names]
        raise UserError(f"{what} is a {kind}, and {option(wrong[0])} is for a {' or '.join(whose)}; leave it out.")


def _read(source: Any, kind: str, given: Mapping[str, Any], sheet: Option) -> Table | Arrays:
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
        raise UserError(f"{option('sheet')} wants the name or the number of a sheet, not {shown(sheet)}.")
    return sheet


def _layout(given: Mapping[str, Any]) -> Layout:
    """The options of reading, checked."""
    separator = given["separator"]
    separator = SEPARATORS.get(separator, separator) if isinstance(separator, str) else separator
    for name, value in {**given, "separator": separator}.items():
        marks = ("separator", "decimal", "thousands")
        if (
            name in marks
            and value is not None
            and not (isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0')
        ):
            words = f" or {', '.join(SEPARATORS)}" if name == "separator" else ""
            raise UserError(f"{option(name)} wants one character{words}, not {shown(value)}; try {option(name, ',')}.")
    decimal, thousands = given["decimal"] or ".", given["thousands"] or ""
    if decimal == thousands or any(mark.isalnum() or mark in ("+", "-") for mark in (decimal, thousands)):
        raise UserError(
            f"The decimal mark ({shown(decimal)}) and the thousands mark ({shown(thousands)}) are two different marks, and no "
            f"digits, letters or signs; give both {option('decimal', ',')} and {option('thousands', '.')}, or others."
        )
    encoding, comment = given["encoding"], given["comment"]
    try:
        if encoding is not None:
            bytes(4).decode(codecs.lookup(encoding).name, "replace")
    except (LookupError, TypeError, ValueError):
        raise UserError(
            f"{option('encoding')} wants the name of an encoding of text, not {shown(encoding)}; try "
            f"{option('encoding', 'cp1252')} or {option('encoding', 'latin-1')}."
        ) from None
    if comment is not None and not (isinstance(comment, str) and comment.strip()):
        raise UserError(
            f"{option('comment')} wants how lines of comment begin, not {shown(comment)}; try {option('comment', '#')}."
        )
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


def _label(frame: Any, target: Option) -> Option:
    """The target of a data frame, whose columns may have numbers for names."""
    try:
        named = not isinstance(target, str) and target is not None and target in list(frame.columns)
    except (TypeError, ValueError):
        return target
    if not named and isinstance(target, str) and target in list(getattr(getattr(frame, "index", None), "names", ())):
        raise UserError(
            f"The target {shown(target)} is the index of the data frame, which labels its rows; make it a column with "
            f"frame.reset_index()."
        )
    return str(target) if named else target


def _class_names(classes: Option) -> tuple[str, ...]:
    """Names of classes, of which numbers may be some."""
    parts = [part.strip() for part in classes.split(",")] if isinstance(classes, str) else classes
    if not isinstance(parts, Sequence) or len(parts) < 2:
        raise UserError(
            f"{option('classes')} wants at least two classes of the target, not {shown(classes)}; try "
            f"{option('classes', ('yes', 'no'))}."
        )
    names = tuple(part if isinstance(part, str) else _number_name(part) for part in parts)
    if len({*names}) < len(names):
        raise UserError(f"{option('classes')} wants each class once, not {shown(tuple(parts))}; leave one of them out.")
    return names


def _number_name(value: Any) -> str:
    try:
        return str(value) if isinstance(value, int) else class_name(float(value))
    except (TypeError, ValueError, OverflowError):
        return shown(value)


def _of_columns(table: Table, what: str, target: Option, classes: tuple[str, ...] | None) -> _Contents:
    """The contents of a table of columns: which is the target, which label the rows, and how the others become numbers."""
    read = {column.name: column for column in table.columns}
    named = None if target is None else column_name("target", target, table.names, what)
    labels = row_labels(table, named)
    name, how = target_column(target, [name for name in read if name not in labels], table.names, what)
    chosen, features = read[name], [read[other] for other in read if other != name and other not in labels]
    if not features:
        raise UserError(f"{what} has no column left beside the target {name!r}; ignore fewer columns.")
    kept = np.ones(len(chosen.missing), dtype=bool)
    if classes is not None:
        kept = _rows_of(chosen, classes, what)
        chosen, features = chosen.keep(kept), [column.keep(kept) for column in features]
    blocks = []
    for column in features:
        blocks.append(encode_feature(column))
        size = COPIES * sum(block.nbytes for block, _ in blocks)
        check_room(f"the one-hot encoded texts of the table {what}", size, "choose fewer rows, or ignore some columns")
    roles = {other: ("left out", "ignored") for other in table.names if other not in read}
    roles |= {other: ("left out", reason) for other, reason in labels.items()}
    roles |= {column.name: ("feature", _holds(column)) for column in features} | {name: ("target", _holds(chosen))}
    gaps = {column.name: int(column.missing.sum()) for column in (*features, chosen)}
    notes = [*table.notes]
    notes += [f"{other} is left out ({reason}); to use it, give it another name" for other, reason in labels.items()]
    notes += [
        f"{column.name} counts the rows; if it is no measurement, leave it out with {option('ignore', column.name)}"
        for column in features
        if counts_rows(column)
    ]
    notes += filter(None, map(doubt, (*features, chosen)))
    hint = ""
    if table.without_header:
        hint = f", or try {option('header', True)} if the first line holds names"
        if any(column.texts is not None for column in table.columns):
            notes.append(f"the first line is data; try {option('header', True)} if it holds names")
    return _Contents(
        np.concatenate([block for block, _ in blocks], axis=1),
        chosen,
        {column.name: column.missing for column in features},
        kept,
        how,
        feature_names=tuple(feature for _, names in blocks for feature in names),
        columns=tuple(ColumnRead(other, *roles[other], missing=gaps.get(other, 0)) for other in table.names),
        notes=tuple(notes),
        hint=hint,
    )


def _of_arrays(arrays: Arrays, what: str, classes: tuple[str, ...] | None) -> _Contents:
    """The contents of arrays, whose columns have no names."""
    inputs, target, sizes = arrays
    kept = np.ones(len(inputs), dtype=bool)
    if classes is not None:
        if not isinstance(target, Column):
            raise UserError(
                f"{what} has targets of several columns and no classes to choose; leave {option('classes')} out."
            )
        kept = _rows_of(target, classes, what)
        inputs, target = inputs[kept], target.keep(kept)
    gaps = np.isnan(inputs.reshape(len(inputs), -1))
    return _Contents(inputs, target, {"x": np.asarray(gaps.any(axis=1))}, kept, "the array of targets", sizes=sizes)


def _rows_of(column: Column, classes: tuple[str, ...], what: str) -> np.ndarray:
    """Which rows are of these classes, as a mask; rows without a class are of none."""
    kept = ~column.missing
    kept[kept] = chosen_rows(column.keep(kept), classes, what)
    return kept


def _holds(column: Column) -> str:
    """What a column holds, in words."""
    values = column.distinct
    if len(values) == 1 and not column.missing.any():
        return f"{CONSTANT}{str(values[0])[:40]}"
    if column.numbers is None:
        return f"{'dates' if are_dates(column) else 'texts'}, {len(values)} different"
    present = column.numbers[~column.missing]
    whole = "whole numbers" if np.all(present == np.round(present)) else "numbers"
    return (
        f"{whole}, {len(values)} different" if column.written is None else f"{whole} with leading zeros or many digits"
    )


def _dataset(
    source: Any,
    what: str,
    contents: _Contents,
    seed: int,
    task: Task | None,
    missing: str,
    classes: tuple[str, ...] | None,
    *,
    standardize: bool,
) -> Dataset:
    """The data set of the contents: without gaps, cut into its parts, and with what was understood."""
    inputs, chosen, notes = contents.inputs, contents.target, [*contents.notes]
    if isinstance(chosen, Column):
        keep = rows_to_keep(contents.gaps | {chosen.name: chosen.missing}, chosen.missing, missing, what)
        name, chosen = chosen.name, chosen.keep(keep)
        check_rows(inputs[keep], what)
        kind, why = infer_task(chosen)
        if classes is not None and task is None:
            kind, why = ("binary" if len(classes) == 2 else "classification"), "its classes are chosen"
        kind, why = (kind, f"guessed: {why}") if task is None else (task, "named")
        if classes is not None and kind == "regression":
            raise UserError(
                f"{what} has no classes under regression; leave {option('classes')} or {option('task')} out."
            )
        targets, class_names = encode_target(chosen, kind, hint=contents.hint)
        if classes is not None:
            targets, class_names = np.array([classes.index(one) for one in class_names])[targets], classes
    else:
        keep = rows_to_keep(contents.gaps, np.zeros(len(inputs), dtype=bool), missing, what)
        name, chosen = "y", chosen[keep]
        check_rows(inputs[keep], what)
        kind, targets, class_names, why = "regression", chosen, (), "guessed: the targets have several columns"
        one_hot = is_one_hot(chosen)
        if task in ("binary", "classification"):
            if not one_hot or (task == "binary") != (chosen.shape[1] == 2):
                raise UserError(
                    f"{what} has targets of {chosen.shape[1]} columns, which is regression; leave {option('task')} out."
                )
            column = Column("y", np.zeros(len(chosen), dtype=bool), numbers=chosen.argmax(axis=1).astype(np.float64))
            kind, why = task, "named"
            targets, class_names = encode_target(column, kind)
        elif task is not None:
            why = "named"
        elif one_hot:
            notes.append(
                f"the targets look like one-hot classes and are trained as {chosen.shape[1]} numbers; "
                f"{option('task', 'binary' if chosen.shape[1] == 2 else 'classification')} makes classes of them"
            )
    rows = None
    kept = contents.kept.copy()
    kept[contents.kept] = keep
    if contents.sizes is not None:
        labels = None if kind == "regression" else targets
        rows = given_rows(contents.sizes, kept, labels, seed)
        if min(len(part) for part in rows) == 0:
            raise UserError(f"{what} wants examples in every split, but one is empty; write its arrays anew.")
    count, features = int(keep.sum()), math.prod(inputs.shape[1:])
    from_file = isinstance(source, str | Path)
    path = Path(source) if from_file else Path("data")
    filled = sum(int(gap[keep].sum()) for gap in contents.gaps.values())
    data = assemble(
        (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem,
        kind,
        inputs[keep],
        targets,
        seed=seed,
        card=Card(
            title=path.name if from_file else what,
            description=f"{count} examples of {features} features, {'read from a file' if from_file else 'given in memory'}.",
            source=str(path) if from_file else "Given in memory",
            license=f"Not stated; that of the {'file' if from_file else 'data'}",
            url="",
            task=kind,
            size=f"{count:,} rows, {features:,} feature{'' if features == 1 else 's'}",
        ),
        class_names=class_names,
        feature_names=contents.feature_names,
        standardize=standardize,
        rows=rows,
    )
    counts = np.bincount(targets, minlength=len(class_names)).tolist() if class_names else []
    understood = Understood(
        target=name,
        target_chosen=contents.target_chosen,
        task=kind,
        task_chosen=why,
        rows=len(kept),
        dropped=len(kept) - count,
        filled=filled,
        columns=contents.columns,
        classes=dict(zip(class_names, counts, strict=True)),
        notes=tuple(notes),
    )
    return replace(data, understood=understood)
