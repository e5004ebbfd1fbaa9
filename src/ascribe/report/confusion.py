"""Which classes each rule takes for which: its confusion matrix, as a small picture."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.inline import ROW_LABEL, inline, numbered
from ascribe.charts.theme import themed

from .base import Comparison, Runs
from .panels import layout, panel_name, panel_title
from .table import format_score, rows, score_title

UNEVEN = 1.5
"""Two classes are uneven where one has so many times the test examples of the other."""
ROOM = 15
"""Pixels of a cell below which no number stands in it."""
MOST_NAMES = 6
"""Classes up to which the shares of the test examples are told in words."""
_LIGHT, _DARK, _MIDDLE = "#f3f6fa", "#0f3f78", "#5d8fc4"


def confusion(comparison: Comparison) -> Any:
    """Confusion matrices, one panel a rule, for more than two classes, or two uneven ones; None for others, for numbers, where
    none was kept (more than 20 classes, and records of an earlier version), and where no run finished.

    A row is a true class, a column what its test examples were taken for, in per cent of the row, over the seeds that finished.
    """
    names = [str(name) for name in comparison.data.class_names]
    matrices = {rule: _summed(runs) for rule, runs in comparison.runs.items()}
    known = [matrix for matrix in matrices.values() if matrix.any()]
    if not known or any(matrix.shape != (len(names), len(names)) for matrix in known):
        return None
    examples = known[0].sum(axis=1)
    if len(names) == 2 and examples.max() < UNEVEN * examples.min():
        return None
    across, size = layout(len(matrices))
    cells = inline(numbered(_columns(matrices, names)), "confusion")
    labels = {row.rule: format_score(row)[0] for row in rows(comparison)}
    panels = []
    for index, rule in enumerate(matrices):
        outer = index % across == 0, index // across == (len(matrices) - 1) // across
        panel = _panel(cells, rule, names, size, *outer)
        title = panel_title(rule, labels[rule], size)
        panels.append(panel.properties(width=size, height=size, title=title, name=panel_name(index)))
    chart = alt.concat(*panels, columns=across, spacing=16)
    shares = ", ".join(f"{100 * share:.3g} % {name}" for name, share in zip(names, examples / examples.sum(), strict=True))
    lines = ["Rows: the true class; columns: what a rule takes it for, in per cent of the class, over the seeds that finished."]
    below = f"Below each rule: its {score_title(comparison)}."
    lines.append(below if len(names) > MOST_NAMES else f"{below} Test examples: {shares}.")
    return themed(chart, "Which classes are taken for which", *lines)


def _summed(runs: Runs) -> np.ndarray:
    """Over the seeds that finished; zeros where none did, and where none was kept."""
    if runs.confusion is None:
        return np.zeros((0, 0), int)
    return np.asarray(runs.confusion)[~np.asarray(runs.diverged, bool)].sum(axis=0)


def _columns(matrices: Mapping[str, np.ndarray], names: list[str]) -> dict[str, list]:
    columns: dict[str, list] = {"rule": [], "true": [], "predicted": [], "count": [], "share": []}
    for rule, matrix in matrices.items():
        for true, predicted in np.ndindex(matrix.shape) if matrix.any() else ():
            of_class = int(matrix[true].sum())
            cell = (rule, names[true], names[predicted], int(matrix[true, predicted]))
            share = float(matrix[true, predicted] / of_class) if of_class else 0.0
            for column, value in zip(columns.values(), (*cell, share), strict=True):
                column.append(value)
    return columns


def _panel(table: alt.Data, rule: str, names: list[str], size: int, left: bool, bottom: bool) -> Any:
    """One rule's matrix; only the outer panels carry the classes' names."""
    look: dict[str, Any] = {"labelLimit": 90, "domain": False, "ticks": False, "labelOverlap": False}
    scale = alt.Scale(domain=names, paddingInner=0.04, paddingOuter=0.02)
    long = max(len(name) for name in names) * 7 > size / len(names)
    x = alt.X(
        "predicted:N",
        sort=names,
        scale=scale,
        title="Predicted class" if bottom else None,
        axis=alt.Axis(labels=bottom, labelAngle=-90 if long else 0, **look),
    )
    y = alt.Y("true:N", sort=names, scale=scale, title="True class" if left else None, axis=alt.Axis(labels=left, **look))
    tips = [alt.Tooltip("rule:N", title="Rule"), alt.Tooltip("true:N", title="True class")]
    tips += [alt.Tooltip("predicted:N", title="Predicted class"), alt.Tooltip("count:Q", title="Examples")]
    tips += [alt.Tooltip("share:Q", title="Share of the class", format=".1%")]
    color = alt.Color("share:Q", scale=alt.Scale(domain=[0, 0.5, 1], range=[_LIGHT, _MIDDLE, _DARK]), legend=None)
    base = alt.Chart(table).transform_filter(alt.FieldEqualPredicate(field="rule", equal=rule)).encode(x=x, y=y)
    cells = base.mark_rect(description=ROW_LABEL).encode(color=color, tooltip=tips)
    cell = size / len(names)
    if cell < ROOM:
        return cells
    # What rounds to nothing is not nothing.
    label = "datum.share < 0.005 ? '<1' : format(100 * datum.share, '.0f')"
    written = base.transform_filter("datum.count > 0").transform_calculate(label=label)
    text = written.mark_text(fontSize=min(13, int(0.55 * cell) if cell < 24 else 13), baseline="middle")
    dark = alt.condition("datum.share > 0.55", alt.value("white"), alt.value("#1f2328"))
    return alt.layer(cells, text.encode(text="label:N", color=dark))
