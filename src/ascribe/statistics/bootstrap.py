"""A bootstrap interval for the mean of paired differences: bias-corrected and accelerated (BCa).

Source: Efron (1987), "Better bootstrap confidence intervals", doi:10.1080/01621459.1987.10478410, equations 2.3 and
6.6 in the form of Efron & Tibshirani (1993), "An introduction to the bootstrap", equations 14.9–14.15.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr, ndtri

from ascribe.checks import at_least, not_negative, share
from ascribe.memory import check_room

from ._checks import Numbers, draws, exponent, sample

MEANS = 32
"""Bytes that a resampled mean takes: the means themselves, joined, sorted, and what is asked of each."""
BLOCK = 2_000_000
"""So many numbers are drawn at a time: memory does not grow with the number of resamples."""


def bootstrap_interval(
    differences: Numbers, *, level: float = 0.95, resamples: int = 9_999, seed: int = 0, rounding: float = 0.0
) -> tuple[float, float]:
    """`(low, high)` for the mean of `differences` (pairs,), drawn with replacement `resamples` times.

    The ends are the quantiles of the resampled means at

        Φ(z0 + (z0 + z) / (1 − a (z0 + z))),   z = Φ⁻¹((1 ± level) / 2)

    with the bias correction z0 = Φ⁻¹(share of resampled means below the mean, ties half) and the acceleration
    a = Σ u³ / (6 (Σ u²)^(3/2)), where u is the mean of the jackknifed means minus each. With z0 = a = 0 this is the
    percentile interval. What differs by no more than `rounding` counts as equal (`Pairs.rounding`). Differences that are all
    equal give an interval of no width.

    **Raises:** `UserError` for fewer than two differences, or any that is not finite.
    """
    values = sample("differences", differences, least=2)
    level = share("level", level, "try 0.95")
    resamples = draws(resamples, 9_999)
    check_room(f"an interval from {resamples:,} resamples", MEANS * resamples, "choose fewer")
    count, shift = len(values), exponent(values)
    values, rounding = np.ldexp(values, -shift), float(np.ldexp(not_negative("rounding", rounding), -shift))
    if np.ptp(values) <= rounding:
        mean = float(np.ldexp(values.mean(), shift))
        return mean, mean
    means = np.concatenate([block.mean(axis=1) for block in blocks_of(values, resamples, seed)])
    mean = values.mean()
    # Every resample that only reorders the sample has its mean, and accuracies tie more often still: to rounding, a tie.
    slack = rounding + 1e-12 * np.abs(values).max()
    # The mean without one value is (n mean − value) / (n − 1): the jackknife in closed form.
    influence = (values - mean) / (count - 1)
    bias = ndtri((np.mean(means < mean - slack) + np.mean(means <= mean + slack)) / 2.0)
    acceleration = np.sum(influence**3) / (6.0 * np.sum(influence**2) ** 1.5)
    normal = bias + ndtri([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    low, high = np.quantile(means, ndtr(bias + normal / (1.0 - acceleration * normal)))
    return float(np.ldexp(low, shift)), float(np.ldexp(high, shift))


def blocks_of(values: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """So many samples (.., pairs), drawn with replacement, of `values` (pairs,), some at a time."""
    count, random = len(values), np.random.default_rng(at_least(0, "seed", seed))
    rows = max(BLOCK // count, 1)
    for start in range(0, resamples, rows):
        yield values[random.integers(0, count, (min(rows, resamples - start), count))]
