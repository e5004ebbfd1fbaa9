"""Sequences to learn against the definitions on their cards."""

import os

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import sequences
from ascribe.errors import UserError
from ascribe.networks import build, check_input
from ascribe.training.examples import flatten_for

GENERATED = ["parity", "delayed-recall", "adding"]


def together(data: datasets.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.concatenate([split.inputs for _, split in data.splits]),
        np.concatenate([split.targets for _, split in data.splits]),
    )


@pytest.mark.parametrize(("samples", "bits"), [(200, 12), (64, 6), (100, 80)])
def test_parity_is_the_sum_of_the_bits_modulo_two(samples, bits):
    inputs, labels = together(datasets.load("parity", samples=samples, bits=bits))
    assert inputs.shape == (samples, bits, 1) and set(np.unique(inputs)) == {0.0, 1.0}
    np.testing.assert_array_equal(labels, [sum(map(int, row)) % 2 for row in inputs[..., 0]])
    assert labels.sum() == samples // 2
    assert len(np.unique(inputs, axis=0)) == samples


def test_recall_asks_for_the_first_symbol():
    inputs, labels = together(datasets.load("delayed-recall", samples=500, symbols=5, delay=7))
    assert inputs.shape == (500, 8, 5) and set(np.unique(inputs)) == {0.0, 1.0}
    assert (inputs.sum(axis=2) == 1.0).all()  # one symbol at a time
    symbols = inputs.argmax(axis=2)
    np.testing.assert_array_equal(symbols[:, 0], labels)
    assert np.bincount(labels).tolist() == [100] * 5
    assert len(np.unique(symbols, axis=0)) == 500
    # Distractors tell nothing of the cue: every symbol follows every cue about as often at every step.
    counts = np.array([[np.bincount(column, minlength=5) for column in symbols[labels == cue, 1:].T] for cue in range(5)])
    assert counts.min() > 5 and counts.max() < 40


def test_all_sequences_are_there_where_all_are_asked_for():
    inputs, _ = together(datasets.load("delayed-recall", samples=27, symbols=3, delay=2))
    assert sorted(map(tuple, inputs.argmax(axis=2))) == [*np.ndindex(3, 3, 3)]
    assert datasets.load("delayed-recall", symbols=2).task == "binary"


def test_adding_adds_the_two_marked_numbers():
    data = datasets.load("adding", samples=2000, length=7)
    inputs, targets = together(data)
    numbers, markers = inputs[..., 0], inputs[..., 1]
    assert inputs.shape == (2000, 7, 2) and targets.shape == (2000, 1)
    for row in range(2000):
        first, second = np.flatnonzero(markers[row])
        assert first < 3 <= second and markers[row, first] == markers[row, second] == 1.0
        assert targets[row, 0] == pytest.approx(numbers[row, first] + numbers[row, second], abs=1e-6)
    assert (markers.sum(axis=0) > 400).all()  # every step is marked
    assert (data.target_mean, data.target_scale) == ([0.0], [1.0])
    # The card: who always says 1 has the RMSE of the sum of two uniform numbers.
    assert np.sqrt(np.mean((targets - 1.0) ** 2)) == pytest.approx(np.sqrt(1 / 6), rel=0.05)


@pytest.mark.parametrize(("symbols", "length", "count"), [(2, 5, 32), (3, 4, 50), (7, 60, 300), (2, 0, 1)])
def test_distinct_sequences_are_distinct_and_uniform(symbols, length, count):
    found = sequences.distinct_sequences(np.random.default_rng(0), symbols, length, count)
    assert found.shape == (count, length) and len({*map(tuple, found)}) == count
    assert length == 0 or (found.min(), found.max()) == (0, symbols - 1)
    if count == 300:
        assert np.abs(found.mean(axis=0) - 3.0).max() < 6 * 2.0 / np.sqrt(300)


@pytest.mark.parametrize("name", GENERATED)
def test_standardizing_is_done_feature_by_feature_over_all_steps(name):
    plain, standardized = datasets.load(name), datasets.load(name, standardize=True)
    train = standardized.train.inputs.astype(np.float64)
    assert train.mean(axis=(0, 1)) == pytest.approx(0.0, abs=1e-6)
    assert train.std(axis=(0, 1)) == pytest.approx(1.0, abs=1e-6)
    assert standardized.input_mean.shape == plain.input_shape[-1:]
    np.testing.assert_allclose(standardized.prepare(plain.test.inputs), standardized.test.inputs, rtol=1e-5, atol=1e-6)
    raw = plain.test.inputs.reshape(len(plain.test), -1)
    np.testing.assert_allclose(standardized.flat().prepare(raw), standardized.flat().test.inputs, rtol=1e-5, atol=1e-6)
    assert plain.input_mean is None


@pytest.mark.parametrize("name", GENERATED)
def test_the_smallest_set_fills_every_split(name):
    data = datasets.load(name, samples=12)
    assert sum(len(split) for _, split in data.splits) == 12


@pytest.mark.parametrize("name", [*GENERATED, "digit-rows"])
def test_folds_test_every_sequence_once(name):
    data = datasets.load(name)
    tested = np.concatenate([fold.test.inputs for fold in datasets.folds(datasets.load(name, standardize=False), 3)])
    assert tested.shape[1:] == data.input_shape
    assert len(np.unique(tested, axis=0)) == len(tested) == sum(len(split) for _, split in data.splits)


@pytest.mark.parametrize(
    ("rows", "images"), [("digit-rows", "digits"), pytest.param("mnist-rows", "mnist", marks=pytest.mark.data)]
)
@pytest.mark.parametrize("options", [{}, {"classes": (3, 8), "standardize": False}])
def test_rows_are_those_of_the_images(rows, images, options):
    if images == "mnist":
        if not os.environ.get("ASCRIBE_DATA"):
            pytest.skip("ASCRIBE_DATA is not set")
        options = {**options, "samples": 300, "test_samples": 100}
    wanted = datasets.load(images, seed=2, **options)
    data = datasets.load(rows, seed=2, **options)
    for (_, split), (_, other) in zip(data.splits, wanted.splits, strict=True):
        np.testing.assert_array_equal(split.inputs, other.inputs[..., 0])
        np.testing.assert_array_equal(split.targets, other.targets)
    assert (data.task, data.class_names) == (wanted.task, wanted.class_names)
    raw = np.arange(2 * data.features).reshape(2, *data.input_shape) % 17
    np.testing.assert_array_equal(data.prepare(raw), wanted.prepare(raw[..., None])[..., 0])


@pytest.mark.parametrize("name", [*GENERATED, "digit-rows"])
def test_a_dense_network_gets_the_steps_side_by_side(name):
    data = datasets.load(name)
    network = build("4", input_shape=data.input_shape, outputs=data.outputs)
    flat = flatten_for(network, data)
    assert check_input(network, flat.input_shape) == (data.outputs,)
    np.testing.assert_array_equal(flat.test.inputs, data.test.inputs.reshape(len(data.test), -1))


@pytest.mark.parametrize("network", ["lenet", "simplenet/8"])
def test_a_convolutional_network_takes_no_sequence(network):
    with pytest.raises(UserError, match=r"takes images .* got the shape \(8, 8\): use an MLP"):
        build(network, input_shape=datasets.load("digit-rows").input_shape, outputs=10)


@pytest.mark.parametrize("name", [*GENERATED, "digit-rows"])
def test_augmentations_of_images_take_no_sequence(name):
    with pytest.raises(UserError, match=r"random-crop is for images .* leave it out"):
        datasets.load(name, transforms="random-crop")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("parity", {"bits": 5}, "`samples` is at most 32, .*; got 1000: try `samples=32` or `bits=10`"),
        ("parity", {"bits": 3}, "`bits` is an integer of at least 4; got 3"),
        ("parity", {"bits": True}, "`bits` is an integer of at least 4; got True"),
        ("parity", {"bits": 10**9}, "memory does not hold samples=1000 of 1000000000 features"),
        ("delayed-recall", {"symbols": 2, "delay": 1}, "`samples` is at most 4, .*; got 1000: try `delay=10`"),
        ("delayed-recall", {"symbols": 4, "delay": 2}, "`samples` is at most 64, .* try `samples=64` or `delay=10`"),
        ("delayed-recall", {"symbols": 5, "samples": 14}, "`samples` is at least 15"),
        ("delayed-recall", {"symbols": 1}, "`symbols` is an integer of at least 2"),
        ("delayed-recall", {"delay": 0}, "`delay` is a positive integer"),
        ("adding", {"length": 1}, "`length` is an integer of at least 2"),
        ("adding", {"length": 2.5}, "got 2.5"),
        ("adding", {"noise": 0.1}, "the data set adding has no option 'noise': it has samples, length, standardize"),
    ],
)
def test_wrong_options_get_one_sentence(name, options, said):
    with pytest.raises(UserError, match=said) as caught:
        datasets.load(name, **options)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_sequences_of_the_users_own_are_standardized_in_all_or_feature_by_feature(tmp_path):
    generator = np.random.default_rng(5)
    raw = generator.normal([0.0, 100.0, -3.0], [1.0, 50.0, 0.0], size=(60, 7, 3))  # the last never changes
    labels = np.arange(60) % 3
    np.savez(tmp_path / "sensors.npz", x=raw, y=labels)
    for source in ((raw, labels), tmp_path / "sensors.npz"):
        whole, plain, own = (datasets.load(source, standardize=how) for how in (True, False, "features"))
        assert whole.input_shape == (7, 3) and whole.input_mean.shape == whole.input_scale.shape == ()
        rows = plain.train.inputs.astype(np.float64)
        np.testing.assert_allclose((whole.input_mean, whole.input_scale), (rows.mean(), rows.std()), rtol=1e-6)
        scale = np.append(rows[..., :2].std(axis=(0, 1)), 1.0)
        np.testing.assert_allclose(own.input_mean, rows.mean(axis=(0, 1)), rtol=1e-5)
        np.testing.assert_allclose(own.input_scale, scale, rtol=1e-5)
        assert own.input_scale[2] == 1.0 and (np.abs(own.train.inputs[..., 2]) < 1e-5).all()
        np.testing.assert_allclose(own.prepare(plain.test.inputs), own.test.inputs, rtol=1e-4, atol=1e-5)
        assert own.request["standardize"] == "features"


def test_gaps_of_sequences_are_filled_with_the_mean_of_their_feature():
    generator = np.random.default_rng(6)
    raw = generator.normal([0.0, 100.0], 1.0, size=(40, 5, 2))
    raw[generator.random(raw.shape) < 0.1] = np.nan
    data = datasets.load((raw, np.arange(40) % 2), missing="mean", standardize="features")
    filled = np.concatenate([split.inputs for _, split in data.splits])
    assert (filled == 0.0).sum() == np.isnan(raw).sum()
    gap = np.full((1, 5, 2), np.nan)
    np.testing.assert_array_equal(data.prepare(gap), np.zeros((1, 5, 2)))


@pytest.mark.parametrize("how", ["x", 1, "yes", None])
def test_standardize_takes_two_truth_values_and_one_word(how):
    with pytest.raises(UserError, match=r"`standardize` is True, False or features; got .*: try `standardize=True`"):
        datasets.load((np.ones((20, 2)), np.arange(20)), standardize=how)
