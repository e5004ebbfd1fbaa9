"""All statistics of a comparison: one row a rule, each against the reference, seed by seed, or fold by fold."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ascribe.checks import explained, finite, positive, share
from ascribe.errors import UserError
from ascribe.measures import measure_of

from .base import Comparison, Runs, Tuning
from .bootstrap import bootstrap_interval
from .corrected_resampled import corrected_interval, corrected_t_test, resampled
from .credit_score import hidden_credit
from .curves import area_under_curve, epochs_to_target, median_epochs
from .effect_size import cohens_d, hedges_g, superiority
from .holm import holm
from .means import finished, interval, optional
from .pairs import Pairs, paired_runs
from .permutation import sign_flip_test
from .power import SIZE, seeds_needed
from .scores import score_of, validation_curve
from .sensitivity import GridSummary, grid_summary

CLOSE = 0.05
"""By default a target, or an error that matters, is within 5 % of the reference's."""
POINT = 0.01
"""By default the difference that matters between two accuracies: one percentage point."""


@dataclass(frozen=True)
class RuleStatistics:
    """One rule against the reference. None where there is nothing to say: the reference's difference to itself, no pair left.

    - `pairs`: seeds that finished under both rules; `lost`: seeds of both that diverged under either;
    - `difference`: the mean over pairs, this rule minus the reference, in the score's own unit, with the ends `low` and
      `high` of its BCa bootstrap interval at `level`;
    - `p_value`: of the sign-flip permutation test; `adjusted_p_value`: the same after Holm's correction over the rules;
    - `cohens_d` (d_z) and `hedges_g` have the sign of the difference; `superiority`: the share of pairs in which this rule is
      the better one, whichever way is better;
    - `seeds_needed`: for a true difference of `stated_difference`, with power 80 % in a paired t test at `level`, were the
      standard deviation of the differences what was observed;
    - `grid`: what the tuned candidates are worth beside the best; None where nothing was tuned;
    - `area`: mean over finished seeds of the area under the validation curve, in the score's unit times epochs;
    - `credit_score`: (score − frozen) / (backpropagation − frozen), with the ends `credit_score_low` and `credit_score_high` of
      its interval at `level`; None where the task with this network cannot show hidden credit (`hidden_credit` says why);
    - `epochs_to_target`: median over `seeds`, a seed that diverged or never came to `target` later than all others;
      `reached`: how many came.

    Of cross-validation the `folds` are the pairs, each with its mean over seeds, and `lost` still counts pairs of runs. They
    share training examples, so `low`, `high` and `p_value` are those of the corrected resampled t-test, and there is no
    `cohens_d`, `hedges_g` nor `seeds_needed`, which are for independent differences. `seeds` counts all runs.
    """

    rule: str
    reference: str
    score: str
    level: float
    pairs: int
    lost: int
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    adjusted_p_value: float | None
    cohens_d: float | None
    hedges_g: float | None
    superiority: float | None
    stated_difference: float | None
    seeds_needed: int | None
    grid: GridSummary | None
    area: float | None
    target: float | None
    epochs_to_target: float | None
    reached: int
    seeds: int
    folds: int = 0
    credit_score: float | None = None
    credit_score_low: float | None = None
    credit_score_high: float | None = None


@explained
def summarize(
    comparison: Comparison,
    reference: str | None = None,
    *,
    score: str | None = None,
    level: float = 0.95,
    difference: float | None = None,
    target: float | None = None,
    seed: int = 0,
) -> list[RuleStatistics]:
    """The rows of `comparison`, the reference first, then the rules in the comparison's order.

    **Arguments:**

    - `reference`: the rule that differences are to, by default the comparison's own;
    - `score`: what is compared, a name in `runs.scores`; by default what the comparison chose by (accuracy, or RMSE for
      regression, where it was not told);
    - `level`: of intervals and tests;
    - `difference`: the difference that seeds are counted for, in the score's unit; by default 0.01 for an accuracy and its
      like (one point), else 5 % of the reference's mean;
    - `target`: the validation score that epochs are counted to; by default within 5 % of the reference's mean after the last
      epoch;
    - `seed`: of the bootstrap and of sampled permutations.

    **Raises:** `UserError` for a reference, score, target or difference that does not fit.
    """
    reference = comparison.reference if reference is None else reference
    if reference is None or reference not in comparison.runs:
        raise UserError(f"`reference` is a rule of the comparison; got {reference!r}: take {', '.join(comparison.runs)}.")
    score, level = score_of(comparison, score), share("level", level, "try 0.95")
    base = comparison.runs[reference]
    difference = _difference(base, score) if difference is None else positive("difference", difference, SIZE)
    if target is not None and validation_curve(base, score) is None:
        raise UserError(f"`target` is for a score with a validation curve; got {score!r}: leave the target out.")
    target = _target(base, score) if target is None else finite("target", target)
    rules = [reference, *(rule for rule in comparison.runs if rule != reference)]
    pairs = {rule: paired_runs(comparison.runs[rule], base, score) for rule in rules}
    others = [rule for rule in rules[1:] if pairs[rule].differences.size]
    p_values = {rule: _p_value(pairs[rule], seed) for rule in others}
    p_values = {rule: value for rule, value in p_values.items() if value is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())).tolist(), strict=True)) if p_values else {}
    credit = hidden_credit(comparison, score=score, level=level, seed=seed)
    rows = []
    for rule in rules:
        runs, differences, rounding = comparison.runs[rule], pairs[rule].differences, pairs[rule].rounding
        own = differences if rule in others else np.empty(0)
        several, independent = len(own) > 1, not pairs[rule].test_to_train
        low, high = _interval(pairs[rule], level, seed) if several else (None, None)
        wanted = difference if several and independent else None
        better = measure_of(score).worth(own)
        rows.append(
            RuleStatistics(
                rule=rule,
                reference=reference,
                score=score,
                level=level,
                pairs=len(differences),
                lost=pairs[rule].lost,
                difference=float(own.mean()) if own.size else None,
                low=low,
                high=high,
                p_value=p_values.get(rule),
                adjusted_p_value=adjusted.get(rule),
                cohens_d=optional(cohens_d(own, rounding=rounding)) if own.size and independent else None,
                hedges_g=optional(hedges_g(own, rounding=rounding)) if own.size and independent else None,
                superiority=superiority(better) if own.size else None,
                stated_difference=difference,
                seeds_needed=None if wanted is None else seeds_needed(wanted, float(own.std(ddof=1)), level=level),
                grid=_grid(comparison.tuning, rule),
                folds=len(set(runs.folds)),
                **credit.fields(rule),
                **_learning(runs, score, target),
            )
        )
    return rows


def _p_value(pairs: Pairs, seed: int) -> float | None:
    """That of the test which fits the pairs; None for a single fold, of which no test is made."""
    if not pairs.test_to_train:
        return sign_flip_test(pairs.differences, seed=seed, rounding=pairs.rounding)
    if len(pairs.differences) < 2:
        return None
    return corrected_t_test(pairs.differences, test_to_train=pairs.test_to_train, rounding=pairs.rounding)


def _interval(pairs: Pairs, level: float, seed: int) -> tuple[float, float]:
    """The ends of the interval of the mean difference."""
    if not pairs.test_to_train:
        return bootstrap_interval(pairs.differences, level=level, seed=seed, rounding=pairs.rounding)
    mean, half_width = corrected_interval(pairs.differences, pairs.test_to_train, level=level)
    return float(mean - half_width), float(mean + half_width)


def _mean(values: np.ndarray) -> float | None:
    return optional(interval(values)[0])


def _difference(reference: Runs, score: str) -> float | None:
    if measure_of(score).percent:
        return POINT
    mean = _mean(resampled(reference, finished(reference.scores[score], reference.diverged))[0])
    return CLOSE * abs(mean or 0.0) or None


def _target(reference: Runs, score: str) -> float | None:
    curve = validation_curve(reference, score)
    end = None if curve is None else _mean(curve[:, -1])
    if end is None:
        return None
    return end - CLOSE * abs(end) if measure_of(score).higher_is_better else end + CLOSE * abs(end)


def _grid(tuning: Mapping[str, Tuning] | None, rule: str) -> GridSummary | None:
    return grid_summary(tuning[rule].scores) if tuning and rule in tuning else None


def _learning(runs: Runs, score: str, target: float | None) -> dict:
    curve = validation_curve(runs, score)
    area, epochs, median = None, [], None
    if curve is not None and curve.shape[1] > 1:
        area = _mean(resampled(runs, area_under_curve(curve))[0])
    if curve is not None and target is not None:
        epochs = epochs_to_target(curve, target, higher_is_better=measure_of(score).higher_is_better)
        median = median_epochs(epochs)
    reached = sum(epoch is not None for epoch in epochs)
    return {"area": area, "target": target, "epochs_to_target": median, "reached": reached, "seeds": len(runs.seeds)}
