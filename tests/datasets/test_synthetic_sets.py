"""The generated data sets against the equations on their cards."""

import numpy as np
import pytest

from ascribe import datasets


def together(data: datasets.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([split.inputs for _, split in data.splits]),
        np.concatenate([split.targets for _, split in data.splits]),
    )


def test_gaussians_have_the_means_and_deviation_of_the_card():
    inputs, labels = together(datasets.load("gaussians", samples=20_000, dimensions=3))
    assert inputs.shape == (20_000, 3)
    # Ten thousand points per class: the mean is known to 0.01.
    assert inputs[labels == 0].mean(axis=0) == pytest.approx(np.ones(3), abs=0.05)
    assert inputs[labels == 1].mean(axis=0) == pytest.approx(-np.ones(3), abs=0.05)
    assert inputs[labels == 0].std(axis=0) == pytest.approx(np.ones(3), abs=0.05)


def test_moons_without_noise_are_those_of_scikit_learn():
    make_moons = pytest.importorskip("sklearn.datasets").make_moons
    expected, expected_labels = make_moons(101, shuffle=False, noise=None)
    inputs, labels = together(datasets.load("moons", samples=101, noise=0))
    expected = np.column_stack([expected.astype(np.float32), expected_labels])
    found = np.column_stack([inputs, labels])
    order = lambda rows: rows[np.lexsort(rows.round(4).T)]
    assert order(found) == pytest.approx(order(expected), abs=1e-6)


def test_noise_has_the_requested_size():
    inputs, labels = together(datasets.load("xor", samples=8000, noise=0.05))
    left, right = (inputs > 0.5).T
    np.testing.assert_array_equal(labels, left ^ right)
    corners = inputs.round()
    assert (inputs - corners).std() == pytest.approx(0.05, rel=0.05)


def test_spirals_lie_on_their_arms():
    data = datasets.load("spirals", samples=300, noise=0, classes=3, turns=2)
    inputs, labels = together(data)
    radius = np.hypot(*inputs.T)
    turned = np.arctan2(inputs[:, 1], inputs[:, 0]) / (2 * np.pi) - 2 * radius - labels / 3
    assert np.abs(turned - turned.round()).max() < 1e-4
    assert radius.min() >= 0.099 and radius.max() <= 1.001
    assert (data.task, data.classes) == ("classification", 3)


def test_sine_is_a_sine_and_keeps_its_unit():
    data = datasets.load("sine", noise=0)
    inputs, targets = together(data)
    assert targets == pytest.approx(np.sin(inputs), abs=1e-6)
    assert np.array_equal(data.target_mean, [0.0]) and np.array_equal(data.target_scale, [1.0])
    standardized = datasets.load("sine", noise=0, standardize=True)
    assert standardized.train.targets.std() == pytest.approx(1.0, abs=1e-5)
    raw = standardized.train.targets * standardized.target_scale + standardized.target_mean
    assert raw == pytest.approx(data.train.targets, abs=1e-6)


@pytest.mark.parametrize("name", ["gaussians", "moons", "xor", "spirals", "sine"])
def test_generated_inputs_are_standardized_only_on_request(name):
    plain, standardized = datasets.load(name), datasets.load(name, standardize=True)
    train = standardized.train.inputs.astype(np.float64)
    assert train.mean(axis=0) == pytest.approx(0.0, abs=1e-6)
    assert train.std(axis=0) == pytest.approx(1.0, abs=1e-6)
    mean, scale = plain.train.inputs.mean(axis=0), plain.train.inputs.std(axis=0)
    assert standardized.test.inputs == pytest.approx((plain.test.inputs - mean) / scale, abs=1e-4)
    assert [len(split) for _, split in plain.splits] == [700, 150, 150]


@pytest.mark.parametrize("name", ["gaussians", "moons", "xor", "spirals", "sine"])
def test_the_smallest_set_fills_every_split(name):
    data = datasets.load(name, samples=10)
    assert all(len(split) for _, split in data.splits)
    assert sum(len(split) for _, split in data.splits) == 10


def test_diabetes_is_the_published_table():
    data = datasets.load("diabetes")
    targets = np.concatenate([split.targets for _, split in data.splits]) * data.target_scale + data.target_mean
    # Mean 152.13 and range 25 to 346 over all 442 patients: scikit-learn's description of the data.
    assert (len(targets), targets.min(), targets.max()) == (442, pytest.approx(25), pytest.approx(346))
    assert targets.mean() == pytest.approx(152.13, abs=0.01)
    assert data.feature_names[:4] == ("age", "sex", "bmi", "bp")
    raw = datasets.load("diabetes", standardize=False)
    assert raw.train.inputs[:, 0].min() >= 19 and raw.train.inputs[:, 0].max() <= 79  # ages in years


def test_digits_with_two_classes_are_binary_in_the_order_given():
    every = datasets.load("digits", standardize=False)
    assert every.train.inputs.min() == 0.0 and every.train.inputs.max() == 1.0
    data = datasets.load("digits", classes=(8, 3), standardize=False)
    assert (data.task, data.class_names, data.outputs) == ("binary", ("8", "3"), 1)
    eights = {row.tobytes() for row in np.concatenate([s.inputs[s.targets == 8] for _, s in every.splits])}
    for _, split in data.splits:
        assert all((row.tobytes() in eights) == (label == 0) for row, label in zip(*vars(split).values(), strict=True))
    assert datasets.load("digits", classes="8,3", standardize=False).checksum == data.checksum


def test_digits_subset_comes_from_the_training_part_and_leaves_the_test_alone():
    every = datasets.load("digits", standardize=False)
    part = datasets.load("digits", samples=200, test_samples=50, standardize=False)
    assert len(part.train) + len(part.validation) == 200 and len(part.test) == 50
    tested = {row.tobytes() for row in every.test.inputs}
    assert all(row.tobytes() in tested for row in part.test.inputs)
    assert not any(row.tobytes() in tested for row in part.train.inputs)
    assert np.bincount(part.train.targets).min() >= 14
