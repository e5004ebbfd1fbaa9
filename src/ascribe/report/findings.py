"""What came out of a comparison, in sentences that its intervals bear out."""

from collections.abc import Sequence

import numpy as np

from ascribe import measures
from ascribe.measures import measure_of, title_of
from ascribe.statistics import SINGLE, corrected_interval, main_score, paired_runs
from ascribe.statistics.means import DASH, LEVEL, decimals_of

from .base import Comparison
from .statement import listed
from .table import Row, format_score, rows

NAMED = 4
"""So many rules are named one by one in a sentence; of more, the ends."""


def claims(comparison: Comparison) -> str:
    """How `findings` decides."""
    one, several, kind = (
        ("fold", "folds", "corrected interval over folds")
        if comparison.folds
        else ("seed", "seeds", "Student-t interval over seeds")
    )
    return (
        f"The sentences at the top count a rule as better than a constant answer where its 95 % {kind} is, "
        f"and as different from the reference where the interval of its differences, {one} by {one}, leaves out 0; that one is "
        f"widened by Bonferroni's correction, so that all of them hold at once. With few {several} little can be shown, which "
        "is not to say that rules are equal."
    )


def findings(comparison: Comparison) -> list[str]:
    """Sentences: which rule is best, which are better than a constant answer, which differ from the reference and by how much.

    A rule is said to be better than a constant where its 95 % Student-t interval is, and to differ where the interval of its
    paired differences, widened by Bonferroni's correction so that all hold at once, leaves out 0.
    """
    table = rows(comparison)
    if not table or table[0].mean is None:
        return ["Every run of every rule diverged: no score can be compared."]
    found = [_best(table), above_constant(comparison, table), _against_reference(comparison, table), _lost(table)]
    return [sentence for sentence in found if sentence]


def constant_score(comparison: Comparison) -> tuple[str, float] | None:
    """What a constant answer reaches (`measures.constant_score`), on average over folds where there are any."""
    measure = measure_of(main_score(comparison)).name
    found = [measures.constant_score(one.data, measure) for one in comparison.folds or [comparison]]
    known = [one for one in found if one is not None]
    return (known[0][0], float(np.mean([score for _, score in known]))) if known else None


def _best(table: Sequence[Row]) -> str:
    best, unit = table[0], _unit(table[0].score)
    title = title_of(best.score)
    title, score = f"{title[0].lower()}{title[1:]}", format_score(best)[0].removesuffix(f" ± {DASH}")
    if len(table) == 1:
        return f"{best.rule} reaches a mean {title} of {score}{unit} over {best.runs}."
    level = [row.rule for row in table if row.mean == best.mean and row.diverged == best.diverged]
    which = "highest" if measure_of(best.score).higher_is_better else "lowest"
    if len(level) > NAMED:
        return f"{len(level)} rules share the {which} mean {title}, {score}{unit} over {best.runs}."
    verb = "has" if len(level) == 1 else "have"
    return f"{listed(level)} {verb} the {which} mean {title}: {score}{unit} over {best.runs}."


def above_constant(comparison: Comparison, table: Sequence[Row]) -> str:
    """What a constant answer reaches, and which rules are better; empty where that is not known."""
    constant = constant_score(comparison)
    known = [(row, row.mean, row.half_width) for row in table if row.mean is not None and row.half_width is not None]
    if constant is None or not known:
        return ""
    words, score = constant
    measure = measure_of(known[0][0].score)
    number = f"{score:.0f}" if abs(score) >= 1000 else f"{score:.3g}"
    shown = f"{100 * score:.1f} %" if measure.percent else number.replace("-", "−")
    rounding = SINGLE * abs(score)  # a network that always names that class has this score, in single precision
    better = [row for row, mean, half in known if measure.worth(mean) - measure.worth(score) > max(half, rounding)]
    others = [row.rule for row in table if row not in better]
    said = f"{words} would give {shown}: "
    if not others:
        return said + ("every rule is better." if len(table) > 1 else "it is better.")
    if not better:
        return said + "no rule is shown to be better."
    lacking = listed(others) if len(others) <= NAMED else f"the other {len(others)}"
    return f"{said}{len(better)} of {len(table)} rules are better; for {lacking} that is not shown."


def _against_reference(comparison: Comparison, table: Sequence[Row]) -> str:
    reference = comparison.reference
    others = [row for row in table if row.rule != reference]
    if reference is None or reference not in comparison.runs or not others:
        return ""
    base, score = comparison.runs[reference], table[0].score
    level = 1.0 - (1.0 - LEVEL) / len(others)
    better, worse, alike = [], [], []
    for row in others:
        pairs = paired_runs(comparison.runs[row.rule], base, score)
        mean, half_width = corrected_interval(pairs.differences, pairs.test_to_train, level=level)
        if not abs(mean) > max(half_width, pairs.rounding):
            alike.append(row.rule)
            continue
        gain = measure_of(score).worth(float(mean))
        (better if gain > 0 else worse).append((abs(gain), f"{row.rule} ({_amount(float(mean), score)})"))
    parts = []
    for word, group in (("better", better), ("worse", worse)):
        if group:
            names = [text for _, text in sorted(group)]
            some = listed(names) if len(names) <= NAMED else f"from {names[0]} to {names[-1]}"
            parts.append(f"{len(names)} {'rule is' if len(names) == 1 else 'rules are'} {word}: {some}")
    if alike:
        which = listed(alike) if len(alike) <= NAMED else f"{len(alike)} rules"
        parts.append(f"for {which} no difference is shown" if parts else f"no difference is shown for {which}")
    one = "fold" if comparison.folds else "seed"
    return f"Against {reference}, {one} by {one}: {'; '.join(parts)}."


def _lost(table: Sequence[Row]) -> str:
    lost = [f"{row.rule} ({row.diverged} of {row.seeds})" for row in table if row.diverged]
    if not lost:
        return ""
    return f"Runs diverged under {listed(lost) if len(lost) <= NAMED else f'{len(lost)} rules'}."


def _unit(score: str) -> str:
    return " %" if measure_of(score).percent else ""


def _amount(mean: float, score: str) -> str:
    if measure_of(score).percent:
        return f"{100 * mean:+.1f} points".replace("-", "−")
    return f"{mean:+.{decimals_of(abs(mean) / 100.0)}f}".replace("-", "−")
