"""Whole learning curves in one number a run: the area under them, and the epochs they take to a target.

A curve is measured after every epoch, at 1, 2, ..., so its area is that of the trapezoids between the points. (The loss
area of the table is another: the training loss is the mean over an epoch, a bar of width one.)
"""

import numpy as np

from ascribe.checks import finite, whole
from ascribe.errors import UserError, shown

from ._checks import Numbers, array


def area_under_curve(curves: Numbers) -> np.ndarray:
    """The area under `curves` (runs, epochs) from the first epoch to the last, by trapezoids, in the curve's unit times
    epochs: (runs,). Over the number of epochs less one, it is the mean height. NaN for a run that diverged."""
    curves = array("curves", curves, 2)
    if curves.shape[1] < 2:
        raise UserError("`curves` have at least two epochs; got 1, under which there is no area: train longer.")
    return np.trapezoid(curves, axis=1)


def epochs_to_target(curves: Numbers, target: float, *, higher_is_better: bool = True) -> list[int | None]:
    """The first epoch, counted from 1, after which each of `curves` (runs, epochs) has reached `target`: (runs,).

    None for a run that never did: it is censored, and no number stands for it. NaN reaches no target.

        >>> epochs_to_target([[0.5, 0.8, 0.9], [0.4, 0.5, 0.6]], 0.8)
        [2, None]
    """
    curves = array("curves", curves, 2)
    score = finite("target", target, "give a score that a run may reach")
    reached = curves >= score if higher_is_better else curves <= score
    return [int(np.argmax(run)) + 1 if run.any() else None for run in reached]


def median_epochs(epochs: list[int | None]) -> float | None:
    """The median of what `epochs_to_target` returns, those that never arrived later than all others; None where it falls
    among them. All runs are censored at the same epoch, so this is the Kaplan–Meier median.

        >>> median_epochs([2, None, 4])
        4.0
    """
    if not isinstance(epochs, list | tuple) or not epochs or any(one is not None and whole(one) is None for one in epochs):
        came = "none" if isinstance(epochs, list | tuple) and not epochs else shown(epochs)
        raise UserError(f"`epochs` holds one entry a run; got {came}: give what `epochs_to_target` returns.")
    median = float(np.median([np.inf if epoch is None else epoch for epoch in epochs]))
    return median if np.isfinite(median) else None
