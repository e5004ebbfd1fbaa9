"""Tuning: every rule gets the same number of candidates, the same seeds, and is judged on validation alone."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ascribe.checks import at_least, listed, real
from ascribe.errors import UserError, shown
from ascribe.measures import score_name
from ascribe.rules import AbstractRule
from ascribe.training import Specification, Trainer, curves_of, diverged_at, validation_scores
from ascribe.training.loop import deciding

LEARNING_RATE = "learning_rate"
"""The name of the one number that every rule has to tune."""


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What tuning tried and chose.

    `learning_rates`: `(candidates,)`; `hyperparameters[name]`: `(candidates,)`, other array leaves of the rule;
    `scores`: `(candidates, seeds)`, validation accuracy (or minus the RMSE; of another `score`, it, or minus it where less is
    better), minus infinity for a run that diverged;
    `losses`: `(candidates, seeds)`, the validation loss, which settles ties; `chosen`: the index of the best candidate;
    `at_edge`: whether the chosen rate is the first or last of its range, so that a wider one may be better.
    """

    learning_rates: np.ndarray
    hyperparameters: dict[str, np.ndarray]
    scores: np.ndarray
    losses: np.ndarray
    chosen: int
    at_edge: bool
    seeds: tuple[int, ...]
    seconds: float

    @property
    def learning_rate(self) -> float:
        """The chosen learning rate."""
        return float(self.learning_rates[self.chosen])

    @property
    def chosen_hyperparameters(self) -> tuple[tuple[str, float], ...]:
        """The chosen values of the other leaves."""
        return tuple((name, float(values[self.chosen])) for name, values in self.hyperparameters.items())


def candidates(count: int, ranges: Mapping[str, tuple[float, float]]) -> dict[str, np.ndarray]:
    """`count` points, evenly spread over the logarithms of the ranges: a grid over one, from its low to its high end, a Sobol
    sequence over several. One or two points are inside the range, not at its ends, which no rule is likely to need.

    The number of points does not grow with the number of ranges: a rule that tunes more has no larger budget.
    """
    count = at_least(1, "count", count)
    if len(ranges) == 1:
        ((name, (low, high)),) = ranges.items()
        return {name: np.geomspace(low, high, count) if count > 2 else np.geomspace(low, high, count + 2)[1:-1]}
    from scipy.stats import qmc  # noqa: PLC0415 - importing it is slow

    points = qmc.Sobol(len(ranges), scramble=True, rng=0).random_base2(int(np.ceil(np.log2(max(count, 2)))))[:count]
    return {
        name: np.exp(np.log(low) + points[:, i] * (np.log(high) - np.log(low)))
        for i, (name, (low, high)) in enumerate(ranges.items())
    }


def specifications(count: int, ranges: Mapping[str, tuple[float, float]], seeds: tuple[int, ...]) -> list[Specification]:
    """The runs of tuning: every candidate on every seed."""
    points = candidates(count, ranges)
    others = [name for name in points if name != LEARNING_RATE]
    return [
        Specification(seed, float(points[LEARNING_RATE][i]), tuple((name, float(points[name][i])) for name in others))
        for i in range(count)
        for seed in seeds
    ]


def tune(trainer: Trainer, count: int, ranges: Mapping[str, tuple[float, float]], seeds: tuple[int, ...]) -> Tuning:
    """Trains every candidate on every seed and chooses by the mean validation score over seeds (then by the mean
    validation loss). `ranges` holds `learning_rate` and any array leaves of the rule."""
    points = candidates(count, ranges)
    rates = points[LEARNING_RATE]
    others = {name: values for name, values in points.items() if name != LEARNING_RATE}
    own_finish = trainer.recipe.rule.finishes
    parts = trainer.train(specifications(count, ranges, seeds), "tuning", keep=own_finish)
    curves, diverged = curves_of(parts), diverged_at(parts) >= 0
    if own_finish:  # curves end before it; what is judged is what is tested
        found = validation_scores(trainer.experiment, parts)
        curves = {name: values[:, None] for name, values in found.items()}
        diverged = diverged | ~np.isfinite(found["validation_loss"])
    setup = trainer.recipe.setup
    score, loss = validation_score(curves, "last" if own_finish else setup.select, setup.score)
    scores = np.where(diverged, -np.inf, score).reshape(count, len(seeds))
    losses = np.where(diverged, np.inf, loss).reshape(count, len(seeds))
    chosen = max(range(count), key=lambda i: (scores[i].mean(), -losses[i].mean(), -i))
    low, high = ranges[LEARNING_RATE]
    steps = count - 1 if count > 2 else count + 1
    ratio = (high / low) ** (1 / (2 * steps))  # half a grid step
    at_edge = count > 1 and not low * ratio < rates[chosen] < high / ratio
    return Tuning(rates, others, scores, losses, chosen, bool(at_edge), seeds, sum(part.seconds for part in parts))


def validation_score(curves: dict[str, np.ndarray], select: str, score: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The score (higher is better) and loss of each run at the epoch that `select` would test; `score`: the measure, by default
    the task's main one."""
    measure = deciding(score, curves)
    worth = measure.worth(curves[score_name("validation", measure.name)])
    loss = curves["validation_loss"]
    if select == "last":
        return worth[:, -1], loss[:, -1]
    filled = np.where(np.isfinite(worth), worth, -np.inf)
    # As the loop chooses: the highest score, then the lowest loss, then the earliest epoch.
    best = np.asarray([np.lexsort((losses, -scores))[0] for scores, losses in zip(filled, loss, strict=True)])
    rows = np.arange(len(worth))
    return filled[rows, best], loss[rows, best]


def ranges_of(
    rule_name: str, rule: AbstractRule, rates: tuple[float, float], search: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    """The ranges that belong to a rule, of `{"learning_rate": …, "RULE.leaf": …}`, checked.

    **Raises:** `UserError` where a range is not two positive numbers in order or the rule has no such array leaf.
    """
    found = {LEARNING_RATE: search.get(LEARNING_RATE, rates)}
    for name, interval in search.items():
        owner, _, leaf = name.rpartition(".")
        if name != LEARNING_RATE and owner == rule_name:
            numbers = [field.name for field in dataclasses.fields(rule) if _is_number(getattr(rule, field.name, None))]
            if leaf not in numbers:
                raise UserError(f"the rule {rule_name} has no number {leaf!r} to tune: it has {', '.join(numbers) or 'none'}.")
            found[leaf] = interval
    for name, interval in found.items():
        ends = listed(interval) or []
        low, high = map(real, ends) if len(ends) == 2 else (None, None)
        if low is None or high is None:
            raise UserError(f"the range of {name} is two positive numbers, low and high; got {shown(interval)}.")
        if not 0 < low < high <= sys.float_info.max:
            raise UserError(
                f"the range of {name} is two positive numbers, the lower one first; got {shown(low)}:{shown(high)}."
            )
        found[name] = low, high = float(low), float(high)
        if name != LEARNING_RATE:
            for end in (low, high):
                try:
                    dataclasses.replace(rule, **{name: end})
                except UserError as error:  # the field has an interval of its own
                    raise UserError(f"the range of {name} goes beyond what the rule {rule_name} takes: {error}") from error
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, jax.Array) and value.dtype.kind == "f" and not value.ndim)
