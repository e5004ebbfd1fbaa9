"""Effect sizes of paired differences: how large a difference is, apart from how sure it is.

Sources: Cohen (1988), "Statistical power analysis for the behavioral sciences", 2nd edition, section 2.3.5 (d_z);
Hedges (1981), doi:10.3102/10769986006002107 (the correction); Vargha & Delaney (2000), doi:10.3102/10769986025002101, and,
for learning algorithms, Bouthillier et al. (2021), arXiv:2103.03098 (the probability of superiority).
"""

import numpy as np
from scipy.special import gammaln

from ascribe.checks import not_negative

from ._checks import Numbers, exponent, sample


def cohens_d(differences: Numbers, *, rounding: float = 0.0) -> float:
    """d_z: the mean of `differences` (pairs,) over their standard deviation, which has n − 1 in its denominator.

    0 where all differences are 0; NaN for a single pair, or where all are equal and not 0 (it would be infinite). What
    differs by no more than `rounding` counts as equal (`Pairs.rounding`).

        >>> cohens_d([1.0, 2.0, 3.0])
        2.0
    """
    values = sample("differences", differences)
    if len(values) < 2:
        return np.nan
    shift = exponent(values)
    values, rounding = np.ldexp(values, -shift), np.ldexp(not_negative("rounding", rounding), -shift)
    slack = rounding + 1e-12 * np.abs(values).max()
    if np.ptp(values) <= slack:
        return 0.0 if np.abs(values).max() <= slack else np.nan
    return float(values.mean() / values.std(ddof=1))


def hedges_g(differences: Numbers, *, rounding: float = 0.0) -> float:
    """g: d_z without its bias for normal differences, J d_z with J = Γ(m/2) / (√(m/2) Γ((m − 1)/2)), m = n − 1.

    J is about 1 − 3 / (4 m − 1). NaN for fewer than three pairs, for which no unbiased estimate exists.
    """
    degrees = len(sample("differences", differences)) - 1
    if degrees < 2:
        return np.nan
    correction = np.exp(gammaln(degrees / 2.0) - gammaln((degrees - 1) / 2.0)) / np.sqrt(degrees / 2.0)
    return float(correction * cohens_d(differences, rounding=rounding))


def superiority(differences: Numbers) -> float:
    """The share of pairs whose difference is positive, ties half: an estimate of the probability that one run beats its
    partner. 0.5 means no tendency. Where less is better, give it the differences with their signs turned.

        >>> superiority([1.0, 2.0, -1.0, 0.0])
        0.625
    """
    values = sample("differences", differences)
    return float((np.mean(values > 0.0) + np.mean(values >= 0.0)) / 2.0)
