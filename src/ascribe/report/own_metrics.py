"""What rules measured of themselves: the curves that only some rules have, such as the share of units that they act on."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.bands import ValueAxis, least_of, log_worthy, one_curve
from ascribe.charts.inline import numbered
from ascribe.charts.lines import panel_title
from ascribe.measures import MEASURED

from .base import Comparison
from .curves import curve_figure
from .series import series

PANELS = 12
# What the rules' own numbers are, for the axes.
_MEANINGS = {
    "implicit_rate": "g(z) / σ'(z), as a rate",
    "zero_slope_credit_share": "Units that learn where σ' = 0",
    "feedback_rate": "Bδ / Wᵀδ, as a rate",
    "error_ratio": "Error / backpropagation's error",
    "activated_share": "Units that are active",
    "sign_changes": "Share of weights that change sign",
    "trust_region_ratio": "Output after a step / before",
    "trust_region_share": "Examples within the trust region",
    "relaxed_objective": "Objective E of the relaxation",
    "forward_loss": "Loss of the plain forward pass",
    "residual": "(z − ẑ)² / variance of z",
}


def own_metrics(comparison: Comparison) -> Any:
    """Curves of the rules' own, a panel a name, with bands over seeds; None when no rule recorded any."""
    recorded = _own_names(comparison)
    every = [name for name in recorded if _middle(name, recorded) == name]
    names = _chosen(every)
    ends = [name for name in recorded if name not in every and _middle(name, recorded) in names]
    columns = _with_quantiles(series(comparison, [*names, *ends], points=100), names, ends)
    if not columns["mean"]:
        return None
    parts = {name: one_curve(columns, name) for name in names}
    parts = {name: part for name, part in parts.items() if part["mean"]}
    groups = {
        group: _axis(group, [part for name, part in parts.items() if _group(name) == group]) for group in map(_group, parts)
    }
    who = f"{columns['rule'][0] if len(set(columns['rule'])) == 1 else 'a rule'} records of itself"
    subtitle = [f"Numbers that {who} after every epoch, on the probe batch."]
    if ends:
        subtitle.append("Where it records quantiles over units, the line is the median and the band goes from 10 % to 90 %.")
    if len(names) < len(every):
        subtitle.append(f"{len(names)} of {len(every)} curves, their layers evenly spaced from first to last.")
    axes, titles = {name: groups[_group(name)] for name in parts}, {name: _panel_title(name) for name in parts}
    return curve_figure(comparison, columns, axes, "What the rules measured of themselves", *subtitle, titles=titles)


def _own_names(comparison: Comparison) -> list[str]:
    """Names of the rules' own curves, each once, those of one group (`group/layer`) together."""
    found = (name for runs in comparison.runs.values() for name in runs.curves if not name.startswith(MEASURED))
    names = list(dict.fromkeys(found))
    groups = list(dict.fromkeys(_group(name) for name in names))
    return sorted(names, key=lambda name: groups.index(_group(name)))


def _middle(name: str, names: Sequence[str]) -> str:
    """The median that `name` is the 10 % (`…_low`) or 90 % quantile (`…_high`) of; any other name itself."""
    group, slash, layer = name.partition("/")
    middle = group.removesuffix("_low").removesuffix("_high") + slash + layer
    ends = (f"{middle.partition('/')[0]}_{end}{slash}{layer}" for end in ("low", "high"))
    return middle if middle in names and all(end in names for end in ends) else name


def _with_quantiles(columns: Mapping[str, list], names: Sequence[str], ends: Sequence[str]) -> dict[str, Any]:
    """The rows of the curves `names`; those with quantiles among `ends` have these, over seeds on average, as their band."""
    places = zip(columns["rule"], columns["curve"], columns["epoch"], strict=True)
    means = dict(zip(places, columns["mean"], strict=True))
    kept: dict[str, list] = {key: [] for key in columns if key != "row"}
    for index, (rule, curve, epoch) in enumerate(means):
        if curve not in names:
            continue
        row = {key: columns[key][index] for key in kept}
        group, slash, layer = curve.partition("/")
        for end in ("low", "high"):
            if f"{group}_{end}{slash}{layer}" in ends:
                row[end] = means.get((rule, f"{group}_{end}{slash}{layer}", epoch), row["mean"])
        for key, value in row.items():
            kept[key].append(value)
    return numbered(kept)


def _chosen(names: list[str]) -> list[str]:
    """At most `PANELS` of `names`: every group keeps as many of its layers as fit, evenly spaced."""
    if len(names) <= PANELS:
        return names
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_group(name), []).append(name)
    shares = dict.fromkeys(list(groups)[:PANELS], 1)
    while sum(shares.values()) < PANELS:  # one more panel for the group that shows the least of itself
        fewest = min(
            (group for group in shares if shares[group] < len(groups[group])),
            key=lambda group: (shares[group], shares[group] / len(groups[group])),
        )
        shares[fewest] += 1
    chosen = []
    for group, share in shares.items():
        places = np.linspace(0, len(groups[group]) - 1, share).round().astype(int)
        chosen += [groups[group][place] for place in places]
    return chosen


def _axis(group: str, parts: Sequence[Mapping[str, list]]) -> ValueAxis:
    """The axis that all layers of a group share, so that they can be compared. Groups called a share are in per cent."""
    means, low, high = ([value for part in parts for value in part[field]] for field in ("mean", "low", "high"))
    title = _MEANINGS.get(group, "Mean over seeds")
    if group.endswith("share"):
        return ValueAxis(title, domain=(max(min(low), 0.0), min(max(high), 1.0)), percent=True)
    if log_worthy(means):
        return ValueAxis(title, log=True, domain=(min(means) / 1.3, max(means) * 1.3))
    least = least_of(means)
    bottom = min(low) if least is None else max(min(low), least)
    return ValueAxis(title, domain=(bottom, max(high)) if bottom < max(high) else None, least=least)


def _group(name: str) -> str:
    return name.partition("/")[0]


def _panel_title(name: str) -> alt.TitleParams:
    group, _, layer = name.partition("/")
    words = group.replace("_", " ")
    return panel_title(f"{words}, {layer}" if layer else words, offset=6, limit=300)
