"""The result at a glance: the test score of every rule, seed by seed, in the order of the table."""

from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.bands import log_worthy
from ascribe.charts.inline import ROW_LABEL, RULE_LABEL, inline, numbered
from ascribe.charts.theme import GRAY, INK, rule_color, rule_colors, themed
from ascribe.measures import measure_of, title_of
from ascribe.statistics import finished
from ascribe.statistics.means import FEWEST

from .base import Comparison
from .table import DASH, Row, control_rows, rows, too_few_to_tell

CONTROL_DASHES = {"Dotted": [1, 3], "Dash-dotted": [7, 3, 1, 3], "Long dashes": [14, 4]}
"""The lines of the controls, one after the other, by the words that tell them apart."""


def final_scores(comparison: Comparison) -> Any:
    """A dot a seed and the mean with its 95 % interval, one line a rule; None when every run diverged."""
    table = [row for row in rows(comparison) if row.mean is not None]
    if not table:
        return None
    measure, title = measure_of(table[0].score), title_of(table[0].score)
    percent, title = measure.percent, f"{title} ({measure.unit})" if measure.unit else title
    order, controls = [row.rule for row in table], [row for row in control_rows(comparison) if row.mean is not None]
    one = "fold" if comparison.folds else "seed"
    columns: dict[str, list] = {"rule": [], "kind": [], one: [], "score": [], "low": [], "high": []}

    def add(*values: Any) -> None:
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)

    for row in table:
        runs = comparison.runs[row.rule]
        # A dot is what the interval counts: a seed, or the mean of a fold.
        dots = [*enumerate(row.folds, 1)] or zip(runs.seeds, finished(runs.scores[row.score], runs.diverged), strict=True)
        for place, value in dots:
            if value is not None and np.isfinite(value):
                add(row.rule, one, place, float(value), None, None)
        mean, half_width = row.mean or 0.0, (row.half_width or 0.0) if row.count >= FEWEST else 0.0
        add(row.rule, "mean", None, mean, mean - half_width, mean + half_width)
    log = not percent and log_worthy([*columns["score"], *(low for low in columns["low"] if low is not None)])
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False, padding=9, nice=False)

    # An interval may reach beyond what a score can be; what is drawn of it ends there.
    ends = (0.0, 1.0) if percent else (0.0, None) if not measure.higher_is_better else (None, None)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(format="~%" if percent else "~g", tickCount=8))

    y = alt.Y("rule:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, grid=True, ticks=False, domain=False))
    color = rule_color(rule_colors(comparison.runs), legend=False)
    number = ".2%" if percent else ".4~g"
    tips = [alt.Tooltip("rule:N", title="Rule")]
    of_one = [alt.Tooltip(f"{one}:Q", title=one.title()), alt.Tooltip("score:Q", title=title, format=number)]
    of_mean = [
        alt.Tooltip(f"{field}:Q", title=text, format=number)
        for field, text in (("score", f"Mean {title.lower()}"), ("low", "95 % interval from"), ("high", "to"))
    ]
    base = alt.Chart(inline(numbered(columns), "scores")).encode(y=y, color=color)
    dots = base.transform_filter(f"datum.kind == '{one}'").encode(tooltip=tips + of_one)
    means = base.transform_filter("datum.kind == 'mean'").encode(tooltip=tips + of_mean)
    dot: dict[str, Any] = {"filled": True, "size": 120, "opacity": 1.0, "stroke": "white", "strokeWidth": 1.5}
    chart = alt.layer(
        means.mark_rule(strokeWidth=3, description=RULE_LABEL)
        .encode(x=x("from"), x2="to:Q")
        .transform_calculate(**{"from": _within("datum.low", *ends), "to": _within("datum.high", *ends)}),
        dots.mark_point(filled=True, size=26, opacity=0.5, yOffset=7, description=ROW_LABEL).encode(x=x("score")),
        means.mark_point(**dot, description=ROW_LABEL).encode(x=x("score")),
        _reference_line(comparison, table, x),
        *(_control_line(row, x, dash) for row, dash in zip(controls, CONTROL_DASHES, strict=False)),
    ).properties(width=720, height=alt.Step(26 if len(table) <= 20 else 22))
    subtitle = f"Small dots: {one}s. Large dot and bar: mean over {one}s and its 95 % interval."
    if few := too_few_to_tell(table):
        subtitle += f" {few}".replace(f"± {DASH}", "No bar")
    if any(row.diverged for row in table):
        subtitle += " Rules with diverged runs come last."
    if comparison.reference in order:
        subtitle += f" Dashed: {comparison.reference}."
    for row, word in zip(controls, CONTROL_DASHES, strict=False):
        subtitle += f" {word}: {row.rule}."
    return themed(chart, "Test score", subtitle)


def _control_line(row: Row, x: Any, dash: str) -> alt.Chart:
    """What the rules must be above, as a line through all rows."""
    line = alt.Chart(alt.Data(values=[{"mean": row.mean}]))
    return line.mark_rule(strokeDash=CONTROL_DASHES[dash], color=GRAY, strokeWidth=1.4).encode(x=x("mean"))


def _within(value: str, least: float | None, most: float | None) -> str:
    """The expression that ends `value` at what is possible; what is missing stays missing."""
    value = value if least is None else f"max({value}, {least!r})"
    return value if most is None else f"min({value}, {most!r})"


def _reference_line(comparison: Comparison, table: list, x: Any) -> alt.Chart:
    values = [{"mean": row.mean} for row in table if row.rule == comparison.reference]
    line = alt.Chart(alt.Data(values=values)).mark_rule(strokeDash=[4, 4], color=INK, opacity=0.5)
    return line.encode(x=x("mean"))
