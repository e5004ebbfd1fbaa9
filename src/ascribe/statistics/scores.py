"""Scores by their names: which one a task is judged by, which way is better, and the curve it ends."""

import numpy as np

from ascribe.errors import UserError

from .base import Comparison, Runs
from .means import finished


def main_score(comparison: Comparison) -> str:
    """The score that ranks the rules: `test_rmse` for regression, `test_accuracy` for the rest."""
    return "test_rmse" if comparison.data.task == "regression" else "test_accuracy"


def score_of(comparison: Comparison, score: str | None) -> str:
    """`score`, or the main one where it is None; a `UserError` where some rule has none of that name."""
    score = main_score(comparison) if score is None else score
    for rule, runs in comparison.runs.items():
        if score not in runs.scores:
            raise UserError(f"`score` is one that every rule has; got {score!r}: {rule} has {', '.join(runs.scores)}.")
    return score


def higher_is_better(score: str) -> bool:
    """False for losses and errors (and the area under a loss), True for accuracies and R²."""
    return "loss" not in score and "rmse" not in score


def validation_curve(runs: Runs, score: str) -> np.ndarray | None:
    """The curve (seeds, epochs) of what `score` measures, on validation, NaN in the rows of seeds that diverged; None for a
    score that is no such measure (an area)."""
    name = score.removesuffix("_before_finish").replace("test_", "validation_", 1)
    return finished(runs.curves[name], runs.diverged) if name in runs.curves else None
