"""The panel that curves over training share: a line a rule, its band over seeds, tooltips, a clickable legend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from .inline import ROW_LABEL, RULE_LABEL
from .theme import rule_color, rule_dash

RATIO_FOR_LOG = 30.0
SHORT = (
    "datum.label && datum.value != 0 && (abs(datum.value) >= 1e5 || abs(datum.value) < 1e-3) "
    "? format(datum.value, '.6~e') : datum.label"
)
"""A tick's label, with a power of ten where its number is very large or small."""
TIPS = 40
"""Points of a line that carry a tooltip in a notebook, at most about twice as many."""


@dataclass(frozen=True)
class ValueAxis:
    """How the values of a panel are drawn: the axis title with its unit, and the rest as Altair takes it.

    `least`: what no value can be below, such as 0 for a loss; bands and axis end there.
    """

    title: str
    log: bool = False
    least: float | None = None
    domain: Sequence[float] | None = None
    percent: bool = False
    ticks: Sequence[float] | None = None

    def encode(self, field: str) -> alt.Y:
        """The y encoding of `field`; every layer of a panel gets the same scale and title."""
        kind: dict[str, Any] = {"type": "log", "nice": False} if self.log else {"zero": False}
        if self.domain is not None:
            kind |= {"domain": list(self.domain), "nice": False, "clamp": True}
        axis: dict[str, Any] = {"tickCount": 6}
        if self.log or self.percent:
            axis["format"] = "~%" if self.percent else "~g"
        if not self.percent:
            axis["labelExpr"] = SHORT
        if self.ticks is not None:
            axis["values"] = list(self.ticks)
        return alt.Y(f"{field}:Q", title=self.title, scale=alt.Scale(**kind), axis=alt.Axis(**axis))


def log_worthy(values: Sequence[float]) -> bool:
    """Whether `values` are positive and span so much that a logarithmic axis reads better."""
    return bool(values) and min(values) > 0.0 and max(values) > RATIO_FOR_LOG * min(values)


def least_of(means: Sequence[float]) -> float | None:
    """0 for what has no mean below it, such as a loss or a norm: no interval is drawn below either."""
    return 0.0 if means and min(means) >= 0.0 else None


def accuracy_floor(least: float) -> float:
    """Where an accuracy axis that ends at 1 begins: a round number a little below `least`."""
    step = 0.1 if least < 0.9 else 0.02
    return float(np.clip(np.floor(least / step + 1e-9) * step, 0.0, 0.98))


def epoch_ticks(epochs: Sequence[int]) -> list[int]:
    """Whole, round numbers between the first and the last of `epochs`, seven or so, and the first."""
    first, last = min(epochs), max(epochs)
    rounds = (step * 10**power for power in range(12) for step in (1, 2, 5))
    step = next(step for step in rounds if last - first <= 7 * step)
    ticks = range(-(-first // step) * step, last + 1, step)
    return [first, *(tick for tick in ticks if tick - first > step / 2)]


def one_curve(columns: Mapping[str, Sequence], name: str) -> dict[str, list]:
    """The rows of `columns` (made by `series`) that belong to the curve `name`."""
    kept = [index for index, curve in enumerate(columns["curve"]) if curve == name]
    return {key: [column[index] for index in kept] for key, column in columns.items()}


def band_panel(
    data: alt.Data,
    part: Mapping[str, Sequence],
    axis: ValueAxis,
    colors: Mapping[str, str],
    selection: alt.Parameter,
    **size: Any,
) -> Any:
    """Band, line and tooltips for `part`, one curve of the columns that `series` makes; `data` holds all of them, inline.

    `colors` holds the rules of the legend; the caller adds `selection`, once in a figure.
    """
    # The table keeps its numbers; only what is drawn of the band ends where the axis does.
    low, high = "datum.low", "datum.high"
    if axis.log:
        # A symmetric interval may reach zero, where a logarithm ends; half the smallest mean is where the band stops.
        low = f"max(datum.low, {min(part['mean']) / 2.0!r})"
    elif axis.percent:
        low, high = "clamp(datum.low, 0, 1)", "clamp(datum.high, 0, 1)"
    elif axis.least is not None:
        low = f"max(datum.low, {axis.least!r})"
    # Many overlapping bands turn to mud, so they fade as rules are added; a click on the legend brings one out.
    alone, many = len(colors) <= 8, len(colors) > 16
    band = alt.when(selection).then(alt.value(0.18 if alone else 0.06)).otherwise(alt.value(0.0))
    line = alt.when(selection).then(alt.value(0.7 if many else 1.0)).otherwise(alt.value(0.05))
    x = alt.X(
        "epoch:Q",
        title="Epoch",
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(values=epoch_ticks(part["epoch"]), format=",d"),
    )
    color = rule_color(colors)
    tips = [alt.Tooltip("rule:N", title="Rule"), alt.Tooltip("epoch:Q", title="Epoch")]
    for field, title in (("mean", axis.title), ("low", "95 % interval from"), ("high", "to")):
        tips.append(alt.Tooltip(f"{field}:Q", title=title, format=".2%" if axis.percent else ".4~g"))
    base = alt.Chart(data).transform_filter(alt.FieldEqualPredicate(field="curve", equal=part["curve"][0]))
    base = base.encode(x=x, color=color)
    stride = -(-len(part["row"]) // (TIPS * len(set(part["rule"]))))
    return alt.layer(
        base.mark_area(clip=True, description=RULE_LABEL)
        .encode(y=axis.encode("from"), y2="to:Q", opacity=band)
        .transform_calculate(**{"from": low, "to": high}),
        base.mark_line(clip=True, strokeWidth=1.3 if many else 2.2, strokeJoin="round", description=ROW_LABEL).encode(
            y=axis.encode("mean"), opacity=line, strokeDash=rule_dash(colors)
        ),
        base.mark_point(clip=True, size=70, filled=True, opacity=0.0)
        .encode(y=axis.encode("mean"), tooltip=tips)
        .transform_filter(f"datum.row % {stride} == 0"),
        data=data,
        **size,
    )
