"""Curves of every rule over the epochs: the training loss, the validation score, and what other figures show in such panels."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from ascribe.charts.bands import ValueAxis, accuracy_floor, band_panel, least_of, log_worthy, one_curve
from ascribe.charts.inline import inline
from ascribe.charts.theme import joined, legend_selection, rule_colors, themed
from ascribe.measures import measure_of, title_of
from ascribe.statistics import main_score

from .base import Comparison
from .series import series
from .table import DASH, rows, too_few_to_tell


def learning_curves(comparison: Comparison) -> Any:
    """Training loss and validation score over epochs, side by side; None when no rule recorded either."""
    names = ("train_loss", main_score(comparison, "validation"))
    columns = series(comparison, names)
    axes = {}
    for name in names:
        part = one_curve(columns, name)
        if part["mean"] and measure_of(name).percent:
            axes[name] = ValueAxis(title_of(name), percent=True, domain=(accuracy_floor(min(part["low"])), 1.0))
        elif part["mean"]:
            axes[name] = ValueAxis(title_of(name), log=log_worthy(part["mean"]), least=least_of(part["mean"]))
    shown = "folds" if comparison.folds else "the seeds that finished"
    subtitle = f"Mean over {shown}, with its 95 % interval."
    if few := too_few_to_tell(rows(comparison)):
        subtitle += f" {few}".replace(f"± {DASH}", "No band")
    return curve_figure(comparison, columns, axes, "Learning curves", subtitle)


def curve_figure(
    comparison: Comparison,
    columns: Mapping[str, Any],
    axes: Mapping[str, ValueAxis],
    *title: str,
    titles: Mapping[str, alt.TitleParams] | None = None,
    below: Mapping[str, Any] | None = None,
) -> Any:
    """A panel for each of the `axes` with the curve of its name, of the columns that `series` makes; None without any.

    With `titles` of their own panels are small, and only rules that have such curves enter the legend; each keeps the color
    that it has everywhere. `below`: by the name of the curve, what is drawn below it.
    """
    if not axes:
        return None
    data, colors, selection = inline(columns, "curves"), rule_colors(comparison.runs), legend_selection()
    across, size = 2, {"width": 440, "height": 300}
    if titles is not None:
        drawn = set(columns["rule"])
        colors = {rule: color for rule, color in colors.items() if rule in drawn}
        across = 2 if len(axes) == 4 else min(len(axes), 3)
        size = {"width": min(440, 960 // across - 65), "height": 220}
    panels = []
    for name, axis in axes.items():
        panel = band_panel(data, one_curve(columns, name), axis, colors, selection, **size)
        panel = panel if below is None or name not in below else alt.layer(below[name], panel)
        panels.append(panel if titles is None else panel.properties(title=titles[name]))
    return themed(joined(panels, selection, columns=across), *title)
