"""What the columns of a table mean: features as numbers, the target as classes or numbers, and its task."""

import decimal
import re
from collections.abc import Sequence

import numpy as np

from ascribe.checks import refusal
from ascribe.errors import UserError, names_in_words, option, shown

from .columns import LARGEST_CLASS, Column
from .options import Task
from .writing import is_date, number_advice, number_as_text

CATEGORIES = 20  # at most so many distinct texts are one-hot encoded, so many distinct integers are classes
MANY_TEXTS = 200  # of more distinct texts, which name rows or are a target of many classes, no two are compared
SMALLEST_CLASS = 3  # one example of each class per split


def doubt(column: Column) -> str:
    """What may have been meant otherwise in a column: texts that are dates or would be numbers in another writing, or that
    are one written in two ways, or a point between thousands; empty where nothing is."""
    if column.grouped:
        return (
            f"{column.name} is read as numbers with decimals, such as {column.grouped}; give {option('decimal', ',')} and "
            f"{option('thousands', '.')} if the point stands between thousands"
        )
    if are_dates(column):
        return f"{column.name} holds dates, which are taken as texts; write what matters of them as numbers, such as the month"
    if alike := _written_alike(column):
        return f"{column.name} holds texts that differ in capitals or blanks alone and are kept apart: {names_in_words(alike)}"
    cell = _number_as_text(column)
    return f"{column.name} is read as texts, such as {cell!r}; if it holds numbers, {number_advice(cell)}" if cell else ""


def _written_alike(column: Column) -> list[str]:
    """The texts of a column, of few, of which others differ in capitals or blanks alone."""
    if column.texts is None or len(column.distinct) > MANY_TEXTS:
        return []
    texts = [str(text) for text in column.distinct]
    bare = [" ".join(text.casefold().split()) for text in texts]
    return [text for text, one in zip(texts, bare, strict=True) if bare.count(one) > 1]


def are_dates(column: Column) -> bool:
    """Whether all texts of a column look like dates."""
    return column.texts is not None and all(is_date(str(text)) for text in column.distinct)


def _number_as_text(column: Column) -> str:
    """One of a column's texts that all are numbers in another writing; empty where not all are."""
    return "" if column.texts is None else number_as_text([str(text) for text in column.distinct])


def encode_feature(column: Column) -> tuple[np.ndarray, list[str]]:
    """A feature column as float64 of shape `(rows, k)` and the names of the `k` features.

    Numbers stay one column. Texts become one column per distinct text, 1 where it stands and 0 elsewhere, named
    `column=text`; a gap is NaN in all of them.

    **Raises:** `UserError` for more than 20 distinct texts, and numbers that are too large.
    """
    if column.numbers is not None:
        column.check_size()
        return column.numbers[:, None], [column.name]
    values = column.distinct
    if len(values) > CATEGORIES:
        example = str(values[0])[:40]
        if are_dates(column):
            raise UserError(
                f"column {column.name!r} holds dates (such as {example!r}), which are not read as numbers: write what matters "
                f"of them as numbers, such as the month or the days since the first, or leave it out with "
                f"{option('ignore', column.name)}."
            )
        cell = _number_as_text(column) or (example if re.fullmatch(r"[+-]?[\d.,]*[.,][\d.,]*", example) else "")
        advice = number_advice(cell) if cell else f"leave it out with {option('ignore', column.name)}"
        raise UserError(
            f"column {column.name!r} has at most {CATEGORIES} different texts, which are one-hot encoded; got {len(values)}, "
            f"such as {example!r}: {advice}."
        )
    encoded = (column.values[:, None] == values).astype(np.float64)
    encoded[column.missing] = np.nan
    return encoded, [f"{column.name}={value}" for value in values]


def infer_task(column: Column) -> tuple[Task, str]:
    """The task that a target means, and why: text, or at most 20 distinct whole numbers, means classes (two of them:
    binary); all else is regression."""
    values = column.distinct
    if column.numbers is not None:
        present = column.numbers[~column.missing]
        if np.any(present != np.round(present)):
            return "regression", "it holds numbers with decimals"
        if len(values) > CATEGORIES:
            return "regression", f"it holds {len(values)} different numbers"
    kind = "texts" if column.numbers is None else "whole numbers"
    return "binary" if len(values) == 2 else "classification", f"it holds {len(values)} different {kind}"


def class_name(value: float) -> str:
    """A number as the name of a class: 3, not 3.0."""
    return str(int(value)) if value == round(value) else repr(float(value))


def class_labels(column: Column) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Labels `(rows,)`, int64, of a column without gaps, the class names in ascending order, and how many rows each has.

    Whole numbers that float64 does not tell apart are told apart by their texts.

    **Raises:** `UserError` for such numbers where they come as floats, rounded already.
    """
    if column.written is not None:
        texts, labels, counts = np.unique(column.written, return_inverse=True, return_counts=True)
        # By size, and not as texts, of which "10" comes before "9".
        order = sorted(range(len(texts)), key=lambda place: (decimal.Decimal(str(texts[place])), str(texts[place])))
        return np.argsort(order)[labels.reshape(-1)], tuple(str(texts[place]) for place in order), counts[order]
    distinct, labels, counts = np.unique(column.values, return_inverse=True, return_counts=True)
    if column.numbers is None:
        return labels.reshape(-1), tuple(str(value) for value in distinct), counts
    column.check_size()  # a constant or a chosen class may be infinite
    names = tuple(class_name(value) for value in distinct)
    if np.abs(distinct).max() >= LARGEST_CLASS:
        raise UserError(
            f"numbers with decimals that name classes are below 2^53, from where on they are rounded; got "
            f"{names[int(np.abs(distinct).argmax())]} in the target {column.name!r}: write whole numbers or texts, or try "
            f"{option('task', 'regression')}."
        )
    return labels.reshape(-1), names, counts


def encode_target(column: Column, task: Task, *, hint: str = "") -> tuple[np.ndarray, tuple[str, ...]]:
    """The target column (without gaps) as arrays for the task.

    **Returns:** labels `(rows,)`, int64, with the class names in ascending order; or values `(rows, 1)`, float64, and no
    names.

    **Raises:** `UserError` for a constant target, text under regression, other than two classes under binary, or a class
    with fewer than three examples, where `hint` says what else may help.
    """
    if column.written is None:
        column.check_size()
    distinct = column.distinct
    if len(distinct) == 1:
        only = distinct[0] if column.numbers is None or column.written is not None else class_name(distinct[0])
        raise UserError(
            f"the target {column.name!r} has several values; got {str(only)!r} everywhere, so there is nothing to learn: "
            f"name another column as {option('target')}."
        )
    cell = _number_as_text(column)
    if task == "regression":
        column.check_size()
        if column.numbers is None:
            raise UserError(
                f"the target {column.name!r} of regression is numbers; got texts such as {str(distinct[0])!r}: "
                f"{number_advice(cell) if cell else 'leave ' + option('task') + ' out'} or name another column as "
                f"{option('target')}."
            )
        return column.numbers[:, None], ()
    labels, names, counts = class_labels(column)
    if task == "binary" and len(names) != 2:
        raise UserError(
            f"the target {column.name!r} of a binary task has two classes; got {len(names)}: "
            f"try {option('task', 'classification')}."
        )
    smallest = int(np.argmin(counts))
    if counts[smallest] < SMALLEST_CLASS:
        large = [name for name, count in zip(names, counts, strict=True) if count >= SMALLEST_CLASS]
        advice = "merge it with another"
        if are_dates(column):
            advice = f"these are dates, so name another column as {option('target')}"
        elif cell:
            advice = f"if it holds numbers, {number_advice(cell)}"
        elif len(large) > 1:
            advice = f"keep the others with {option('classes', (*large[:5], '...') if len(large) > 5 else tuple(large))}"
        quantity = f", or try {option('task', 'regression')} if the target is a quantity" if column.texts is None else ""
        raise UserError(
            f"every class has at least {SMALLEST_CLASS} examples, one per split; got {counts[smallest]} of class "
            f"{names[smallest]!r} in the target {column.name!r}: {advice}{quantity}{hint}."
        )
    return labels, names


def chosen_rows(column: Column, classes: Sequence[str], what: str) -> np.ndarray:
    """Which rows of a column without gaps are of the classes that are named, as a mask.

    **Raises:** `UserError` for a class that is not there.
    """
    labels, names, _ = class_labels(column)
    for name in classes:
        if name not in names:
            listing = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            wanted = f"a choice of the classes of the target {column.name!r} of {what}"
            raise refusal(option("classes"), wanted, shown(name), f"choose among {listing}")
    return np.isin(labels, [names.index(name) for name in classes])
