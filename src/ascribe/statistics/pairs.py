"""Pairs of runs that share a seed, and with it the initial weights and the batches; what diverged is counted."""

from dataclasses import dataclass

import numpy as np

from ascribe.errors import UserError

from ._checks import Numbers, array
from .base import Runs
from .means import finished

SINGLE = float(np.finfo(np.float32).eps)
"""Scores are measured in single precision, and what is equal differs by so much of its size."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """`differences`: (pairs,), one score minus the other, finite; `lost`: how many pairs had no difference; `rounding`: how
    much of a difference may be that of scores measured in single precision."""

    differences: np.ndarray
    lost: int
    rounding: float


def paired(own: Numbers, reference: Numbers) -> Pairs:
    """`own` minus `reference`, pair by pair. A pair in which either is not finite (a run that diverged) is left out and
    counted in `lost`."""
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
    """`runs` minus `reference` for each seed that both have; a seed that only one has is no pair."""
    own, other = (finished(one.scores[score], one.diverged) for one in (runs, reference))
    place = {seed: index for index, seed in enumerate(reference.seeds)}
    common = [(index, place[seed]) for index, seed in enumerate(runs.seeds) if seed in place]
    if not common:
        return Pairs(np.empty(0), 0, 0.0)
    mine, others = (list(indices) for indices in zip(*common, strict=True))
    return paired(own[mine], other[others])
