"""What each rule learned of one feature: its fitted curve over the test data."""

from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.inline import ROW_LABEL, inline, numbered
from ascribe.charts.theme import rule_colors, themed
from ascribe.datasets.region import padded_range, transformed, untransformed
from ascribe.statistics import finished, interval

from .base import Comparison, Runs, with_networks
from .panels import axes_of, has_examples, layout, panel_name, panel_title, sample
from .table import format_score, rows


def fits(comparison: Comparison) -> Any:
    """Fitted curves with their 95 % band over the seeds that finished, one panel a rule, for regression on one feature.

    None for other data, or none. A rule whose runs all diverged has no curve, and its panel says so. Data that was
    transformed is drawn as it was before. Of cross-validation the first fold is shown.
    """
    where = " in the first fold" if comparison.folds else ""
    comparison = comparison.folds[0] if comparison.folds else comparison
    data = untransformed(comparison.data)
    known = with_networks(comparison)
    if data.task != "regression" or int(np.prod(data.input_shape)) != 1 or not (has_examples(data) and known):
        return None
    across, size = layout(len(known))
    low, high = padded_range(data, 1)
    grid = np.linspace(low[0], high[0], 120).astype(np.float32)
    inputs = transformed(comparison.data, grid.reshape(-1, *data.input_shape))
    chosen = sample(len(data.test.inputs))
    observed = np.asarray(data.test.targets, dtype=np.float64).reshape(len(data.test.inputs), -1)[chosen, 0]
    first = np.asarray(data.test.inputs, dtype=np.float64).reshape(-1)[chosen]
    points = inline({"first": first, "second": observed}, "test points")
    margin = 0.15 * (observed.max() - observed.min() or 1.0)
    # The data set the range: a rule that ran away leaves its panel instead of flattening the others.
    floor, ceiling = np.array([low[0], observed.min() - margin]), np.array([high[0], observed.max() + margin])
    colors = rule_colors(comparison.runs)
    labels = {row.rule: format_score(row)[0] for row in rows(comparison) if row.rule in known}
    columns: dict[str, list] = {"rule": [], "first": [], "mean": [], "low": [], "high": []}
    for rule, runs in known.items():
        mean, half_width = interval(_first_output(runs, inputs))
        half_width = np.where(np.isfinite(half_width), half_width, 0.0)
        fit = ([rule] * len(grid), grid, mean, mean - half_width, mean + half_width)
        for column, values in zip(columns.values(), fit, strict=True):
            column += list(values)
    table = inline(numbered(columns), "fits")
    panels = []
    places = {rule: place for place, rule in enumerate(comparison.runs)}
    for index, rule in enumerate(labels):
        x, y = axes_of(data, floor, ceiling, index=index, across=across, count=len(known), second="target")
        base = alt.Chart(table).transform_filter(alt.FieldEqualPredicate(field="rule", equal=rule)).encode(x=x("first"))
        dots = alt.Chart(points).mark_point(filled=True, size=16, color="#6b7280", opacity=0.45, clip=True)
        panel = alt.layer(
            dots.encode(x=x("first"), y=y("second")),
            base.mark_area(color=colors[rule], opacity=0.25, clip=True).encode(y=y("low"), y2="high:Q"),
            base.mark_line(color=colors[rule], strokeWidth=2.5, clip=True, description=ROW_LABEL).encode(y=y("mean")),
        )
        title = panel_title(rule, labels[rule], size)
        panels.append(panel.properties(width=size, height=int(0.75 * size), title=title, name=panel_name(places[rule])))
    chart = alt.concat(*panels, columns=across, spacing=16)
    subtitle = "Mean prediction and its 95 % interval over the seeds that finished; dots: test data."
    return themed(chart, f"What each rule learned{where}", subtitle)


def _first_output(runs: Runs, inputs: np.ndarray) -> np.ndarray:
    values = finished(runs.predict(inputs), runs.diverged)
    return values.reshape(*values.shape[:2], -1)[..., 0]
