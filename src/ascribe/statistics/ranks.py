"""Several data sets: the average rank of every rule, and whether ranks differ by more than chance.

Source: Demšar (2006), "Statistical comparisons of classifiers over multiple data sets", Journal of Machine Learning
Research 7, 1–30, section 3.2.2; Friedman (1937), doi:10.1080/01621459.1937.10503522.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from ascribe.checks import at_least, explained, share
from ascribe.errors import UserError
from ascribe.measures import measure_of

from ._checks import MOST, Numbers, array
from .base import Comparison, Runs
from .means import finished
from .scores import score_of


@dataclass(frozen=True, eq=False)
class RankSummary:
    """Ranks over data sets: 1 is best, tied rules share the mean of their places.

    `ranks`: (data sets, rules); `average_ranks`: by rule, best first; `statistic` and `p_value` of Friedman's test that all
    rules are alike; `critical_difference`: average ranks that differ by at least so much differ at `level` (Nemenyi);
    `left_out`: rules that some comparison does not have.
    """

    rules: tuple[str, ...]
    data_sets: tuple[str, ...]
    ranks: np.ndarray
    average_ranks: dict[str, float]
    statistic: float
    p_value: float
    critical_difference: float
    level: float
    left_out: tuple[str, ...]


def ranks(scores: Numbers, *, higher_is_better: bool = True) -> np.ndarray:
    """The ranks within each row of `scores` (data sets, rules): 1 for the best, ties the mean of their places. NaN (no score)
    ranks below all scores.

        >>> ranks([[0.9, 0.8, 0.8]]).tolist()
        [[1.0, 2.5, 2.5]]
    """
    scores = array("scores", scores, 2)
    worth = np.where(np.isnan(scores), -np.inf, scores if higher_is_better else -scores)
    better = (worth[:, None, :] > worth[:, :, None]).sum(axis=2)
    equal = (worth[:, None, :] == worth[:, :, None]).sum(axis=2)  # itself included
    return better + (equal + 1) / 2.0


def friedman(ranks: Numbers) -> tuple[float, float]:
    """`(statistic, p_value)` of Friedman's test for `ranks` (data sets, rules), corrected for ties.

    With N data sets, k rules and average ranks R: χ² = 12 N / (k (k + 1)) Σ (R − (k + 1)/2)² over
    1 − Σ (t³ − t) / (N k (k² − 1)), t the sizes of the groups of ties; p from χ² with k − 1 degrees of freedom, which is
    coarse for few data sets (Demšar: below about N = 10 and k = 5). All tied everywhere: 0 and 1.
    """
    ranks = array("ranks", ranks, 2)
    sets, rules = ranks.shape
    if rules < 2:
        raise UserError(f"`ranks` has a column for each of at least 2 rules; got {rules}: give several.")
    # What ranks would vary without ties is N k (k² − 1) / 12; what they do vary is their sum of squares, ties included.
    middle = (rules + 1) / 2.0
    variation = np.sum((ranks - middle) ** 2)
    if variation == 0.0:
        return 0.0, 1.0
    statistic = sets**2 * (rules - 1) * np.sum((ranks.mean(axis=0) - middle) ** 2) / variation
    return float(statistic), float(chdtrc(rules - 1, statistic))


def critical_difference(rules: int, data_sets: int, *, level: float = 0.95) -> float:
    """Nemenyi's: q √(k (k + 1) / (6 N)), with q the `level` quantile of the studentized range of k groups over √2."""
    from scipy.stats import studentized_range  # noqa: PLC0415 - importing it is slow

    rules = at_least(2, "rules", rules, most=MOST, advice="try 5")
    data_sets = at_least(1, "data_sets", data_sets, most=MOST, advice="try 10")
    quantile = studentized_range.ppf(share("level", level, "try 0.95"), rules, np.inf) / np.sqrt(2.0)
    return float(quantile * np.sqrt(rules * (rules + 1) / (6.0 * data_sets)))


@explained
def ranks_over(comparisons: Sequence[Comparison], *, score: str | None = None, level: float = 0.95) -> RankSummary:
    """Average ranks over `comparisons`, each of which counts as one data set, of the rules that all of them have.

    A rule is ranked by its mean over the seeds that finished of `score` (by default what each comparison chose by); one
    with runs that diverged ranks below all rules without, and one without a finished run below those, as in the table.

    **Raises:** `UserError` for fewer than two comparisons or two rules in common.
    """
    comparisons = list(comparisons)
    if len(comparisons) < 2:
        raise UserError(f"ranks are over at least 2 comparisons; got {len(comparisons)}: give one for each data set.")
    every = list(dict.fromkeys(rule for comparison in comparisons for rule in comparison.runs))
    common = [rule for rule in every if all(rule in comparison.runs for comparison in comparisons)]
    if len(common) < 2:
        raise UserError(
            f"ranks need at least 2 rules that all comparisons have; got {', '.join(common) or 'none'} in common: compare "
            "the same rules on each data set."
        )
    table = []
    for comparison in comparisons:
        name = score_of(comparison, score)
        keys = [_key(comparison.runs[rule], name) for rule in common]
        table.append([sorted(keys).index(key) for key in keys])  # equal keys get equal places
    found = ranks(table, higher_is_better=False)
    statistic, p_value = friedman(found)
    average = dict(zip(common, found.mean(axis=0).tolist(), strict=True))
    return RankSummary(
        rules=tuple(common),
        data_sets=tuple(comparison.data.name for comparison in comparisons),
        ranks=found,
        average_ranks=dict(sorted(average.items(), key=lambda entry: entry[1])),
        statistic=statistic,
        p_value=p_value,
        critical_difference=critical_difference(len(common), len(comparisons), level=level),
        level=level,
        left_out=tuple(rule for rule in every if rule not in common),
    )


def _key(runs: Runs, score: str) -> tuple[bool, bool, float]:
    """What sorts the best rule first."""
    values = finished(runs.scores[score], runs.diverged)
    values = values[np.isfinite(values)]
    if not values.size:
        return True, True, 0.0
    mean = float(values.mean())
    return False, len(values) < len(runs.seeds), -measure_of(score).worth(mean)
