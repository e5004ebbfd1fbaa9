"""The price of a score: what a rule's training costs until it comes to a share of backpropagation's, from the curves of a
comparison."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ascribe.checks import share
from ascribe.errors import UserError
from ascribe.experiments.comparison import Comparison
from ascribe.measures import measure_of
from ascribe.rules import get, settings
from ascribe.statistics import epochs_to_target, main_score, median_epochs

from .case import case_of
from .cost import costs

SHARES = (0.9, 0.95, 0.99)
BACKPROPAGATION = "backpropagation"


@dataclasses.dataclass(frozen=True)
class Price:
    """What a rule's training costs until its validation score comes to `target`, which is `share` of backpropagation's (where
    less is better, that divided by the share).

    - `epochs`: the median over `runs`, those that never come there (and those that diverged) later than all others; None where
      it falls among them; `reached`: how many came;
    - `operations`: floating-point operations of so many steps of the compiled program; None where the rule cannot be made
      again by its name, as one from a file that is not here;
    - `seconds`: of one run, as part of all that were trained side by side, with what was measured meanwhile.
    """

    rule: str
    share: float
    target: float
    epochs: float | None
    reached: int
    runs: int
    operations: float | None
    seconds: float | None


def price(comparison: Comparison, *, shares: Sequence[float] = SHARES) -> list[Price]:
    """What every rule of a comparison costs until its validation score comes to these shares of backpropagation's after its
    last epoch (the mean over the runs that finished); none where backpropagation did not take part, or no run of it finished.

    **Raises:** `UserError` for a share that is not between 0 and 1.
    """
    wanted = [share("shares", one, "try 0.9", one=True) for one in shares]
    base = comparison.runs.get(BACKPROPAGATION)
    curve = main_score(comparison, "validation")
    if base is None or np.all(base.diverged) or curve not in base.curves:
        return []
    last = float(np.mean(base.curves[curve][~base.diverged, -1]))
    better = measure_of(curve).higher_is_better
    found = []
    for name, runs in comparison.runs.items():
        operations = _operations_an_epoch(name, comparison)
        curves = np.where(runs.diverged[:, None], np.nan, np.asarray(runs.curves[curve], np.float64))
        seconds = runs.seconds / curves.size if runs.seconds > 0 else None
        for part in wanted:
            target = last * part if better == (last >= 0) else last / part
            epochs = epochs_to_target(curves, target, higher_is_better=better)
            median = median_epochs(epochs)
            times = lambda number, median=median: None if number is None or median is None else number * median
            reached = sum(one is not None for one in epochs)
            found.append(Price(name, part, target, median, reached, len(epochs), times(operations), times(seconds)))
    return found


def _operations_an_epoch(name: str, comparison: Comparison) -> float | None:
    """Of one run; None where that cannot be counted."""
    base, own = comparison.runs[BACKPROPAGATION], comparison.runs[name]
    configuration = comparison.configuration
    try:
        rule = get(_original(name, comparison))
        if settings(rule)["class"] != own.rule_settings.get("class"):
            return None  # another rule, under the name of a registered one
        case = case_of(
            rule,
            base.network,
            comparison.data,
            batch_size=int(configuration["batch_size"]),
            optimizer=own.optimizer,
            loss=own.loss,
        )
        count = costs([case])[0].operations
    except (UserError, KeyError, TypeError, ValueError):
        return None
    return count * (len(comparison.data.train) // case.batch.inputs.shape[0])


def _original(name: str, comparison: Comparison) -> str:
    merged = comparison.configuration.get("original_names")
    return str(merged.get(name, name)) if isinstance(merged, dict) else name
