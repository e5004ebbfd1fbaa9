"""What a table holds: which column is the target, which label the rows, and the others as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ascribe.checks import refusal
from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

from .columns import Column
from .delimited import Table, column_name
from .encoding import are_dates, chosen_rows, class_name, doubt, encode_feature
from .npz import Arrays
from .options import COPIES, Option, names_list, suggest
from .row_labels import counts_rows, numbers_rows, row_labels
from .understood import CONSTANT, ColumnRead

TARGET_NAMES = ("target", "label", "class", "y")


@dataclass(frozen=True, eq=False)
class Contents:
    """What a table holds, of whatever kind it came: inputs with gaps, the target, and what was understood so far.

    `gaps`: which rows of each column lack a value; of arrays, of the columns that have gaps, `x1` the first; `sizes`: as in
    `Arrays`; `kept`: which rows of the table these are; `target_name`: of several targets, all with commas between.
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
    target_name: str = "y"


def read_columns(table: Table, what: str, target: Option, classes: tuple[str, ...] | None) -> Contents:
    """The contents of a table of columns: which is the target, which label the rows, and how the others become numbers."""
    read = {column.name: column for column in table.columns}
    named = _named(target, table.names, what)
    labels = row_labels(table, named)
    names, how = find_targets(named, [name for name in read if name not in labels], what)
    chosen, features = [read[name] for name in names], [read[name] for name in read if name not in {*names, *labels}]
    if not features:
        raise UserError(f"{what} has no column left beside the target {', '.join(names)!r}: ignore fewer columns.")
    kept = np.ones(len(chosen[0].missing), dtype=bool)
    if classes is not None:
        if len(chosen) > 1:
            raise _no_classes(what)
        kept = _choose_rows(chosen[0], classes, what)
        chosen, features = ([column.keep(kept) for column in columns] for columns in (chosen, features))
    blocks = []
    for column in features:
        blocks.append(encode_feature(column))
        size = COPIES * sum(block.nbytes for block, _ in blocks)
        check_room(f"the one-hot encoded texts of the table {what}", size, "choose fewer rows, or ignore some columns")
    roles = {other: ("left out", "ignored") for other in table.names if other not in read}
    roles |= {other: ("left out", reason) for other, reason in labels.items()}
    roles |= {column.name: ("feature", _describe(column)) for column in features}
    roles |= {column.name: ("target", _describe(column)) for column in chosen}
    gaps = {column.name: int(column.missing.sum()) for column in (*features, *chosen)}
    notes = [*table.notes]
    notes += [f"{other} is left out ({reason}); to use it, give it another name" for other, reason in labels.items()]
    notes += [
        f"{column.name} counts the rows; if it is no measurement, leave it out with {option('ignore', column.name)}"
        for column in features
        if counts_rows(column)
    ]
    notes += [
        f"{column.name} holds another whole number in every row; if these name the rows and measure nothing, leave it out with "
        f"{option('ignore', column.name)}"
        for column in features
        if numbers_rows(column) and not counts_rows(column)
    ]
    notes += [
        f"{column.name} is the target in every row; leave it out with {option('ignore', column.name)}"
        for column in features
        if any(np.array_equal(column.values, target.values) for target in chosen)
    ]
    notes += filter(None, map(doubt, (*features, *chosen)))
    hint = ""
    if table.without_header:
        hint = f", or try {option('header', True)} if the first line holds names"
        if any(column.texts is not None for column in table.columns):
            notes.append(f"the first line is data; try {option('header', True)} if it holds names")
    return Contents(
        np.concatenate([block for block, _ in blocks], axis=1),
        chosen[0] if len(chosen) == 1 else _several(chosen, what),
        {column.name: column.missing for column in features},
        kept,
        how,
        feature_names=tuple(feature for _, names in blocks for feature in names),
        columns=tuple(ColumnRead(other, *roles[other], missing=gaps.get(other, 0)) for other in table.names),
        notes=tuple(notes),
        hint=hint,
        target_name=", ".join(names),
    )


def read_arrays(arrays: Arrays, what: str, classes: tuple[str, ...] | None) -> Contents:
    """The contents of arrays, whose columns have no names."""
    inputs, target, sizes = arrays
    kept = np.ones(len(inputs), dtype=bool)
    if classes is not None:
        if not isinstance(target, Column):
            raise _no_classes(what)
        kept = _choose_rows(target, classes, what)
        inputs, target = inputs[kept], target.keep(kept)
    lost = np.isnan(inputs.reshape(len(inputs), -1))
    gaps = {f"x{place + 1}": lost[:, place] for place in np.flatnonzero(lost.any(axis=0))}
    return Contents(inputs, target, gaps, kept, "the array of targets", sizes=sizes)


def _named(target: Option, names: Sequence[str], what: str) -> tuple[str, ...]:
    """The columns that a target names: none, one, or several, in a list or with commas between; each once."""
    if target is None:
        return ()
    listed = isinstance(target, list | tuple) or (isinstance(target, str) and target not in names and "," in target)
    every = names_list("target", target) if listed else (target,)
    return tuple(dict.fromkeys(column_name("target", one, names, what) for one in every or (target,)))


def find_targets(named: tuple[str, ...], names: Sequence[str], what: str) -> tuple[tuple[str, ...], str]:
    """The names of the target columns, as named or by convention, and how they were chosen.

    Without a choice it is the one column called target, label, class or y; else the last one.

    **Arguments:**

    - `names`: the columns that may be the target.

    **Raises:** `UserError` if there is no such column.
    """
    if not named:
        usual = [name for name in names if name.casefold() in TARGET_NAMES]
        if len(usual) == 1:
            return (usual[0],), f"guessed: it is called {usual[0]}"
        if not names:
            raise UserError(f"{what} has no column left: ignore fewer columns.")
        return (names[-1],), "guessed: the last column"
    ignored = [name for name in named if name not in names]
    if ignored:
        raise UserError(
            f"{what} has the target {ignored[0]!r} among the columns to leave out: take it from {option('ignore')}."
        )
    return named, "named"


def _several(targets: Sequence[Column], what: str) -> np.ndarray:
    """Several columns of numbers as targets `(rows, columns)`, NaN where missing."""
    for column in targets:
        column.check_size()
        if column.numbers is None:
            raise UserError(
                f"{what} has several targets where all are numbers; got texts in {column.name!r}: name it alone, or others."
            )
    return np.stack([column.values for column in targets], axis=1)


def _no_classes(what: str) -> UserError:
    return UserError(f"{what} has targets of several columns and no classes to choose: leave {option('classes')} out.")


def find_frame_target(frame: Any, target: Option) -> Option:
    """The target of a data frame, whose columns may have numbers for names; of several, each."""
    if isinstance(target, list | tuple):
        return [find_frame_target(frame, one) for one in target]
    try:
        named = not isinstance(target, str) and target is not None and target in list(frame.columns)
    except (TypeError, ValueError):
        return target
    if not named and isinstance(target, str) and target in list(getattr(getattr(frame, "index", None), "names", ())):
        raise UserError(
            f"the target {shown(target)} is the index of the data frame, which labels its rows: make it a column with "
            f"frame.reset_index()."
        )
    return str(target) if named else target


def parse_classes(classes: Option) -> tuple[str, ...]:
    """Names of classes, of which numbers may be some."""
    parts = [part.strip() for part in classes.split(",")] if isinstance(classes, str) else classes
    if not isinstance(parts, Sequence) or len(parts) < 2:
        advice = suggest("classes", ("yes", "no"))
        raise refusal(option("classes"), "a list of at least two classes of the target", shown(classes), advice)
    names = tuple(part if isinstance(part, str) else _number_name(part) for part in parts)
    if len({*names}) < len(names):
        raise refusal(option("classes"), "a list with each class once", shown(tuple(parts)), "leave one of them out")
    return names


def _number_name(value: Any) -> str:
    try:
        return str(value) if isinstance(value, int) else class_name(float(value))
    except (TypeError, ValueError, OverflowError):
        return shown(value)


def _choose_rows(column: Column, classes: tuple[str, ...], what: str) -> np.ndarray:
    """Which rows are of these classes, as a mask; rows without a class are of none."""
    kept = ~column.missing
    kept[kept] = chosen_rows(column.keep(kept), classes, what)
    return kept


def _describe(column: Column) -> str:
    """What a column holds, in words."""
    values = column.distinct
    if len(values) == 1 and not column.missing.any():
        return f"{CONSTANT}{str(values[0])[:40]}"
    if column.numbers is None:
        return f"{'dates' if are_dates(column) else 'texts'}, {len(values)} different"
    present = column.numbers[~column.missing]
    whole = "whole numbers" if np.all(present == np.round(present)) else "numbers"
    return f"{whole}, {len(values)} different" if column.written is None else f"{whole} with leading zeros or many digits"
