"""Scores by their names: which one a task is judged by, which way is better, and the curve it ends."""

import numpy as np

from ascribe import measures
from ascribe.checks import explained
from ascribe.errors import UserError

from .base import Comparison, Runs
from .means import finished


@explained
def main_score(comparison: Comparison, split: str = "test") -> str:
    """The score that ranks the rules: of the measure that the comparison chose by, which is by default the RMSE for regression
    and the accuracy for the rest, as in `test_accuracy`."""
    return measures.main_score(comparison.data.task, split, comparison.configuration.get("score"))


def score_of(comparison: Comparison, score: str | None) -> str:
    """`score`, or the main one where it is None; a `UserError` where some rule has none of that name, or it is not known
    which way is better."""
    score = main_score(comparison) if score is None else score
    for rule, runs in comparison.runs.items():
        if score not in runs.scores:
            raise UserError(f"`score` is one that every rule has; got {score!r}: {rule} has {', '.join(runs.scores)}.")
    measures.measure_of(score)
    return score


def validation_curve(runs: Runs, score: str) -> np.ndarray | None:
    """The curve (seeds, epochs) of what `score` measures, on validation, NaN in the rows of seeds that diverged; None for a
    score that is no such measure (an area)."""
    name = measures.score_name("validation", measures.measure_of(score).name)
    return finished(runs.curves[name], runs.diverged) if name in runs.curves else None
