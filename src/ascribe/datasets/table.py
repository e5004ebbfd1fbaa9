"""A table of the user's own: CSV, TSV, white-space separated text, Excel, NPZ or Parquet, a data frame, or arrays."""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ascribe.checks import flag, one_of, plain, refusal
from ascribe.errors import UserError, option, shown
from ascribe.measures import WITHOUT_UNIT

from .assembly import Assembly
from .base import Card, Dataset
from .columns import Column
from .contents import Contents, find_frame_target, parse_classes, read_arrays, read_columns
from .delimited import Table
from .encoding import encode_target, infer_task
from .frames import column_names
from .images import VALIDATION_FRACTION
from .npz import is_one_hot
from .options import MINIMUM_EXAMPLES, Option, Task, ask
from .sources import FRAME_KIND, PAIR_KIND, check_given, kind_of, read
from .splits import Indices, split_indices
from .understood import Understood

BY_FEATURE = "features"
"""In place of True, what standardizes each entry of the last axis by itself."""
MISSING = ("refuse", "drop", "mean")


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
    - `target`: the target column, by name or by number (1 is the first, -1 the last), or several columns of numbers, as
      `("height", "weight")`. By default the one column called target, label, class or y; else the last.
    - `task`: binary, classification or regression; by default texts or at most 20 distinct whole numbers are
      classes, all else is regression, whose targets are standardized.
    - `missing`: what to do about missing values: refuse the table, drop the rows, or fill in the mean.
    - `classes`: the classes of the target to keep, at least two; labels count in this order.
    - `standardize`: zero mean and unit variance of every feature. Examples of more than one axis (images, and sequences
      `(time, features)`) have one mean and scale in all; with `"features"`, each entry of their last axis has its own.
    - `ignore`: columns to leave out, by name or by number.
    - `header`: whether the first line of a text file or sheet holds the names; by default it is found out.
    - `separator`: what stands between the cells of a text file: a character, or comma, semicolon, tab, space, bar.
    - `decimal`, `thousands`: the marks within its numbers, as in `decimal=","` with `thousands="."`.
    - `encoding`: of a text file; by default UTF-8, or what its first bytes say.
    - `missing_words`: further words for a missing value, such as -99, beside the usual ones.
    - `skip`: lines at the beginning that are no part of the table.
    - `comment`: how lines begin that are no part of it, as in `comment="#"`.
    - `sheet`: the sheet of an Excel file, by name or by number from 1; by default the first.

    **Raises:** `UserError`, one sentence, if it cannot be read as such a table.
    """
    missing = ask(partial(one_of, choices=MISSING), "missing", missing, "drop")
    if task is not None:
        task = ask(partial(one_of, choices=get_args(Task)), "task", task, "classification")
    by_feature = isinstance(standardize, str) and standardize == BY_FEATURE
    scaling = {"by_feature": by_feature, "standardize": by_feature or ask(_true_or_false, "standardize", standardize, True)}
    header = None if header is None else ask(flag, "header", header, True)
    wanted = None if classes is None else parse_classes(classes)
    given = dict(target=target, ignore=ignore or None, header=header, separator=separator, decimal=decimal)
    given |= dict(thousands=thousands, encoding=encoding, missing_words=missing_words, skip=skip, comment=comment)
    kind, what = kind_of(source)
    check_given(kind, given | dict(sheet=sheet))
    found = read(source, kind, given, sheet)
    if kind == FRAME_KIND:
        target = find_frame_target(source, target)
    elif isinstance(found, Table) and kind == PAIR_KIND:
        target = found.names[len(column_names(source[0])) :]
    contents = read_columns(found, what, target, wanted) if isinstance(found, Table) else read_arrays(found, what, wanted)
    if kind == PAIR_KIND:
        contents = replace(contents, target_chosen="the targets of the pair")
    keep = rows_to_keep(contents, missing, what)
    check_rows(contents.inputs[keep], what)
    targets = _find_targets(contents, keep, task, wanted, what)
    return _make_dataset(source, what, contents, keep, targets, seed, scaling)


def _true_or_false(name: str, value: Any, advice: str) -> bool:
    """A truth value, where `BY_FEATURE` would do too."""
    truth = plain(value)
    if not isinstance(truth, bool):
        raise refusal(name, f"True, False or {BY_FEATURE}", shown(value), advice)
    return truth


UNLIKE = 3.0
"""The largest standard deviation of several targets over the smallest, above which a note says whose the RMSE is."""


@dataclass(frozen=True)
class _Targets:
    """What is to be learned: the target's name, the task and why it is that, the targets, their classes, and notes."""

    name: str
    task: Task
    why: str
    targets: np.ndarray
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _find_targets(
    contents: Contents, keep: np.ndarray, task: Task | None, classes: tuple[str, ...] | None, what: str
) -> _Targets:
    """The targets of the rows that stay, for the task that is named or that they mean."""
    if not isinstance(contents.target, Column):
        return _read_several(contents.target_name, contents.target[keep], task, what)
    column = contents.target.keep(keep)
    kind, why = infer_task(column)
    if classes is not None:
        kind, why = ("binary" if len(classes) == 2 else "classification"), "its classes are chosen"
    kind, why = (kind, f"guessed: {why}") if task is None else (task, "named")
    if classes is not None and kind == "regression":
        raise UserError(f"{what} has no classes under regression: leave {option('classes')} or {option('task')} out.")
    targets, names = encode_target(column, kind, hint=contents.hint)
    if classes is not None:
        targets, names = np.array([classes.index(one) for one in names])[targets], classes
    return _Targets(column.name, kind, why, targets, names)


def _read_several(name: str, targets: np.ndarray, task: Task | None, what: str) -> _Targets:
    """Targets of several columns: numbers, or one-hot classes where the task says so."""
    count = targets.shape[1]
    classes = "binary" if count == 2 else "classification"
    if task is None and is_one_hot(targets):
        note = (
            f"the targets look like one-hot classes and are trained as {count} numbers; {option('task', classes)} makes "
            f"classes of them"
        )
        return _Targets(name, "regression", "guessed: the targets have several columns", targets, notes=(note,))
    if task is None or task == "regression":
        why = "guessed: the targets have several columns" if task is None else "named"
        return _Targets(name, "regression", why, targets, notes=_unlike(targets))
    if task != classes or not is_one_hot(targets):
        raise UserError(f"{what} has targets of {count} columns, which is regression: leave {option('task')} out.")
    column = Column(name, np.zeros(len(targets), dtype=bool), numbers=targets.argmax(axis=1).astype(np.float64))
    return _Targets(name, task, "named", *encode_target(column, task))


def _unlike(targets: np.ndarray) -> tuple[str, ...]:
    """A note where the RMSE over several targets is that of the one with the largest numbers."""
    spreads = np.std(targets, axis=0, dtype=np.float64)
    if spreads.max() <= UNLIKE * spreads.min():
        return ()
    told = ", ".join(f"{spread:.3g}" for spread in spreads)
    return (
        f"the targets vary by {told} (standard deviations), each in its own unit: the RMSE over all of them is mostly that of "
        f"the largest; {option('score', WITHOUT_UNIT)} counts them alike",
    )


def _make_dataset(
    source: Any,
    what: str,
    contents: Contents,
    keep: np.ndarray,
    found: _Targets,
    seed: int,
    scaling: dict[str, bool],
) -> Dataset:
    """The data set of the rows that stay, cut into its parts, with what was understood. `scaling`: `standardize` and
    `by_feature`."""
    inputs, targets, names = contents.inputs[keep], found.targets, found.class_names
    kept = contents.kept.copy()
    kept[contents.kept] = keep
    rows = None
    if contents.sizes is not None:
        rows = given_rows(contents.sizes, kept, None if found.task == "regression" else targets, seed)
        if min(len(part) for part in rows) == 0:
            raise UserError(f"{what} has examples in every split; got none in one: write its arrays anew.")
    name, card = _describe(source, what, found.task, len(inputs), math.prod(inputs.shape[1:]))
    named = (names, contents.feature_names)
    data = Assembly(
        name, found.task, inputs, targets, seed, card, scaling["standardize"], *named, by_feature=scaling["by_feature"]
    ).divided(rows)
    counts = np.bincount(targets, minlength=len(names)).tolist() if names else []
    understood = Understood(
        target=found.name,
        target_chosen=contents.target_chosen,
        task=found.task,
        task_chosen=found.why,
        rows=len(kept),
        dropped=len(kept) - len(inputs),
        filled=sum(int(gap[keep].sum()) for gap in contents.gaps.values()),
        columns=contents.columns,
        classes=dict(zip(names, counts, strict=True)),
        notes=(*contents.notes, *found.notes, *_repetition(inputs, targets)),
    )
    return replace(data, understood=understood)


def _repetition(inputs: np.ndarray, targets: np.ndarray) -> list[str]:
    """A note where rows are there several times, inputs and targets alike."""
    rows = zip(inputs, targets.reshape(len(targets), -1), strict=True)
    again = len(inputs) - len({hash((row.tobytes(), target.tobytes())) for row, target in rows})
    told = f"{again:,} of {len(inputs):,} rows repeat an earlier one, so that the same row may be trained on and tested"
    return [told] if again else []


def _describe(source: Any, what: str, task: Task, count: int, features: int) -> tuple[str, Card]:
    """The name of the data set, and its card."""
    from_file = isinstance(source, str | Path)
    path = Path(source) if from_file else Path("data")
    card = Card(
        title=path.name if from_file else what[0].upper() + what[1:],
        description=f"{count} examples of {features} features, {'read from a file' if from_file else 'given in memory'}.",
        source=str(path) if from_file else "Given in memory",
        license=f"Not stated; that of the {'file' if from_file else 'data'}",
        task=task,
        size=f"{count:,} rows, {features:,} feature{'' if features == 1 else 's'}",
    )
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem, card


def rows_to_keep(contents: Contents, missing: str, what: str) -> np.ndarray:
    """The rows that stay under a policy for missing values, as a mask; what the policy forbids is a `UserError`."""
    target = contents.target
    target_gaps = target.missing if isinstance(target, Column) else np.any(np.isnan(target), axis=1)
    gaps = contents.gaps | {contents.target_name: target_gaps}
    count = sum(int(mask.sum()) for mask in gaps.values())
    worst = max(gaps, key=lambda name: int(gaps[name].sum()))
    drop, mean = option("missing", "drop"), option("missing", "mean")
    if missing == "refuse" and count:
        found = int(gaps[worst].sum())
        fill = f" or {mean} to fill them" + (" where the target is there" if target_gaps.any() else "")
        advice = f"{drop} to leave those rows out" + (fill if count > target_gaps.sum() else "")
        if contents.columns and 2 * found > len(target_gaps):
            instead = f"another column as {option('target')}" if worst == contents.target_name else option("ignore", worst)
            advice = f"{instead}, or {advice}"
        raise UserError(
            f"{what} has {count} missing value{'s' if count > 1 else ''}, {found} of them in column {worst!r}: try {advice}."
        )
    if missing == "mean":  # no mean can fill a target
        if target_gaps.all():
            raise UserError(f"{what} has no row with a target: check {option('target')}.")
        return ~target_gaps
    if missing == "drop":
        keep = ~np.any(np.stack(list(gaps.values())), axis=0)
        if count and not keep.any():
            raise UserError(f"{what} has a missing value in every row, so {drop} leaves nothing: try {mean}.")
        return keep
    return np.ones(len(target_gaps), dtype=bool)


def check_rows(inputs: np.ndarray, what: str) -> None:
    """Refuse too few examples, and inputs in which nothing changes."""
    if len(inputs) < MINIMUM_EXAMPLES:
        raise UserError(
            f"{what} has at least {MINIMUM_EXAMPLES} examples to fill three splits; got {len(inputs)}: add more rows."
        )
    flat = inputs.reshape(len(inputs), -1)
    if np.all((flat == flat[0]) | np.isnan(flat)):
        raise UserError(f"{what} has the same inputs in every row, so there is nothing to learn: add a feature.")


def given_rows(sizes: tuple[int, int, int], keep: np.ndarray, labels: np.ndarray | None, seed: int) -> Indices:
    """The cut an NPZ file brings along; without a validation part, 10 % of the training rows become it."""
    origin = np.repeat([0, 1, 2], sizes)[keep]
    train, validation, test = (np.flatnonzero(origin == part) for part in range(3))
    if len(validation) == 0:
        own = None if labels is None else labels[train]
        part = split_indices(len(train), seed=seed, labels=own, validation=VALIDATION_FRACTION, test=0.0)
        train, validation = train[part.train], train[part.validation]
    return Indices(train, validation, test)
