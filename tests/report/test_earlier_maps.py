"""The class maps of earlier epochs on a page: whose they are, their mean over the seeds, and where there is no slider."""

import base64

import numpy as np
import pytest

from ascribe.report import page
from ascribe.report.class_maps import class_colors, picture
from ascribe.report.earlier_maps import SHADES, earlier_maps

from .stand_in import RULES, diverge, in_folds, make_comparison
from .test_png import decode_png

FEW = {"rules": RULES[:2], "seeds": (0, 1, 2), "epochs": 4, "layers": 1, "tuned": False}


def mapped(classes=2, epochs=(0, 1, 2)):
    """A comparison with maps of four points a side: of rule r after epoch e, every point of seed s is 20 (e + r) + 30 s."""
    kind = "binary" if classes == 2 else "classification"
    comparison = make_comparison(kind, classes=classes, **FEW)
    for number, runs in enumerate(comparison.runs.values()):
        for epoch in epochs:
            levels = 20 * (epoch + number) + 30 * np.arange(3)
            runs.class_maps[epoch] = np.broadcast_to(levels[:, None, None, None], (3, 4, 4, classes - 1)).astype(np.uint8)
    return comparison


def pixels(address):
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return decode_png(base64.b64decode(content))


@pytest.mark.parametrize(("lost", "level"), [((), 70), ((2,), 55), ((0, 1), 100)])
def test_a_map_is_the_mean_over_the_seeds_that_finished(lost, level):
    comparison = mapped()
    diverge(comparison.runs[RULES[1]], lost)
    found = earlier_maps(comparison)
    assert list(found) == [0, 1, 2] and all(list(maps) == list(RULES[:2]) for maps in found.values())
    chance = np.full((13, 13), level / 255)
    expected = picture(np.stack([1 - chance, chance], axis=-1), ("#000000", "#ffffff"), SHADES)
    np.testing.assert_array_equal(pixels(found[1][RULES[1]]), expected)


def test_a_rule_whose_runs_all_diverged_is_gray():
    comparison = mapped()
    diverge(comparison.runs[RULES[0]], range(3))
    assert np.all(pixels(earlier_maps(comparison)[2][RULES[0]]) == 225)


def test_of_cross_validation_the_first_fold_is_shown():
    """The joined runs have those of all folds, and the maps of the first alone."""
    first = mapped()
    whole = in_folds(make_comparison("binary", **{**FEW, "seeds": range(6)}), 2)
    for rule, runs in whole.runs.items():
        runs.class_maps = first.runs[rule].class_maps
    whole.folds = [first, mapped()]
    assert earlier_maps(whole) == earlier_maps(first)


def test_of_three_classes_the_first_has_what_is_left():
    comparison = mapped(classes=3)
    shown = pixels(earlier_maps(comparison)[0][RULES[0]])  # 30, 30 and so 195 of 255
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 1
    certain = picture(np.eye(3)[[[0]]], class_colors(comparison.data))[0, 0]
    np.testing.assert_array_equal(np.argsort(shown[0, 0]), np.argsort(certain))  # the same hue, paler
    assert np.all(shown[0, 0] > certain)


def test_only_epochs_that_all_rules_have_are_shown():
    comparison = mapped()
    del comparison.runs[RULES[1]].class_maps[1]
    assert list(earlier_maps(comparison)) == [0, 2]
    comparison.runs[RULES[1]].class_maps.clear()
    assert earlier_maps(comparison) == {}


def test_the_page_has_a_slider_where_there_are_maps():
    text = page(mapped())
    assert text.count('data-epochs="0 1 2"') == 1 and text.count(" data-earlier=") == 2
    assert '<div class="epochs" data-epochs="0 1 2" hidden>' in text  # shown by the script, which it needs
    assert 'type="range" min="0" max="3" value="3"' in text
    without = page(make_comparison(**FEW))
    assert "data-epochs" not in without.partition("<script>")[0] and " data-earlier=" not in without
