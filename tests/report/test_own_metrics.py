"""The curves that rules measure of themselves, one panel a name."""

import csv
import io
import json

import numpy as np
import pytest

from ascribe.report import Drawing, page
from ascribe.report.figures import _FIGURES, specification
from ascribe.report.own_metrics import PANELS, _chosen, own_metrics

from .stand_in import make_comparison


def with_own(*names, rule="perturbation", scale=1.0):
    comparison = make_comparison(epochs=20)
    for name in names:
        comparison.runs[rule].curves[name] = scale * np.random.default_rng(0).uniform(0.2, 0.6, size=(5, 20))
    return comparison


def drawing(comparison):
    return specification(own_metrics(comparison))


def titles(drawn):
    return [panel["title"]["text"] for panel in drawn["concat"]]


def test_no_own_curve_no_figure():
    assert own_metrics(make_comparison()) is None


def test_one_panel_a_curve_with_words_for_its_name():
    drawn = drawing(with_own("activated_share/relu1", "sign_changes", "activated_share/relu2"))
    assert titles(drawn) == ["activated share, relu1", "activated share, relu2", "sign changes"]
    assert drawn["title"]["text"] == "What the rules measured of themselves"


def test_it_comes_after_the_angles():
    names = list(_FIGURES)
    assert names[names.index("feedback_angles") + 1 :][:3] == ["signal_to_noise", "bias", "own_metrics"]


def test_only_rules_with_such_curves_are_in_the_legend():
    comparison = with_own("sign_changes")
    comparison.runs["sign symmetry"].curves["sign_changes"] = np.full((5, 20), 0.25)
    color = drawing(comparison)["concat"][0]["layer"][0]["encoding"]["color"]
    assert color["scale"]["domain"] == ["perturbation", "sign symmetry"]
    assert color["legend"] is not None


def test_a_curve_over_decades_has_a_logarithmic_axis():
    comparison = with_own("sign_changes")
    comparison.runs["perturbation"].curves["damage"] = np.geomspace(1, 1e-4, 20) * np.ones((5, 1))
    scales = {
        panel["title"]["text"]: panel["layer"][0]["encoding"]["y"]["scale"].get("type")
        for panel in drawing(comparison)["concat"]
    }
    assert scales == {"sign changes": None, "damage": "log"}


def test_the_layers_of_a_group_share_an_axis():
    comparison = with_own("share/relu1", "total")
    comparison.runs["perturbation"].curves["share/relu2"] = 3.0 * comparison.runs["perturbation"].curves["share/relu1"]
    comparison.runs["perturbation"].curves["nothing"] = np.zeros((5, 20))
    first, second, other, flat = (panel["layer"][0]["encoding"]["y"]["scale"] for panel in drawing(comparison)["concat"])
    assert first["domain"] == second["domain"] != other["domain"]
    assert "domain" not in flat


def test_the_only_rule_is_named_below_the_title():
    assert "perturbation records" in drawing(with_own("total"))["title"]["subtitle"][0]


def test_a_curve_that_nobody_finished_has_no_panel():
    comparison = with_own("sign_changes")
    comparison.runs["perturbation"].curves["lost"] = np.full((5, 20), np.nan)
    assert titles(drawing(comparison)) == ["sign changes"]


def test_deep_networks_show_layers_evenly_spaced_and_every_group():
    names = [f"share/relu{layer}" for layer in range(1, 41)] + [f"change/linear{layer}" for layer in range(1, 42)]
    drawn = drawing(with_own(*names, "total"))
    shown = titles(drawn)
    assert len(shown) == PANELS
    assert "total" in shown
    for first, last in (("share, relu1", "share, relu40"), ("change, linear1", "change, linear41")):
        assert {first, last} <= set(shown)
    assert "12 of 82 curves" in " ".join(drawn["title"]["subtitle"])


@pytest.mark.parametrize("count", [12, 13, 30])
def test_never_more_panels_than_fit(count):
    assert len(_chosen([f"group{index}" for index in range(count)])) == PANELS
    assert len(set(_chosen([f"a/{index}" for index in range(count)]))) == PANELS


def test_the_page_has_it_and_says_which_rules_were_left_out():
    comparison = with_own("sign_changes")
    comparison.configuration["left_out"] = {"perceptron": "it does <binary> tasks only."}
    text = page(comparison, {"own_metrics": Drawing(drawing(comparison))})
    assert "What the rules measured of themselves" in text
    assert "Left out: perceptron: it does &lt;binary&gt; tasks only." in text
    assert "Left out" not in page(make_comparison(), {})
    json.dumps(drawing(comparison), allow_nan=False)


def test_quantiles_of_a_rule_are_one_band():
    comparison = with_own("rate/relu1", "rate_low/relu1", "rate_high/relu1", "alone_low")
    curves = comparison.runs["perturbation"].curves
    curves["rate_low/relu1"], curves["rate_high/relu1"] = curves["rate/relu1"] / 2, curves["rate/relu1"] * 3
    drawn = drawing(comparison)
    assert titles(drawn) == ["rate, relu1", "alone low"]
    table = list(csv.DictReader(io.StringIO(drawn["datasets"]["curves"])))
    own = [row for row in table if row["curve"] == "rate/relu1"]
    assert {row["curve"] for row in table} == {"rate/relu1", "alone_low"} and len(own) == 20
    means = curves["rate/relu1"].mean(axis=0)
    for name, factor in (("mean", 1.0), ("low", 0.5), ("high", 3.0)):
        np.testing.assert_allclose([float(row[name]) for row in own], factor * means, rtol=1e-12)
    assert [int(row["row"]) for row in table] == list(range(40))
    assert "median and the band goes from 10 % to 90 %" in " ".join(drawn["title"]["subtitle"])


def test_the_axis_says_what_a_known_number_is():
    y = drawing(with_own("activated_share/relu1", "other"))["concat"]
    assert [panel["layer"][0]["encoding"]["y"]["title"] for panel in y] == ["Units that are active", "Mean over seeds"]
