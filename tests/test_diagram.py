"""Networks as pictures: what is drawn of which, with which weights."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ascribe import networks
from ascribe.diagram import LAYERS, UNITS, diagram
from ascribe.errors import UserError


def dense(*sizes, function="tanh", bias=True):
    """The structure of a multilayer perceptron."""
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [{"layer": "Linear", "fan_in": fan_in, "fan_out": fan_out, "bias": bias}]
        layers += [{"layer": "Activation", "function": function}]
    return layers[:-1]


def marks(drawn):
    """How many units, constants and weights a picture has, and its texts."""
    tree = ElementTree.fromstring(drawn.svg())
    kinds = [(one.tag.rpartition("}")[2], one.get("class", "")) for one in tree.iter()]
    (lines,) = (one for one in tree.iter() if one.get("class") == "lines")
    texts = [one.text for one in tree.iter() if one.tag.endswith("text")]
    return kinds.count(("circle", "unit")), kinds.count(("rect", "bias")), list(lines), texts


def test_a_small_network_has_a_mark_for_every_unit_and_a_line_for_every_weight():
    units, biases, lines, texts = marks(diagram(dense(2, 4, 3)))
    assert (units, biases, len(lines)) == (9, 2, 2 * 4 + 4 + 4 * 3 + 3)
    wanted = ("1", "1", "input", "2 units", "linear1", "tanh1", "4 units", "linear2", "3 units")
    assert sorted(texts) == sorted(wanted)
    units, biases, lines, _ = marks(diagram(dense(5, 1, bias=False)))
    assert (units, biases, len(lines)) == (6, 0, 5)


def test_a_line_has_the_sign_and_size_of_its_weight():
    matrix, bias = np.array([[1.0, -0.5], [0.25, 0.0]]), np.array([-2.0, 0.5])
    _, _, lines, texts = marks(diagram(dense(2, 2), weights=[(matrix, bias)]))
    assert [line.get("class") for line in lines] == [
        "positive",
        "negative",
        "negative",
        "positive",
        "positive",
        "positive",
    ]
    widths = np.array([float(line.get("stroke-width")) for line in lines])
    values = np.abs([1.0, -0.5, -2.0, 0.25, 0.0, 0.5])
    np.testing.assert_array_equal(np.argsort(widths), np.argsort(values))
    assert {"positive", "negative"} <= set(texts)


def test_a_neuron_tells_its_weights_by_number():
    drawn = networks.or_unit().diagram()
    _, _, lines, texts = marks(drawn)
    assert len(lines) == 3
    assert [text for text in texts if re.fullmatch(r"−?[\d.]+", text)].count("1") >= 2 and "−0.5" in texts
    assert not any("−0.5" in (text or "") for text in marks(diagram(dense(2, 3, 1)))[3])


def test_larger_and_other_networks_are_drawn_layer_by_layer():
    for structure in (dense(UNITS + 1, 2), dense(*[2] * (LAYERS + 2)), networks.lenet().config()):
        drawn = diagram(structure)
        assert not drawn.by_units and "<circle" not in drawn.svg()
    assert diagram(dense(UNITS, 2)).by_units and diagram(dense(*[2] * (LAYERS + 1))).by_units
    text = networks.lenet().diagram().svg()
    for said in ("conv1 5×5, 1 → 6 channels", "relu1 · maxpool1", "linear3 84 → 10"):
        assert f">{said}<" in text


def test_equal_layers_in_a_row_are_told_once():
    drawn = diagram(dense(2, *[100] * 100, 1))
    assert re.findall(r">([^<]+)</text>", drawn.svg()) == [
        *("input", "linear1 2 → 100", "tanh1", "linear2 100 → 100", "tanh2", "… 97 more like these …"),
        *("linear100 100 → 100", "tanh100", "linear101 100 → 1"),
    ]
    assert "more like these" not in diagram(dense(20, 30, 30, 30, 30, 2)).svg()


def test_the_names_are_the_network_s_own():
    for network in (networks.lenet(), networks.mlp([2, 3, 1]), networks.simplenet(width=1 / 16), *map(built, BUILT_IN)):
        assert str(diagram(network.config())) == str(network.diagram())


BUILT_IN = {
    "resnet/8x2:normalization=no": (8, 8, 1),
    "vit/1x8": (8, 8, 1),
    "mixer/1x8": (8, 8, 1),
    "transformer/1x4:causal=yes": (5, 3),
    "gru/4": (5, 3),
}


def built(text):
    import jax

    return jax.eval_shape(lambda: networks.build(text, input_shape=BUILT_IN[text], outputs=3))


def test_a_layer_made_of_others_is_a_box_with_their_tree():
    drawn = {text: built(text).diagram() for text in BUILT_IN}
    assert [row.lines for row in drawn["resnet/8x2:normalization=no"].rows[2:4]] == [
        [
            (0, "residual1 x + 0.577 · branch"),
            (1, "branch"),
            (2, "conv1 3×3, 2 → 2 channels · relu1"),
            (2, "conv2 3×3, 2 → 2 channels"),
            (0, "relu2"),
        ],
        [
            (0, "residual2 shortcut + 0.577 · branch"),
            (1, "branch"),
            (2, "conv1 3×3, 2 → 4 channels, stride 2 · relu1"),
            (2, "conv2 3×3, 4 → 4 channels"),
            (1, "shortcut"),
            (2, "subsample1 2 channels of zeros, stride 2"),
            (0, "relu3"),
        ],
    ]
    assert str(drawn["vit/1x8"]) == "\n".join(
        [
            "input",
            "patches1 2×2 pixels",
            "embedding1 4 → 8, 16 positions",
            "block1, x + attention, 4 heads, x + perceptron 8 → 32 → 8, relu, layernorm1 · globalaveragepool1",
            "linear1 8 → 3",
        ]
    )
    assert (1, "x + over patches 16 → 4 → 16, relu") in drawn["mixer/1x8"].rows[3].lines
    assert (1, "x + attention, 4 heads, causal") in drawn["transformer/1x4:causal=yes"].rows[2].lines
    assert drawn["gru/4"].rows[1].lines == [(0, "gru1 3 → 4 units"), (0, "laststep1")]


def test_a_tree_has_a_line_to_every_branch_and_none_elsewhere():
    for text, branches in zip(BUILT_IN, (3 + 5 + 5, 2, 2, 2, 0), strict=True):
        tree = ElementTree.fromstring(built(text).diagram().svg())
        lines = [one.get("d") for one in tree.iter() if one.get("class") == "lines"]
        assert len([one for one in lines if one.endswith("h8")]) == branches
    layers = [{"layer": "Residual", "branch": [*dense(4, 4)], "shortcut": [], "scale": 1.0}]
    outer = diagram([{"layer": "own.Pair", "first": layers[0], "rest": [layers[0]], "count": 2}])
    assert [level for level, _ in outer.rows[1].lines] == [0, 1, 2, 3, 4, 1, 2, 3, 4]


def test_a_layer_of_a_reader_s_own_is_a_box_and_its_name_is_no_markup():
    drawn = diagram([*dense(2, 3), {"layer": 'own.<b>"&'}])
    text = drawn.svg()
    assert "<b>" not in text and "&lt;b&gt;" in text
    ElementTree.fromstring(text)
    assert [row.name for row in drawn.rows] == ["input", "linear1", '<b>"&1']


def test_every_mark_and_text_lies_in_the_picture():
    pictures = [
        diagram(dense(3, 1)),
        diagram(dense(2, UNITS, 3)),
        diagram(dense(2, *[50] * 9, 1)),
        networks.lenet().diagram(),
        *(built(text).diagram() for text in BUILT_IN),
    ]
    for drawn in pictures:
        tree = ElementTree.fromstring(drawn.svg())
        width, height = float(tree.get("width")), float(tree.get("height"))
        for one in tree.iter():
            for key, most in (("x", width), ("cx", width), ("x1", width), ("x2", width), ("y", height), ("cy", height)):
                assert 0 <= float(one.get(key, 0)) <= most
            if one.tag.endswith("text"):
                length = 6.0 * len(one.text) / (2 if one.get("text-anchor") == "middle" else 1)
                assert float(one.get("x")) + length <= width


def test_a_network_without_numbers_is_drawn_without_signs():
    """Under `jax.eval_shape`, and of many seeds at once, where a weight is no one number."""
    import jax

    shapes = jax.eval_shape(lambda key: networks.mlp([2, 3, 1]).initialize(key), jax.random.key(0))
    many = jax.vmap(networks.mlp([2, 3, 1]).initialize)(jax.random.split(jax.random.key(0), 2))
    for network in (shapes, many):
        assert "positive" not in network.diagram().svg()
    assert "positive" in networks.mlp([2, 3, 1], key=jax.random.key(0)).diagram().svg()


def test_a_file_is_dark_where_the_screen_is(tmp_path):
    drawn = networks.mlp([2, 3, 1]).diagram()
    path = drawn.save(tmp_path / "network.svg")
    assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")
    assert "prefers-color-scheme" not in drawn.svg() == drawn._repr_svg_()
    with pytest.raises(UserError, match=r"a network's diagram is saved as \.svg; got 'network\.png'\."):
        drawn.save(tmp_path / "network.png")
    assert [one.name for one in tmp_path.iterdir()] == ["network.svg"]


def test_a_notebook_shows_it_below_the_table():
    text = networks.mlp([2, 3, 1])._repr_html_()
    assert text.index("</table>") < text.index("<svg") and text.count("<svg") == 1
