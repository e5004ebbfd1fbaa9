"""A table of the user's own: CSV, TSV, white-space separated text, NPZ or Parquet."""

import difflib
import math
import numbers
from pathlib import Path

import numpy as np

from ascribe.errors import UserError, shown
from ascribe.memory import check_room

from .assembly import assemble
from .base import Card, Dataset, Task
from .columns import Column, encode_feature, encode_target, infer_task
from .delimited import close_names, read_delimited
from .images import VALIDATION_FRACTION
from .npz import read_npz
from .options import COPIES, MINIMUM_EXAMPLES, Option, names_list, one_of, yes_or_no
from .parquet import read_parquet
from .splits import Indices, split_indices

TARGET_NAMES = ("target", "label", "class", "y")
MISSING = ("refuse", "drop", "mean")
TASKS = ("binary", "classification", "regression")


def neighbors(path: Path) -> list[str]:
    """The names of what lies in the folder of a path; empty if that cannot be said."""
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def check_file(path: Path) -> None:
    """Refuse what is not an existing, filled file, in a sentence."""
    try:
        size = path.stat().st_size
        is_folder = path.is_dir()
    except PermissionError:
        raise UserError(f"The file {path} may not be read; give yourself the right to read it.") from None
    except (OSError, ValueError):
        close = difflib.get_close_matches(path.name, neighbors(path), n=1)
        advice = f"did you mean {close[0]!r}" if close else "check the path"
        raise UserError(f"There is no file {shown(str(path), 300)}; {advice}.") from None
    if is_folder:
        raise UserError(f"{path} is a folder, not a table; name a file in it.")
    if size == 0:
        raise UserError(f"{path} wants a table but is empty; give a file with one example per line.")


def target_position(target: Option, names: list[str], path: Path) -> int:
    """The position of the target among the columns: as named, as numbered, or by convention.

    Without a choice it is the one column called target, label, class or y; else the last one. Raises `UserError`
    if there is no such column.
    """
    if target is None:
        usual = [position for position, name in enumerate(names) if name.casefold() in TARGET_NAMES]
        return usual[0] if len(usual) == 1 else len(names) - 1
    if isinstance(target, str) and target in names:
        return names.index(target)
    if isinstance(target, str) and target.lstrip("-").isdecimal() and len(target) < 20:
        target = int(target)
    if isinstance(target, numbers.Integral) and not isinstance(target, bool):
        if not -len(names) <= int(target) < len(names):
            raise UserError(
                f"{path} has {len(names)} columns, so there is no target={shown(target)}; "
                f"try target=-1, the last column, or a number from 0 to {len(names) - 1}."
            )
        return int(target) % len(names)
    if isinstance(target, str):
        raise UserError(f"{path} has no column {target!r} for the target; {close_names(target, names)}.")
    raise UserError(f"target wants the name or the number of a column, not {shown(target)}; try target=-1.")


def rows_to_keep(gaps: dict[str, np.ndarray], target_gaps: np.ndarray, missing: str, path: Path) -> np.ndarray:
    """The rows that stay under a policy for missing values, as a mask; what the policy forbids is a `UserError`.

    `gaps` has the missing cells of each column, the target included.
    """
    count = sum(int(mask.sum()) for mask in gaps.values())
    worst = max(gaps, key=lambda name: int(gaps[name].sum()))
    if missing == "refuse" and count:
        raise UserError(
            f"{path} has {count} missing values, {int(gaps[worst].sum())} of them in column {worst!r}; "
            f"try missing='drop' to leave those rows out or missing='mean' to fill them."
        )
    if missing == "mean" and target_gaps.any():
        raise UserError(
            f"{path} has {int(target_gaps.sum())} rows without a target, which no mean can fill; try missing='drop'."
        )
    if missing == "drop":
        keep = ~np.any(np.stack(list(gaps.values())), axis=0)
        if count and not keep.any():
            raise UserError(
                f"{path} has a missing value in every row, so missing='drop' leaves nothing; try missing='mean'."
            )
        return keep
    return np.ones(len(target_gaps), dtype=bool)


def check_rows(inputs: np.ndarray, path: Path) -> None:
    """Refuse too few examples, and inputs in which nothing changes."""
    if len(inputs) < MINIMUM_EXAMPLES:
        raise UserError(
            f"{path} wants at least {MINIMUM_EXAMPLES} examples to fill three splits, but has {len(inputs)}; "
            f"add more rows."
        )
    flat = inputs.reshape(len(inputs), -1)
    if np.all((flat == flat[0]) | np.isnan(flat)):
        raise UserError(f"{path} has the same inputs in every row, so there is nothing to learn; add a feature.")


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


def table(
    path: str | Path,
    *,
    seed: int = 0,
    target: Option = None,
    task: Option = None,
    missing: Option = "refuse",
    standardize: Option = True,
    header: Option = None,
    ignore: Option = (),
) -> Dataset:
    """Read a table from a file and split it 70/15/15.

    Numbers are features, texts with at most 20 distinct values are one-hot encoded. Statistics (means, scales,
    the filling of gaps) come from the training rows only.

    **Arguments:**

    - `target`: the target column, by name or by position (-1 is the last). By default the one column called
      target, label, class or y; else the last.
    - `task`: binary, classification or regression; by default texts or at most 20 distinct whole numbers are
      classes, all else is regression, whose targets are standardized.
    - `missing`: what to do about missing values: refuse the file, drop the rows, or fill in the mean.
    - `standardize`: zero mean and unit variance of every feature (one mean and scale for image-shaped inputs).
    - `header`: whether the first line of a text file holds the names; by default it is found out.
    - `ignore`: columns to leave out.

    Raises `UserError`, one sentence, if the file cannot be read as such a table.
    """
    path = Path(path)
    one_of("missing", missing, MISSING)
    if task is not None:
        one_of("task", task, TASKS)
    standardize = yes_or_no("standardize", standardize)
    header = None if header is None else yes_or_no("header", header)
    ignored = names_list("ignore", ignore)
    check_file(path)

    sizes: tuple[int, int, int] | None = None
    feature_names: tuple[str, ...] = ()
    if path.suffix.lower() == ".npz":
        if target is not None or ignored or header is not None:
            raise UserError(f"{path} has arrays, not columns, so target=, header= and ignore= do not apply; omit them.")
        inputs, chosen, sizes = read_npz(path)
        gaps: dict[str, np.ndarray] = {"x": np.asarray(np.isnan(inputs.reshape(len(inputs), -1)).any(axis=1))}
    else:
        is_parquet = path.suffix.lower() == ".parquet"
        columns = (
            read_parquet(path, ignore=ignored) if is_parquet else read_delimited(path, header=header, ignore=ignored)
        )
        position = target_position(target, [column.name for column in columns], path)
        chosen, features = columns[position], [column for at, column in enumerate(columns) if at != position]
        if not features:
            raise UserError(f"{path} has no column left beside the target {chosen.name!r}; ignore fewer columns.")
        gaps = {column.name: column.missing for column in features}
        blocks = []
        for column in features:
            blocks.append(encode_feature(column))
            size = COPIES * sum(block.nbytes for block, _ in blocks)
            check_room(
                f"the one-hot encoded texts of the table {path}", size, "choose fewer rows, or ignore some columns"
            )
        inputs = np.concatenate([block for block, _ in blocks], axis=1)
        feature_names = tuple(name for _, names in blocks for name in names)

    if isinstance(chosen, Column):
        keep = rows_to_keep(gaps | {chosen.name: chosen.missing}, chosen.missing, missing, path)
        chosen = chosen.keep(keep)
        check_rows(inputs[keep], path)
        kind: Task = task or infer_task(chosen)
        targets, class_names = encode_target(chosen, kind)
    else:
        keep = rows_to_keep(gaps, np.zeros(len(inputs), dtype=bool), missing, path)
        check_rows(inputs[keep], path)
        kind, targets, class_names = task or "regression", chosen[keep], ()
        if kind != "regression":
            raise UserError(f"{path} has targets of {targets.shape[1]} columns, which is regression; leave task= out.")
    labels = None if kind == "regression" else targets
    rows = split_indices(int(keep.sum()), seed=seed, labels=labels)
    if sizes is not None:
        rows = given_rows(sizes, keep, labels, seed)
        if min(len(part) for part in rows) == 0:
            raise UserError(f"{path} wants examples in every split, but one is empty; write its arrays anew.")
    count, features = int(keep.sum()), math.prod(inputs.shape[1:])
    return assemble(
        path.stem,
        kind,
        inputs[keep],
        targets,
        seed=seed,
        card=Card(
            title=path.name,
            description=f"{count} examples of {features} features, read from a file.",
            source=str(path),
            license="Not stated; that of the file",
            url="",
            task=kind,
            size=f"{count:,} rows, {features:,} feature{'' if features == 1 else 's'}",
        ),
        class_names=class_names,
        feature_names=feature_names,
        standardize=standardize,
        rows=rows,
    )
