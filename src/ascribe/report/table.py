"""The table of a comparison: one row a rule, best first (diverged runs last), paired with the reference seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ascribe import notebook
from ascribe.charts.theme import INK, rule_colors
from ascribe.measures import AREA, measure_of, title_of, words_of
from ascribe.setup import CONTROLS
from ascribe.statistics import (
    HiddenCredit,
    corrected_interval,
    finished,
    hidden_credit,
    interval,
    main_score,
    optional,
    paired_runs,
    resampled,
)
from ascribe.statistics.means import DASH, plus_minus, too_few

from .base import Comparison, Runs
from .statement import title

if TYPE_CHECKING:
    import rich.table

CREDIT_WORDS = "(score − frozen) / (backpropagation − frozen), what a rule gets of what hidden layers can learn"


@dataclass(frozen=True)
class Row:
    """What one rule achieved. Scores are fractions (accuracy and its like) or the targets' unit (root mean squared error).

    `mean` and `half_width` run over the seeds that finished; `difference` (this rule minus the reference) and its
    half width over the `pairs` of seeds where both did; `area` is the mean area under the training-loss curve, in loss
    times epochs (how fast the rule learns: less is faster); `seeds` counts the runs. Of cross-validation, `folds` has the mean
    score of each, `mean` is that of these, pairs are folds, and the half widths are those of `statistics.corrected_interval`.
    `credit_score`, with the ends of its 95 % interval, is how much of what hidden layers can learn the rule gets: 0 of frozen
    ones, 1 of backpropagation (`statistics.hidden_credit`); None where the task with this network cannot show it, and for
    controls. None where there is nothing to say: no seed left, an interval from one seed, the reference's difference to itself.
    """

    rule: str
    score: str
    mean: float | None
    half_width: float | None
    difference: float | None
    difference_half_width: float | None
    pairs: int
    area: float | None
    learning_rate: float | None
    hyperparameters: Mapping[str, float]
    seconds: float | None
    diverged: int
    seeds: int
    notes: tuple[str, ...]
    folds: tuple[float | None, ...] = ()
    credit_score: float | None = None
    credit_score_low: float | None = None
    credit_score_high: float | None = None

    @property
    def count(self) -> int:
        """How many values the mean is over: folds, or seeds that finished."""
        return sum(value is not None for value in self.folds) if self.folds else self.seeds - self.diverged

    @property
    def runs(self) -> str:
        """How many runs the mean is over, in words."""
        each = len(self.folds)
        seeds = self.seeds // each if each else self.seeds
        words = f"{seeds} {'seed' if seeds == 1 else 'seeds'}"
        return f"{each} folds with {words} each" if each else words


def rows(comparison: Comparison) -> list[Row]:
    """The rows of `comparison`, best first by the comparison's score: by accuracy downwards, by error upwards.

    Rules with diverged runs come after those without, since a mean over survivors flatters; all-diverged rules last.
    """
    score, credit = main_score(comparison), hidden_credit(comparison)
    table = [_row(rule, runs, comparison, score, credit) for rule, runs in comparison.runs.items()]
    worth = measure_of(score).worth
    return sorted(table, key=lambda row: (row.mean is None, row.diverged > 0, -worth(row.mean or 0.0)))


def control_rows(comparison: Comparison) -> list[Row]:
    """A row for each control of `comparison`, in the order of their names there; none in records of earlier versions."""
    score = main_score(comparison)
    return [_row(name, runs, comparison, score) for name, runs in comparison.controls.items()]


def _row(rule: str, runs: Runs, comparison: Comparison, score: str, credit: HiddenCredit | None = None) -> Row:
    reference = None if comparison.reference is None else comparison.runs.get(comparison.reference)
    values = finished(runs.scores[score], runs.diverged)
    each, test_to_train = resampled(runs, values)
    mean, half_width = corrected_interval(each, test_to_train)
    difference, difference_half_width, differences = np.nan, np.nan, np.zeros(0)
    if reference is not None and reference is not runs:
        pairs = paired_runs(runs, reference, score)
        differences = pairs.differences
        difference, difference_half_width = corrected_interval(differences, pairs.test_to_train)
    areas = finished(runs.scores.get(AREA, np.full(len(runs.seeds), np.nan)), runs.diverged)
    area, _ = interval(resampled(runs, areas)[0])
    rates = np.asarray(runs.learning_rates, dtype=np.float64)
    rates = rates[np.isfinite(rates)]
    return Row(
        rule=rule,
        score=score,
        mean=optional(mean),
        half_width=optional(half_width),
        difference=optional(difference),
        difference_half_width=optional(difference_half_width),
        pairs=len(differences),
        area=optional(area),
        learning_rate=float(np.median(rates)) if rates.size else None,
        hyperparameters={name: float(value) for name, value in runs.hyperparameters.items()},
        seconds=optional(float(runs.seconds)),
        diverged=int(np.count_nonzero(~np.isfinite(values))),
        seeds=len(runs.seeds),
        notes=tuple(str(note) for note in runs.notes),
        folds=tuple(map(optional, each)) if test_to_train else (),
        **({} if credit is None else credit.fields(rule)),
    )


def format_score(row: Row) -> tuple[str, str]:
    """`(score ± half width, difference ± half width)` as text: per cent and percentage points, or the unit itself."""
    percent = measure_of(row.score).percent
    return (
        plus_minus(row.mean, row.half_width, row.count, percent=percent),
        plus_minus(row.difference, row.difference_half_width, row.pairs, percent=percent, signed=True),
    )


def too_few_to_tell(table: Sequence[Row]) -> str:
    """A sentence where some interval in the table is over too few seeds, or folds, to be told; else empty."""
    one = "fold" if any(row.folds for row in table) else "seed"
    return too_few((count for row in table for count in (row.count, row.pairs)), one)


def score_titles(table: Sequence[Row]) -> tuple[str, str]:
    """Column titles of the score and of its paired difference, with units."""
    if not table:
        return "Test score", "Difference"
    score = title_of(table[0].score)
    return (f"{score} (%)", "Difference (points)") if measure_of(table[0].score).percent else (score, "Difference")


def score_title(comparison: Comparison) -> str:
    """The score of the rows, with its unit, inside a sentence."""
    score = main_score(comparison)
    return words_of(score) + (" in per cent" if measure_of(score).percent else "")


def format_credit(row: Row, *, whole: bool = True) -> str:
    """The credit score, `whole` with its interval; a dash where there is none."""
    if row.credit_score is None:
        return DASH
    ends = (row.credit_score_low, row.credit_score_high)
    value, *known = (f"{one:.2f}".replace("-", "−") for one in (row.credit_score, *ends) if one is not None)
    return f"{value} [{', '.join(known)}]" if whole and known else value


def to_text(table: Sequence[Row], reference: str | None = None, controls: Sequence[Row] = ()) -> "rich.table.Table":
    """`table` as a Rich table for the terminal, notes below it; `reference` is the rule that differences are taken to,
    `controls` are the rows of what the rules must be above."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415  (only the terminal needs Rich)
    from rich.text import Text  # noqa: PLC0415

    # Narrow on purpose, since it has to fit a terminal of 80 columns: only the box's one space stands between columns.
    result = Table(
        caption=Text("\n".join(_captions(table, reference, controls))),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    # Where that is still too wide, cells go on in a second line, the long names first: a digit is never cut off.
    first, *others = _titles(table)
    result.add_column(first, overflow="fold")
    for column in others:
        result.add_column(column.replace(" ", "\n"), justify="right", overflow="fold")
    for rows_of_kind in (_cells(table), _cells(table, controls)):
        for cells in rows_of_kind:
            # Text objects, since a plain string would have its [brackets] read as markup.
            result.add_row(*(Text(cell) for cell in cells), end_section=cells is rows_of_kind[-1])
    return result


def to_html(comparison: Comparison) -> str:
    """The table of `comparison` and its learning curves as a notebook shows them."""
    table, controls = rows(comparison), control_rows(comparison)
    # What is near-black on the white page of a report has here the color of the text.
    colors = {rule: "currentColor" if color == INK else color for rule, color in rule_colors(comparison.runs).items()}
    return notebook.shown(
        title(comparison),
        notebook.table(
            _titles(table),
            _cells(table) + _cells(table, controls),
            colors=[colors[row.rule] for row in table],
        ),
        notebook.sentences(_captions(table, comparison.reference, controls)),
        notebook.curves(comparison.runs, colors, main_score(comparison, "validation")),
    )


def _titles(table: Sequence[Row]) -> list[str]:
    lost = ["Runs lost"] if any(row.diverged for row in table) else []
    return ["Rule", *score_titles(table), *(["Credit"] if has_credit(table) else []), "Loss area", "Rate", "Time (s)", *lost]


def has_credit(table: Sequence[Row]) -> bool:
    """Whether any row has a credit score."""
    return any(row.credit_score is not None for row in table)


def _cells(table: Sequence[Row], controls: Sequence[Row] | None = None) -> list[list[str]]:
    """The rows as text, a cell for each of `_titles`; of `controls` in place of the rules, where they are given."""
    lost, credit = any(row.diverged for row in table), has_credit(table)
    return [
        [
            *(row.rule if controls is None else f"({row.rule})", *format_score(row)),
            *([format_credit(row, whole=False)] if credit else []),
            *(format_number(row.area), DASH if row.learning_rate is None else f"{row.learning_rate:.2g}"),
            *(format_seconds(row.seconds), *([f"{row.diverged}/{row.seeds}"] if lost else [])),
        ]
        for row in (table if controls is None else controls)
    ]


def _captions(table: Sequence[Row], reference: str | None, controls: Sequence[Row] = ()) -> list[str]:
    """What stands below the table: how to read it, then each rule's notes."""
    folds = any(row.folds for row in table)
    over = f"{len(table[0].folds)} folds (corrected resampled t)" if folds else "seeds"
    caption = "" if reference is None else f"± 95 % over {over}; differences to {reference}. "
    caption += f"{few} " if (few := too_few_to_tell(table)) else ""
    caption += "Loss area: area under the training-loss curve, less is faster."
    lost = any(row.diverged for row in table)
    caption += " Lost runs diverged; rules with any come last." if lost else " No run diverged."
    if controls:
        what = "; ".join(f"{row.rule}: {CONTROLS.get(row.rule, '')}" for row in controls)
        caption += f" In brackets, what a rule must be above: {what}."
    if has_credit(table):
        caption += f" Credit: {CREDIT_WORDS}."
    return [caption, *(f"{row.rule}: {format_notes(row)}" for row in (*table, *controls) if format_notes(row))]


def format_number(value: float | None) -> str:
    """Three significant digits, or a dash."""
    return DASH if value is None else f"{value:.3g}"


def format_seconds(value: float | None) -> str:
    """Two significant digits below ten seconds, whole seconds above, or a dash."""
    return DASH if value is None else f"{value:.2g}" if value < 10.0 else f"{value:.0f}"


def format_notes(row: Row) -> str:
    """Tuned hyperparameters, then notes, in one line."""
    tuned = (f"{name} = {format_number(optional(float(value)))}" for name, value in row.hyperparameters.items())
    return "; ".join((*tuned, *row.notes))


def to_records(table: Sequence[Row]) -> list[dict[str, Any]]:
    """`table` as plain dictionaries that JSON can hold: what is not a number is None."""
    records = []
    for row in table:
        record = asdict(row)
        record["hyperparameters"] = {name: optional(float(value)) for name, value in row.hyperparameters.items()}
        record |= {"notes": list(row.notes), "folds": list(row.folds)}
        records.append(record)
    return records
