"""The figure of a loss landscape: contour lines in the right place, paths whose ends and colors say what they should."""

import csv
import io
import json
import re

import numpy as np
import pytest

from ascribe.charts.contours import contours
from ascribe.charts.theme import INK
from ascribe.report import Drawing, figures, page, specification, surface_chart, write_figure

from .stand_in import RULES, make_comparison, make_landscape


def rows_of(drawing):
    """The table of the paths."""
    tables = (list(csv.DictReader(io.StringIO(text))) for text in drawing["datasets"].values())
    return next(rows for rows in tables if "rule" in rows[0])


def words_of(drawing):
    return " ".join(drawing["title"]["subtitle"])


@pytest.mark.parametrize("level", [0.5, 3.2])
def test_contours_of_a_slope_are_straight(level):
    columns, rows = np.meshgrid(np.arange(6.0), np.arange(5.0))
    found = contours(columns + 2 * rows, np.array([level]))
    assert len(found)
    np.testing.assert_array_equal(found[:, 0], level)
    for ends in (found[:, 1:3], found[:, 3:5]):
        np.testing.assert_allclose(ends[:, 0] + 2 * ends[:, 1], level, atol=1e-12)


def test_contours_of_a_bowl_close_around_it():
    axis = np.linspace(-1.0, 1.0, 41)
    columns, rows = np.meshgrid(axis, axis)
    found = contours(columns**2 + rows**2, np.array([0.2613]))
    ends = np.concatenate([found[:, 1:3], found[:, 3:5]]) / 20 - 1.0
    np.testing.assert_allclose(np.hypot(*ends.T), 0.2613**0.5, atol=2e-3)
    length = np.hypot(found[:, 3] - found[:, 1], found[:, 4] - found[:, 2]).sum() / 20
    assert length == pytest.approx(2 * np.pi * 0.2613**0.5, rel=1e-2)
    # Every end is that of two segments: the line is closed.
    _, counts = np.unique(ends.round(9), axis=0, return_counts=True)
    assert set(counts) == {2}


def test_contours_at_a_saddle_do_not_cross():
    """With the middle below the level, the two high corners are cut off, each by a line of its own; with it above, the low."""
    for middle, level in ((0.5, 0.6), (0.5, 0.4)):
        field = np.array([[1.0, 0.0], [0.0, 1.0]])
        found = contours(field, np.array([level]))
        assert len(found) == 2 and field.mean() == middle
        for _, column, row, column2, row2 in found:
            corner = np.array([[c, r] for c in (0, 1) for r in (0, 1)], float)
            nearest = corner[np.argmin(np.abs(corner - [(column + column2) / 2, (row + row2) / 2]).sum(axis=1))]
            assert (field[int(nearest[1]), int(nearest[0])] > level) == (middle < level)


def test_contours_avoid_what_is_not_finite():
    field = np.arange(25.0).reshape(5, 5)
    field[2, 2] = np.nan
    found = contours(field, np.arange(0.5, 25.0))
    inside = (found[:, [1, 3]].mean(axis=1) > 1) & (found[:, [1, 3]].mean(axis=1) < 3)
    inside &= (found[:, [2, 4]].mean(axis=1) > 1) & (found[:, [2, 4]].mean(axis=1) < 3)
    assert len(found) and not inside.any()
    assert contours(np.full((3, 3), np.nan), np.array([1.0])).shape == (0, 5)


def test_a_landscape_is_one_figure_of_a_comparison_that_has_one():
    comparison = make_comparison(rules=RULES[:2], seeds=range(2), epochs=3, layers=1, tuned=False)
    assert "loss_surface" not in figures(comparison)
    comparison.landscape = make_landscape(RULES[:2])
    drawing = specification(figures(comparison)["loss_surface"])
    assert drawing["title"]["text"] == "Loss surface of linear2"
    for said in ("seed 0", "30 epochs", "every 2 epochs", "91 %", "all 300 training examples"):
        assert said in words_of(drawing)
    assert "70 % of variance" in json.dumps(drawing) and "21 % of variance" in json.dumps(drawing)
    text = page(comparison, {"loss_surface": Drawing(drawing)})
    assert "Loss surface of linear2" in text
    # The rows of the paths can be pointed at; the surface's own values come as a second download.
    assert re.findall(r'data-title="([^"]*)"( data-points)?', text) == [("paths", " data-points"), ("surface", "")]
    surface = csv.reader(io.StringIO(drawing["datasets"]["surface"]))
    values = np.array([line for line in surface][1:], dtype=float)
    np.testing.assert_array_equal(values[:, 2].reshape(comparison.landscape.surface.shape), comparison.landscape.surface)
    np.testing.assert_array_equal(np.unique(values[:, 0]), comparison.landscape.axes[0])
    assert len(json.dumps(drawing)) < 300_000


def test_both_axes_have_one_scale_and_the_legend_is_clickable():
    drawing = specification(surface_chart(make_landscape()))
    assert drawing["width"] / drawing["height"] == pytest.approx(7.0 / 5.0, rel=0.01)
    assert any(parameter["name"] == "chosen_rules" and parameter["bind"] == "legend" for parameter in drawing["params"])


def test_every_rule_stands_in_the_legend_once():
    """Its color and its dashes are one entry."""
    svg = Drawing(specification(surface_chart(make_landscape()))).svg
    assert [svg.count(f">{rule}<") for rule in RULES] == [1] * len(RULES)


def test_paths_have_their_ends_and_backpropagation_is_dark_and_on_top():
    landscape = make_landscape(left_out={"perceptron": "it needs a network of its own"})
    cut, gone = RULES[1], RULES[2]
    landscape.shown[cut] = 12
    landscape.diverged_at[gone] = 20
    for table in (landscape.trajectories, landscape.losses):
        table[gone] = table[gone][:20]
    landscape.shown[gone] = 20
    drawing = specification(surface_chart(landscape))
    rows = rows_of(drawing)
    ends = {row["rule"]: (row["mark"], int(row["epoch"])) for row in rows if row["mark"] in ("end", "away")}
    assert ends == dict.fromkeys(RULES, ("end", 30)) | {cut: ("away", 11), gone: ("away", 19)}
    assert rows[-1]["rule"] == "backpropagation"
    scales = json.dumps(drawing)
    assert json.dumps(list(RULES)) in scales and f'"range": ["{INK}"' in scales
    assert f"far above the start's: {cut}." in words_of(drawing)
    assert f"what diverged: {gone} in epoch 20." in words_of(drawing)
    assert "Without a path: perceptron (it needs a network of its own)." in words_of(drawing)


def test_paths_that_hide_one_another_are_named():
    landscape = make_landscape()
    landscape.trajectories[RULES[3]] = landscape.trajectories[RULES[1]].copy()
    assert f"On the same path: {RULES[1]} and {RULES[3]}." in words_of(specification(surface_chart(landscape)))
    assert "On the same path" not in words_of(specification(surface_chart(make_landscape())))


@pytest.mark.parametrize(
    ("surface", "kind"),
    [
        (np.full((21, 21), 2.0), "linear"),
        (np.full((21, 21), np.nan), "linear"),
        (np.add.outer(np.arange(21.0), np.arange(21.0)), "linear"),
        (np.exp(np.add.outer(np.arange(21.0), np.arange(21.0))), "log"),
    ],
)
def test_any_surface_is_drawn(tmp_path, surface, kind):
    drawing = specification(surface_chart(make_landscape(RULES[:2], 3, surface=surface)))
    assert f'"type": "{kind}"' in json.dumps(drawing)
    assert ("Gray" in words_of(drawing)) == bool(np.isnan(surface).any())
    png, svg = write_figure(tmp_path / "surface", drawing)
    assert png.stat().st_size > 5000 and "data:image/png" in svg.read_text()


def test_one_rule_of_any_name_and_chosen_directions():
    landscape = make_landscape(['a,"b"\n1'], 400, kind="chosen", examples=100, notes=("forced",))
    drawing = specification(surface_chart(landscape))
    assert "First chosen direction" in json.dumps(drawing)
    for said in ("every 20 epochs", "100 of 300 training examples", "forced."):
        assert said in words_of(drawing)
