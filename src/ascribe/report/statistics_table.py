"""The second table of a comparison: what each rule's difference to the reference is worth, as texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from ascribe.measures import measure_of
from ascribe.statistics import GridSummary, RuleStatistics, smallest_p_value, summarize
from ascribe.statistics.means import FEWEST, decimals_of

from .base import Comparison
from .table import DASH, format_number


@dataclass(frozen=True)
class Cell:
    """What is shown, what it is sorted by, and how it looks: "soft", "bad", "notes" or as any other."""

    text: str
    value: int | float | str | None
    kind: str = ""


def statistics_lines(comparison: Comparison, order: Sequence[str]) -> list[RuleStatistics]:
    """The statistics of `comparison` for the rules in `order`; none where there is no reference to differ from."""
    if comparison.reference not in comparison.runs:
        return []
    rows = {row.rule: row for row in summarize(comparison)}
    return [rows[rule] for rule in order]


def statistics_titles(rows: Sequence[RuleStatistics]) -> list[str]:
    """Titles of the columns, the rule's first, with units and what was stated."""
    row = rows[0]
    unit = " (points)" if _percent(row) else ""
    difference = (f"Difference{unit}", "p (Holm)")
    learning = ("Curve area", f"Epochs to {'target' if row.target is None else _score(row.target, row)}")
    if row.folds:
        return ["Rule", "Folds", *difference, "P(better)", *learning]
    stated = "a difference" if row.stated_difference is None else _amount(row.stated_difference, row)
    return ["Rule", "Pairs", *difference, "d_z (g)", "P(better)", f"Seeds for {stated}", "Tuned grid", *learning]


def statistics_cells(row: RuleStatistics) -> list[Cell]:
    """The cells of one rule after its name."""
    difference = [
        Cell(f"{row.pairs}" + (f", {row.lost} {'runs ' if row.folds else ''}lost" if row.lost else ""), row.pairs),
        Cell("reference", None, "soft") if row.rule == row.reference else Cell(_interval(row), row.difference),
        Cell(format_p_value(row.adjusted_p_value), row.adjusted_p_value),
    ]
    better = Cell(DASH if row.superiority is None else f"{row.superiority:.2f}", row.superiority)
    learning = [Cell(format_number(row.area), row.area), Cell(_epochs(row), row.epochs_to_target)]
    if row.folds:
        return [*difference, better, *learning]
    return [
        *difference,
        Cell(_effect(row), row.cohens_d),
        better,
        Cell(DASH if row.seeds_needed is None else f"{row.seeds_needed:,}", row.seeds_needed),
        Cell(_grid(row.grid), None if row.grid is None else row.grid.mean),
        *learning,
    ]


def statistics_caption(rows: Sequence[RuleStatistics]) -> str:
    """How the numbers came about, in sentences that hold for these rows."""
    row = rows[0]
    if row.folds:
        return _of_folds(row) + _of_learning("runs")
    pairs = max((other.pairs for other in rows if other.difference is not None), default=0)
    words = f"Each rule against {row.reference} over the seeds that both finished. Difference: its mean, with the "
    words += f"{row.level:.0%} BCa bootstrap interval (none over fewer than {FEWEST} pairs). ".replace("%", "\u00a0%")
    words += "p: sign-flip permutation test, two-sided, after Holm's correction over the rules"
    if pairs and smallest_p_value(pairs) > 0.001:
        words += f" (with {pairs} {'pair' if pairs == 1 else 'pairs'} none is below {smallest_p_value(pairs):.2g} before it)"
    words += ". d_z: mean over standard deviation of the differences; g: the same without its bias. P(better): share of "
    words += "pairs in which the rule beats the reference, ties half. "
    words += "Seeds: how many a paired t test needs to find the stated difference with power 80 %. "
    if any(other.grid for other in rows):
        words += "Tuned grid: mean score of all tuned candidates as a share of the rule's best; in brackets, how many are "
        words += "within 5 % of it. "
    return words + _of_learning("seeds")


def _of_folds(row: RuleStatistics) -> str:
    """The sentences that hold for folds alone."""
    return (
        f"Each rule against {row.reference} over the {row.folds} folds, each with the mean over the seeds that both finished. "
        f"Folds share training examples. So the {100 * row.level:.0f}\u00a0% interval of the difference and p, two-sided, are "
        "those of Nadeau and Bengio's corrected resampled t-test, p after Holm's correction over the rules. P(better): share "
        "of folds in which the rule beats the reference, ties half. "
    )


def _of_learning(runs: str) -> str:
    return (
        "Curve area: under the validation curve, in score times epochs. Epochs: median until validation reaches the "
        f"target, within 5 % of where the reference ends; in brackets, how many {runs} reach it (– where half do not)."
    )


def format_p_value(value: float | None) -> str:
    """Two significant digits, or a dash."""
    return DASH if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _percent(row: RuleStatistics) -> bool:
    return measure_of(row.score).percent


def _score(value: float, row: RuleStatistics) -> str:
    return f"{100.0 * value:.1f}\u00a0%" if _percent(row) else format_number(value)


def _amount(value: float, row: RuleStatistics) -> str:
    if not _percent(row):
        return format_number(value)
    return f"{100.0 * value:.3g}\u00a0{'point' if value == 0.01 else 'points'}"


def _interval(row: RuleStatistics) -> str:
    if row.difference is None:
        return DASH
    ends = [value for value in (row.low, row.high) if value is not None and row.pairs >= FEWEST]
    # As in the first table: points have two decimals, errors as many as the interval deserves.
    width = (ends[1] - ends[0]) / 2.0 if ends else 0.0
    scale, decimals = (100.0, 2) if _percent(row) else (1.0, decimals_of(width or abs(row.difference) / 100.0))
    mean, *ends = (f"{scale * value:+.{decimals}f}" for value in (row.difference, *ends))
    return _minus(f"{mean} [{', '.join(ends)}]" if ends else mean)


def _effect(row: RuleStatistics) -> str:
    if row.cohens_d is None:
        return DASH
    return _minus(f"{row.cohens_d:.2f}" + ("" if row.hedges_g is None else f" ({row.hedges_g:.2f})"))


def _grid(grid: GridSummary | None) -> str:
    if grid is None:
        return DASH
    return f"{grid.mean:.2f} ({round(grid.near_best * grid.candidates)} of {grid.candidates})"


def _epochs(row: RuleStatistics) -> str:
    if row.target is None:
        return DASH
    median = DASH if row.epochs_to_target is None else f"{row.epochs_to_target:g}"
    return f"{median} ({row.reached} of {row.seeds})"


def _minus(text: str) -> str:
    return text.replace("-", "−")
