"""How far a rule's update points away from backpropagation's, and its feedback from the forward weights."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.bands import ValueAxis, band_panel, log_worthy, one_curve
from ascribe.charts.inline import inline
from ascribe.charts.theme import GRAY, joined, legend_selection, rule_colors, themed

from .base import Comparison
from .series import curve_names, series

PANELS = 12


def gradient_angles(comparison: Comparison) -> Any:
    """Angle to backpropagation's gradient over training and the ratio of the norms; None when nobody recorded them."""
    columns = series(comparison, ("gradient_angle", "gradient_norm_ratio"))
    data, colors, selection = inline(columns, "curves"), rule_colors(comparison.runs), legend_selection()
    panels = []
    angle, ratio = one_curve(columns, "gradient_angle"), one_curve(columns, "gradient_norm_ratio")
    if angle["mean"]:
        axis = _degrees(angle["mean"], "Angle to backpropagation's gradient (°)")
        panel = band_panel(data, angle, axis, colors, selection, width=440, height=300)
        panels.append(alt.layer(_right_angle(axis), panel))
    if ratio["mean"]:
        axis = ValueAxis("Gradient norm, in units of backpropagation's", log=log_worthy(ratio["mean"]), least=0.0)
        panels.append(band_panel(data, ratio, axis, colors, selection, width=440, height=300))
    if not panels:
        return None
    return themed(
        joined(panels, selection, columns=2),
        "Distance from backpropagation",
        "At 0° a rule's gradient points where backpropagation's does.",
        "Below the dashed 90° a small plain gradient step still lowers the loss of the probe batch.",
    )


def layer_angles(comparison: Comparison) -> Any:
    """The gradient angle of each layer in a panel of its own; None when no layer was recorded."""
    return _small_multiples(
        comparison,
        "gradient_angle",
        "Angle to gradient (°)",
        "Gradient angle, layer by layer",
        "The angle between the rule's gradient and backpropagation's, in the weights of one layer.",
    )


def feedback_angles(comparison: Comparison) -> Any:
    """The angle between forward and feedback weights of each layer; None when no rule has feedback weights."""
    return _small_multiples(
        comparison,
        "feedback_angle",
        "Angle to feedback (°)",
        "Do the weights align with their feedback?",
        "The angle between a layer's forward weights and the weights that carry its error back; 90° is chance.",
    )


def _small_multiples(comparison: Comparison, prefix: str, axis_title: str, *title: str) -> Any:
    names = curve_names(comparison, prefix)
    if len(names) > PANELS:
        names = [names[index] for index in np.linspace(0, len(names) - 1, PANELS).round().astype(int)]
        title = (*title, f"{PANELS} of the layers, evenly spaced from first to last.")
    columns = series(comparison, names, points=100)
    if not columns["mean"]:
        return None
    # Only rules that have such curves enter the legend; each keeps the color that it has everywhere.
    drawn = set(columns["rule"])
    colors = {rule: color for rule, color in rule_colors(comparison.runs).items() if rule in drawn}
    data, selection = inline(columns, "curves"), legend_selection()
    axis = _degrees(columns["mean"], axis_title)
    across = 2 if len(names) == 4 else min(len(names), 3)
    panels = []
    for name in names:
        part = one_curve(columns, name)
        panel = band_panel(data, part, axis, colors, selection, width=min(440, 960 // across - 65), height=220)
        panels.append(alt.layer(_right_angle(axis), panel, title=_panel_title(name)))
    return themed(joined(panels, selection, columns=across), *title)


def _panel_title(name: str) -> alt.TitleParams:
    return alt.TitleParams(name.partition("/")[2], anchor="middle", fontSize=13, offset=6)


def _degrees(means: Sequence[float], title: str) -> ValueAxis:
    if max(means) > 100.0:
        return ValueAxis(title, domain=(0.0, 180.0), ticks=(0.0, 45.0, 90.0, 135.0, 180.0))
    return ValueAxis(title, domain=(0.0, 100.0), ticks=(0.0, 30.0, 60.0, 90.0))


def _right_angle(axis: ValueAxis) -> alt.Chart:
    line = alt.Chart(alt.Data(values=[{"angle": 90}])).mark_rule(color=GRAY, strokeDash=[5, 4])
    return line.encode(y=axis.encode("angle"))
