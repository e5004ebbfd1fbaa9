"""How good an estimate of the gradient the rules' credit is: its signal-to-noise ratio and its bias, layer by layer."""

from typing import Any

import numpy as np

from ascribe.charts.bands import ValueAxis, least_of, log_worthy
from ascribe.charts.lines import panel_title

from .base import Comparison
from .curves import curve_figure
from .series import curve_names, series

PANELS = 12


def signal_to_noise(comparison: Comparison) -> Any:
    """The credit's signal-to-noise ratio, in all parameters and in each layer; None when nobody recorded it."""
    return _by_layer(
        comparison,
        "credit_snr",
        "‖E c‖² / tr Cov c",
        "Signal-to-noise ratio of the credit",
        "Of one step's credit c, over batches and what the rule draws: below 1 a step is more noise than direction.",
    )


def bias(comparison: Comparison) -> Any:
    """The credit's bias against backpropagation, in all parameters and in each layer; None when nobody recorded it."""
    return _by_layer(
        comparison,
        "credit_bias",
        "‖E (c − g)‖ / ‖E g‖",
        "Bias of the credit",
        "How far the mean credit c is from the mean gradient g, in units of that: what more batches do not average out.",
    )


def _by_layer(comparison: Comparison, name: str, axis_title: str, *title: str) -> Any:
    names = curve_names(comparison, name)
    if len(names) > PANELS - 1:
        names = [names[index] for index in np.linspace(0, len(names) - 1, PANELS - 1).round().astype(int)]
        title = (*title, f"{PANELS - 1} of the layers, evenly spaced from first to last.")
    names = [name, *names]
    columns = series(comparison, names, points=100)
    if not columns["mean"]:
        return None
    drawn = dict.fromkeys(columns["curve"])
    log = log_worthy(columns["mean"])
    axis = ValueAxis(axis_title, log=log, least=None if log else least_of(columns["mean"]))
    titles = {one: panel_title(one.partition("/")[2] or "all parameters", offset=6) for one in names if one in drawn}
    return curve_figure(comparison, columns, dict.fromkeys(titles, axis), *title, titles=titles)
