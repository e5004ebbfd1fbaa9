"""The picture of confusion matrices: its numbers, and where there is one."""

import csv
import io

import numpy as np
import pytest

from ascribe.report.confusion import confusion
from ascribe.report.figures import specification

from .stand_in import RULES, diverge, make_comparison

COUNTS = (150, 40, 10)
"""Test examples of each class."""


def filled(classes=3, counts=COUNTS, rules=RULES[:3], **options):
    """Every rule takes a tenth of each class for the next one, the second seed a fifth."""
    task = "binary" if classes == 2 else "classification"
    comparison = make_comparison(task, classes=classes, rules=rules, **options)
    for runs in comparison.runs.values():
        wrong = [[count * (1 + (seed == 1)) // 10 for count in counts] for seed in range(len(runs.seeds))]
        own = np.asarray([np.diag(counts) - np.diag(seed) for seed in wrong])
        runs.confusion = own + np.asarray([np.roll(np.diag(seed), 1, axis=1) for seed in wrong])
        assert (runs.confusion.sum(axis=2) == counts).all()
    return comparison


def table(chart):
    (text,) = specification(chart)["datasets"].values()
    return list(csv.DictReader(io.StringIO(text)))


def test_cells_are_summed_over_the_seeds_that_finished():
    comparison = filled(seeds=range(3))
    diverge(comparison.runs[RULES[0]], [1])
    diverge(comparison.runs[RULES[2]], range(3))
    cells = {(row["rule"], row["true"], row["predicted"]): row for row in table(confusion(comparison))}
    assert {rule for rule, *_ in cells} == set(RULES[:2])  # of the third one nothing finished
    for rule, wrong in ((RULES[0], 0.1), (RULES[1], 0.4 / 3)):
        seeds = 3 - (rule == RULES[0])
        for place, count in enumerate(COUNTS):
            row = cells[rule, f"class {place}", f"class {(place + 1) % 3}"]
            assert float(row["share"]) == pytest.approx(wrong)
            assert int(row["count"]) == round(seeds * wrong * count)
            assert float(cells[rule, f"class {place}", f"class {place}"]["share"]) == pytest.approx(1 - wrong)
    chart = specification(confusion(comparison))
    assert "75 % class 0, 20 % class 1, 5 % class 2" in chart["title"]["subtitle"][1]
    assert [panel["title"]["subtitle"] == "diverged" for panel in chart["concat"]] == [False, False, True]


def test_two_classes_have_a_picture_where_they_are_uneven():
    assert confusion(filled(2, (100, 90))) is None
    assert len(table(confusion(filled(2, (100, 60))))) == 3 * 4


def test_a_class_without_test_examples_has_a_row_of_zeros():
    rows = [row for row in table(confusion(filled(3, (20, 0, 10)))) if row["true"] == "class 1"]
    assert len(rows) == 3 * 3
    assert {(row["count"], float(row["share"])) for row in rows} == {("0", 0.0)}


def test_there_is_none_of_numbers_of_nothing_kept_and_of_nothing_finished():
    assert confusion(make_comparison(task="regression")) is None
    assert confusion(make_comparison("classification", classes=3)) is None
    comparison = filled(seeds=range(2))
    for runs in comparison.runs.values():
        diverge(runs, range(2))
    assert confusion(comparison) is None


def test_numbers_stand_in_cells_that_have_the_room():
    layers = lambda chart: [len(panel.get("layer", [panel])) for panel in specification(chart)["concat"]]
    assert layers(confusion(filled())) == [2, 2, 2]
    many = tuple(f"rule {number}" for number in range(16))
    assert set(layers(confusion(filled(10, (10,) * 10, rules=many)))) == {1}
