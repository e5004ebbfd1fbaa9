"""Learning curves: the training loss and the validation score of every rule, epoch by epoch."""

from typing import Any

from ascribe.charts.bands import ValueAxis, accuracy_floor, band_panel, least_of, log_worthy, one_curve
from ascribe.charts.inline import inline
from ascribe.charts.theme import joined, legend_selection, rule_colors, themed
from ascribe.measures import measure_of, title_of
from ascribe.statistics import main_score

from .base import Comparison
from .series import series


def learning_curves(comparison: Comparison) -> Any:
    """Training loss and validation score over epochs, side by side; None when no rule recorded either."""
    names = ("train_loss", main_score(comparison, "validation"))
    columns = series(comparison, names)
    data, colors, selection = inline(columns, "curves"), rule_colors(comparison.runs), legend_selection()
    panels = []
    for name in names:
        part = one_curve(columns, name)
        if part["mean"]:
            if measure_of(name).percent:
                axis = ValueAxis(title_of(name), percent=True, domain=(accuracy_floor(min(part["low"])), 1.0))
            else:
                axis = ValueAxis(title_of(name), log=log_worthy(part["mean"]), least=least_of(part["mean"]))
            panels.append(band_panel(data, part, axis, colors, selection, width=440, height=300))
    if not panels:
        return None
    return themed(
        joined(panels, selection, columns=2),
        "Learning curves",
        f"Mean over {'folds' if comparison.folds else 'the seeds that finished'}, with its 95 % interval.",
    )
