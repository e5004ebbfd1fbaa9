"""Lines of several kinds in one panel."""

from ascribe.charts.lines import kind_color, line_chart, stacked


def test_columns_over_one_x_stand_below_each_other():
    rows = stacked(range(2), {"a": [1.0, 2.0], "b": [3.0, 4.0]})
    assert rows == {"x": [0, 1, 0, 1], "y": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "a", "b", "b"]}


def test_every_kind_has_its_color_and_the_axes_their_titles():
    colors = {"a": "#000000", "b": "#ffffff"}
    drawn = line_chart(stacked(range(2), {"a": [1, 2], "b": [3, 4]}), colors, "time", None, clip=True).to_dict()
    assert drawn["mark"] == {"type": "line", "strokeWidth": 2, "clip": True}
    assert (drawn["encoding"]["x"]["title"], drawn["encoding"]["y"]["title"]) == ("time", None)
    assert drawn["encoding"]["color"]["scale"] == {"domain": ["a", "b"], "range": ["#000000", "#ffffff"]}
    assert kind_color(colors, "rule", columns=3).to_dict()["legend"] == {"orient": "bottom", "columns": 3}
