"""Expression graphs drawn: what is in the picture, where, and how much of a large one."""

import itertools
import re
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ascribe import autodiff as ad
from ascribe.autodiff import Var, graph
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


def boxes(drawn):
    tree = ET.fromstring(drawn.svg())
    return [r for r in tree.iter(f"{SVG}rect") if r.get("class")], tree


def test_the_outline_names_values_derivatives_and_what_is_shared():
    assert str(graph(example())).splitlines() == [
        "f  6.909  grad 1  by +",
        "  0.9093  grad 1  by sin",
        "    (1) x  2  grad 2.584",
        "  6  grad 1  by ×",
        "    (1) again",
        "    y  3  grad 2",
    ]


def test_dot_has_every_node_and_every_line_once():
    text = graph(example()).dot()
    assert text.count("[label=") == 5 + 3
    assert text.count("->") == 5 + 3
    assert 'label="x\\n2\\ngrad 2.584"' in text
    assert text.startswith("digraph") and text.endswith("}\n")


@pytest.mark.parametrize("expression", [example(), perceptron()], ids=["f", "perceptron"])
def test_no_two_boxes_overlap_and_all_are_in_the_picture(expression):
    found, tree = boxes(graph(expression))
    places = [tuple(float(r.get(key)) for key in ("x", "y", "width", "height")) for r in found]
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(places, 2):
        assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
    for x, y, w, h in places:
        assert x >= 0 and y >= 0 and x + w <= float(tree.get("width")) and y + h <= float(tree.get("height"))
    assert len(found) == len(graph(expression).nodes)
    arrows = sum(len(node.inputs) for node in graph(expression).nodes)
    assert len([path for path in tree.iter(f"{SVG}path") if path.get("marker-end")]) == arrows


def test_the_picture_is_the_same_each_time():
    drawn = graph(perceptron())
    assert drawn.svg() == drawn.svg() == drawn._repr_svg_()


def test_names_are_escaped():
    x = Var(1.0, name='<a & "b">')
    drawn = graph(x + 1.0)
    assert '<a & "b">' in "".join(text.text for text in boxes(drawn)[1].iter(f"{SVG}text") if text.text)
    assert '\\"b\\"' in drawn.dot()


def test_without_a_value_there_is_a_question_mark_and_no_derivative():
    drawn = graph(ad.sin(Var(name="x")))
    assert "x  ?" in drawn.text()
    assert "grad" not in drawn.text()


def test_a_large_graph_is_folded_in_little_time():
    x = Var(1.0, name="x")
    u = x
    for _ in range(20_000):
        u = u + x
    began = time.perf_counter()
    drawn = graph(u, limit=10)
    texts = drawn.svg(), drawn.dot(), drawn.text()
    assert time.perf_counter() - began < 10
    folded = [int(number) for number in re.findall(r"… (\d+) more", texts[2])]
    shown = sum(node.kind in ("var", "leaf") for node in drawn.nodes)
    assert shown == 10
    assert sum(folded) + shown == 20_001
    for text in texts:
        assert f"… {folded[0]} more" in text


def test_it_is_saved_whole_or_not_at_all(tmp_path):
    drawn = graph(example())
    for ending, begins in ((".svg", "<svg"), (".dot", "digraph"), (".txt", "f  6.909")):
        path = drawn.save(tmp_path / f"f{ending}")
        assert path.read_text(encoding="utf-8").startswith(begins)
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(UserError, match=r"saved as .svg, .dot or .txt; got 'f.png'"):
        drawn.save(tmp_path / "f.png")
    with pytest.raises(UserError, match="cannot be written"):
        drawn.save(tmp_path / "missing" / "f.svg")
    with pytest.raises(UserError, match="of a Var; got float"):
        graph(3.0)
    with pytest.raises(UserError, match="1 or more; got 0"):
        graph(Var(1.0), limit=0)
