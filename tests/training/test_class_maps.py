"""Class maps on the way: at which epochs, of which data, and what they say, against networks that were trained no longer."""

import numpy as np
import pytest

from ascribe import compare
from ascribe.datasets.region import padded_range, plane
from ascribe.training.class_maps import SIDE, mapped_epochs, points_of

from . import tiny


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 2]), (6, [0, 1, 2, 5]), (50, [0, 1, 2, 5, 10, 20])],
)
def test_epochs_are_as_many_in_each_tenfold(epochs, expected):
    assert mapped_epochs(epochs) == expected


def test_maps_are_of_classes_of_two_features_alone():
    assert points_of(tiny.data("regression", 1)) is None
    assert points_of(tiny.data(features=3)) is None
    assert points_of(tiny.data(shape=(2, 1, 1))) is None
    points = points_of(tiny.data())
    assert points.shape == (SIDE * SIDE, 2) and points.dtype == np.float32


def test_the_points_are_those_of_the_data_before_its_transforms():
    raw, coded = tiny.data(), tiny.data().encode("unit-interval")
    low, high = padded_range(raw, 2)
    grid = plane(coded, SIDE)
    np.testing.assert_allclose(grid[0, 0], [low[0], high[1]], rtol=1e-6)
    np.testing.assert_allclose(grid[-1, -1], [high[0], low[1]], rtol=1e-6)
    np.testing.assert_array_equal(points_of(coded), coded.transforms[0](grid.reshape(-1, 2)))


@pytest.mark.parametrize(("task", "outputs", "classes"), [("binary", 1, 2), ("classification", 3, 3)])
def test_a_map_is_what_a_shorter_training_ends_with(task, outputs, classes):
    data, rules = tiny.data(task, outputs), ["backpropagation", "feedback-alignment"]
    longer = compare(data, rules=rules, network="3", tune=0, **tiny.WORLD)
    first, second = (runs.class_maps for runs in longer.runs.values())
    assert list(first) == list(second) == [0, 1, 2]
    np.testing.assert_array_equal(first[0], second[0])  # the same initial weights
    assert np.any(first[2] != second[2])
    shorter = compare(data, rules=rules, network="3", tune=0, **tiny.WORLD | {"epochs": 2})
    for (name, runs), maps in zip(shorter.runs.items(), (first, second), strict=True):
        assert maps[2].shape == (2, SIDE, SIDE, classes - 1) and maps[2].dtype == np.uint8
        chances = runs.probabilities(plane(data, SIDE).reshape(-1, 2))[..., 1:]
        np.testing.assert_allclose(maps[2].reshape(chances.shape) / 255, chances, atol=0.51 / 255, err_msg=name)


def test_other_data_have_none():
    runs = compare(tiny.data("regression", 1), rules=["backpropagation"], network="3", tune=0, **tiny.WORLD).runs
    assert runs["backpropagation"].class_maps == {}
