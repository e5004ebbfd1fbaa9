"""What each rule learned of two features: its class map as a small picture, with the test points on top."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.inline import inline, to_csv
from ascribe.charts.maps import doubled, picture
from ascribe.charts.png import data_uri
from ascribe.charts.theme import many_colors, themed
from ascribe.datasets.region import has_class_map, padded_range, plane, transformed, untransformed
from ascribe.statistics import finished, interval

from .base import Comparison, with_networks
from .panels import axes_of, axis_titles, has_examples, layout, panel_name, panel_title, sample
from .table import format_score, rows, score_title

_STRIDE = 3
"""Every third point of the grid is in the table, in every third row."""

# Two classes take the dark ends of the diverging palette, so that a point tells its class on its own side's color.
_TWO_CLASSES = ("#0f3f78", "#8a4200")


def class_maps(comparison: Comparison) -> Any:
    """Class maps, one panel a rule, for classification of exactly two features; None for other data, or none.

    Two classes show the mean predicted probability of the second over the seeds that finished; more classes show the
    most probable one, paler where it is less certain. The test points lie on top. Gray: every run diverged. Data that was
    transformed is drawn as it was before. Of cross-validation the first fold is shown.
    """
    where = " in the first fold" if comparison.folds else ""
    comparison = comparison.folds[0] if comparison.folds else comparison
    data = untransformed(comparison.data)
    known = with_networks(comparison)
    if not (has_class_map(data) and has_examples(data) and known):
        return None
    across, size = layout(len(known))
    grid_size = 96 if size >= 150 else 64
    low, high = padded_range(data, 2)
    grid = plane(data, grid_size)
    inputs = transformed(comparison.data, grid.reshape(-1, 2))
    points, domain, colors = _test_points(data)
    labels = {row.rule: format_score(row)[0] for row in rows(comparison) if row.rule in known}
    panels, maps = [], {}
    places = {rule: place for place, rule in enumerate(comparison.runs)}
    for index, rule in enumerate(labels):
        runs = known[rule]
        mean, _ = interval(finished(runs.probabilities(inputs), runs.diverged))
        maps[rule] = mean.reshape(grid_size, grid_size, -1)
        colored = picture(doubled(maps[rule]), colors)
        x, y = axes_of(data, low, high, index=index, across=across, count=len(known))
        corners = {"x": low[0], "x2": high[0], "y": low[1], "y2": high[1], "url": data_uri(colored)}
        image = alt.Chart(alt.Data(values=[corners])).mark_image(aspect=False, aria=False)
        image = image.encode(x=x("x"), x2="x2:Q", y=y("y"), y2="y2:Q", url="url:N")
        dots = alt.Chart(points).mark_point(filled=True, shape="circle", size=26 if size >= 150 else 14, opacity=1.0)
        dots = dots.encode(
            x=x("first"),
            y=y("second"),
            color=alt.Color("label:N", title="Test points", scale=alt.Scale(domain=domain, range=colors), sort=domain),
            stroke=alt.value("white"),
            strokeWidth=alt.value(0.8),
        )
        title = panel_title(rule, labels[rule], size)
        panels.append(alt.layer(image, dots, width=size, height=size, title=title, name=panel_name(places[rule])))
    subtitle = (
        f"How probable the class “{domain[1]}” is: not at all where blue, certain where orange, one half on the line between."
        if len(domain) == 2
        else "The most probable class; fainter where it is less certain."
    )
    if any(np.all(runs.diverged) for runs in known.values()):
        subtitle += " Gray: every run diverged."
    table = _table(grid, maps, domain)
    chart = alt.concat(*panels, columns=across, spacing=16, datasets={"class map": table})
    (left, bottom), (right, top), (across_by, up_by) = low, high, axis_titles(data)
    below = (
        f"Mean over the seeds that finished; below each rule: its {score_title(comparison)}. Across: {across_by}, "
        f"{left:.2g} to {right:.2g}; up: {up_by}, {bottom:.2g} to {top:.2g}. Dots: test points."
    )
    return themed(chart, f"What each rule learned{where}", subtitle, below)


def _table(grid: np.ndarray, maps: Mapping[str, np.ndarray], names: Sequence[str]) -> str:
    """The maps as CSV, a row a point, to three decimals; not drawn from, but offered for download. Of two classes, a rule's
    column is the probability of the second; of more, it is the most probable one, with its probability beside it."""
    places = grid[::_STRIDE, ::_STRIDE].reshape(-1, 2)
    columns: dict[str, Any] = {"first": places[:, 0], "second": places[:, 1]}
    for rule, field in maps.items():
        chances = field[::_STRIDE, ::_STRIDE].reshape(len(places), -1).astype(np.float64)
        if len(names) == 2:
            columns[f"{rule}: probability of {names[1]}"] = chances[:, 1].round(3)
            continue
        known = np.asarray(np.isfinite(chances).all(axis=1))
        likely = np.where(known[:, None], chances, 0.0).argmax(axis=1)
        columns[f"{rule}: class"] = [names[place] if there else "" for place, there in zip(likely, known, strict=True)]
        columns[f"{rule}: its probability"] = np.where(known, chances.max(axis=1).round(3), np.nan)
    return to_csv(columns)


def _test_points(data: Any) -> tuple[alt.Data, list[str], list[str]]:
    names = [str(name) for name in data.class_names]
    chosen = sample(len(data.test.inputs))
    inputs, labels = np.asarray(data.test.inputs)[chosen], np.asarray(data.test.targets).reshape(-1)[chosen].astype(int)
    columns = {"first": inputs[:, 0], "second": inputs[:, 1], "label": [names[label] for label in labels]}
    return inline(columns, "test points"), names, class_colors(data)


def class_colors(data: Any) -> list[str]:
    """The color of each class."""
    count = len(data.class_names)
    return [*_TWO_CLASSES] if count == 2 else many_colors(count)
