"""Curves of all rules as columns of mean and 95 % band, thinned so that a page stays small."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe.charts.inline import numbered
from ascribe.statistics import band, corrected_interval, finished, resampled

from .base import Comparison, Runs

COLUMNS = ("rule", "curve", "epoch", "mean", "low", "high")
POINTS = 200
TOTAL = 6000


def epochs_shown(epochs: int, curves: int, points: int = POINTS) -> np.ndarray:
    """Indices of the epochs that a figure of `curves` lines draws: at most `points`, fewer when lines are many."""
    limit = int(np.clip(TOTAL // max(curves, 1), 20, points))
    return np.unique(np.round(np.linspace(0, epochs - 1, min(epochs, limit))).astype(int)) if epochs else np.arange(0)


def over_seeds(runs: Runs, name: str) -> np.ndarray:
    """The curve `name` of the seeds that finished, (seeds, epochs); of every seed when none did, so that it shows."""
    curve = np.asarray(runs.curves[name], dtype=np.float64)
    return curve if np.all(runs.diverged) else finished(curve, runs.diverged)


def series(comparison: Comparison, names: Sequence[str], points: int = POINTS) -> dict[str, Any]:
    """Columns `rule, curve, epoch, mean, low, high, row` of the curves in `names`, for the rules that have them.

    `epoch` counts from 1; `low` and `high` bound the 95 % interval over seeds or folds (the mean itself over too few). The rows
    of a rule's curve follow each other.
    """
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    drawn = [(rule, name) for rule, runs in comparison.runs.items() for name in names if name in runs.curves]
    for rule, name in drawn:
        curve = over_seeds(comparison.runs[rule], name)
        shown = epochs_shown(curve.shape[1], len(drawn), points)
        values, test_to_train = resampled(comparison.runs[rule], curve[:, shown])
        mean, half = corrected_interval(values, test_to_train)
        add_band(columns, rule, name, shown, mean, band(values, half))
    return numbered(columns)


def add_band(columns: dict[str, list], rule: str, curve: str, epochs: Any, mean: Any, half: Any) -> None:
    """The rows of one curve, whose `mean` and half width of the interval are those of `epochs`, counted from 0."""
    half = np.where(np.isfinite(half), half, 0.0)
    for place in np.flatnonzero(np.isfinite(mean)):
        ends = mean[place], mean[place] - half[place], mean[place] + half[place]
        row = (rule, curve, int(epochs[place]) + 1, *map(float, ends))
        for name, value in zip(COLUMNS, row, strict=True):
            columns[name].append(value)


def curve_names(comparison: Comparison, prefix: str) -> list[str]:
    """Names of the curves `prefix/...`, in the order in which the rules list them, each once."""
    found = (name for runs in comparison.runs.values() for name in runs.curves if name.startswith(prefix + "/"))
    return list(dict.fromkeys(found))
