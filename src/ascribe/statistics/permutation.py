"""The paired permutation test: had the two rules of a pair changed places, its difference would have changed its sign.

Source: Fisher (1935), "The design of experiments", section 21; the p-value of sampled patterns after Phipson & Smyth
(2010), "Permutation p-values should never be zero", doi:10.2202/1544-6115.1585.
"""

import numpy as np

from ascribe.checks import at_least, not_negative

from ._checks import MOST, Numbers, draws, exponent, sample

EXACT_PAIRS = 16
"""Up to so many pairs all 2^pairs patterns of signs are gone through; beyond, they are sampled."""
BLOCK = 2_000_000


def sign_flip_test(differences: Numbers, *, resamples: int = 65_535, seed: int = 0, rounding: float = 0.0) -> float:
    """Two-sided p-value of the mean of `differences` (pairs,) under the hypothesis that signs are a coin's.

    With up to 16 pairs it is exact: the share of all 2^pairs patterns of signs whose mean is as far from 0. With more,
    `resamples` random patterns are drawn, and p = (1 + as far ones) / (1 + `resamples`). Ties count as being as far; means
    within `rounding` tie, the error of a single difference (`Pairs.rounding`). No p-value of an exact test is below
    `smallest_p_value(pairs)`.

    **Raises:** `UserError` for no differences, or any that is not finite.

        >>> sign_flip_test([1.0, 2.0, 3.0])
        0.25
    """
    values = sample("differences", differences)
    resamples, seed = draws(resamples, 65_535), at_least(0, "seed", seed)
    # Scores such as accuracies are multiples of one number, so sums tie often: what rounding parts counts as a tie.
    shift = exponent(values)
    values, rounding = np.ldexp(values, -shift), np.ldexp(not_negative("rounding", rounding), -shift)
    slack = len(values) * rounding + 1e-12 * np.abs(values).sum()
    bar = abs(values.sum()) - slack
    if len(values) <= EXACT_PAIRS:
        sums = values[:1]  # the first sign stays: turning all of them around changes no distance from 0
        for value in values[1:]:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= bar))
    random = np.random.default_rng(seed)
    rows, far = max(BLOCK // len(values), 1), 0
    for start in range(0, resamples, rows):
        signs = random.integers(0, 2, (min(rows, resamples - start), len(values)), dtype=np.int8) * 2 - 1
        far += int(np.count_nonzero(np.abs(signs @ values) >= bar))
    return (1 + far) / (1 + resamples)


def smallest_p_value(pairs: int) -> float:
    """The least that the exact test can say of so many pairs: the pattern seen and its mirror image, 2 / 2^pairs.

    >>> smallest_p_value(3)
    0.25
    """
    return 2.0 ** (1 - at_least(1, "pairs", pairs, most=MOST, advice="try 10"))
