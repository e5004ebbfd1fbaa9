"""Pairs of runs that share a seed, and with it the initial weights and the batches; what diverged is counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ascribe.errors import UserError

from ._checks import Numbers, array
from .base import Runs
from .corrected_resampled import ratio
from .means import finished

SINGLE = float(np.finfo(np.float32).eps)
"""Scores are measured in single precision, and what is equal differs by so much of its size."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """`differences`: (pairs,), one score minus the other, finite; `lost`: how many pairs had no difference; `rounding`: how
    much of a difference may be that of scores measured in single precision. Of cross-validation, `differences` are the means
    over the pairs of each fold, and `test_to_train` is n_test / n_train, as `corrected_t_test` takes it; 0 otherwise."""

    differences: np.ndarray
    lost: int
    rounding: float
    test_to_train: float = 0.0


def paired(own: Numbers, reference: Numbers) -> Pairs:
    """`own` minus `reference`, pair by pair. A pair in which either is not finite (a run that diverged) is left out and
    counted in `lost`.

        >>> pairs = paired([0.75, 0.5, float("nan")], [0.5, 0.5, 0.5])
        >>> pairs.differences.tolist(), pairs.lost
        ([0.25, 0.0], 1)
    """
    own, reference = array("own", own, 1), array("reference", reference, 1)
    if len(own) != len(reference):
        raise UserError(
            f"`own` and `reference` hold one number a pair; got {len(own)} and {len(reference)}: write nan where one is "
            "missing."
        )
    both = np.isfinite(own) & np.isfinite(reference)
    size = np.abs([own[both], reference[both]]).max(initial=0.0)
    with np.errstate(over="ignore"):
        differences = own[both] - reference[both]
    if not np.isfinite(differences).all():
        raise UserError("`own` and `reference` differ by more than a float can hold: give both in a larger unit.")
    return Pairs(differences, int(np.count_nonzero(~both)), SINGLE * float(size))


def paired_runs(runs: Runs, reference: Runs, score: str) -> Pairs:
    """`runs` minus `reference` for each seed that both have, in each fold; a seed that only one has is no pair."""
    (own, other), folds = scores_together((runs, reference), score)
    if not own.size:
        return Pairs(np.empty(0), 0, 0.0)
    pairs = paired(own, other)
    if not len(runs.folds):
        return pairs
    folds = folds[np.isfinite(own) & np.isfinite(other)]
    means = [pairs.differences[folds == fold].mean() for fold in np.unique(folds)]
    return Pairs(np.asarray(means), pairs.lost, pairs.rounding, ratio(len(set(runs.folds))))


def scores_together(several: Sequence[Runs], score: str) -> tuple[np.ndarray, np.ndarray]:
    """The scores (several, runs) of the runs that all of them have, with one seed in one fold, NaN for those that diverged; and
    the fold of each (runs,), 0 where there are none."""
    values = [finished(one.scores[score], one.diverged) for one in several]
    places = [{key: index for index, key in enumerate(_keys(one))} for one in several]
    common = [key for key in places[0] if all(key in place for place in places)]
    rows = [[own[place[key]] for key in common] for own, place in zip(values, places, strict=True)]
    return np.asarray(rows, float).reshape(len(values), len(common)), np.asarray([fold for fold, _ in common], int)


def _keys(runs: Runs) -> list[tuple[int, int]]:
    """What a run has in common with that of another rule: its fold, if there are any, and its seed."""
    return [*zip(runs.folds if len(runs.folds) else [0] * len(runs.seeds), runs.seeds, strict=True)]
