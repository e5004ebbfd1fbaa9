"""Expression graphs drawn: what is in the picture, where, and how much of a large one."""

import itertools
import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from ascribe import autodiff as ad
from ascribe.autodiff import Var, drawing, graph
from ascribe.errors import UserError

SVG = "{http://www.w3.org/2000/svg}"


def example():
    x, y = Var(2.0, name="x"), Var(3.0, name="y")
    f = ad.sin(x) + x * y
    f.name = "f"
    f.backward()
    return f


def perceptron():
    draw = np.random.default_rng(0).normal
    w, b, v = Var(draw(size=(3, 4)), name="W"), Var(np.zeros(4), name="b"), Var(draw(size=(4, 2)), name="V")
    h = ad.tanh(draw(size=(5, 3)) @ w + b)
    cost = ad.softmax_cross_entropy(h @ v, np.eye(2)[[0, 1, 1, 0, 1]]) + 0.1 * ad.sum(h * h, axis=0)[1]
    cost.backward()
    return cost


def entangled():
    """Where every Var is used three times, at three distances."""
    made = [Var(1.0, name="a"), Var(1.0, name="b"), Var(1.0, name="a very long name, WITH CAPITALS, in MANY WORDS")]
    for _ in range(25):
        made.append(ad.sin(made[-3]) * made[-1] + made[-2] - made[0])
    return made[-1]


def wide():
    return ad.concatenate([ad.reshape(Var(float(i)), (1,)) for i in range(300)])


DRAWN = {
    "f": graph(example()),
    "perceptron": graph(perceptron()),
    "entangled": graph(entangled(), limit=1000),
    "folded": graph(entangled(), limit=20),
    "wide": graph(wide(), limit=10),
    "one": graph(Var(1.0)),
}


def boxes(drawn):
    tree = ET.fromstring(drawn.svg())
    return [place(rect) for rect in tree.findall(f"{SVG}rect") if rect.get("class") != "paper"], tree


def place(rect):
    return tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))


def texts(drawn):
    return [text.text for text in ET.fromstring(drawn.svg()).findall(f"{SVG}text")]


def test_the_outline_names_values_derivatives_and_what_is_shared():
    assert str(graph(example())).splitlines() == [
        "f  6.909  grad 1  by +",
        "  0.9093  grad 1  by sin",
        "    (1) x  2  grad 2.584",
        "  6  grad 1  by ×",
        "    (1) x again",
        "    y  3  grad 2",
    ]


def test_dot_has_every_node_and_every_line_once():
    text = graph(example()).dot()
    names = {label: name for name, label in re.findall(r'(n\d+) \[label="(.*?)"', text)}
    x, y, f = names[r"x\n2\ngrad 2.584"], names[r"y\n3\ngrad 2"], names[r"f\n6.909\ngrad 1"]
    a, b = names[r"0.9093\ngrad 1"], names[r"6\ngrad 1"]
    assert len(names) == text.count("[label=") == 5 + 3
    lines = {(x, names["sin"]), (x, names["×"]), (y, names["×"]), (names["sin"], a), (names["×"], b)}
    lines |= {(a, names["+"]), (b, names["+"]), (names["+"], f)}
    assert text.count("->") == len(lines)
    assert set(re.findall(r"(n\d+) -> (n\d+);", text)) == lines
    assert text.startswith("digraph") and text.endswith("}\n")


def test_the_picture_has_every_name_value_and_derivative_once():
    words = ["f", "6.909", "grad 1", "+", "0.9093", "grad 1", "6", "grad 1", "sin", "×"]
    assert sorted(texts(graph(example()))) == sorted([*words, "x", "2", "grad 2.584", "y", "3", "grad 2"])


@pytest.mark.parametrize("name", DRAWN)
def test_no_two_boxes_overlap_and_all_are_in_the_picture(name):
    found, tree = boxes(DRAWN[name])
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(found, 2):
        assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
    for x, y, w, h in found:
        assert x >= 0 and y >= 0 and x + w <= float(tree.get("width")) and y + h <= float(tree.get("height"))
    assert len(found) == len(DRAWN[name].nodes)


@pytest.mark.parametrize("name", DRAWN)
def test_every_argument_has_an_arrow_and_no_line_passes_a_box(name):
    found, tree = boxes(DRAWN[name])
    paths = [path.get("d") for path in tree.iter(f"{SVG}path")]
    assert sum(path.endswith("z") for path in paths) == sum(len(node.inputs) for node in DRAWN[name].nodes)
    for path in paths:
        if path.endswith("z"):
            continue
        x1, first, y1, _, _, _, _, x2, y2, last = map(float, re.findall(r"-?[\d.]+", path))
        for x, y, w, h in found:
            for line, top, bottom in ((x1, y1, first), (x2, last, y2)):  # the straight ends
                assert not (x < line < x + w and y + 0.2 < bottom and top < y + h - 0.2)
            curve = min(x1, x2) < x + w and x < max(x1, x2) and y + 0.2 < y1 and y2 < y + h - 0.2
            assert not curve  # lies in its rectangle, which no box enters


def test_a_long_name_is_inside_its_box():
    widths = {"W": 0.944, "M": 0.833, "m": 0.889, "i": 0.278, " ": 0.278}  # of Helvetica Bold, by Adobe's metrics
    for name in ("WWWWWWWWWWMMMMMMMMMM", "mmmmmmmmmmmmmmmmmmmm", "i i i i"):
        (_, _, width, _), *_ = boxes(graph(Var(name=name)))[0]
        assert width > 12 * sum(widths[c] for c in name) + 4


def test_the_outline_of_a_deep_graph_stays_on_the_screen():
    x = Var(1.0, name="x")
    u = x
    for _ in range(50):
        u = ad.sin(u)
    *_, before, last = lines = graph(u).text().splitlines()
    assert last.split() == ["[50]", "x", "1"] and before.split()[0] == "[49]"
    assert len(lines) == 51 and max(map(len, lines)) < 60
    assert lines[1].startswith("  ") and "[" not in lines[12] and "[13]" in lines[13]


@pytest.mark.parametrize("name", DRAWN)
def test_the_legend_names_each_color_that_is_drawn_and_lies_below_the_boxes(name):
    found, tree = boxes(DRAWN[name])
    kinds = {node.kind for node in DRAWN[name].nodes}
    entries = tree.findall(f"{SVG}g[@class='legend']/{SVG}rect")
    assert {entry.get("class") for entry in entries} == (kinds if len(kinds) > 1 else set())
    words = [text.text for text in tree.findall(f"{SVG}g[@class='legend']/{SVG}text")]
    assert words == [drawing.LEGEND[entry.get("class")] for entry in entries]
    looks = {rect.get("class"): (rect.get("fill"), rect.get("stroke")) for rect in tree.findall(f"{SVG}rect")}
    assert all((entry.get("fill"), entry.get("stroke")) == looks[entry.get("class")] for entry in entries)
    for x, y, w, h in map(place, entries):
        assert y >= max(top + high for _, top, _, high in found) and y + h < float(tree.get("height"))
        assert x + w < float(tree.get("width"))


def test_words_are_legible_on_every_color_by_day_and_in_a_file_by_night(tmp_path):
    def luminance(color):  # and contrast: WCAG 2.1
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def contrast(*colors):
        low, high = sorted(map(luminance, colors))
        return (high + 0.05) / (low + 0.05)

    tree = ET.fromstring(DRAWN["perceptron"].save(tmp_path / "graph.svg").read_text(encoding="utf-8"))
    style = tree.find(f"{SVG}style")
    tree.remove(style)
    assert ET.tostring(tree) == ET.tostring(ET.fromstring(DRAWN["perceptron"].svg()))  # a page decides for itself
    day = {one.get("class"): one.get("fill") for one in tree.iter() if one.get("class") and one.get("fill")}
    night = dict(re.findall(r"\.(\w+)\{(?:fill|stroke):(#\w+)\}", style.text))
    assert set(day) <= set(night)
    for colors in (day, night):
        for back in ("var", "leaf", "constant"):
            assert contrast(colors["words"], colors[back]) > 7 and contrast(colors["grad"], colors[back]) > 5
        assert contrast(colors["words"], colors["op"]) > 7 and contrast(colors["words"], colors["paper"]) > 7
        assert contrast(colors["heads"], colors["paper"]) > 3
    assert luminance(day["paper"]) > 0.9 and luminance(night["paper"]) < 0.05


def test_the_picture_is_the_same_each_time():
    drawn = graph(perceptron())
    assert drawn.svg() == drawn.svg() == drawn._repr_svg_() == graph(perceptron()).svg()


def test_what_is_used_often_is_drawn_once():
    x = Var(1.0, name="x")
    for _ in range(30):
        x = x + x  # 2^30 ways down
    drawn = graph(x)
    assert len(drawn.nodes) == 31 + 30
    assert len(drawn.text().splitlines()) == 1 + 2 * 30
    assert texts(drawn).count("x") == 1


def test_names_are_escaped():
    x = Var(1.0, name='<a & "b"> \\ &lt;\n\x00\x1b')
    drawn = graph(x + 1.0)
    assert '<a & "b"> \\ &lt;' in texts(drawn)
    assert r'label="<a & \"b\"> \\ &amp;lt;\n1"' in drawn.dot()
    assert '<a & "b"> \\ &lt;  1' in drawn.text()


def test_without_a_value_there_is_a_question_mark_and_no_derivative():
    drawn = graph(ad.sin(Var(name="x")))
    assert drawn.text() == "?  by sin\n  x  ?"
    assert sorted(texts(drawn)) == ["?", "?", "sin", "x"]
    assert "grad" not in drawn.dot()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (lambda x: x, "12 numbers"),
        (lambda x: ad.reshape(x, (3, 4)), "3×4 numbers  by reshape (shape (3, 4))"),
        (lambda x: ad.reshape(x[:4], (2, 2)), "[0, 0.3333, 0.6667, 1] (2×2)  by reshape (shape (2, 2))"),
        (lambda x: ad.sum(ad.reshape(x, (6, 2)), axis=0, keepdims=True), "[10, 12] (1×2)  by sum (axis 0, keepdims)"),
        (ad.sum, "22  by sum"),
        (lambda x: x[1::5], "[0.3333, 2, 3.667]  by getitem (index 1::5)"),
        (
            lambda x: ad.reshape(x, (3, 4))[1:, None, ..., 0],
            "[1.333, 2.667] (2×1)  by getitem (index (1:, None, …, 0))",
        ),
        (lambda x: x[np.array([0, 3])], "[0, 1]  by getitem (index [0, 3])"),
        (lambda x: x[0:0], "0 numbers  by getitem (index 0:0)"),
    ],
)
def test_arrays_have_their_shape_and_operators_their_options(expression, words):
    assert graph(expression(Var(np.arange(12.0) / 3.0))).text().splitlines()[0] == words


def test_constants_are_nodes_of_their_own():
    drawn = graph(2.0 * Var(name="x") + np.ones((2, 3)) + 2.0)
    assert [node.lines for node in drawn.nodes if node.kind == "constant"] == [["2"], ["2×3 numbers"], ["2"]]
    assert graph(Var(name="x") + "words").text() == "?  by +\n  x  ?\n  'words'"


def test_folding_counts_what_is_below_a_cut():
    w = Var(1.0, name="w")
    m = ad.sin(w)
    top = ad.cos(m) + m  # cos and sin are cut at once: what cos has below it, sin included, is counted there
    assert graph(top, limit=1).text().splitlines()[1:] == ["  … 3 more", "  … counted elsewhere"]
    assert graph(top, limit=3).text().splitlines()[1:] == [
        "  0.6664  by cos",
        "    (1) 0.8415  by sin",
        "      … 1 more",
        "  (1) again",
    ]
    assert graph(top, limit=4).text() == graph(top).text()
    assert [node.lines for node in DRAWN["wide"].nodes if node.kind == "more"][-3:] == [
        ["… 2 more"],
        ["… 2 more"],
        ["… 578 more"],  # the other 289 arguments together
    ]


@pytest.mark.parametrize("shared", [False, True])
def test_a_large_graph_is_folded_in_little_time(shared):
    x = Var(1.0, name="x")
    u = x
    for _ in range(5_000):
        u = u + (x if shared else 1.0)
    began = time.process_time()
    drawn = graph(u)
    written = drawn.svg(), drawn.dot(), drawn.text()
    assert time.process_time() - began < 5
    (folded,) = re.findall(r"… (\d+) more", written[2])
    assert sum(node.kind in ("var", "leaf") for node in drawn.nodes) == 60
    assert int(folded) + 60 == 5_001
    for text in written:
        assert text.count(f"… {folded} more") == 1


def test_drawn_whole_a_chain_grows_in_proportion():
    sizes = []
    for count in (200, 400):
        x = Var(1.0)
        u = x
        for _ in range(count):
            u = u + x
        drawn = graph(u, limit=1000)
        sizes.append([len(text) for text in (drawn.svg(), drawn.dot(), drawn.text())])
    assert all(twice < 2.3 * once for once, twice in zip(*sizes, strict=True))


def test_it_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    drawn = graph(example())
    for ending, begins in ((".svg", "<svg"), (".dot", "digraph"), (".txt", "f  6.909")):
        path = drawn.save(tmp_path / f"f{ending}")
        assert path.read_text(encoding="utf-8").startswith(begins)
    before = path.read_text(encoding="utf-8")

    def fails(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        with pytest.raises(UserError, match="cannot be written: no space left"):
            graph(Var(1.0)).save(path)
    assert path.read_text(encoding="utf-8") == before
    with pytest.raises(UserError, match=r"saved as .svg, .dot or .txt; got 'f.png'"):
        drawn.save(tmp_path / "f.png")
    with pytest.raises(UserError, match="cannot be written"):
        drawn.save(tmp_path / "missing" / "f.svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.dot", "f.svg", "f.txt"]


def test_what_cannot_be_drawn():
    with pytest.raises(UserError, match="of a Var; got float"):
        graph(3.0)
    with pytest.raises(UserError, match="a positive integer; got 0"):
        graph(Var(1.0), limit=0)
