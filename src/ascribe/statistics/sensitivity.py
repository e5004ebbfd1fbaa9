"""How much a rule depends on what was tuned: its performance over all candidates, and not only at the best of them.

Each candidate's score is put in relation to the best, the performance ratio of Dolan & Moré (2002),
doi:10.1007/s101070100263; that a comparison should say what other candidates are worth: Sivaprasad et al. (2020),
"Optimizer benchmarking needs to account for hyperparameter tuning", arXiv:1910.11758.
"""

from dataclasses import dataclass

import numpy as np

from ascribe.checks import share
from ascribe.errors import UserError

from ._checks import Numbers, array, exponent

NEAR = 0.05
"""A candidate within 5 % of the best counts as near it."""


@dataclass(frozen=True)
class GridSummary:
    """What the candidates of one rule are worth, each as a share of the rule's own best: 1 is the best, 0 diverged.

    `mean`, and `quartiles` (25, 50 and 75 %), over the candidates; `near_best`: the share of candidates within 5 % of
    the best; `diverged`: how many diverged on any seed. A rule that does equally well everywhere has 1 in all of them.
    """

    mean: float
    quartiles: tuple[float, float, float]
    near_best: float
    candidates: int
    diverged: int


def grid_summary(scores: Numbers, *, near: float = NEAR) -> GridSummary | None:
    """The summary of `scores` (candidates, seeds), validation scores of which higher is better, all of one sign.

    A candidate's score is its mean over seeds; one that diverged on any seed (a score that is not finite) is worth 0, as it
    loses in tuning to all that did not. Where scores are positive (accuracies) the share is score/best; where they are
    negative (minus an error) it is best/score, the best error over the candidate's. None where every candidate diverged.

    **Raises:** `UserError` where scores have both signs, since shares of the best then mean nothing.
    """
    scores, near = array("scores", scores, 2), share("near", near, f"try {NEAR}")
    scores = np.ldexp(scores, -exponent(scores))
    finite = np.isfinite(scores).all(axis=1)
    if not finite.any():
        return None
    means = scores[finite].mean(axis=1)
    if means.min() < 0.0 < means.max():
        raise UserError(
            f"`scores` are all positive (accuracies) or all negative (minus errors); got {means.min():g} to "
            f"{means.max():g}: shift them first."
        )
    best = means.max()
    shares = np.zeros(len(scores))
    if best > 0.0:
        shares[finite] = means / best
    else:  # errors; one of 0 is the best there is, whatever the others are
        shares[finite] = np.where(means == best, 1.0, best / np.where(means == 0.0, -1.0, means))
    low, median, high = (float(value) for value in np.quantile(shares, [0.25, 0.5, 0.75]))
    return GridSummary(
        mean=float(shares.mean()),
        quartiles=(low, median, high),
        near_best=float(np.mean(shares >= 1.0 - near)),
        candidates=len(scores),
        diverged=int(np.count_nonzero(~finite)),
    )
