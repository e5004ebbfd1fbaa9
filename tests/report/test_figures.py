import base64
import csv
import io
import json
import re
import struct
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from ascribe.charts.bands import epoch_ticks, log_worthy
from ascribe.charts.theme import INK, dash_of, many_colors, rgb, rule_colors
from ascribe.datasets.transforms import fit
from ascribe.report import Drawing, figures, rows, save_figures
from ascribe.report.class_maps import picture as drawn
from ascribe.report.figures import _FIGURES, specification
from ascribe.report.series import epochs_shown, series

from ..later import Later
from .stand_in import RULES, diverge, make_comparison
from .test_png import decode_png

stats = Later("scipy.stats")

FEW = {"rules": RULES[:2]}
COMMON = {"final_scores", "learning_curves", "gradient_angles", "layer_angles", "feedback_angles"}


@pytest.mark.parametrize(
    ("arguments", "own"),
    [
        ({}, {"landscapes"}),
        ({"task": "classification", "classes": 4}, {"landscapes"}),
        ({"task": "classification", "shape": (6, 6, 1), "classes": 10}, set()),
        ({"task": "regression", "shape": (1,), "classes": 1}, {"fits"}),
        ({"task": "regression", "shape": (2,), "classes": 1}, set()),
    ],
)
def test_figures_that_apply(arguments, own):
    charts = figures(make_comparison(**arguments, **FEW))
    assert set(charts) == COMMON | own | {"learning_rate_sensitivity"}
    for chart in charts.values():
        chart.to_dict(validate=True)  # which a page does without


def test_no_tuning_no_sensitivity_and_no_feedback_no_angle():
    comparison = make_comparison(rules=("backpropagation",), tuned=False)
    assert set(figures(comparison)) == {*COMMON, "landscapes"} - {"feedback_angles"}
    for missing in ("gradient_angle", "gradient_norm_ratio", "gradient_angle/linear1", "gradient_angle/linear2"):
        del comparison.runs["backpropagation"].curves[missing]
    assert set(figures(comparison)) == {"final_scores", "learning_curves", "landscapes"}


def drawing(figure, comparison):
    """The specification of one figure."""
    return specification(_FIGURES[figure](comparison))


def test_everything_diverged():
    comparison = make_comparison(tuned=False, **FEW)
    for runs in comparison.runs.values():
        diverge(runs, range(5))
        for curve in runs.curves.values():
            curve[:] = np.nan
    assert set(figures(comparison)) == {"landscapes"}


def test_a_part_diverged():
    comparison = make_comparison(rules=RULES[:3])
    diverge(comparison.runs[RULES[1]], range(5))
    diverge(comparison.runs[RULES[2]], [0, 2])
    for chart in figures(comparison).values():
        json.dumps(specification(chart), allow_nan=False)


def test_one_seed():
    for chart in figures(make_comparison(seeds=(3,), **FEW)).values():
        json.dumps(specification(chart), allow_nan=False)


TASKS = [("landscapes", {}), ("fits", {"task": "regression", "shape": (1,), "classes": 1})]


@pytest.mark.parametrize(("figure", "arguments"), TASKS)
def test_learned_functions_leave_diverged_runs_out(figure, arguments):
    drawn = []
    for garbage in (0, -1):
        comparison = make_comparison(**arguments)
        for rule, which in (("sign symmetry", [0, 2]), ("perturbation", range(5))):
            diverge(comparison.runs[rule], which)
            comparison.runs[rule].garbage = garbage
        drawn.append(drawing(figure, comparison))
    assert drawn[0] == drawn[1]
    panel = next(panel for panel in drawn[0]["concat"] if panel["title"]["text"] == "perturbation")
    assert panel["title"]["subtitle"] == "diverged"
    if figure == "landscapes":
        assert "Gray: every run diverged." in " ".join(drawn[0]["title"]["subtitle"])
        picture = panel["layer"][0]["data"]["values"][0]["url"].partition(",")[2]
        assert np.all(decode_png(base64.b64decode(picture)) == 225)
    else:
        lines = [line for line in csv.reader(io.StringIO(drawn[0]["datasets"]["fits"])) if line[0] == "perturbation"]
        assert lines and all(line[2:5] == ["", "", ""] for line in lines)


def test_ticks_of_large_numbers_keep_the_digits_that_tell_them_apart():
    comparison = make_comparison("regression", (1,), 1, rules=RULES[:2], tuned=False, epochs=3, layers=1)
    for runs, least in zip(comparison.runs.values(), (1e7, 1.2e7), strict=True):
        runs.curves["validation_rmse"] = np.linspace(1.8e7, least, 15).reshape(3, 5).T
    drawn = Drawing(specification(figures(comparison)["learning_curves"])).svg
    ticks = re.findall(r">(\d(?:\.\d+)?e\+\d)<", drawn)
    assert len(ticks) == len({*ticks}) > 3 and "1.2e+7" in ticks


def test_what_is_standardized_says_so():
    comparison = make_comparison()
    comparison.data.feature_names = ("height", "weight")
    for mean, unit in ((None, ""), (np.zeros(2), " (standardized)")):
        comparison.data.input_mean = mean
        drawn = drawing("landscapes", comparison)
        assert f"Across: height{unit}, " in " ".join(drawn["title"]["subtitle"])
        assert f"; up: weight{unit}, " in " ".join(drawn["title"]["subtitle"])


@pytest.mark.parametrize("classes", [2, 3])
def test_class_maps_have_their_numbers_beside_them(classes):
    comparison = make_comparison(classes=classes)
    diverge(comparison.runs["perturbation"], range(5))
    table = drawing("landscapes", comparison)["datasets"]["class map"]
    rows = list(csv.DictReader(io.StringIO(table)))
    points = np.asarray([[float(row["first"]), float(row["second"])] for row in rows], np.float32)
    names = comparison.data.class_names
    for rule, runs in comparison.runs.items():
        if rule == "perturbation":
            assert all(value == "" for row in rows for title, value in row.items() if title.startswith(rule))
            continue
        mean = runs.probabilities(points).mean(axis=0)
        if classes == 2:
            told = [float(row[f"{rule}: probability of {names[1]}"]) for row in rows]
            np.testing.assert_allclose(told, mean[:, 1], atol=6e-4, err_msg=rule)
        else:
            told = [float(row[f"{rule}: its probability"]) for row in rows]
            np.testing.assert_allclose(told, mean.max(axis=1), atol=6e-4, err_msg=rule)
            assert [row[f"{rule}: class"] for row in rows] == [names[place] for place in mean.argmax(axis=1)]


@pytest.mark.parametrize(("figure", "arguments"), TASKS)
def test_learned_functions_of_transformed_data_have_the_coordinates_from_before(figure, arguments):
    """Networks that put the parts of x together again have learned the same function of x."""
    plain, encoded = make_comparison(**arguments), make_comparison(**arguments)
    before = encoded.data
    transforms = tuple(fit("split-signs", np.zeros((1, size * before.input_shape[0]))) for size in (1, 2))
    change = lambda inputs: transforms[1](transforms[0](inputs))
    parts = {
        name: SimpleNamespace(inputs=change(getattr(before, name).inputs), targets=getattr(before, name).targets)
        for name in ("train", "validation", "test")
    }
    shape = transforms[1].output_shape
    names = tuple(f"part {number}" for number in range(shape[0]))
    new = {"input_shape": shape, "feature_names": names, "transforms": transforms, "original": before}
    encoded.data = SimpleNamespace(**vars(before) | parts | new)

    def decoded(method):
        def call(inputs):
            assert inputs.shape[1:] == shape and inputs.min() >= 0.0
            positive, negative = np.split(inputs[:, : shape[0] // 2], 2, axis=1)
            return method(positive - negative)

        return call

    for runs in encoded.runs.values():
        runs.probabilities, runs.predict = decoded(runs.probabilities), decoded(runs.predict)
    drawn = [drawing(figure, comparison) for comparison in (plain, encoded)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("figure", "arguments"), TASKS)
def test_no_learned_function_without_examples(figure, arguments):
    comparison = make_comparison(**arguments, **FEW)
    for split in (comparison.data.train, comparison.data.validation, comparison.data.test):
        split.inputs, split.targets = split.inputs[:0], split.targets[:0]
    assert set(figures(comparison)) == COMMON | {"learning_rate_sensitivity"}


def test_the_right_angle_is_claimed_for_plain_gradient_steps_only():
    subtitle = " ".join(drawing("gradient_angles", make_comparison())["title"]["subtitle"])
    assert "a small plain gradient step still lowers the loss of the probe batch" in subtitle
    assert "steps where" not in subtitle


def test_scores_stand_in_the_order_of_the_table():
    comparison = make_comparison()
    diverge(comparison.runs["backpropagation"], [0])
    found = drawing("final_scores", comparison)
    assert "Rules with diverged runs come last." in " ".join(found["title"]["subtitle"])
    assert found["layer"][0]["encoding"]["y"]["sort"] == [row.rule for row in rows(comparison)]


def rows_of(figure, table, comparison):
    """A table that a figure is drawn from."""
    return list(csv.DictReader(io.StringIO(drawing(figure, comparison)["datasets"][table])))


def test_dots_are_the_seeds_that_finished_and_bars_their_intervals():
    comparison = make_comparison(rules=RULES[:3])
    comparison.runs[RULES[1]].diverged[0] = True  # its score is finite
    table = rows_of("final_scores", "scores", comparison)
    for rule, runs in comparison.runs.items():
        own = [row for row in table if row["rule"] == rule]
        scores = runs.scores["test_accuracy"][~runs.diverged]
        seeds = [seed for seed, lost in zip(runs.seeds, runs.diverged, strict=True) if not lost]
        assert [(int(row["seed"]), float(row["score"])) for row in own if row["kind"] == "seed"] == list(
            zip(seeds, scores, strict=True)
        )
        (bar,) = (row for row in own if row["kind"] == "mean")
        low, high = stats.t.interval(0.95, len(scores) - 1, loc=scores.mean(), scale=stats.sem(scores))
        told = [float(bar[name]) for name in ("score", "low", "high")]
        np.testing.assert_allclose(told, [scores.mean(), low, high], rtol=1e-9)


def test_candidates_stand_in_the_order_of_their_rates_and_the_chosen_one_is_marked():
    comparison = make_comparison(rules=RULES[:2])
    for tuning in comparison.tuning.values():
        order = np.random.default_rng(0).permutation(len(tuning.scores))
        tuning.scores, tuning.learning_rates = tuning.scores[order], tuning.learning_rates[order]
        tuning.chosen = int(np.flatnonzero(order == tuning.chosen)[0])
    table = rows_of("learning_rate_sensitivity", "candidates", comparison)
    for rule, tuning in comparison.tuning.items():
        own = [row for row in table if row["rule"] == rule]
        order = np.argsort(tuning.learning_rates)
        assert [float(row["learning_rate"]) for row in own] == list(tuning.learning_rates[order])
        assert [order[place] for place, row in enumerate(own) if row["chosen"] == "1"] == [tuning.chosen]
        finite = np.isfinite(tuning.scores[order])
        assert [int(row["failed"]) for row in own] == list((~finite).sum(axis=1))
        told = [float(row["score"]) for row, seeds in zip(own, finite, strict=True) if seeds.all()]
        np.testing.assert_allclose(told, tuning.scores[order][finite.all(axis=1)].mean(axis=1), rtol=1e-9)


def test_an_axis_is_logarithmic_for_positive_values_over_decades():
    assert log_worthy([1.0, 31.0]) and not log_worthy([1.0, 29.0])
    assert not any(map(log_worthy, ([], [0.0, 1.0, 100.0], [-1.0, 1.0, 100.0])))


@pytest.mark.parametrize(("largest", "end"), [(95.0, 100.0), (120.0, 180.0)])
def test_angles_are_never_cut_off(largest, end):
    comparison = make_comparison(**FEW)
    comparison.runs[RULES[1]].curves["gradient_angle"][:] = largest
    line, curves = drawing("gradient_angles", comparison)["concat"][0]["layer"]
    for layer in (line, *curves["layer"]):
        assert layer["encoding"]["y"]["scale"]["domain"] == [0.0, end]


def test_series_holds_mean_and_interval():
    comparison = make_comparison()
    diverge(comparison.runs["feedback alignment"], [4])
    columns = series(comparison, ("train_loss",))
    place = [i for i, rule in enumerate(columns["rule"]) if rule == "feedback alignment"][10]
    values = comparison.runs["feedback alignment"].curves["train_loss"][:4, columns["epoch"][place] - 1]
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    got = [columns[name][place] for name in ("mean", "low", "high")]
    np.testing.assert_allclose(got, [values.mean(), low, high], rtol=1e-9)


def test_over_two_seeds_no_band_is_drawn_as_no_interval_is_told():
    comparison = make_comparison(**FEW | {"seeds": (3, 4)})
    columns = series(comparison, ("train_loss",))
    assert columns["low"] == columns["mean"] == columns["high"]
    drawn = drawing("learning_curves", comparison)
    assert "No band: too few seeds, fewer than 3." in json.dumps(drawn["title"])
    assert "No band" not in json.dumps(drawing("learning_curves", make_comparison(**FEW))["title"])


def test_long_runs_are_thinned_but_keep_their_ends():
    shown = epochs_shown(5000, 4)
    assert len(shown) <= 200 and shown[0] == 0 and shown[-1] == 4999 and np.all(np.diff(shown) > 0)
    np.testing.assert_array_equal(epochs_shown(7, 4), np.arange(7))
    np.testing.assert_array_equal(epochs_shown(1, 4), [0])
    assert len(epochs_shown(0, 4)) == 0


@pytest.mark.slow
def test_fifty_rules_stay_small():
    rules = ("backpropagation", *(f"rule {index}" for index in range(49)))
    comparison = make_comparison(rules=rules, epochs=400, seeds=range(2), layers=3)
    sizes = {name: len(json.dumps(specification(chart))) for name, chart in figures(comparison).items()}
    assert max(sizes.values()) < 900_000, sizes
    assert len(set(rule_colors(rules).values())) == 50


def test_one_color_a_rule_and_backpropagation_dark():
    assert rule_colors(("a", "backpropagation", "b"))["backpropagation"] == INK
    assert rule_colors(("a", "b"))["a"] == rule_colors(("backpropagation", "a"))["a"]


def test_colors_beyond_the_palette_are_told_apart():
    values = [*many_colors(24), INK]
    numbers = np.stack([rgb(color) for color in values])
    apart = np.linalg.norm(numbers[:, None] - numbers[None], axis=2) + 999 * np.eye(len(values))
    assert apart.min() > 40, [values[i] for i in np.unravel_index(apart.argmin(), apart.shape)]


def test_a_name_that_looks_like_a_number_stays_a_name():
    found = drawing("learning_curves", make_comparison(rules=("backpropagation", "1", 'a,"b"\nc')))
    kinds = found["concat"][0]["data"]
    assert kinds["format"]["parse"]["rule"] == "string"
    table = list(csv.DictReader(io.StringIO(found["datasets"][kinds["name"]])))
    assert {row["rule"] for row in table} == {"backpropagation", "1", 'a,"b"\nc'}


def test_landscape_pictures():
    certain = np.zeros((4, 6, 2))
    certain[:, :3, 0] = certain[:, 3:, 1] = 1.0
    picture = drawn(certain, ())
    blue, orange = picture[0, 0].astype(int), picture[0, -1].astype(int)
    assert blue[2] > blue[0] and orange[0] > orange[2]
    np.testing.assert_array_equal(picture[0, 2], [70, 70, 70])
    np.testing.assert_array_equal(drawn(np.full((2, 2, 2), np.nan), ()), np.full((2, 2, 3), 225))
    three = drawn(np.eye(3)[None], ("#ff0000", "#00ff00", "#0000ff"))
    assert [int(np.argmax(three[0, place])) for place in range(3)] == [0, 1, 2]


def test_files_are_written(tmp_path):
    comparison = make_comparison(rules=RULES[:2], seeds=range(2), epochs=5, layers=1, tuned=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = save_figures(comparison, tmp_path / "figures")
    assert {path.name for path in written} == {f"{name}.{kind}" for name in figures(comparison) for kind in ("png", "svg")}
    for path in written:
        data = path.read_bytes()
        if path.suffix == ".png":
            width, height = struct.unpack(">II", data[16:24])
            assert data[:8] == b"\x89PNG\r\n\x1a\n" and width > 600 and height > 250
        else:
            assert data.startswith(b"<svg")
    assert b"data:image/png;base64," in (tmp_path / "figures" / "landscapes.svg").read_bytes()


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [
        (range(1, 6), [1, 2, 3, 4, 5]),
        (range(1, 51), [1, 10, 20, 30, 40, 50]),
        (range(1, 2), [1]),
        ([1, 700, 5000], [1, 1000, 2000, 3000, 4000, 5000]),
    ],
)
def test_epochs_have_whole_and_round_ticks(epochs, ticks):
    assert epoch_ticks(list(epochs)) == ticks


def drawn_values(figure, comparison, panel=0):
    """How Vega-Lite reckons where the band of a panel ends, or the bars of the only one."""
    found = drawing(figure, comparison)
    layers = found["concat"][panel]["layer"] if "concat" in found else found["layer"]
    return next(layer["transform"] for layer in layers if any("calculate" in step for step in layer.get("transform", ())))


def test_nothing_is_drawn_beyond_what_is_possible():
    """With two seeds an interval reaches far: an accuracy ends at 1, a loss and a ratio of norms at 0."""
    comparison = make_comparison(seeds=range(2), tuned=False, **FEW)
    of_scores = {step["as"]: step["calculate"] for step in drawn_values("final_scores", comparison) if "calculate" in step}
    assert of_scores == {"from": "min(max(datum.low, 0.0), 1.0)", "to": "min(max(datum.high, 0.0), 1.0)"}
    for figure, panel in (("learning_curves", 0), ("gradient_angles", 1)):
        for runs in comparison.runs.values():
            runs.curves["train_loss"] = runs.curves["gradient_norm_ratio"] = np.array([[0.0] * 20, [1.0] * 20])
        low = next(step for step in drawn_values(figure, comparison, panel) if step.get("as") == "from")
        assert low["calculate"] == "max(datum.low, 0.0)"


def test_rules_are_told_apart_by_color_and_dashes():
    """Where two of sixteen colors are near, the dashes differ."""
    colors = [INK, *many_colors(15)]
    looks = {(color, tuple(dash_of(color))) for color in colors}
    assert len(looks) == 16
    for one in range(16):
        for other in range(one):
            apart = np.linalg.norm(rgb(colors[one]) - rgb(colors[other]))
            assert apart > 70 or dash_of(colors[one]) != dash_of(colors[other]), (colors[one], colors[other])


def test_class_maps_stand_in_the_order_of_the_table():
    comparison = make_comparison(rules=RULES[:3])
    comparison.runs[RULES[2]].scores["test_accuracy"] += 1.0
    panels = drawing("landscapes", comparison)["concat"]
    order = [row.rule for row in rows(comparison)]
    assert [panel["title"]["text"] for panel in panels] == order and order[0] == RULES[2]
    assert [panel["name"] for panel in panels] == [f"rule{RULES.index(rule)}" for rule in order]


def test_layers_without_a_measurable_angle_are_named_and_the_quality_of_credit_has_its_panels():
    comparison = make_comparison()
    for runs in comparison.runs.values():
        shape = runs.curves["train_loss"].shape
        runs.curves["gradient_over_floor/linear1"] = np.where(np.arange(shape[1]) % 4 == 0, 0.5, np.full(shape, 9.0))
        runs.curves |= {name: np.full(shape, 2.0) for name in ("credit_snr", "credit_snr/linear1", "credit_bias")}
    subtitle = " ".join(drawing("layer_angles", comparison)["title"]["subtitle"])
    share = 100 * np.mean(np.arange(shape[1]) % 4 == 0)
    assert f"gradient is lost in rounding: linear1 (up to {share:.0f} % of the epochs)." in subtitle
    titles = [panel["title"]["text"] for panel in drawing("signal_to_noise", comparison)["concat"]]
    assert titles == ["all parameters", "linear1"] and drawing("bias", comparison)["concat"]


def test_a_layer_in_which_no_rule_has_an_angle_gets_no_panel():
    comparison = make_comparison()
    for runs in comparison.runs.values():
        shape = runs.curves["train_loss"].shape
        runs.curves |= {"gradient_angle/linear1": np.full(shape, np.nan), "gradient_angle/linear2": np.full(shape, 30.0)}
    drawn = drawing("layer_angles", comparison)
    titles = [panel["title"]["text"] for panel in drawn.get("concat", drawn.get("hconcat", [drawn]))]
    assert "linear1" not in str(titles) and "linear2" in str(titles)
