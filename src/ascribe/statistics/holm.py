"""Holm's step-down correction: the chance of any false finding among several tests stays below the level.

Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 65–70.
"""

import numpy as np

from ascribe.errors import UserError

from ._checks import Numbers, array


def holm(p_values: Numbers) -> np.ndarray:
    """`p_values` (tests,) adjusted: the i-th smallest of m is multiplied by m − i + 1, is at least the one before it, and
    at most 1. NaN stands for a test that could not be made: it stays NaN, and is none of the m.

        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    values = array("p_values", p_values, 1)
    made = ~np.isnan(values)
    if not np.all((values[made] >= 0.0) & (values[made] <= 1.0)):
        raise UserError(f"`p_values` lie between 0 and 1; got {values.tolist()!r:.80}: give raw p-values, nan for none.")
    order = np.argsort(values[made], kind="stable")
    steps = np.arange(len(order), 0, -1)
    adjusted = np.full(len(values), np.nan)
    adjusted[np.flatnonzero(made)[order]] = np.minimum(np.maximum.accumulate(values[made][order] * steps), 1.0)
    return adjusted
