"""A figure in parts: its panels drawn one by one, the names of its colors as a legend of the page."""

import re

import numpy as np
import pytest

from ascribe.charts.theme import dash_of, rule_colors, themed
from ascribe.report import Drawing
from ascribe.report.figures import _FIGURES, specification
from ascribe.report.layout import MAP, WIDTH
from ascribe.report.vector import width_of

from ..later import Later
from .stand_in import RULES, make_comparison, make_landscape

alt = Later("altair")


def drawing(figure, **names):
    comparison = make_comparison(**{"rules": RULES[:3], "epochs": 4, "layers": 1} | names)
    comparison.landscape = make_landscape(RULES[:3], epochs=4, points=9)
    return Drawing(specification(_FIGURES[figure](comparison)))


def test_every_panel_of_a_figure_is_a_picture_with_its_axes():
    curves = drawing("learning_curves")
    assert [len(panel.svg) > 1000 and not panel.narrow for panel in curves.panels] == [True, True]
    for panel, title in zip(curves.panels, ("Training loss", "Validation accuracy"), strict=True):
        assert title in panel.svg and "Epoch" in panel.svg and "Learning curves" not in panel.svg
        assert WIDTH < width_of(panel.svg) < WIDTH + 80 and "chosen_rules" not in panel.svg


def test_maps_belong_to_their_rules_and_have_no_axes():
    maps = drawing("landscapes").panels
    assert sorted(panel.rule for panel in maps) == [0, 1, 2]
    for panel in maps:
        assert panel.title[0] == RULES[panel.rule] and re.fullmatch(r"[\d.]+ ± [\d.]+", panel.title[1])
        assert width_of(panel.svg) == MAP + 2 and "role-axis-label" not in panel.svg


def test_grids_inside_a_grid_are_taken_apart_and_keep_their_titles():
    point = lambda name: alt.Chart(alt.Data(values=[{"x": 1, name: 2}])).mark_point().encode(x="x:Q", y=f"{name}:Q")
    large, small = (point(name).properties(width=90, height=60) for name in ("large", "small"))
    inner = alt.hconcat(large, small.properties(title="beside")).properties(title="a row")
    panels = Drawing(specification(themed(alt.concat(inner, point("last").properties(width=50, height=50)), "All"))).panels
    assert [panel.title for panel in panels] == [("a row",), ("beside",), ()]
    assert [name in panel.svg for panel, name in zip(panels, ("large", "small", "last"), strict=True)] == [True] * 3
    facets = point("y").properties(width=50, height=50).facet(alt.Facet("x:N"))
    (whole,) = Drawing(specification(themed(facets, "Facets"))).panels
    assert whole.fixed and not panels[0].fixed


def test_fitted_curves_beside_each_other_all_have_axes():
    for panel in drawing("fits", task="regression", shape=(1,), classes=1).panels:
        assert "target" in panel.svg and "feature 0" in panel.svg


def test_names_beside_rows_stand_above_them_in_narrow_windows():
    (panel,) = drawing("final_scores").panels
    for svg in (panel.svg, panel.narrow):
        assert all(f">{rule}</text>" in svg for rule in RULES[:3])
    assert width_of(panel.narrow) < WIDTH + 30 < width_of(panel.svg)


@pytest.mark.parametrize("figure", ["learning_curves", "loss_surface", "learning_rate_sensitivity"])
def test_the_legend_has_the_color_and_the_dashes_of_each_rule(figure):
    rules = ("backpropagation", *(f"rule {number}" for number in range(9)))
    made = make_comparison(rules=rules, epochs=3, layers=1)
    made.landscape = make_landscape(rules, epochs=3, points=5)
    legend = Drawing(specification(_FIGURES[figure](made))).legend
    colors = rule_colors(rules)
    assert [(entry.name, entry.color) for entry in legend] == list(colors.items())
    assert [list(entry.dash) for entry in legend] == [dash_of(color) for color in colors.values()]
    assert all(entry.line for entry in legend)


def test_classes_are_points_and_a_scale_of_numbers_stays_in_the_picture():
    entries = drawing("landscapes", classes=3, task="classification").legend
    assert [(entry.name, entry.line) for entry in entries] == [(f"class {number}", False) for number in range(3)]
    surface = drawing("loss_surface")
    assert "Training loss" in surface.panels[0].svg and len(surface.legend) == 3
    sides = [float(size) for size in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', surface.panels[0].svg).groups()]
    assert np.all(np.array(sides) < WIDTH + 160)
