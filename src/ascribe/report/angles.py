"""How far a rule's update points away from backpropagation's, and its feedback from the forward weights."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.bands import ValueAxis, log_worthy, one_curve
from ascribe.charts.lines import panel_title
from ascribe.charts.theme import GRAY
from ascribe.errors import names_in_words
from ascribe.measures import not_measurable

from .base import Comparison
from .curves import curve_figure
from .series import curve_names, series

PANELS = 12
NAMED = 3
"""So many layers are named in a sentence."""


def gradient_angles(comparison: Comparison) -> Any:
    """Angle to backpropagation's gradient over training and the ratio of the norms; None when nobody recorded them."""
    columns = series(comparison, ("gradient_angle", "gradient_norm_ratio"))
    axes, below = {}, {}
    angle, ratio = (one_curve(columns, name)["mean"] for name in ("gradient_angle", "gradient_norm_ratio"))
    if angle:
        axes["gradient_angle"] = _degrees(angle, "Angle to backpropagation's gradient (°)")
        below["gradient_angle"] = _right_angle(axes["gradient_angle"])
    if ratio:
        title = "Gradient norm, in units of backpropagation's"
        axes["gradient_norm_ratio"] = ValueAxis(title, log=log_worthy(ratio), least=0.0)
    return curve_figure(
        comparison,
        columns,
        axes,
        "Distance from backpropagation",
        "At 0° a rule's gradient points where backpropagation's does.",
        "Below the dashed 90° a small plain gradient step still lowers the loss of the probe batch.",
        below=below,
    )


def layer_angles(comparison: Comparison) -> Any:
    """The gradient angle of each layer in a panel of its own; None when no layer was recorded."""
    return _small_multiples(
        comparison,
        "gradient_angle",
        "Angle to gradient (°)",
        "Gradient angle, layer by layer",
        "The angle between the rule's gradient and backpropagation's, in the weights of one layer.",
        *_not_measurable(comparison),
    )


def _not_measurable(comparison: Comparison) -> list[str]:
    """Where backpropagation's gradient was too small to measure an angle to, by its layer, of the rule that lost most there."""
    worst: dict[str, float] = {}
    for runs in comparison.runs.values():
        for layer, share in not_measurable(runs.curves).items():
            worst[layer] = max(share, worst.get(layer, 0.0))
    if not worst:
        return []
    told = [f"{layer} (up to {100 * share:.0f} % of the epochs)" for layer, share in list(worst.items())[:NAMED]]
    more = [f"{len(worst) - NAMED} more"] if len(worst) > NAMED else []
    return [f"Not measurable where backpropagation's gradient is lost in rounding: {names_in_words([*told, *more])}."]


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
    names = [name for name in names if name in set(columns["curve"])]  # where no rule has a number there is nothing to draw
    axis = _degrees(columns["mean"], axis_title)
    titles = {name: panel_title(name.partition("/")[2], offset=6) for name in names}
    below = dict.fromkeys(names, _right_angle(axis))
    return curve_figure(comparison, columns, dict.fromkeys(names, axis), *title, titles=titles, below=below)


def _degrees(means: Sequence[float], title: str) -> ValueAxis:
    if max(means) > 100.0:
        return ValueAxis(title, domain=(0.0, 180.0), ticks=(0.0, 45.0, 90.0, 135.0, 180.0))
    return ValueAxis(title, domain=(0.0, 100.0), ticks=(0.0, 30.0, 60.0, 90.0))


def _right_angle(axis: ValueAxis) -> alt.Chart:
    line = alt.Chart(alt.Data(values=[{"angle": 90}])).mark_rule(color=GRAY, strokeDash=[5, 4])
    return line.encode(y=axis.encode("angle"))
