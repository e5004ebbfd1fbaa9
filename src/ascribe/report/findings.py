"""What came out of a comparison, in sentences that its intervals bear out."""

from collections.abc import Sequence

import numpy as np

from ascribe import measures
from ascribe.measures import Measure, measure_of, title_of
from ascribe.statistics import SINGLE, CreditScore, corrected_interval, hidden_credit, main_score, paired_runs
from ascribe.statistics.means import DASH, LEVEL, decimals_of

from .base import Comparison
from .statement import listed
from .table import Row, control_rows, format_score, rows

NAMED = 4
"""So many rules are named one by one in a sentence; of more, the ends."""
OTHER_DATA = " A network without hidden layers does as well or better: take other data."
FEWER_UNITS = " Random hidden layers are enough here: fewer units, as in --network 4x4, may leave room."


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
    found = [_best(table), above_constant(comparison, table), _above_controls(comparison, table)]
    found += [hidden_credit_told(comparison), _against_reference(comparison, table), _lost(table)]
    return [sentence for sentence in found if sentence]


def hidden_credit_told(comparison: Comparison) -> str:
    """What learning in hidden layers is worth, and how much of that the rules get, or why this cannot be told; empty where no
    controls were asked for."""
    found, left_out = hidden_credit(comparison), comparison.configuration.get("left_out") or {}
    if not comparison.controls and not any(name.startswith("control ") for name in left_out):
        return ""
    if found.difference is None or found.low is None or found.high is None or found.able is None:
        return f"There are no credit scores: {found.reason}."
    gain, none = _amount(found.difference, found.score), _over_none(comparison, found.score)
    if not found.able:
        low, high = (_amount(one, found.score) for one in (found.low, found.high))
        advice = "" if none is None else OTHER_DATA if not none else FEWER_UNITS
        return (
            f"This task with this network cannot show hidden credit: {found.reason} ({gain}, from {low} to {high}), so there "
            f"are no credit scores.{advice}"
        )
    parts = sorted(((one.value, rule) for rule, one in found.scores.items() if rule != comparison.reference), reverse=True)
    said = _worth_told(gain, none, measure_of(found.score))
    if not parts:
        return f"{said}."
    how, few = "credit score", len(parts) <= NAMED
    bounded = [found.scores[rule].low is not None for _, rule in parts]
    if not any(bounded):
        how += f"; an estimate alone, as {found.pairs} {'folds' if comparison.folds else 'seeds'} are too few for an interval"
    elif few:
        how += " with its 95 % interval"
    named = [f"{rule} {_score_told(found.scores[rule], whole=few and any(bounded))}" for _, rule in parts]
    gets = listed(named) if few else f"from {named[0]} to {named[-1]}"
    return f"{said}; of what lies above frozen ones the rules get ({how}): {gets}."


def _worth_told(gain: str, none: str | None, measure: Measure) -> str:
    """What learning in hidden layers is worth over frozen ones, and over none where that is known."""
    if measure.higher_is_better:
        said = f"What hidden layers learn by backpropagation is worth {gain} over frozen ones"
        return said if none is None else f"{said}, and {none or 'nothing that is shown'} over having none (linear)"
    less = lambda amount: amount.lstrip("−+")
    said = f"What hidden layers learn by backpropagation lowers the {measure.title} by {less(gain)} from that of frozen ones"
    return said if none is None else f"{said}, and by {less(none) or 'nothing that is shown'} from that of none (linear)"


def _score_told(credit: CreditScore, *, whole: bool) -> str:
    """A credit score, `whole` with its interval: `0.87 (0.61 to 1.04)`."""
    value, *ends = (f"{one:.2f}".replace("-", "−") for one in (credit.value, credit.low, credit.high) if one is not None)
    return f"{value} ({' to '.join(ends) or 'these seeds bound none'})" if whole else value


def _over_none(comparison: Comparison, score: str) -> str | None:
    """How much better backpropagation is than the control without hidden layers, in words; empty where that is not shown, None
    where there is no such control."""
    if "linear" not in comparison.controls or comparison.reference is None:
        return None
    pairs = paired_runs(comparison.runs[comparison.reference], comparison.controls["linear"], score)
    mean, half_width = corrected_interval(pairs.differences, pairs.test_to_train)
    shown = measure_of(score).worth(mean) > max(half_width, pairs.rounding)
    return _amount(float(mean), score) if shown else ""


def _above_controls(comparison: Comparison, table: Sequence[Row]) -> str:
    """Which rules are above every control, by paired differences widened over the rules."""
    controls = [row for row in control_rows(comparison) if row.mean is not None]
    if not controls:
        return ""
    score, level = table[0].score, 1.0 - (1.0 - LEVEL) / len(table)
    above = []
    for row in table:
        pairs = [paired_runs(comparison.runs[row.rule], comparison.controls[one.rule], score) for one in controls]
        ends = [(one, *corrected_interval(one.differences, one.test_to_train, level=level)) for one in pairs]
        if all(measure_of(score).worth(mean) > max(half_width, one.rounding) for one, mean, half_width in ends):
            above.append(row.rule)
    reached = [f"{row.rule} reaches {format_score(row)[0].split(' ± ')[0]}{_unit(score)}" for row in controls]
    above_it = "above" if measure_of(score).higher_is_better else "better than"
    all_of_them = ("it", "both")[len(controls) - 1] if len(controls) < 3 else "all of them"
    said = f"Beside the rules, {listed(reached)}: "
    others = [row.rule for row in table if row.rule not in above]
    if not others:
        return f"{said}{'every rule' if len(table) > 1 else table[0].rule} is {above_it} {all_of_them}."
    if not above:
        return f"{said}no rule is shown to be {above_it} {all_of_them}.{_though(table, controls, [])}"
    lacking = listed(others) if len(others) <= NAMED else f"the other {len(others)}"
    verb = "is" if len(above) == 1 else "are"
    return (
        f"{said}{len(above)} of {len(table)} rules {verb} {above_it} {all_of_them}; for {lacking} that is not shown."
        f"{_though(table, controls, above)}"
    )


def _though(table: Sequence[Row], controls: Sequence[Row], above: Sequence[str]) -> str:
    """Which rules' means are better than every control's though the rules are not shown to be `above`, and why; else empty."""
    worth = lambda row: -np.inf if row.mean is None else measure_of(row.score).worth(row.mean)
    better = [row for row in table if row.rule not in above and worth(row) > max(worth(one) for one in controls)]
    if not better:
        return ""
    which = listed([row.rule for row in better]) if len(better) <= NAMED else f"{len(better)} of these rules"
    widened = "" if len(table) == 1 else f", widened because {len(table)} rules are asked"
    return (
        f" {'The mean' if len(better) == 1 else 'The means'} of {which} {'is' if len(better) == 1 else 'are'} better, but the "
        f"interval of such a difference ({better[0].runs}{widened}) holds 0, too: more seeds would tell."
    )


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
