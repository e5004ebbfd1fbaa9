"""Runs as rows of a table, those of a store and those of a comparison; tables as data frames and files."""

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.checks import flag
from ascribe.errors import UserError, how_to_install
from ascribe.files import csv_text, path_of, short, write_whole

FIRST = ("key", "rule", "phase", "data", "network", "seed", "learning_rate")
LATER = ("epochs", "status", "diverged_at", "seconds")
"""The columns of tables, before and after those of hyper-parameters."""
HYPERPARAMETER = "hyperparameter:"
"""How the columns of a rule's numbers begin."""


def rows_of(
    runs: Sequence[Mapping[str, Any]], curves: Iterable[Mapping[str, np.ndarray]] | None = None
) -> list[dict[str, Any]]:
    """The rows of `Store.table`; with the `curves` of every run one row an epoch."""
    first = [*FIRST]
    if any("fold" in run for run in runs):
        first.insert(first.index("data") + 1, "fold")
    leaves = sorted({name for run in runs for name in run["hyperparameters"]})
    scores = sorted({name for run in runs for name in run["scores"] or ()})
    rows = [
        {
            **{name: run.get(name) for name in first},
            **{HYPERPARAMETER + name: short(run["hyperparameters"].get(name)) for name in leaves},
            **{name: run[name] for name in LATER},
            **{name: (run["scores"] or {}).get(name) for name in scores},
        }
        for run in runs
    ]
    if curves is None:
        return rows
    found = [_in_epochs(some) for some in curves]
    names = sorted({name for one in found for name in one})
    return [
        {**row, "epoch": epoch, **{name: one[name][epoch] if name in one else None for name in names}}
        for row, one in zip(rows, found, strict=True)
        for epoch in range(row["epochs"])
    ]


def _in_epochs(curves: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """The curves of a run that have one number an epoch."""
    return {name: [short(value) for value in curve] for name, curve in curves.items() if curve.ndim == 1}


def run_rows(comparison: Any) -> list[dict[str, Any]]:
    """One row a run, every row with the same columns: rule, where there are controls control (whether it is one), of
    cross-validation the fold (from 1), seed, learning_rate, tuned (whether tuning chose the rate and what was searched with
    it), the numbers of the rules by their names, epochs, status, diverged_at (the epoch, from 0; -1 for a run that finished),
    and the scores. None where a rule has no such number or score."""
    parts = comparison.folds or (comparison,)
    names = (*comparison.runs, *comparison.controls)
    every = [
        (name, fold, part.tuning, (part.runs | part.controls)[name]) for name in names for fold, part in enumerate(parts, 1)
    ]
    leaves = sorted({leaf for *_, runs in every for leaf in _numbers_of(runs)})
    scores = sorted({score for *_, runs in every for score in runs.scores})
    return [
        {
            "rule": name,
            **({"control": name in comparison.controls} if comparison.controls else {}),
            **({"fold": fold} if comparison.folds else {}),
            "seed": seed,
            "learning_rate": float(runs.learning_rates[row]),
            "tuned": name in tuning,
            **{HYPERPARAMETER + leaf: numbers.get(leaf) for leaf in leaves},
            "epochs": next((curve.shape[1] for curve in runs.curves.values()), 0),
            "status": "diverged" if runs.diverged[row] else "finished",
            "diverged_at": int(runs.diverged_at[row]),
            **{score: float(runs.scores[score][row]) if score in runs.scores else None for score in scores},
        }
        for name, fold, tuning, runs in every
        for numbers in [_numbers_of(runs)]
        for row, seed in enumerate(runs.seeds)
    ]


def _numbers_of(runs: Any) -> dict[str, int | float]:
    """The numbers that a rule's fields have, and those that its runs were given in their place."""
    number = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    own = {name: value for name, value in runs.rule_settings.items() if number(value)}
    return short(own | {name: float(value) for name, value in runs.hyperparameters.items()})


def csv_table(rows: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    """Rows that all have the same columns, below the names of these; `options`: of `csv_text`."""
    return csv_text([list(rows[0]), *(row.values() for row in rows)] if rows else [], **options).encode("utf-8")


def data_frame(rows: list[dict[str, Any]]) -> Any:
    """The rows as a pandas data frame (extra `tables`)."""
    try:
        import pandas  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(f"a data frame needs pandas: {how_to_install('tables')}.") from error
    return pandas.DataFrame(rows)


def free_file(path: str | Path, *, overwrite: bool) -> Path:
    """The path of an export, which may be written.

    **Raises:** `UserError` as `Store.export`.
    """
    path = path_of(path, "an export")
    if path.suffix not in (".parquet", ".csv", ".json"):
        raise UserError(f"an export is a .parquet, .csv or .json file; got {path.name!r}.")
    if path.is_dir():
        raise UserError(f"an export is a file, but {str(path)!r} is a folder: name a file in it.")
    if path.exists() and not flag("overwrite", overwrite):
        raise UserError(f"there is a file {str(path)!r} already: choose another name, or replace it with `overwrite=True`.")
    return path


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes the file of an export, whole or not at all."""
    if path.suffix == ".parquet":
        buffer = io.BytesIO()
        data_frame(rows).to_parquet(buffer, index=False)
        write_whole(path, buffer.getvalue())
        return
    plain = [{name: _or_none(value) for name, value in row.items()} for row in rows]
    if path.suffix == ".csv":
        data = csv_table(plain, end="\n")
    else:
        data = ("[" + ",\n".join(json.dumps(row, allow_nan=False) for row in plain) + "]\n").encode("utf-8")
    write_whole(path, data)


def _or_none(value: Any) -> Any:
    """None for a number that files do not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
