"""How many seeds a stated difference needs: the power of the two-sided paired t test.

Source: Cohen (1988), "Statistical power analysis for the behavioral sciences", 2nd edition, chapter 2; the power is that of
the noncentral t distribution, exact for normal differences.
"""

import numpy as np
from scipy.special import nctdtr, stdtrit

from ascribe.checks import at_least, positive, real, share
from ascribe.errors import UserError

from ._checks import MOST

SIZE = "try one of the size that matters to you"
"""What to try in place of a difference or a deviation that is none."""


def power(difference: float, deviation: float, pairs: int, *, level: float = 0.95) -> float:
    """The probability that a two-sided paired t test at 1 − `level` finds a true mean `difference`.

    **Arguments:** - `deviation`: standard deviation of the paired differences, in the unit of `difference`; - `pairs`: how
    many seeds both rules have, at least 2.

    With T noncentral t of n − 1 degrees of freedom and noncentrality √n difference/deviation, P(|T| > t) for the t
    that a central one passes with probability 1 − level.
    """
    size = positive("difference", difference, SIZE) / positive("deviation", deviation, SIZE)
    pairs = at_least(2, "pairs", pairs, most=MOST, advice="try 10")
    return float(_power(size, pairs, share("level", level, "try 0.95")))


def seeds_needed(difference: float, deviation: float, *, level: float = 0.95, power: float = 0.8) -> int:
    """The least number of seeds (pairs) with which the test finds a true mean `difference` with probability `power`.

    It is as good as `deviation` is: one that was estimated from few seeds is itself uncertain. A deviation of 0 needs 2,
    the fewest that a t test takes.

        >>> seeds_needed(0.5, 1.0)
        34
    """
    difference = positive("difference", difference, SIZE)
    level, power = share("level", level, "try 0.95"), share("power", power, "try 0.8")
    if real(deviation) == 0.0:
        return 2
    size = difference / positive("deviation", deviation, SIZE)
    if size < 1e-6:
        raise UserError(
            f"`difference` is at least a millionth of `deviation`; got {difference:g} and {deviation:g}: no number of "
            "seeds that could be trained would find it, so state a larger one."
        )
    if _power(size, 2, level) >= power:
        return 2
    low, high = 2, 4  # too few, and perhaps enough
    while _power(size, high, level) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, middle, level) >= power else (middle, high)
    return high


def _power(size: float, pairs: int, level: float) -> np.floating:
    degrees, shift = pairs - 1.0, size * np.sqrt(pairs)
    bar = stdtrit(degrees, (1.0 + level) / 2.0)
    # Far out in its tails SciPy has NaN, for probabilities that are below 1e-15.
    below, beyond = np.nan_to_num(nctdtr(degrees, shift, [bar, -bar]), nan=0.0)
    return 1.0 - below + beyond
