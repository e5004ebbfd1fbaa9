"""The credit score: how much of what learning in hidden layers is worth a rule gets.

    credit score = (score − frozen) / (backpropagation − frozen)

where `frozen` is the score of the same network whose hidden layers stay as they began, with its last layer trained: 0 for a
rule that gets nothing out of hidden layers, 1 for one that gets what backpropagation does. Means over the pairs (seeds, or
folds) that finished under all three are put in relation, not ratios averaged: a seed on which backpropagation gains nothing has
none. Where less is better, numerator and denominator change their signs together. It means something only where backpropagation
is above `frozen`; where that is within noise, the task with that network cannot show hidden credit, and there is no score.

After the normalized scores of reinforcement learning (Mnih et al. 2015, doi:10.1038/nature14236), with `frozen` in the place of
chance.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtrit

from ascribe.checks import at_least, explained, share
from ascribe.errors import UserError
from ascribe.measures import measure_of

from ._checks import Numbers, draws, exponent, sample
from .base import Comparison
from .bootstrap import blocks_of
from .corrected_resampled import corrected_interval, ratio
from .means import FEWEST, optional
from .pairs import SINGLE, scores_together
from .scores import score_of

BACKPROPAGATION = "backpropagation"
FROZEN = "frozen"
"""The rule and the control that the score is between."""
FEWEST_RESAMPLED = 5
"""Pairs that a bootstrap interval is told of at least: resamples of 3 bound no ratio, of 4 hardly one."""


@dataclass(frozen=True)
class CreditScore:
    """The credit score of a rule: `value`, the ends `low` and `high` of its interval over so many `pairs`, of cross-validation
    folds. They are None where there are too few pairs (fewer than 5 seeds), or where these bound no interval."""

    value: float
    low: float | None
    high: float | None
    pairs: int


@dataclass(frozen=True)
class HiddenCredit:
    """What learning in hidden layers is worth in a comparison, and how much of that every rule gets.

    - `score`: the name of what is compared, as `test_accuracy`;
    - `difference`: backpropagation minus `frozen`, its mean over `pairs`, in the score's own unit, and the ends `low` and
      `high` of its Student-t interval (of folds the corrected one); None where there is none;
    - `able`: whether the task with this network can show hidden credit: backpropagation is better than `frozen`, and the
      interval leaves out 0; None where that cannot be told: one of the two did not take part, or there are fewer than 3 pairs;
    - `reason`: why it is not able, in words; empty where it is;
    - `scores`: the credit score of every rule with 3 pairs or more; empty where it is not able.
    """

    score: str
    difference: float | None
    low: float | None
    high: float | None
    pairs: int
    able: bool | None
    reason: str
    scores: dict[str, CreditScore] = field(default_factory=dict)

    def fields(self, rule: str) -> dict[str, float | None]:
        """What rows say of a rule: its score and the ends of the interval; None where it has none."""
        one = self.scores.get(rule)
        ends = (None, None, None) if one is None else (one.value, one.low, one.high)
        return dict(zip(("credit_score", "credit_score_low", "credit_score_high"), ends, strict=True))


def credit_score(
    own: Numbers, backpropagation: Numbers, frozen: Numbers, *, level: float = 0.95, resamples: int = 9_999, seed: int = 0
) -> tuple[float, float, float]:
    """`(value, low, high)`: R = (mean own − mean frozen) / (mean backpropagation − mean frozen) of scores (pairs,), and its
    bootstrap interval.

    The interval holds every R for which the mean of the differences d(R) = own − frozen − R (backpropagation − frozen) is no
    more than c standard errors from 0. This is Fieller's interval with, in the place of Student's t, the quantile c of
    |mean d*| / (standard error of d*) over resamples d* of d at the R that was found: pairs are drawn with replacement. Of few
    pairs c is large, so that the interval is as wide as they deserve; ends are −∞ and ∞ where the mean of backpropagation −
    frozen is itself within c standard errors of 0. So it always is of 2 or 3 pairs, as the resamples that repeat one pair have
    no standard error. 1 with no width for backpropagation itself, 0 for `frozen`.

    Sources: Fieller (1954), "Some problems in interval estimation", doi:10.1111/j.2517-6161.1954.tb00159.x; its bootstrap:
    Hwang (1995), "Fieller's problems and resampling techniques", Statistica Sinica 5, 161–171.

    **Raises:** `UserError` for fewer than two pairs, any number that is not finite, and where the denominator is 0.
    """
    named = {"own": own, "backpropagation": backpropagation, "frozen": frozen}
    values = [sample(name, numbers, least=2) for name, numbers in named.items()]
    if len({len(one) for one in values}) > 1:
        raise UserError(
            f"the scores hold one number a pair; got {', '.join(str(len(one)) for one in values)}: leave others out."
        )
    level, resamples = share("level", level, "try 0.95"), draws(resamples, 9_999)
    values = np.ldexp(values, -exponent(np.stack(values)))
    above, room = values[0] - values[2], values[1] - values[2]
    if room.mean() == 0.0:
        raise UserError("backpropagation and frozen have one mean, so nothing is in relation to their difference: no score.")
    rest = above - above.mean() / room.mean() * room
    slack = 1e-12 * np.abs(above).max()
    ratios = []
    for block in blocks_of(rest, resamples, seed):
        mean, error = np.abs(block.mean(axis=1)), block.std(axis=1, ddof=1) / np.sqrt(len(rest))
        exact = np.where(mean > slack, np.inf, 0.0)
        ratios.append(np.divide(mean, error, out=exact, where=error > slack))
    return _within(above, room, float(np.quantile(np.concatenate(ratios), level, method="higher")), slack)


def _within(above: np.ndarray, room: np.ndarray, errors: float, slack: float = 0.0) -> tuple[float, float, float]:
    """The ratio of the means of `above` and `room` (pairs,), and the ends of its interval: where the mean of above −
    R room is so many of its standard `errors` from 0. Differences up to `slack` are none."""
    value = float(above.mean() / room.mean())
    rest = above - value * room
    if np.ptp(rest) <= slack:
        return value, value, value
    (own, shared), (_, other) = errors**2 * np.cov(rest, room) / len(room) if np.isfinite(errors) else np.full((2, 2), np.inf)
    bounded = room.mean() ** 2 - other
    if not bounded > 0.0:
        return value, -np.inf, np.inf
    half_width = np.sqrt(shared**2 + bounded * own)
    return value, float(value - (shared + half_width) / bounded), float(value - (shared - half_width) / bounded)


@explained
def hidden_credit(comparison: Comparison, *, score: str | None = None, level: float = 0.95, seed: int = 0) -> HiddenCredit:
    """What learning in hidden layers is worth in `comparison`, and every rule's credit score.

    Of cross-validation every fold is a pair, with its mean over seeds; folds share training examples, so the interval is
    Fieller's with the half width of `corrected_interval` for that of the mean of own − frozen − R (backpropagation − frozen).

    **Arguments:** as those of `summarize`.
    """
    score, level = score_of(comparison, score), share("level", level, "try 0.95")
    seed = at_least(0, "seed", seed)
    rules, frozen = comparison.runs, comparison.controls.get(FROZEN)
    missing = [name for name, there in ((BACKPROPAGATION, rules.get(BACKPROPAGATION)), (FROZEN, frozen)) if there is None]
    if frozen is None or missing:
        why = (comparison.configuration.get("left_out") or {}).get(f"control {FROZEN}")
        reason = why.rstrip(".") if why and missing == [FROZEN] else f"{' and '.join(missing)} did not take part"
        return HiddenCredit(score, None, None, None, 0, None, reason)
    if score not in frozen.scores:
        return HiddenCredit(score, None, None, None, 0, None, f"{FROZEN} has no {score}")
    base = rules[BACKPROPAGATION]
    (exact, still), test_to_train, rounding = _pairs([base, frozen], score)
    room = exact - still
    mean, half_width = (optional(one) for one in corrected_interval(room, test_to_train, level=level))
    told = (mean, None, None) if mean is None or half_width is None else (mean, mean - half_width, mean + half_width)
    able, reason = _able(room, mean, half_width, rounding, score, "folds" if test_to_train else "seeds")
    scores = {}
    for rule, runs in rules.items() if able else ():
        values, _, rounding = _pairs([runs, base, frozen], score)
        room = values[1] - values[2]
        mean, half_width = (optional(one) for one in corrected_interval(room, test_to_train, level=level))
        if _able(room, mean, half_width, rounding, score, "")[0]:
            scores[rule] = CreditScore(*_with_interval(values, test_to_train, level, seed), len(room))
    return HiddenCredit(score, *told, len(exact), able, reason, scores)


def _pairs(several: list, score: str) -> tuple[np.ndarray, float, float]:
    """The scores (several, pairs) of what finished under all, those of folds as means; n_test / n_train; their rounding."""
    values, folds = scores_together(several, score)
    kept = np.isfinite(values).all(axis=0)
    values, folds = values[:, kept], folds[kept]
    rounding = SINGLE * float(np.abs(values).max(initial=0.0))
    if not len(several[0].folds):
        return values, 0.0, rounding
    means = [values[:, folds == fold].mean(axis=1) for fold in np.unique(folds)]
    return np.reshape(means, (-1, len(values))).T, ratio(len(set(several[0].folds))), rounding


def _able(
    room: np.ndarray, mean: float | None, half_width: float | None, rounding: float, score: str, pairs: str
) -> tuple[bool | None, str]:
    """Whether backpropagation is above frozen for certain; why not."""
    if len(room) < FEWEST or mean is None or half_width is None:
        return None, f"fewer than {FEWEST} {pairs} finished under both backpropagation and frozen"
    if abs(mean) <= max(half_width, rounding):
        return False, "what backpropagation gains over hidden layers that stay as they began is within noise"
    if measure_of(score).worth(mean) < 0.0:
        return False, "backpropagation is worse than with hidden layers that stay as they began"
    return True, ""


def _with_interval(
    values: np.ndarray, test_to_train: float, level: float, seed: int
) -> tuple[float, float | None, float | None]:
    pairs = values.shape[1]
    if test_to_train:
        values = np.ldexp(values, -exponent(values))
        errors = float(stdtrit(pairs - 1, 0.5 + level / 2.0)) * np.sqrt(1.0 + pairs * test_to_train)
        value, *ends = _within(values[0] - values[2], values[1] - values[2], errors)
    else:
        value, *ends = credit_score(*values, level=level, seed=seed)
    low, high = (optional(end) if test_to_train or pairs >= FEWEST_RESAMPLED else None for end in ends)
    return value, low, high
